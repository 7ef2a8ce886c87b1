//! Probes the account for `doctor`: which methods it may use at which
//! endpoint, whether answers have the documented shape, and whether errors have
//! their titles.
//!
//! Everything here is a read. `doctor` decides what a finding means. Notes
//! contain no identifiers and no secrets.

use http::Method;
use serde_json::Value;

use super::Transatel;
use super::api::{resources, sim_management, sims};
use super::client::answer::Answer;
use super::client::endpoint::{self, Api, Endpoint, Kind};
use super::client::error::{CallError, Need};
use super::client::request::{CallOptions, Request};
use super::client::token::Grant;
use crate::domain::{Iccid, Msisdn, SimRecord};
use crate::telemetry::ClockReading;

/// Not in any API of the provider.
pub static WRONG_PATH: Endpoint = Endpoint {
    name: "wrong path",
    api: Api::Inventory,
    method: Method::GET,
    template: "/ocs/inventory/api/no-such-path",
    kind: Kind::Read,
    need: Need::Required,
};

/// The note of an inventory without subscriptions.
pub const NO_SUBSCRIPTIONS: &str = "no subscriptions";

const FILTER_NOT_APPLIED: &str = "the filter is not applied: other SIMs are found";

/// No transaction has this id.
const NO_TRANSACTION: &str = "00000000-0000-4000-8000-000000000000";

/// What the placeholders of a path are filled with.
#[derive(Clone, Debug)]
pub struct Subject {
    /// A product id.
    pub product_id: String,
    /// A SIM.
    pub iccid: Iccid,
    /// The number of a SIM.
    pub msisdn: Msisdn,
}

/// What an answer shows.
#[derive(Debug)]
pub struct Finding {
    /// In a few words, for people.
    pub note: String,
    /// `X-TSL-Request-Id`.
    pub request_id: Option<String>,
}

/// Why a probe found nothing.
#[derive(Debug)]
pub enum ProbeError {
    /// The request failed.
    Failed(CallError),
    /// The answer is not as documented.
    Differs(Finding),
}

impl From<CallError> for ProbeError {
    fn from(failure: CallError) -> Self {
        Self::Failed(failure)
    }
}

fn differs(answer: &Answer, why: impl Into<String>) -> ProbeError {
    ProbeError::Differs(Finding {
        note: why.into(),
        request_id: answer.request_id.clone(),
    })
}

fn finding(answer: &Answer, note: impl Into<String>) -> Finding {
    Finding {
        note: note.into(),
        request_id: answer.request_id.clone(),
    }
}

/// What the inventory shows of an unlimited subscription, which is not
/// documented.
fn fair_use_row(subscription: &Value) -> Option<String> {
    let rows = subscription.pointer("/balances/data")?.as_array()?;
    let row = rows.iter().find(|row| {
        let name = row.get("resourceName").and_then(Value::as_str);
        name.is_some_and(resources::is_fair_use)
    })?;
    let left = match row.get("resourceValue").and_then(Value::as_i64) {
        Some(resources::UNLIMITED) => "-1",
        Some(0) => "0",
        Some(_) => "some",
        None => "an unknown amount",
    };
    Some(format!("{left} left of a fair-use volume"))
}

impl Transatel {
    /// Gets a token, and returns what came with it.
    ///
    /// # Errors
    /// [`CallError::Token`].
    pub async fn grant(&self) -> Result<Grant, CallError> {
        Ok(self.client.tokens.token().await?.grant().clone())
    }

    /// The methods that the account may use at an endpoint.
    ///
    /// # Errors
    /// Also when the answer does not name them.
    pub async fn allowed_methods(
        &self,
        endpoint: &'static Endpoint,
        subject: &Subject,
        options: CallOptions,
    ) -> Result<(Vec<String>, Option<String>), ProbeError> {
        let request = Request::options(endpoint, &self.parameters(endpoint, subject));
        let answer = self.client.call(&request, options).await?;
        let Some(options) = &answer.options else {
            return Err(differs(&answer, "no Allow header"));
        };
        let methods = options
            .allow
            .split(',')
            .map(|method| method.trim().to_ascii_uppercase());
        Ok((
            methods.filter(|method| !method.is_empty()).collect(),
            answer.request_id,
        ))
    }

    /// Reads the provider's clock; `None` when an answer does not show it. Asks
    /// nothing that may be answered from a cache.
    ///
    /// # Errors
    /// The request failed.
    pub async fn provider_time(
        &self,
        subject: &Subject,
        options: CallOptions,
    ) -> Result<Option<ClockReading>, CallError> {
        let endpoint = &endpoint::INVENTORY;
        let request = Request::options(endpoint, &self.parameters(endpoint, subject));
        let answer = self.client.call(&request, options).await?;
        Ok(answer.options.and_then(|options| options.clock))
    }

