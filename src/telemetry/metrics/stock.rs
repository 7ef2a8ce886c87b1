//! Metrics of the stock.

use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Meter};

use super::{Metrics, start_at_zero};

/// Pool, state, and how many.
type Count = (String, &'static str, u64);

/// What is shown of the pools.
#[derive(Debug, Default)]
pub struct Pools {
    /// SIMs by pool and state.
    pub counts: Vec<Count>,
    /// Fewer available SIMs than this are low, by pool.
    pub thresholds: Vec<(String, u64)>,
}

#[derive(Debug)]
pub(super) struct Stock {
    set_aside: Counter<u64>,
    searches: Counter<u64>,
    pools: Arc<Mutex<Pools>>,
}

impl Stock {
    pub(super) fn new(meter: &Meter) -> Self {
        let set_aside = meter
            .u64_counter("transatel_gateway.stock.set_aside")
            .with_description("SIMs of the stock that were set aside because they cannot be sold, by reason")
            .build();
        let searches = meter
            .u64_counter("transatel_gateway.stock.searches")
            .with_description(
                "Times that this process read SIM Search for SIMs to add to the stock; failed: some could not be \
                 read, and are tried the next time",
            )
            .build();
        let pools = Arc::new(Mutex::new(Pools::default()));
        meter
            .u64_observable_gauge("transatel_gateway.stock")
            .with_description(
                "SIMs of the stock by pool and state; every state of a pool is shown, and none while they cannot \
                 be counted",
            )
            .with_callback({
                let pools = Arc::clone(&pools);
                move |observer| {
                    let pools = pools.lock().unwrap_or_else(PoisonError::into_inner);
                    for (pool, state, sims) in &pools.counts {
                        let labels = [
                            KeyValue::new("pool", pool.clone()),
                            KeyValue::new("state", *state),
                        ];
                        observer.observe(*sims, &labels);
                    }
                }
            })
            .build();
        meter
            .u64_observable_gauge("transatel_gateway.stock.threshold")
            .with_description(
                "Fewer available SIMs than this are low, as the settings say, by pool; 0: the pool is never low",
            )
            .with_callback({
                let pools = Arc::clone(&pools);
                move |observer| {
                    let pools = pools.lock().unwrap_or_else(PoisonError::into_inner);
                    for (pool, threshold) in &pools.thresholds {
                        observer.observe(*threshold, &[KeyValue::new("pool", pool.clone())]);
                    }
                }
            })
            .build();
        Self {
            set_aside,
            searches,
            pools,
        }
    }
}

impl Metrics {
    /// Shows the count of SIMs that were set aside from the start, with every
    /// reason.
    pub fn show_set_aside(&self, reasons: &[&'static str]) {
        start_at_zero(&self.stock.set_aside, "reason", reasons);
    }

    /// A SIM was set aside.
    pub fn set_aside(&self, reason: &'static str) {
        self.stock.set_aside.add(1, &[KeyValue::new("reason", reason)]);
    }

    /// The stock was counted; nothing when it cannot be.
    pub fn show_stock(&self, pools: Pools) {
        *self.stock.pools.lock().unwrap_or_else(PoisonError::into_inner) = pools;
    }

    /// Shows how often SIM Search was read for the stock from the start.
    pub fn show_stock_searches(&self) {
        start_at_zero(&self.stock.searches, "outcome", &["ok", "failed"]);
    }

    /// SIM Search was read for the stock.
    pub fn stock_searched(&self, ok: bool) {
        let outcome = if ok { "ok" } else { "failed" };
        self.stock.searches.add(1, &[KeyValue::new("outcome", outcome)]);
    }
}
