//! Metrics of the company's own price list.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Meter};

use super::{Metrics, gauge, start_at_zero};

#[derive(Debug)]
pub(super) struct Prices {
    reloads: Counter<u64>,
    file_unusable: Arc<AtomicI64>,
}

impl Prices {
    pub(super) fn new(meter: &Meter) -> Self {
        let reloads = meter
            .u64_counter("transatel_gateway.prices.reloads")
            .with_description("Changes of the price list, by whether it can be used")
            .build();
        start_at_zero(&reloads, "outcome", &["ok", "failed"]);
        Self {
            reloads,
            file_unusable: gauge(
                meter,
                "transatel_gateway.prices.file_unusable",
                "",
                "1 while the price list cannot be used and the last one that could stays in use; else 0",
            ),
        }
    }
}

impl Metrics {
    /// The price list has changed; `usable` says whether it is valid.
    pub fn price_list(&self, usable: bool) {
        let outcome = if usable { "ok" } else { "failed" };
        self.prices.reloads.add(1, &[KeyValue::new("outcome", outcome)]);
        self.prices
            .file_unusable
            .store(i64::from(!usable), Ordering::Relaxed);
    }
}
