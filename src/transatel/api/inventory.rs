//! OCS Inventory: the subscriptions of a SIM.
//!
//! Provider's document: "OCS Inventory". It takes the MSISDN only, statuses
//! as repeated parameters, and gives one expiration date whose meaning
//! depends on whether the subscription has started.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::catalog_wire::category;
use super::countries::country;
use super::resources;
use crate::domain::product::{Amount, Category, Grant, is_infrastructure_id, is_infrastructure_tag};
use crate::domain::subscription::{Balance, End, Holdings, Level, Status};
use crate::domain::{Country, Error, Language, Msisdn, Subscription};
use crate::transatel::Transatel;
use crate::transatel::client::endpoint;
use crate::transatel::client::error::{CallError, MALFORMED_REQUEST_TITLES, Need};
use crate::transatel::client::request::{CallOptions, Request};
use crate::transatel::lenient::{self, Lists, Part};

impl Transatel {
    /// The subscriptions of a SIM with their balances, in the provider's
    /// order; with `ended`, also those that have ended.
    ///
    /// # Errors
    /// `SIM_NOT_FOUND` for an unknown subscriber, and what any read may give.
    /// Any other 404 means that there is nothing.
    pub async fn subscriptions(
        &self,
        msisdn: &Msisdn,
        ended: bool,
        language: Option<&Language>,
        options: CallOptions,
    ) -> Result<Holdings, Error> {
        match self.read_subscriptions(msisdn, ended, language, options).await {
            Err(CallError::Refused(refusal))
                if refusal.status == 404 && !refusal.is("SUBSCRIBER_NOT_FOUND") =>
            {
                Ok(Holdings::default())
            }
            other => other.map_err(|failure| failure.into_error(Need::Required)),
        }
    }

    /// Every subscription of a SIM, ended or not, to find out what became of
    /// an order. A 404 is an empty list only when it does not say that the URL
    /// is wrong: whether an order is repeated depends on it.
    ///
    /// # Errors
    /// As [`subscriptions`](Self::subscriptions).
    pub async fn all_subscriptions(&self, msisdn: &Msisdn, options: CallOptions) -> Result<Holdings, Error> {
        match self.read_subscriptions(msisdn, true, None, options).await {
            Err(CallError::Refused(refusal))
                if refusal.status == 404
                    && refusal.title.is_some()
                    && !refusal.is("SUBSCRIBER_NOT_FOUND")
                    && !MALFORMED_REQUEST_TITLES.iter().any(|title| refusal.is(title)) =>
            {
                Ok(Holdings::default())
            }
            other => other.map_err(|failure| failure.into_error(Need::Required)),
        }
    }

