//! Metrics of the company's own price list.

use opentelemetry::metrics::Meter;

use super::reloads::Reloads;
use super::{Metrics, gauge};

pub(super) fn reloads(meter: &Meter) -> Reloads {
    Reloads::new(
        meter
            .u64_counter("transatel_gateway.prices.reloads")
            .with_description("Changes of the price list, by whether it can be used")
            .build(),
        gauge(
            meter,
            "transatel_gateway.prices.file_unusable",
            "",
            "1 while the price list cannot be used and the last one that could stays in use; else 0",
        ),
    )
}

impl Metrics {
    /// The price list has changed; `usable` says whether it is valid.
    pub fn price_list(&self, usable: bool) {
        self.prices.changed(usable);
    }
}
