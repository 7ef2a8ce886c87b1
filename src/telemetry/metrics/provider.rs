//! Metrics of requests to the provider.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter};

use super::{Metrics, seconds};

#[derive(Debug)]
pub(super) struct Provider {
    attempts: Histogram<f64>,
    unreadable: Counter<u64>,
    held_back: Counter<u64>,
}

impl Provider {
    pub(super) fn new(meter: &Meter) -> Self {
        Self {
            attempts: seconds(
                meter,
                "transatel_gateway.provider.attempt.duration",
                "Requests sent to the provider, by API and outcome",
            ),
            unreadable: meter
                .u64_counter("transatel_gateway.provider.unreadable")
                .with_description("Successful answers of the provider that could not be read")
                .build(),
            held_back: meter
                .u64_counter("transatel_gateway.provider.held_back")
                .with_description("Requests to the provider that were not sent, by API and reason")
                .build(),
        }
    }
}

impl Metrics {
    /// A request was sent to the provider.
    pub fn attempt(&self, api: &'static str, outcome: &'static str, took: Duration) {
        let labels = [KeyValue::new("api", api), KeyValue::new("outcome", outcome)];
        self.provider.attempts.record(took.as_secs_f64(), &labels);
    }

    /// A successful answer could not be read.
    pub fn unreadable(&self, api: &'static str) {
        self.provider.unreadable.add(1, &[KeyValue::new("api", api)]);
    }

    /// A request was not sent.
    pub fn held_back(&self, api: &'static str, reason: &'static str) {
        let labels = [KeyValue::new("api", api), KeyValue::new("reason", reason)];
        self.provider.held_back.add(1, &labels);
    }

    /// Shows the state of breakers: 0 closed, 1 half open, 2 open.
    pub fn watch_breakers(&self, levels: impl Fn() -> Vec<(&'static str, u64)> + Send + Sync + 'static) {
        self.meter
            .u64_observable_gauge("transatel_gateway.provider.breaker")
            .with_description("Breaker of an API: 0 closed, 1 half open, 2 open")
            .with_callback(move |observer| {
                for (api, level) in levels() {
                    observer.observe(level, &[KeyValue::new("api", api)]);
                }
            })
            .build();
    }
}