    async fn read_subscriptions(
        &self,
        msisdn: &Msisdn,
        ended: bool,
        language: Option<&Language>,
        options: CallOptions,
    ) -> Result<Holdings, CallError> {
        let statuses = self.account.live_statuses.iter();
        let over = self.account.ended_statuses.iter().filter(|_| ended);
        let mut query = vec![("msisdn", msisdn.as_str()), ("withBalances", "true")];
        query.extend(statuses.chain(over).map(|status| ("statuses", status.as_str())));
        let request = Request {
            query: &query,
            language: language.map(Language::as_str),
            ..Request::new(&endpoint::INVENTORY, &[])
        };
        let answer = self.client.call(&request, options).await?;
        let holdings = read(&answer.body).map_err(|error| answer.unreadable(&error))?;
        answer.has_unreadable(holdings.unreadable);
        Ok(holdings)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wrapper<T> {
    product_subscriptions: Vec<T>,
    #[serde(default, deserialize_with = "lenient::language")]
    current_locale: Option<Language>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct WireSubscription {
    #[serde(deserialize_with = "lenient::id")]
    subscription_id: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    status: Option<String>,
    #[serde(deserialize_with = "lenient::timestamp")]
    subscription_date: Option<Timestamp>,
    #[serde(deserialize_with = "lenient::timestamp")]
    activation_date: Option<Timestamp>,
    #[serde(deserialize_with = "lenient::timestamp")]
    expiration_date: Option<Timestamp>,
    product_definition: Part<WireDefinition>,
    balances: Lists<WireBalance>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct WireDefinition {
    #[serde(deserialize_with = "lenient::text")]
    product_id: Option<String>,
    #[serde(deserialize_with = "kind")]
    product_category: Option<Category>,
    #[serde(deserialize_with = "tags")]
    tags: Tags,
    #[serde(deserialize_with = "countries")]
    country_list: Vec<Country>,
    allowances: Lists<resources::WireAllowance>,
    #[serde(deserialize_with = "lenient::boolean")]
    unlimited: Option<bool>,
}

fn kind<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Category>, D::Error> {
    Ok(lenient::borrowed_text(deserializer)?
        .as_deref()
        .and_then(category))
}

/// What tags say of a product: where it works, and whether it is the
/// provider's infrastructure.
#[derive(Default)]
struct Tags {
    countries: Vec<Country>,
    infrastructure: bool,
}

fn tags<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Tags, D::Error> {
    let mut tags = Tags::default();
    lenient::each_text(deserializer, |tag| {
        tags.countries.extend(Country::from_alpha2(tag));
        tags.infrastructure |= is_infrastructure_tag(tag);
    })?;
    Ok(tags)
}

fn countries<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Country>, D::Error> {
    let mut countries = Vec::new();
    lenient::each_text(deserializer, |code| countries.extend(country(code)))?;
    Ok(countries)
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct WireBalance {
    #[serde(deserialize_with = "lenient::id")]
    resource_name: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    resource_label: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    resource_unit: Option<String>,
    #[serde(deserialize_with = "lenient::integer")]
    resource_value: Option<i64>,
    #[serde(deserialize_with = "lenient::integer")]
    resource_start_value: Option<i64>,
    #[serde(deserialize_with = "lenient::timestamp")]
    resource_start_date: Option<Timestamp>,
    #[serde(deserialize_with = "lenient::timestamp")]
    resource_end_date: Option<Timestamp>,
}

impl WireBalance {
    /// Whether the row is one of an unlimited subscription.
    fn is_unlimited_data(&self) -> bool {
        let unit = self.resource_unit.as_deref().unwrap_or_default();
        let values = [self.resource_value, self.resource_start_value];
        self.resource_name.as_deref().is_some_and(resources::is_fair_use)
            || values
                .into_iter()
                .any(|value| resources::is_unlimited_data(value, unit))
    }
}

/// Reads the whole list, or element by element when one of them cannot be
/// read: odd bytes in one never hide the others. One without an id cannot be
/// named to callers and is only counted.
///
/// By element alone, an answer takes 1.3 times as long to read.
pub(in crate::transatel) fn read(body: &[u8]) -> Result<Holdings, serde_json::Error> {
    if let Ok(whole) = lenient::json::<Wrapper<Part<WireSubscription>>>(body) {
        let wires = whole.product_subscriptions.into_iter();
        return Ok(holdings(wires.map(|Part(wire)| wire), whole.current_locale));
    }
    let wrapper: Wrapper<&RawValue> = lenient::json(body)?;
    let wires = wrapper.product_subscriptions.into_iter();
    Ok(holdings(wires.map(lenient::element), wrapper.current_locale))
}

fn holdings(wires: impl Iterator<Item = Option<WireSubscription>>, language: Option<Language>) -> Holdings {
    let mut holdings = Holdings {
        language,
        ..Holdings::default()
    };
    for wire in wires {
        match wire.and_then(subscription) {
            Some(subscription) => holdings.subscriptions.push(subscription),
            None => holdings.unreadable += 1,
        }
    }
    holdings
}

fn subscription(wire: WireSubscription) -> Option<Subscription> {
    let definition = wire.product_definition.0.unwrap_or_default();
    let product_id = definition.product_id.unwrap_or_default();
    let raw_status = wire.status.unwrap_or_default();
    let status = status(&raw_status);
    let balances = wire.balances.0;
    let unlimited = definition.unlimited.unwrap_or_else(|| {
        resources::are_unlimited(&definition.allowances)
            || balances.iter().any(WireBalance::is_unlimited_data)
    });
    let allowances = resources::allowances(definition.allowances, unlimited);
    let granted = |resource: &str| {
        let own = allowances.iter().find(|allowance| allowance.resource == resource);
        own.map(|allowance| allowance.grant)
    };
    let balances = balances
        .into_iter()
        .filter_map(|row| balance(row, granted))
        .collect();
    let countries = definition.country_list.into_iter();
    let countries = Country::set_of(countries.chain(definition.tags.countries));
    // The status decides first: a date may stand for "none", or be planned.
    let activated_at = wire.activation_date.filter(|_| !is_waiting(status));
    let mut subscription = Subscription {
        id: wire.subscription_id.filter(|id| !id.is_empty())?,
        end: wire
            .expiration_date
            .map(|at| end(at, activated_at.is_some(), status)),
        infrastructure: definition.tags.infrastructure || is_infrastructure_id(&product_id),
        product_id,
        category: definition.product_category,
        status,
        raw_status,
        ordered_at: wire.subscription_date,
        activated_at,
        balances,
        countries,
        unlimited: false,
    };
    if unlimited {
        subscription.set_unlimited();
    }
    Some(subscription)
}

/// Whether a subscription has certainly not started.
fn is_waiting(status: Option<Status>) -> bool {
    matches!(
        status,
        Some(Status::Pending | Status::Scheduled | Status::WaitingForFirstUse)
    )
}

/// Before a subscription has started, its expiration date is the deadline for
/// starting it.
fn end(at: Timestamp, activated: bool, status: Option<Status>) -> End {
    let has_started = matches!(
        status,
        Some(Status::Active | Status::Canceled | Status::Suspended)
    );
    if activated || has_started {
        End::Expiry(at)
    } else {
        End::ActivationDeadline(at)
    }
}

fn status(word: &str) -> Option<Status> {
    match lenient::letters(word).as_str() {
        "PENDING" => Some(Status::Pending),
        "SCHEDULED" => Some(Status::Scheduled),
        "READYFORUSE" | "PENDINGFORFIRSTUSE" => Some(Status::WaitingForFirstUse),
        "ACTIVE" => Some(Status::Active),
        "SUSPENDED" => Some(Status::Suspended),
        "CANCELED" | "CANCELLED" => Some(Status::Canceled),
        "EXPIRED" => Some(Status::Expired),
        "TERMINATED" => Some(Status::Terminated),
        _ => None,
    }
}

/// What is left of the resource of an event.
pub(in crate::transatel) fn resource(row: &Value) -> Option<Balance> {
    balance(WireBalance::deserialize(row).ok()?, |_| None)
}

/// A missing or zero start value is looked up in the product's allowances. A
/// row that carries a quantity is shown, also without a name.
fn balance(wire: WireBalance, granted: impl Fn(&str) -> Option<Grant>) -> Option<Balance> {
    let is_empty = wire.resource_value.is_none() && wire.resource_start_value.is_none();
    if wire.resource_name.is_none() && is_empty {
        return None;
    }
    let resource = wire.resource_name.unwrap_or_default();
    let unit = wire.resource_unit.unwrap_or_default();
    let start = match wire.resource_start_value.filter(|start| *start != 0) {
        Some(resources::UNLIMITED) => Some(Grant::Unlimited),
        Some(start) => resources::amount(start, &unit).map(Grant::Limited),
        None => granted(&resource),
    };
    let initial: Option<Amount> = match start {
        Some(Grant::Limited(amount)) => Some(amount),
        Some(Grant::Unlimited | Grant::Unknown) | None => None,
    };
    let unlimited = wire.resource_value == Some(resources::UNLIMITED) || start == Some(Grant::Unlimited);
    let level = if unlimited {
        Level::Unlimited
    } else {
        let remaining = wire
            .resource_value
            .and_then(|value| resources::remaining(value, &unit));
        Level::Limited { remaining, initial }
    };
    let is_limited = matches!(level, Level::Limited { .. });
    Some(Balance {
        fair_use: is_limited && resources::is_fair_use(&resource),
        resource,
        label: wire.resource_label.unwrap_or_default(),
        level,
        period_start: wire.resource_start_date,
        period_end: wire.resource_end_date,
    })
}

#[cfg(test)]
#[path = "inventory_tests.rs"]
mod tests;
