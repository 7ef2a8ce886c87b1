//! How much of their limits callers have used, under names of a closed set: those
//! of the settings, and one for each other caller.

use std::collections::BTreeMap;

use super::Money;
use super::limits::{CallerLimits, Limit};
use super::money::Currency;
use super::spend::{Spent, Sum};

/// Each caller that the settings do not name. Not a name that a caller may have.
pub const OTHER: &str = "_OTHER";
/// All callers together.
pub const ALL: &str = "_ALL";

/// The share of a limit that is used.
#[derive(Clone, Debug, PartialEq)]
pub struct Used {
    /// A name of the settings, [`OTHER`] or [`ALL`].
    pub caller: String,
    /// The name of the limit.
    pub limit: &'static str,
    /// Of money that is limited.
    pub currency: Option<Currency>,
    /// 1 when it is reached.
    pub share: f64,
}

/// What a caller has ordered for, in one currency.
#[derive(Clone, Debug, PartialEq)]
pub struct Spend {
    /// A name of the settings, or [`OTHER`].
    pub caller: String,
    /// Of the list prices.
    pub currency: Currency,
    /// Of what is placed or may have been bought.
    pub sum: Sum,
}

/// The limits that are watched.
#[derive(Clone, Debug, Default)]
pub struct Watched {
    /// Of every caller that the settings name.
    named: BTreeMap<String, CallerLimits>,
    others: CallerLimits,
    account: Vec<Money>,
}

/// What a caller has ordered.
#[derive(Clone, Debug, Default)]
struct Ordered {
    in_minute: i64,
    in_day: i64,
    spent: BTreeMap<Currency, Sum>,
}

impl Watched {
    /// Limits by name, those of each other caller, and those of all together.
    pub fn new(named: BTreeMap<String, CallerLimits>, others: CallerLimits, account: Vec<Money>) -> Self {
        Self {
            named,
            others,
            account,
        }
    }

    /// The names that are shown.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.named.keys().map(String::as_str)
    }

    /// The limits that calls of a name may be refused for.
    pub fn limits(&self) -> Vec<(&str, &'static str)> {
        let mut all = Vec::new();
        for (name, limits) in &self.named {
            let account = self.account.iter().map(|most| Limit::AccountSpendPerDay(*most));
            for limit in of_orders(limits).chain(of_calls(limits)).chain(account) {
                all.push((name.as_str(), limit.name()));
            }
        }
        all
    }

    /// Whether there is a limit of what is ordered in a minute.
    pub fn is_by_minute(&self) -> bool {
        let mut all = self.named.values().chain([&self.others]);
        all.any(|limits| limits.orders_per_minute.is_some())
    }

    /// What was ordered for, by caller and currency. Those that are not named are one.
    pub fn spend(&self, today: &[Spent]) -> Vec<Spend> {
        let mut sums: BTreeMap<(&str, Currency), Sum> = BTreeMap::new();
        for part in today {
            let name = part.caller.as_deref();
            let shown = name
                .filter(|name| self.named.contains_key(*name))
                .unwrap_or(OTHER);
            if let Some(currency) = part.currency {
                sums.entry((shown, currency)).or_default().add(part.sum);
            }
        }
        let sums = sums.into_iter().map(|((caller, currency), sum)| Spend {
            caller: caller.to_owned(),
            currency,
            sum,
        });
        sums.collect()
    }

    /// The shares, by what was ordered today and, by caller, in the last minute.
    /// For callers that are not named it is the largest one.
    pub fn used(&self, today: &[Spent], minute: &[(Option<String>, i64)]) -> Vec<Used> {
        let mut callers: BTreeMap<Option<&str>, Ordered> = BTreeMap::new();
        let mut all = Ordered::default();
        for (caller, orders) in minute {
            callers.entry(caller.as_deref()).or_default().in_minute += orders;
        }
        for part in today {
            let caller = callers.entry(part.caller.as_deref()).or_default();
            for ordered in [caller, &mut all] {
                ordered.in_day += part.sum.orders;
                if let Some(currency) = part.currency {
                    ordered.spent.entry(currency).or_default().add(part.sum);
                }
            }
        }
        let mut shares = Vec::new();
        let nothing = Ordered::default();
        for (name, limits) in &self.named {
            let ordered = callers.remove(&Some(name.as_str())).unwrap_or_default();
            let limits = of_orders(limits);
            shares.extend(limits.map(|limit| used(name, limit, &ordered)));
        }
        for limit in of_orders(&self.others) {
            let others = callers.values().map(|ordered| used(OTHER, limit, ordered));
            shares.push(others.fold(used(OTHER, limit, &nothing), |most, other| {
                if other.share > most.share { other } else { most }
            }));
        }
        let account = self.account.iter().map(|most| Limit::AccountSpendPerDay(*most));
        shares.extend(account.map(|limit| used(ALL, limit, &all)));
        shares
    }
}

