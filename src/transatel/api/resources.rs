//! Quantities as the OCS APIs write them: allowances of a product and
//! balances of a subscription.
//!
//! Data is counted in KB of 1024 bytes, and -1 says "no limit".

use std::time::Duration;

use serde::Deserialize;

use crate::domain::product::{Allowance, Amount, Grant, Validity, ValidityUnit};
use crate::transatel::lenient::{self, Lists};

/// The provider's number for "no limit".
pub const UNLIMITED: i64 = -1;

/// The provider's name of the volume of an unlimited product that has full
/// speed.
const FAIR_USE: &str = "DATA_BUNDLE_FUP";

/// Whether a resource is only the fair-use volume of an unlimited product.
pub fn is_fair_use(resource: &str) -> bool {
    resource.trim().eq_ignore_ascii_case(FAIR_USE)
}

/// Whether this is the provider's "no limit" of data, and not of voice or
/// messages.
pub fn is_unlimited_data(value: Option<i64>, unit: &str) -> bool {
    let is_data = || !matches!(lenient::letters(unit).as_str(), "SECOND" | "SECONDS" | "SMS");
    value == Some(UNLIMITED) && is_data()
}

/// Bytes in the provider's KB.
const KB: i64 = 1024;

/// What is left, in the provider's unit: a line that used more than it had is
/// shown below zero, and has nothing left.
pub fn remaining(value: i64, unit: &str) -> Option<Amount> {
    amount(value.max(0), unit)
}

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

/// An allowance as it is written.
#[derive(Deserialize, Default, Debug)]
#[serde(default, rename_all = "camelCase")]
pub struct WireAllowance {
    #[serde(deserialize_with = "lenient::id")]
    resource_name: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    resource_unit: Option<String>,
    #[serde(deserialize_with = "lenient::integer")]
    resource_value: Option<i64>,
    #[serde(deserialize_with = "lenient::integer")]
    resource_duration: Option<i64>,
    #[serde(deserialize_with = "lenient::text")]
    resource_duration_unit: Option<String>,
}

impl WireAllowance {
    fn is_unlimited_data(&self) -> bool {
        let unit = self.resource_unit.as_deref().unwrap_or_default();
        self.resource_name.as_deref().is_some_and(is_fair_use) || is_unlimited_data(self.resource_value, unit)
    }
}

/// Whether allowances are those of an unlimited product: they name a fair-use
/// volume, or say "no limit" of data.
pub fn are_unlimited(allowances: &Lists<WireAllowance>) -> bool {
    allowances.0.iter().any(WireAllowance::is_unlimited_data)
}

/// Allowances of every kind: `data` is documented, its siblings for voice and
/// messages are not, so every list of resources counts. Of an `unlimited`
/// product, amounts of data are fair-use volumes.
pub fn allowances(allowances: Lists<WireAllowance>, unlimited: bool) -> Vec<Allowance> {
    let allowance = |mut allowance: Allowance| {
        let is_data = matches!(allowance.grant, Grant::Limited(Amount::DataBytes(_)));
        allowance.fair_use = is_data && (unlimited || is_fair_use(&allowance.resource));
        allowance
    };
    let read = allowances.0.into_iter().filter_map(self::allowance);
    read.map(allowance).collect()
}

fn allowance(wire: WireAllowance) -> Option<Allowance> {
    let unit = wire.resource_unit.unwrap_or_default();
    let grant = match wire.resource_value {
        Some(UNLIMITED) => Grant::Unlimited,
        Some(value) => amount(value, &unit).map_or(Grant::Unknown, Grant::Limited),
        None => Grant::Unknown,
    };
    // What carries a quantity is shown, also without a name.
    let is_empty = wire.resource_name.is_none() && wire.resource_value.is_none();
    (!is_empty).then(|| Allowance {
        resource: wire.resource_name.unwrap_or_default(),
        grant,
        fair_use: false,
        validity: validity(wire.resource_duration, wire.resource_duration_unit),
    })
}

/// A length of time in the provider's unit; `None` when either is not known.
pub fn validity(count: Option<i64>, unit: Option<String>) -> Option<Validity> {
    let count = i32::try_from(count?).ok().filter(|count| *count > 0)?;
    let unit = match lenient::letters(&unit?).as_str() {
        "DAY" | "DAYS" => ValidityUnit::Days,
        "MONTH" | "MONTHS" => ValidityUnit::Months,
        _ => return None,
    };
    Some(Validity { count, unit })
}
