//! Metrics of inbound calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use opentelemetry::metrics::Counter;

use super::super::Method;
use super::Metrics;

impl Metrics {
    /// The counter for calls of a method.
    pub fn method(&self, name: &'static str) -> Method {
        Method::new(name, self.calls.clone(), Arc::clone(&self.recent))
    }

    /// Shows how full the gateway is. Returns the counter of refused calls.
    pub fn watch_admission(&self, in_flight: Arc<AtomicUsize>, most: usize) -> Counter<u64> {
        self.meter
            .u64_observable_gauge("transatel_gateway.calls.in_flight")
            .with_description("Calls that are being worked on; a stream until its answer begins")
            .with_callback(move |observer| observer.observe(in_flight.load(Ordering::Relaxed) as u64, &[]))
            .build();
        self.meter
            .u64_observable_gauge("transatel_gateway.calls.max_in_flight")
            .with_description("Calls that may be worked on at once: grpc.max_in_flight")
            .with_callback(move |observer| observer.observe(most as u64, &[]))
            .build();
        let shed = self
            .meter
            .u64_counter("transatel_gateway.calls.shed")
            .with_description("Calls answered OVERLOADED because too many were in flight")
            .build();
        // Registered from the start: the first one must be visible as a change.
        shed.add(0, &[]);
        shed
    }
}
