//! What the OCS Catalog sends, and how it is read.
//!
//! Odd shapes occur and are read where their meaning is clear; a member that
//! cannot be read is absent, and never fails its product.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::mem;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::countries::country;
use super::resources;
use crate::domain::eligibility::{Mode, Verdict};
use crate::domain::money::Currency;
use crate::domain::product::{
    Category, CountryNetworks, LONGEST_ID, Operator, Product, Validity, ValidityUnit,
};
use crate::domain::{Country, Money};
use crate::transatel::lenient::{self, Lists, Said};

#[derive(Deserialize)]
struct Wrapper<'a> {
    #[serde(borrow)]
    products: Vec<&'a RawValue>,
}

/// What one answer of the catalog held.
#[derive(Debug, Default)]
pub struct Listing {
    /// The products that could be read, in the provider's order.
    pub products: Vec<Product>,
    /// The others.
    pub dropped: Vec<Dropped>,
    /// Country codes that are not known.
    pub unknown_countries: BTreeSet<String>,
    /// Products that name one.
    pub with_unknown_country: usize,
}

/// A product that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Dropped {
    /// Its id, or its place in the list when it has none.
    pub id: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl Listing {
    /// The countries of a product. Codes that are not known are noted: the
    /// product is listed without them.
    fn countries(&mut self, codes: Vec<String>) -> BTreeSet<Country> {
        let mut known = BTreeSet::new();
        let mut is_complete = true;
        for code in codes {
            match country(&code) {
                Some(country) => _ = known.insert(country),
                None => {
                    is_complete = false;
                    if code.len() <= LONGEST_CODE {
                        self.unknown_countries.insert(code);
                    }
                }
            }
        }
        self.with_unknown_country += usize::from(!is_complete);
        known
    }
}

/// Nothing longer is meant as the code of a country.
const LONGEST_CODE: usize = 20;

/// Reads the whole catalog. Only an answer without a list is an error.
pub fn read_listing(body: &[u8]) -> Result<Listing, serde_json::Error> {
    let wrapper: Wrapper<'_> = lenient::json(body)?;
    let mut listing = Listing::default();
    let mut seen = HashSet::new();
    for (place, raw) in wrapper.products.iter().enumerate() {
        let without_id = |reason| Dropped {
            id: format!("#{place}"),
            reason,
        };
        let dropped = match lenient::element::<WireProduct>(raw) {
            None => without_id("not an object"),
            Some(wire) => match wire.definition.unwrap_or_default().id() {
                None => without_id("no productId"),
                Some((id, _)) if id.len() > LONGEST_ID => without_id("productId longer than 100 characters"),
                Some((id, _)) if !seen.insert(id.clone()) => Dropped {
                    id,
                    reason: "productId occurs twice",
                },
                Some((id, mut definition)) => {
                    let countries = listing.countries(mem::take(&mut definition.country_list));
                    let product = product(id, definition, countries, wire.availability, wire.prices);
                    listing.products.push(product);
                    continue;
                }
            },
        };
        listing.dropped.push(dropped);
    }
    Ok(listing)
}

/// The answer is the list's wrapper; a bare product is accepted too.
pub fn read_eligibility(body: &[u8], ids: &[&str]) -> Result<HashMap<String, Verdict>, serde_json::Error> {
    let products = match lenient::json(body) {
        Ok(Wrapper { products }) => products,
        Err(_) => vec![lenient::json(body)?],
    };
    let mut verdicts = HashMap::new();
    for raw in products {
        let product = lenient::tree(raw);
        let id = match named(&product) {
            Said::Text(id) => id,
            // The answer to a single id may leave the id out.
            Said::Nothing => match ids {
                [id] => (*id).to_owned(),
                _ => continue,
            },
            Said::Unreadable => continue,
        };
        let wire: Option<WireProduct> = serde_json::from_value(product).ok();
        if let Some(verdict) = wire.and_then(|wire| wire.can_subscribe) {
            verdicts.insert(id, verdict.verdict());
        }
    }
    Ok(verdicts)
}

