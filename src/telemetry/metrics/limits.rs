//! Metrics of the limits of callers.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Meter};

use super::Metrics;

/// Every caller that is not shown by its name.
const OTHER: &str = "_OTHER";

/// The share of a limit that is used.
#[derive(Clone, Debug)]
pub struct Used {
    /// Whose limit: of a closed set.
    pub caller: String,
    /// Its name.
    pub limit: &'static str,
    /// Of money.
    pub currency: Option<String>,
    /// 1 when it is reached.
    pub share: f64,
}

/// What a caller has ordered for today.
#[derive(Clone, Debug)]
pub struct Spend {
    /// Of a closed set.
    pub caller: String,
    /// Of the list prices.
    pub currency: String,
    /// In units of the currency.
    pub amount: f64,
}

/// Every limit.
const LIMITS: [&str; 6] = [
    "orders_per_minute",
    "orders_per_day",
    "spend_per_day",
    "account_spend_per_day",
    "calls_per_second",
    "calls_in_flight",
];

#[derive(Debug)]
pub(super) struct Limits {
    refused: Counter<u64>,
    used: Arc<Mutex<Vec<Used>>>,
    spend: Arc<Mutex<Vec<Spend>>>,
    /// Callers that are shown by their names: a closed set.
    names: OnceLock<HashSet<String>>,
}

impl Limits {
    pub(super) fn new(meter: &Meter) -> Self {
        let refused = meter
            .u64_counter("transatel_gateway.caller.limit.refused")
            .with_description(
                "Calls that were refused because a limit of their caller, or of all callers, was reached",
            )
            .build();
        for limit in LIMITS {
            refused.add(0, &labels(OTHER, limit));
        }
        let used = Arc::new(Mutex::new(Vec::<Used>::new()));
        meter
            .f64_observable_gauge("transatel_gateway.caller.limit.used")
            .with_description(
                "Share of a limit of orders that is used, by the whole ledger: 1 when it is reached; absent while the \
                 ledger cannot be read",
            )
            .with_callback({
                let used = Arc::clone(&used);
                move |observer| {
                    let used = used.lock().unwrap_or_else(PoisonError::into_inner);
                    for used in used.iter() {
                        let mut labels = labels(&used.caller, used.limit).to_vec();
                        let currency = used.currency.clone();
                        labels.extend(currency.map(|code| KeyValue::new("currency", code)));
                        observer.observe(used.share, &labels);
                    }
                }
            })
            .build();
        let spend = Arc::new(Mutex::new(Vec::<Spend>::new()));
        meter
            .f64_observable_gauge("transatel_gateway.caller.spend")
            .with_description(
                "List prices of what a caller has ordered since midnight UTC and what is placed or may have been bought, \
                 by the whole ledger, in units of the currency; absent while the ledger cannot be read",
            )
            .with_callback({
                let spend = Arc::clone(&spend);
                move |observer| {
                    let spend = spend.lock().unwrap_or_else(PoisonError::into_inner);
                    for spend in spend.iter() {
                        let labels = [
                            KeyValue::new("caller", spend.caller.clone()),
                            KeyValue::new("currency", spend.currency.clone()),
                        ];
                        observer.observe(spend.amount, &labels);
                    }
                }
            })
            .build();
        Self {
            refused,
            used,
            spend,
            names: OnceLock::new(),
        }
    }
}

fn labels(caller: &str, limit: &'static str) -> [KeyValue; 2] {
    [
        KeyValue::new("caller", caller.to_owned()),
        KeyValue::new("limit", limit),
    ]
}

impl Metrics {
    /// Shows callers by these names, and their refusals by these limits from 0 on.
    pub fn show_limits<'a>(&self, names: impl Iterator<Item = &'a str>, limits: &[(&str, &'static str)]) {
        let _ = self.limits.names.set(names.map(str::to_owned).collect());
        for (name, limit) in limits {
            self.limits.refused.add(0, &labels(name, limit));
        }
    }

    /// A call was refused because of a limit.
    pub fn limit_reached(&self, caller: Option<&str>, limit: &'static str) {
        let names = self.limits.names.get();
        let named = caller.filter(|caller| names.is_some_and(|names| names.contains(*caller)));
        self.limits.refused.add(1, &labels(named.unwrap_or(OTHER), limit));
    }

    /// The shares of limits that are used and what was ordered for; nothing while they are
    /// not known.
    pub fn show_callers(&self, used: Vec<Used>, spend: Vec<Spend>) {
        *self.limits.used.lock().unwrap_or_else(PoisonError::into_inner) = used;
        *self.limits.spend.lock().unwrap_or_else(PoisonError::into_inner) = spend;
    }
}
