//! Quantities as the OCS APIs write them: allowances of a product and
//! balances of a bundle.
//!
//! Data is counted in KB of 1024 bytes, and -1 says "no limit".

use std::time::Duration;

use serde_json::Value;

use super::lenient;
use crate::domain::product::{Allowance, Amount, Grant};

/// The provider's number for "no limit".
pub const UNLIMITED: i64 = -1;

/// Bytes in the provider's KB.
const KB: i64 = 1024;

/// A quantity in the provider's unit; `None` when it is below zero or does
/// not fit.
pub fn amount(value: i64, unit: &str) -> Option<Amount> {
    let count = u64::try_from(value).ok()?;
    match lenient::letters(unit).as_str() {
        "KB" => value.checked_mul(KB).map(Amount::DataBytes),
        "SECOND" | "SECONDS" => Some(Amount::Voice(Duration::from_secs(count))),
        "SMS" => Some(Amount::Messages(value)),
        _ => Some(Amount::Units(value)),
    }
}

/// Allowances of every kind: `data` is documented, its siblings for voice and
/// messages are not, so every list of resources counts.
pub fn allowances(allowances: &Value) -> Vec<Allowance> {
    lists(allowances).filter_map(allowance).collect()
}

/// The elements of every list in an object of lists.
pub fn lists(kinds: &Value) -> impl Iterator<Item = &Value> {
    let kinds = kinds.as_object().into_iter().flat_map(|kinds| kinds.values());
    kinds.filter_map(Value::as_array).flatten()
}

fn allowance(resource: &Value) -> Option<Allowance> {
    let name = resource.get("resourceName")?.as_str()?.to_owned();
    let unit = resource
        .get("resourceUnit")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let grant = match resource.get("resourceValue").and_then(lenient::whole) {
        Some(UNLIMITED) => Grant::Unlimited,
        Some(value) => amount(value, unit).map_or(Grant::Unknown, Grant::Limited),
        None => Grant::Unknown,
    };
    Some(Allowance {
        resource: name,
        grant,
    })
}
