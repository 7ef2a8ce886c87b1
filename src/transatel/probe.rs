//! Looks at the account instead of using it: which methods it may use where,
//! whether answers have the shape that the contract gives them, and whether
//! errors have their titles.
//!
//! Everything here is a read. What is found is a fact; what it means is
//! decided elsewhere (`doctor`). Notes hold no identifier and no secret.

use http::Method;
use serde_json::Value;

use super::Transatel;
use super::api::sim_management;
use super::client::endpoint::{self, Api, Endpoint, Kind};
use super::client::error::{CallError, Need};
use super::client::request::{CallOptions, Request};
use super::client::token::Grant;
use super::client::transport::Answer;
use crate::domain::{Iccid, Msisdn};

/// No API of the provider has this.
pub static WRONG_PATH: Endpoint = Endpoint {
    name: "wrong path",
    api: Api::Inventory,
    method: Method::GET,
    template: "/ocs/inventory/api/no-such-path",
    kind: Kind::Read,
    need: Need::Required,
};

/// No transaction has this id.
const NO_TRANSACTION: &str = "00000000-0000-4000-8000-000000000000";

/// What stands for the placeholders of a path.
#[derive(Clone, Debug)]
pub struct Subject {
    /// A product id.
    pub product_id: String,
    /// A card.
    pub iccid: Iccid,
    /// A number.
    pub msisdn: Msisdn,
}

/// What an answer showed.
#[derive(Debug)]
pub struct Finding {
    /// In a few words.
    pub note: String,
    /// `X-TSL-Request-Id`.
    pub request_id: Option<String>,
}

/// Why there is nothing to see.
#[derive(Debug)]
pub enum ProbeError {
    /// The request failed.
    Failed(CallError),
    /// The answer is not what the contract says.
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

fn seen(answer: &Answer, note: impl Into<String>) -> Finding {
    Finding {
        note: note.into(),
        request_id: answer.request_id.clone(),
    }
}

impl Transatel {
    /// Gets a token and says what came with it.
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
    pub async fn methods(
        &self,
        endpoint: &'static Endpoint,
        subject: &Subject,
        options: CallOptions,
    ) -> Result<(Vec<String>, Option<String>), ProbeError> {
        let request = Request::options(endpoint, &self.parameters(endpoint, subject));
        let answer = self.client.call(&request, options).await?;
        let Some(allow) = &answer.allow else {
            return Err(differs(&answer, "no Allow header"));
        };
        let methods = allow.split(',').map(|method| method.trim().to_ascii_uppercase());
        Ok((
            methods.filter(|method| !method.is_empty()).collect(),
            answer.request_id,
        ))
    }

    /// Reads the bundles of a subscriber.
    ///
    /// # Errors
    /// See [`ProbeError`].
    pub async fn look_at_inventory(
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
        let Some(bundles) = body.get("productSubscriptions").and_then(Value::as_array) else {
            return Err(differs(&answer, "no productSubscriptions"));
        };
        let text =
            |bundle: &Value, pointer: &str| bundle.pointer(pointer).is_some_and(|value| value.is_string());
        for member in ["/subscriptionId", "/status", "/productDefinition/productId"] {
            if bundles.iter().any(|bundle| !text(bundle, member)) {
                let member = member.trim_start_matches('/').replace('/', ".");
                return Err(differs(&answer, format!("a bundle has no {member}")));
            }
        }
        Ok(seen(&answer, format!("{} bundles", bundles.len())))
    }

    /// Reads the profile of an eSIM with its history.
    ///
    /// # Errors
    /// See [`ProbeError`].
    pub async fn look_at_esim(&self, subject: &Subject, options: CallOptions) -> Result<Finding, ProbeError> {
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
        Ok(seen(
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
    pub async fn look_for_sim(&self, subject: &Subject, options: CallOptions) -> Result<Finding, ProbeError> {
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
            return Err(differs(&answer, "the filter is not obeyed: other SIMs are found"));
        }
        let has = |member: &str| {
            sims.iter()
                .any(|sim| sim.get(member).is_some_and(Value::is_string))
        };
        Ok(seen(
            &answer,
            match sims.len() {
                0 => "not found".to_owned(),
                _ if has("msisdn") && has("status") => "found with MSISDN and status".to_owned(),
                _ if has("msisdn") => "found with MSISDN, without status".to_owned(),
                _ => "found without MSISDN".to_owned(),
            },
        ))
    }

    /// Asks for a path that does not exist.
    ///
    /// # Errors
    /// What the provider refuses it with.
    pub async fn look_nowhere(&self, subject: &Subject, options: CallOptions) -> Result<Finding, ProbeError> {
        let answer = self.ask(&WRONG_PATH, subject, &[], options).await?;
        Ok(seen(&answer, "an answer"))
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
