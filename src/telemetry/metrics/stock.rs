//! Metrics of the stock.

use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Meter};

use super::{Metrics, start_at_zero};

/// Pool, state, and how many.
type Count = (String, &'static str, u64);

#[derive(Debug)]
pub(super) struct Stock {
    set_aside: Counter<u64>,
    counts: Arc<Mutex<Vec<Count>>>,
}

impl Stock {
    pub(super) fn new(meter: &Meter) -> Self {
        let set_aside = meter
            .u64_counter("transatel_gateway.stock.set_aside")
            .with_description("SIMs of the stock that were set aside because they cannot be sold, by reason")
            .build();
        let counts = Arc::new(Mutex::new(Vec::<Count>::new()));
        meter
            .u64_observable_gauge("transatel_gateway.stock")
            .with_description(
                "SIMs of the stock by pool and state; every state of a pool is shown, and none while they cannot \
                 be counted",
            )
            .with_callback({
                let counts = Arc::clone(&counts);
                move |observer| {
                    let counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
                    for (pool, state, sims) in counts.iter() {
                        let labels = [
                            KeyValue::new("pool", pool.clone()),
                            KeyValue::new("state", *state),
                        ];
                        observer.observe(*sims, &labels);
                    }
                }
            })
            .build();
        Self { set_aside, counts }
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
    pub fn show_stock(&self, counts: Vec<Count>) {
        *self.stock.counts.lock().unwrap_or_else(PoisonError::into_inner) = counts;
    }
}
