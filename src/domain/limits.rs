//! How much callers may order, and how often they may call.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::Money;
use super::money::Currency;
use super::spend::{Days, Sum};

/// Orders are counted over this time.
pub const MINUTE: Duration = Duration::from_secs(60);

/// How often one caller may call one replica. What is absent is not limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallLimits {
    /// Calls at once, and in each second after that.
    pub per_second: Option<NonZeroU32>,
    /// Calls that are not answered yet, open streams included.
    pub in_flight: Option<NonZeroU32>,
}

/// What one caller may do. What is absent is not limited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallerLimits {
    /// Calls of any method.
    pub calls: CallLimits,
    /// New orders in the last minute, whatever became of them.
    pub orders_per_minute: Option<u32>,
    /// Orders of a day in UTC that were placed, or may have been.
    pub orders_per_day: Option<u32>,
    /// The sum of their list prices, by currency.
    pub spend_per_day: Vec<Money>,
}

/// What an order of one caller must not exceed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// With the caller's other orders.
    pub caller: CallerLimits,
    /// With the orders of all callers: the sum of list prices of a day.
    pub account: Vec<Money>,
}

/// The limits of every caller.
#[derive(Clone, Debug, Default)]
pub struct AllLimits {
    /// `None` for those that may order as much as they like.
    named: BTreeMap<String, Option<Arc<Limits>>>,
    others: Option<Arc<Limits>>,
}

impl AllLimits {
    /// Limits by name, those of each caller without limits of its own, and
    /// those of all callers together.
    pub fn new(
        named: BTreeMap<String, CallerLimits>,
        others: Option<CallerLimits>,
        account: &[Money],
    ) -> Self {
        let with_account = |caller: CallerLimits| {
            // Where orders have no limit, none waits for another.
            (caller.are_of_orders() || !account.is_empty()).then(|| {
                Arc::new(Limits {
                    caller,
                    account: account.to_vec(),
                })
            })
        };
        Self {
            named: named
                .into_iter()
                .map(|(name, limits)| (name, with_account(limits)))
                .collect(),
            others: with_account(others.unwrap_or_default()),
        }
    }

    /// Those of a caller; callers that are not known are one. `None`: there are
    /// none.
    pub fn of(&self, caller: Option<&str>) -> Option<Arc<Limits>> {
        let named = caller.and_then(|caller| self.named.get(caller));
        named.unwrap_or(&self.others).clone()
    }
}

/// A limit that is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// New orders of the caller in a minute.
    OrdersPerMinute(u32),
    /// Orders of the caller in a day.
    OrdersPerDay(u32),
    /// List prices of the caller's orders in a day.
    SpendPerDay(Money),
    /// List prices of all callers' orders in a day.
    AccountSpendPerDay(Money),
    /// Calls of the caller in a second.
    CallsPerSecond(NonZeroU32),
    /// Calls of the caller at once.
    CallsInFlight(NonZeroU32),
}

impl Limit {
    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::OrdersPerMinute(_) => "orders_per_minute",
            Self::OrdersPerDay(_) => "orders_per_day",
            Self::SpendPerDay(_) => "spend_per_day",
            Self::AccountSpendPerDay(_) => "account_spend_per_day",
            Self::CallsPerSecond(_) => "calls_per_second",
            Self::CallsInFlight(_) => "calls_in_flight",
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OrdersPerMinute(most) => write!(f, "{most} orders per minute"),
            Self::OrdersPerDay(most) => write!(f, "{most} orders per day"),
            Self::SpendPerDay(most) => write!(f, "{most} per day"),
            Self::AccountSpendPerDay(most) => write!(f, "{most} per day for all callers together"),
            Self::CallsPerSecond(most) => write!(f, "{most} calls per second"),
            Self::CallsInFlight(most) => write!(f, "{most} calls in flight"),
        }
    }
}

/// Why an order is beyond the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A limit is reached.
    Reached {
        /// Which one.
        limit: Limit,
        /// When it may be kept again.
        retry_after: Duration,
    },
    /// Spend is limited, and the order has no list price in a currency that is.
    NotPriced,
}

/// What was ordered today: one sum by currency, and one for orders without a
/// list price.
pub type Used = [(Option<Currency>, Sum)];

impl CallerLimits {
    /// Whether orders are limited.
    pub fn are_of_orders(&self) -> bool {
        self.orders_per_minute.is_some() || self.are_daily()
    }

    /// Whether something of a whole day is limited.
    pub fn are_daily(&self) -> bool {
        self.orders_per_day.is_some() || !self.spend_per_day.is_empty()
    }

    /// Why an order of this price would be beyond the limits of the day.
    pub fn refuse(&self, price: Option<Money>, used: &Used, now: Timestamp) -> Option<Refusal> {
        let orders: i64 = used.iter().map(|(_, sum)| sum.orders).sum();
        if let Some(most) = self.orders_per_day
            && orders >= i64::from(most)
        {
            return Some(Refusal::Reached {
                limit: Limit::OrdersPerDay(most),
                retry_after: Days::left_of_day(now),
            });
        }
        refuse_spend(&self.spend_per_day, price, used, now, Limit::SpendPerDay)
    }
}