fn of_orders(limits: &CallerLimits) -> impl Iterator<Item = Limit> {
    let spend = limits.spend_per_day.iter().map(|most| Limit::SpendPerDay(*most));
    let minute = limits.orders_per_minute.map(Limit::OrdersPerMinute);
    let day = limits.orders_per_day.map(Limit::OrdersPerDay);
    minute.into_iter().chain(day).chain(spend)
}

fn of_calls(limits: &CallerLimits) -> impl Iterator<Item = Limit> {
    let rate = limits.calls.per_second.map(Limit::CallsPerSecond);
    rate.into_iter()
        .chain(limits.calls.in_flight.map(Limit::CallsInFlight))
}

fn used(caller: &str, limit: Limit, ordered: &Ordered) -> Used {
    let of_money = |most: Money| {
        let spent = ordered.spent.get(&most.currency()).copied().unwrap_or_default();
        (Some(most.currency()), spent.share_of(most))
    };
    let (currency, share) = match limit {
        Limit::OrdersPerMinute(most) => (None, share(ordered.in_minute, most)),
        Limit::OrdersPerDay(most) => (None, share(ordered.in_day, most)),
        Limit::SpendPerDay(most) | Limit::AccountSpendPerDay(most) => of_money(most),
        // The ledger does not know of calls.
        Limit::CallsPerSecond(_) | Limit::CallsInFlight(_) => (None, 0.0),
    };
    Used {
        caller: caller.to_owned(),
        limit: limit.name(),
        currency,
        share,
    }
}

/// Nothing may be ordered where the limit is 0: it is reached.
fn share(orders: i64, most: u32) -> f64 {
    match most {
        0 => 1.0,
        most => orders as f64 / f64::from(most),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn euros(units: i64) -> Money {
        Money::from_cents(Currency::parse("EUR").unwrap(), units * 100)
    }

    fn spent(caller: Option<&str>, currency: &str, orders: i64, units: i64) -> Spent {
        Spent {
            caller: caller.map(str::to_owned),
            product_id: "P".to_owned(),
            currency: Currency::parse(currency),
            is_placed: true,
            sum: Sum::new(orders, units, 0),
        }
    }

    #[test]
    fn each_name_has_its_own_share_and_the_others_the_largest() {
        let limits = |orders, spend: &[i64]| CallerLimits {
            orders_per_day: orders,
            spend_per_day: spend.iter().map(|units| euros(*units)).collect(),
            ..CallerLimits::default()
        };
        let others = CallerLimits {
            orders_per_minute: Some(10),
            ..limits(Some(4), &[])
        };
        let named = BTreeMap::from([
            ("shop".to_owned(), limits(None, &[100])),
            ("idle".to_owned(), limits(Some(0), &[])),
        ]);
        let watched = Watched::new(named, others, vec![euros(200)]);
        assert!(watched.is_by_minute());
        assert_eq!(
            watched.limits(),
            [
                ("idle", "orders_per_day"),
                ("idle", "account_spend_per_day"),
                ("shop", "spend_per_day"),
                ("shop", "account_spend_per_day"),
            ]
        );
        let today = [
            spent(Some("shop"), "EUR", 2, 60),
            spent(Some("shop"), "EUR", 1, 20),
            spent(Some("shop"), "USD", 1, 900),
            spent(Some("a"), "EUR", 1, 10),
            spent(Some("b"), "EUR", 3, 10),
            spent(None, "", 2, 0),
        ];
        let minute = [(Some("a".to_owned()), 5), (Some("shop".to_owned()), 9)];
        let shown = |used: Vec<Used>| -> Vec<String> {
            let shown = used.into_iter().map(|used| {
                let currency = used.currency.as_ref().map_or("", Currency::code).to_owned();
                format!("{} {} {currency} {:.2}", used.caller, used.limit, used.share)
            });
            shown.collect()
        };
        assert_eq!(
            shown(watched.used(&today, &minute)),
            [
                "idle orders_per_day  1.00",
                "shop spend_per_day EUR 0.80",
                "_OTHER orders_per_minute  0.50",
                "_OTHER orders_per_day  0.75",
                "_ALL account_spend_per_day EUR 0.50",
            ]
        );
        assert!(shown(watched.used(&[], &[])).contains(&"_OTHER orders_per_day  0.00".to_owned()));
        let none = Watched::default();
        assert_eq!((none.is_by_minute(), none.used(&today, &minute)), (false, vec![]));
    }
}
