//! A product of the catalog: its members as they are written, and what they
//! mean.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;

use super::super::countries::country;
use super::super::resources;
use crate::domain::money::Currency;
use crate::domain::product::{Category, CountryNetworks, Coverage, Operator, Product, Scope};
use crate::domain::{Country, Money};
use crate::transatel::lenient::{self, Lists};

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct WireDefinition {
    #[serde(deserialize_with = "lenient::text")]
    product_id: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    product_category: Option<String>,
    description: Value,
    allowances: Lists<resources::WireAllowance>,
    #[serde(deserialize_with = "lenient::list")]
    pub(super) country_list: Vec<String>,
    #[serde(deserialize_with = "lenient::object")]
    validity_period: Option<WireValidity>,
    #[serde(deserialize_with = "lenient::object")]
    deferred_activation_period: Option<WireDeferral>,
    #[serde(deserialize_with = "lenient::boolean")]
    unlimited: Option<bool>,
    #[serde(deserialize_with = "lenient::list")]
    tags: Vec<String>,
    #[serde(deserialize_with = "lenient::list")]
    parent_product_ids: Vec<String>,
    #[serde(deserialize_with = "lenient::list")]
    networks: Vec<WireNetworks>,
    #[serde(deserialize_with = "lenient::object")]
    coverage: Option<WireCoverage>,
    #[serde(deserialize_with = "lenient::boolean")]
    bestseller: Option<bool>,
}