/// Why an order of this price would be beyond what may be spent in a day.
pub fn refuse_spend(
    limits: &[Money],
    price: Option<Money>,
    used: &Used,
    now: Timestamp,
    limit: impl Fn(Money) -> Limit,
) -> Option<Refusal> {
    if limits.is_empty() {
        return None;
    }
    let priced = price.and_then(|price| {
        let most = limits.iter().find(|most| most.currency() == price.currency())?;
        Some((price, most))
    });
    let Some((price, most)) = priced else {
        return Some(Refusal::NotPriced);
    };
    let mut sum = Sum::of(price);
    for (currency, used) in used {
        if *currency == Some(price.currency()) {
            sum.add(*used);
        }
    }
    sum.is_above(*most).then(|| Refusal::Reached {
        limit: limit(*most),
        retry_after: Days::left_of_day(now),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cents(code: &str, cents: i64) -> Money {
        Money::from_cents(Currency::parse(code).unwrap(), cents)
    }

    #[test]
    fn an_order_may_reach_a_limit_and_not_go_beyond_it() {
        let now = "2026-11-30T23:00:00Z".parse().unwrap();
        let limits = CallerLimits {
            orders_per_day: Some(3),
            spend_per_day: vec![cents("EUR", 1_000)],
            ..CallerLimits::default()
        };
        let used = |orders, units, nanos| [(Currency::parse("EUR"), Sum::new(orders, units, nanos))];
        let reached = |limit| {
            Some(Refusal::Reached {
                limit,
                retry_after: Duration::from_secs(3_600),
            })
        };
        for (price, used, expected) in [
            (Some(cents("EUR", 1_000)), used(0, 0, 0), None),
            (
                Some(cents("EUR", 1_001)),
                used(0, 0, 0),
                reached(Limit::SpendPerDay(cents("EUR", 1_000))),
            ),
            (Some(cents("EUR", 350)), used(2, 6, 500_000_000), None),
            (
                Some(cents("EUR", 350)),
                used(2, 6, 500_000_001),
                reached(Limit::SpendPerDay(cents("EUR", 1_000))),
            ),
            (
                Some(cents("EUR", 1)),
                used(3, 0, 0),
                reached(Limit::OrdersPerDay(3)),
            ),
            (Some(cents("USD", 1)), used(0, 0, 0), Some(Refusal::NotPriced)),
            (None, used(0, 0, 0), Some(Refusal::NotPriced)),
        ] {
            assert_eq!(limits.refuse(price, &used, now), expected, "{price:?} {used:?}");
        }
        // Nothing is spent of another currency.
        let dollars = [(Currency::parse("USD"), Sum::new(1, 1_000, 0))];
        assert_eq!(limits.refuse(Some(cents("EUR", 1_000)), &dollars, now), None);
    }

    #[test]
    fn a_caller_has_its_own_limits_or_those_of_the_others() {
        let most = |orders| CallerLimits {
            orders_per_day: Some(orders),
            ..CallerLimits::default()
        };
        let named = BTreeMap::from([("shop".to_owned(), most(1))]);
        let limits = AllLimits::new(named.clone(), Some(most(2)), &[]);
        let of = |limits: &AllLimits, caller| limits.of(caller).map(|limits| limits.caller.orders_per_day);
        assert_eq!(of(&limits, Some("shop")), Some(Some(1)));
        assert_eq!(
            (of(&limits, Some("other")), of(&limits, None)),
            (Some(Some(2)), Some(Some(2)))
        );
        let limits = AllLimits::new(named.clone(), None, &[]);
        assert_eq!((of(&limits, Some("other")), of(&limits, None)), (None, None));
        // Those of the account are everybody's.
        let limits = AllLimits::new(named, None, &[cents("EUR", 1)]);
        for caller in [Some("shop"), Some("other"), None] {
            assert_eq!(limits.of(caller).unwrap().account, [cents("EUR", 1)]);
        }
        assert_eq!(AllLimits::default().of(Some("shop")), None);
    }

    #[test]
    fn limits_of_calls_are_none_of_orders() {
        let calls = CallerLimits {
            calls: CallLimits {
                per_second: NonZeroU32::new(1),
                in_flight: NonZeroU32::new(1),
            },
            ..CallerLimits::default()
        };
        let orders = CallerLimits {
            orders_per_day: Some(1),
            ..CallerLimits::default()
        };
        let named = BTreeMap::from([("shop".to_owned(), calls.clone())]);
        let limits = AllLimits::new(named.clone(), Some(orders), &[]);
        assert_eq!(limits.of(Some("shop")), None);
        assert!(limits.of(Some("other")).is_some());
        assert_eq!(AllLimits::new(named, Some(calls), &[]).of(None), None);
    }
}