/// The id that a product names.
fn named(product: &Value) -> Said {
    let id = match product.get("productDefinition") {
        None | Some(Value::Null) => None,
        Some(Value::Object(definition)) => definition.get("productId"),
        Some(_) => return Said::Unreadable,
    };
    match id {
        None | Some(Value::Null) => Said::Nothing,
        Some(Value::String(id)) if !id.is_empty() => Said::Text(id.clone()),
        Some(_) => Said::Unreadable,
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct WireProduct {
    #[serde(rename = "productDefinition", deserialize_with = "lenient::object")]
    definition: Option<WireDefinition>,
    #[serde(deserialize_with = "lenient::object")]
    availability: Option<WireAvailability>,
    #[serde(deserialize_with = "lenient::object")]
    prices: Option<WirePrices>,
    #[serde(rename = "canSubscribe", deserialize_with = "lenient::object")]
    can_subscribe: Option<WireVerdict>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct WireDefinition {
    #[serde(deserialize_with = "lenient::text")]
    product_id: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    product_category: Option<String>,
    description: Value,
    allowances: Lists<resources::WireAllowance>,
    #[serde(deserialize_with = "lenient::list")]
    country_list: Vec<String>,
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
}

impl WireDefinition {
    fn id(mut self) -> Option<(String, Self)> {
        let id = self.product_id.take().filter(|id| !id.is_empty())?;
        Some((id, self))
    }
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct WireAvailability {
    #[serde(deserialize_with = "lenient::boolean")]
    available: Option<bool>,
    #[serde(deserialize_with = "lenient::timestamp")]
    start_date: Option<jiff::Timestamp>,
    #[serde(deserialize_with = "lenient::timestamp")]
    end_date: Option<jiff::Timestamp>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct WirePrices {
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
#[serde(default, rename_all = "camelCase")]
struct WireOperator {
    #[serde(deserialize_with = "lenient::text")]
    name: Option<String>,
    #[serde(deserialize_with = "lenient::list")]
    network_types: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct WireVerdict {
    #[serde(deserialize_with = "lenient::boolean")]
    allowed: Option<bool>,
    #[serde(deserialize_with = "lenient::text")]
    mode: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    error_key: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    error_message: Option<String>,
}

impl WireVerdict {
    fn verdict(self) -> Verdict {
        if self.allowed != Some(true) {
            let (code, message) = (self.error_key, self.error_message);
            return Verdict::NotEligible {
                code: code.unwrap_or_default(),
                message: message.unwrap_or_default(),
            };
        }
        let mode = match self.mode.as_deref().map(lenient::letters).as_deref() {
            Some("ADD") => Some(Mode::Add),
            Some("SCHEDULEDSWITCH") => Some(Mode::ScheduledSwitch),
            _ => None,
        };
        Verdict::Eligible { mode }
    }
}

fn product(
    id: String,
    definition: WireDefinition,
    mut countries: BTreeSet<Country>,
    availability: Option<WireAvailability>,
    prices: Option<WirePrices>,
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
    let availability = availability.unwrap_or_default();
    let prices = prices.unwrap_or_default();
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
        validity: validity(
            validity_period.validity_duration,
            validity_period.validity_duration_unit,
        ),
        activation_window: validity(
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

fn validity(count: Option<i64>, unit: Option<String>) -> Option<Validity> {
    let count = i32::try_from(count?).ok().filter(|count| *count > 0)?;
    let unit = match lenient::letters(&unit?).as_str() {
        "DAY" | "DAYS" => ValidityUnit::Days,
        "MONTH" | "MONTHS" => ValidityUnit::Months,
        _ => return None,
    };
    Some(Validity { count, unit })
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

#[cfg(test)]
#[path = "catalog_wire_tests.rs"]
mod tests;