    /// Reads the subscriptions of a SIM.
    ///
    /// # Errors
    /// See [`ProbeError`].
    pub async fn probe_inventory(
        &self,
        subject: &Subject,
        options: CallOptions,
    ) -> Result<Finding, ProbeError> {
        let statuses = self
            .account
            .live_statuses
            .iter()
            .chain(&self.account.ended_statuses);
        let mut query = vec![("msisdn", subject.msisdn.as_str()), ("withBalances", "true")];
        query.extend(statuses.map(|status| ("statuses", status.as_str())));
        let answer = self.ask(&endpoint::INVENTORY, subject, &query, options).await?;
        let body: Value = answer.json()?;
        let Some(subscriptions) = body.get("productSubscriptions").and_then(Value::as_array) else {
            return Err(differs(&answer, "no productSubscriptions"));
        };
        let text = |subscription: &Value, pointer: &str| {
            subscription
                .pointer(pointer)
                .is_some_and(|value| value.is_string())
        };
        for member in ["/subscriptionId", "/status", "/productDefinition/productId"] {
            if subscriptions
                .iter()
                .any(|subscription| !text(subscription, member))
            {
                let member = member.trim_start_matches('/').replace('/', ".");
                return Err(differs(&answer, format!("a subscription has no {member}")));
            }
        }
        let note = match subscriptions.len() {
            0 => NO_SUBSCRIPTIONS.to_owned(),
            1 => "1 subscription".to_owned(),
            count => format!("{count} subscriptions"),
        };
        let fair_use = subscriptions.iter().filter_map(fair_use_row).next();
        let note = fair_use.map_or(note.clone(), |row| format!("{note}, {row}"));
        Ok(finding(&answer, note))
    }

    /// Reads the profile of an eSIM with its history.
    ///
    /// # Errors
    /// See [`ProbeError`].
    pub async fn probe_esim(&self, subject: &Subject, options: CallOptions) -> Result<Finding, ProbeError> {
        let query = [("history", "true")];
        let answer = self.ask(&endpoint::ESIM, subject, &query, options).await?;
        let profile = sim_management::read(&answer, &subject.iccid)?;
        let Some(status) = profile.status else {
            return Err(differs(
                &answer,
                format!("status {:?} is not in the contract", profile.raw_status),
            ));
        };
        let has = |so: bool, what: &'static str| if so { what } else { "" };
        Ok(finding(
            &answer,
            format!(
                "{}{}{}, {} entries of history",
                format!("{status:?}").to_lowercase(),
                has(profile.code.is_some(), ", activation code"),
                has(profile.eid.is_some(), ", EID"),
                profile.history.len()
            ),
        ))
    }

    /// Searches for one SIM.
    ///
    /// # Errors
    /// See [`ProbeError`].
    pub async fn probe_sim_search(
        &self,
        subject: &Subject,
        options: CallOptions,
    ) -> Result<Finding, ProbeError> {
        let filter = format!("eq:{}", subject.iccid.as_str());
        let query = [("simSerial", filter.as_str()), ("size", "2"), ("page", "1")];
        let answer = self.ask(&endpoint::SIM_SEARCH, subject, &query, options).await?;
        let body: Value = answer.json()?;
        let Some(sims) = body.get("sims").and_then(Value::as_array) else {
            return Err(differs(&answer, "no sims"));
        };
        let serial =
            |sim: &Value| sim.get("simSerial").and_then(Value::as_str) == Some(subject.iccid.as_str());
        if sims.iter().any(|sim| !serial(sim)) {
            return Err(differs(&answer, FILTER_NOT_APPLIED));
        }
        let has = |member: &str| {
            sims.iter()
                .any(|sim| sim.get(member).is_some_and(Value::is_string))
        };
        Ok(finding(
            &answer,
            match sims.len() {
                0 => "not found".to_owned(),
                _ if has("msisdn") && has("status") => "found with MSISDN and status".to_owned(),
                _ if has("msisdn") => "found with MSISDN, without status".to_owned(),
                _ => "found without MSISDN".to_owned(),
            },
        ))
    }

    /// Searches for SIMs by a filter that only records match which `fits`
    /// accepts.
    ///
    /// # Errors
    /// See [`ProbeError`].
    pub async fn probe_filter(
        &self,
        parameter: &str,
        value: &str,
        fits: impl Fn(&SimRecord) -> bool,
        options: CallOptions,
    ) -> Result<Finding, ProbeError> {
        let request = Request {
            query: &[(parameter, value), ("size", "2"), ("page", "1")],
            ..Request::new(&endpoint::SIM_SEARCH, &[])
        };
        let answer = self.client.call(&request, options).await?;
        let page = sims::read_page(&answer.body).map_err(|error| answer.unreadable(&error))?;
        if !page.records.iter().all(fits) {
            return Err(differs(&answer, FILTER_NOT_APPLIED));
        }
        let note = if page.length == 0 {
            "accepted, no SIM found"
        } else {
            "accepted"
        };
        Ok(finding(&answer, note))
    }

    /// Requests a path that does not exist.
    ///
    /// # Errors
    /// The refusal, unless the provider answers.
    pub async fn probe_wrong_path(
        &self,
        subject: &Subject,
        options: CallOptions,
    ) -> Result<Finding, ProbeError> {
        let answer = self.ask(&WRONG_PATH, subject, &[], options).await?;
        Ok(finding(&answer, "an answer"))
    }

    async fn ask(
        &self,
        endpoint: &'static Endpoint,
        subject: &Subject,
        query: &[(&str, &str)],
        options: CallOptions,
    ) -> Result<Answer, CallError> {
        let request = Request {
            query,
            ..Request::new(endpoint, &self.parameters(endpoint, subject))
        };
        self.client.call(&request, options).await
    }

    fn parameters<'a>(&'a self, endpoint: &Endpoint, subject: &'a Subject) -> Vec<&'a str> {
        endpoint
            .parameters()
            .map(|name| match name {
                "cosRef" => self.account.cos.as_str(),
                "productId" => subject.product_id.as_str(),
                "simSerial" => subject.iccid.as_str(),
                "msisdn" => subject.msisdn.as_str(),
                "transactionId" => NO_TRANSACTION,
                other => other,
            })
            .collect()
    }
}