impl WireDefinition {
    /// Its id, and the rest; `None` without one.
    pub(super) fn id(mut self) -> Option<(String, Self)> {
        let id = self.product_id.take().filter(|id| !id.is_empty())?;
        Some((id, self))
    }
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct WireAvailability {
    #[serde(deserialize_with = "lenient::boolean")]
    available: Option<bool>,
    #[serde(deserialize_with = "lenient::timestamp")]
    start_date: Option<jiff::Timestamp>,
    #[serde(deserialize_with = "lenient::timestamp")]
    end_date: Option<jiff::Timestamp>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct WirePrices {
    subscription_fee: Value,
    renewal_fee: Value,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct WireValidity {
    #[serde(deserialize_with = "lenient::integer")]
    validity_duration: Option<i64>,
    #[serde(deserialize_with = "lenient::text")]
    validity_duration_unit: Option<String>,
    #[serde(deserialize_with = "lenient::integer")]
    max_occurrences: Option<i64>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct WireDeferral {
    #[serde(deserialize_with = "lenient::integer")]
    deferred_activation_duration: Option<i64>,
    #[serde(deserialize_with = "lenient::text")]
    deferred_activation_duration_unit: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct WireNetworks {
    #[serde(deserialize_with = "lenient::text")]
    country: Option<String>,
    #[serde(deserialize_with = "lenient::list")]
    operators: Vec<WireOperator>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct WireCoverage {
    #[serde(rename = "type", deserialize_with = "lenient::text")]
    scope: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    zone: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct WireDisplay {
    #[serde(deserialize_with = "lenient::integer")]
    priority: Option<i64>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct WireOperator {
    #[serde(deserialize_with = "lenient::text")]
    name: Option<String>,
    #[serde(deserialize_with = "lenient::list")]
    network_types: Vec<String>,
}

/// What a product has beside its definition.
pub(super) struct Around {
    pub(super) availability: WireAvailability,
    pub(super) prices: WirePrices,
    pub(super) display: WireDisplay,
}

/// The product; its tags may name more countries.
pub(super) fn product(
    id: String,
    definition: WireDefinition,
    mut countries: BTreeSet<Country>,
    around: Around,
) -> Product {
    let (name, description) = texts(&id, &definition.description);
    let (tag_countries, tags): (Vec<_>, Vec<_>) = definition
        .tags
        .into_iter()
        .map(|tag| {
            if tag.len() == 2 {
                Country::from_alpha2(&tag).ok_or(tag)
            } else {
                Err(tag)
            }
        })
        .partition(Result::is_ok);
    countries.extend(tag_countries.into_iter().flatten());
    let Around {
        availability,
        prices,
        display,
    } = around;
    let category = definition.product_category.as_deref().and_then(category);
    let validity_period = definition.validity_period.unwrap_or_default();
    let deferral = definition.deferred_activation_period.unwrap_or_default();
    let unlimited = definition
        .unlimited
        .unwrap_or_else(|| resources::are_unlimited(&definition.allowances));
    Product {
        id,
        name,
        description,
        category,
        countries: countries.into_iter().collect(),
        tags: tags.into_iter().filter_map(Result::err).collect(),
        allowances: resources::allowances(definition.allowances, unlimited),
        unlimited,
        validity: resources::validity(
            validity_period.validity_duration,
            validity_period.validity_duration_unit,
        ),
        activation_window: resources::validity(
            deferral.deferred_activation_duration,
            deferral.deferred_activation_duration_unit,
        ),
        max_periods: validity_period
            .max_occurrences
            .and_then(|periods| i32::try_from(periods).ok())
            .filter(|periods| *periods > 0),
        price: price(&prices.subscription_fee),
        renewal_price: price(&prices.renewal_fee),
        available: availability.available.unwrap_or(true),
        available_from: availability.start_date,
        available_until: availability.end_date,
        parent_ids: definition.parent_product_ids,
        networks: definition.networks.into_iter().filter_map(networks).collect(),
        coverage: definition.coverage.and_then(coverage),
        bestseller: definition.bestseller.unwrap_or_default(),
        display_priority: display.priority.and_then(|priority| i32::try_from(priority).ok()),
    }
}

/// Name and description, from an object of texts or from a plain one.
fn texts(id: &str, description: &Value) -> (String, String) {
    let plain = description
        .as_str()
        .map(str::trim)
        .filter(|text| !text.is_empty());
    let member = |name: &str| {
        description
            .get(name)
            .and_then(Value::as_str)
            .map(str::trim)
            .filter(|text| !text.is_empty())
    };
    let short = member("productShortText");
    let name = member("productLabel").or(short).or(plain).unwrap_or(id);
    let long = member("productDetails").or(short).or(plain).unwrap_or_default();
    (name.to_owned(), long.to_owned())
}

/// The provider's words for a kind of product, in any spelling.
pub(in crate::transatel) fn category(word: &str) -> Option<Category> {
    match lenient::letters(word).as_str() {
        "ONEOFF" => Some(Category::OneOff),
        "RECURRING" => Some(Category::Recurring),
        "ADDON" => Some(Category::AddOn),
        _ => None,
    }
}

/// A price: an array of arrays as documented, an array, or a bare object. The
/// first element is the price, as integrators read it. Amounts in anything but
/// cents of a currency that has them are left out: their unit is not
/// documented, and 500 "cents" of yen may be 500 or 5.
fn price(fee: &Value) -> Option<Money> {
    match fee {
        Value::Array(items) => price(items.first()?),
        Value::Object(element) => {
            let unit = lenient::letters(element.get("unit")?.as_str()?);
            let currency = Currency::parse(element.get("currency")?.as_str()?.trim())?;
            let cents = lenient::whole(element.get("amount")?).filter(|cents| *cents >= 0)?;
            let is_in_cents = matches!(unit.as_str(), "CENT" | "CENTS") && currency.has_cents();
            is_in_cents.then(|| Money::from_cents(currency, cents))
        }
        _ => None,
    }
}

fn networks(wire: WireNetworks) -> Option<CountryNetworks> {
    let operator = |wire: WireOperator| {
        Some(Operator {
            name: wire.name?,
            technologies: wire.network_types,
        })
    };
    Some(CountryNetworks {
        country: country(&wire.country?)?,
        operators: wire.operators.into_iter().filter_map(operator).collect(),
    })
}

/// `local` and `regional` have been seen; the word for the world is not known,
/// and these are the likely ones.
fn coverage(wire: WireCoverage) -> Option<Coverage> {
    let trimmed = |text: Option<String>| text.unwrap_or_default().trim().to_owned();
    let (raw_scope, zone) = (trimmed(wire.scope), trimmed(wire.zone));
    let scope = match lenient::letters(&raw_scope).as_str() {
        "LOCAL" => Some(Scope::Local),
        "REGIONAL" => Some(Scope::Regional),
        "GLOBAL" | "WORLDWIDE" => Some(Scope::Global),
        _ => None,
    };
    let is_empty = raw_scope.is_empty() && zone.is_empty();
    (!is_empty).then_some(Coverage {
        scope,
        raw_scope,
        zone,
    })
}
