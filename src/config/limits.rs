//! `callers.limits` and `orders.spend_per_day`: how much may be ordered, and how
//! often callers may call.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use super::identity::Policy;
use super::reader::Reader;
use super::whom::Whom;
use crate::domain::limit_use::Watched;
use crate::domain::limits::{AllLimits, CallerLimits};
use crate::domain::{Caller, Money};

/// How much may be ordered, and how often callers may call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// By caller.
    pub named: BTreeMap<Caller, CallerLimits>,
    /// By each caller that is not named.
    pub others: Option<CallerLimits>,
    /// By all callers together, in a day.
    pub spend_per_day: Vec<Money>,
}

const CALLERS: &str = "callers.limits";
const ACCOUNT: &str = "orders.spend_per_day";

impl Limits {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let mut limits = Self::default();
        for (name, texts) in reader.lists(CALLERS).unwrap_or_default() {
            let of_caller = of_caller(reader, &name, &texts);
            match Whom::read(reader, CALLERS, &name) {
                Some(Whom::Others) => limits.others = Some(of_caller),
                Some(Whom::Named(caller)) => {
                    limits.named.insert(caller, of_caller);
                }
                None => {}
            }
        }
        for text in reader.list(ACCOUNT) {
            match amount(&text) {
                Some(most) => add(reader, ACCOUNT, &mut limits.spend_per_day, most),
                None => reader.problem(ACCOUNT, format!("{text:?} is not an amount such as \"1000 EUR\"")),
            }
        }
        limits
    }

    /// For use.
    pub fn all(&self) -> AllLimits {
        let named = self.named.iter();
        let named = named.map(|(caller, limits)| (caller.to_string(), limits.clone()));
        AllLimits::new(named.collect(), self.others.clone(), &self.spend_per_day)
    }

    /// For the metrics: by every name that is here or in a policy.
    pub fn watched(&self, policy: Option<&Policy>) -> Watched {
        let others = self.others.clone().unwrap_or_default();
        let allowed = policy.into_iter().flat_map(|policy| policy.named.keys());
        let allowed = allowed.map(|caller| (caller.to_string(), others.clone()));
        let named = self.named.iter();
        let named = named.map(|(caller, limits)| (caller.to_string(), limits.clone()));
        Watched::new(
            allowed.chain(named).collect(),
            others.clone(),
            self.spend_per_day.clone(),
        )
    }
}

fn of_caller(reader: &mut Reader, name: &str, texts: &[String]) -> CallerLimits {
    let mut limits = CallerLimits::default();
    for text in texts {
        let (number, unit) = text.split_once(' ').unwrap_or((text, ""));
        let most = number.parse().ok();
        let calls = most.and_then(NonZeroU32::new);
        let spend = text.strip_suffix("/day").and_then(amount);
        match (unit.trim(), most, spend) {
            ("orders/minute", Some(most), _) => limits.orders_per_minute = Some(most),
            ("orders/day", Some(most), _) => limits.orders_per_day = Some(most),
            ("calls/second", _, _) if calls.is_some() => limits.calls.per_second = calls,
            ("calls in flight", _, _) if calls.is_some() => limits.calls.in_flight = calls,
            (_, _, Some(most)) => add(reader, CALLERS, &mut limits.spend_per_day, most),
            _ => reader.problem(
                CALLERS,
                format!(
                    "{text:?} of {name:?} is not a limit such as \"60 orders/minute\", \"1000 orders/day\", \"500 EUR/day\", \
                     \"50 calls/second\" or \"20 calls in flight\""
                ),
            ),
        }
    }
    limits
}

/// Each currency has one limit.
fn add(reader: &mut Reader, key: &str, limits: &mut Vec<Money>, most: Money) {
    match limits.iter().any(|limit| limit.currency() == most.currency()) {
        true => reader.problem(key, format!("{} has more than one limit", most.currency().code())),
        false => limits.push(most),
    }
}

/// An amount such as `500 EUR` or `99.50 EUR`.
fn amount(text: &str) -> Option<Money> {
    let (number, _) = text.trim().split_once(' ')?;
    let has_cents = number.split_once('.').is_none_or(|(_, cents)| cents.len() == 2);
    let amount = Money::parse(text).filter(|_| has_cents)?;
    // As hundredths in whole numbers, as the provider counts.
    (amount.units() < i64::MAX / 100).then_some(amount)
}

#[cfg(test)]
mod tests {
    use super::amount;

    #[test]
    fn an_amount_is_digits_and_a_currency() {
        for (text, shown) in [
            ("500 EUR", "500.00 EUR"),
            (" 99.50 usd ", "99.50 USD"),
            ("0 EUR", "0.00 EUR"),
        ] {
            assert_eq!(amount(text).unwrap().to_string(), shown);
        }
        for text in [
            "",
            "EUR",
            "500",
            "-5 EUR",
            "5.5 EUR",
            "5,00 EUR",
            "5 EURO",
            "1e3 EUR",
            "99999999999999999999 EUR",
        ] {
            assert_eq!(amount(text), None, "{text}");
        }
    }
}
