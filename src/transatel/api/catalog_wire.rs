//! What the OCS Catalog sends, and how it is read.
//!
//! Odd shapes occur and are read where their meaning is clear; a member that
//! cannot be read is absent, and never fails its product.

mod product;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::mem;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::countries::country;
use crate::domain::eligibility::{Mode, Verdict};
use crate::domain::product::{LONGEST_ID, Product};
use crate::domain::{Country, Language};
use crate::transatel::lenient::{self, Said};
pub(in crate::transatel) use product::category;
use product::{Around, WireAvailability, WireDefinition, WireDisplay, WirePrices, product};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wrapper<'a> {
    #[serde(borrow)]
    products: Vec<&'a RawValue>,
    #[serde(default, deserialize_with = "lenient::language")]
    current_locale: Option<Language>,
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
    /// The language of the texts, where the answer says it.
    pub language: Option<Language>,
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
    let mut listing = Listing {
        language: wrapper.current_locale,
        ..Listing::default()
    };
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
                    let around = Around {
                        availability: wire.availability.unwrap_or_default(),
                        prices: wire.prices.unwrap_or_default(),
                        display: wire.display.unwrap_or_default(),
                    };
                    let product = product(id, definition, countries, around);
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
        Ok(Wrapper { products, .. }) => products,
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
    #[serde(deserialize_with = "lenient::object")]
    display: Option<WireDisplay>,
    #[serde(rename = "canSubscribe", deserialize_with = "lenient::object")]
    can_subscribe: Option<WireVerdict>,
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

#[cfg(test)]
#[path = "catalog_wire_tests.rs"]
mod tests;
