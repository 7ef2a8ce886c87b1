//! Metrics of the provider's events, and of the streams that pass them on.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Meter};

use super::{Metrics, gauge, start_at_zero};

#[derive(Debug)]
pub(super) struct Events {
    received: Counter<u64>,
    damaged: Counter<u64>,
    last_received: Arc<AtomicI64>,
    streams: Arc<AtomicI64>,
    streams_ended: Counter<u64>,
}

/// What becomes of a post.
const RECEIVED: [&str; 7] = [
    "new",
    "duplicate",
    "unreadable",
    "wrong_signature",
    "too_large",
    "too_slow",
    "store_failed",
];

/// Why a stream ends.
const ENDS: [&str; 6] = ["in_time", "gone", "too_slow", "shutdown", "expired", "failed"];

impl Events {
    pub(super) fn new(meter: &Meter) -> Self {
        let damaged = meter
            .u64_counter("transatel_gateway.events.damaged")
            .with_description("Times that an event was read from the log and could not be read as a whole")
            .build();
        // Registered from the start: the first one must be visible as a change.
        damaged.add(0, &[]);
        let received = meter
            .u64_counter("transatel_gateway.events.received")
            .with_description("What was posted to the webhook, by what became of it")
            .build();
        start_at_zero(&received, "outcome", &RECEIVED);
        let streams_ended = meter
            .u64_counter("transatel_gateway.events.streams.ended")
            .with_description("Streams of events that ended, by why")
            .build();
        start_at_zero(&streams_ended, "why", &ENDS);
        Self {
            received,
            damaged,
            last_received: gauge(
                meter,
                "transatel_gateway.events.last_received",
                "",
                "When the last event of the provider came, or when this process began to wait for one; seconds since 1970",
            ),
            streams: gauge(
                meter,
                "transatel_gateway.events.streams",
                "",
                "Streams of events that are open",
            ),
            streams_ended,
        }
    }
}

impl Metrics {
    /// Something was posted to the webhook.
    pub fn event(&self, outcome: &'static str) {
        self.events.received.add(1, &[KeyValue::new("outcome", outcome)]);
    }

    /// When the last event came, in whole seconds.
    pub fn last_event_at(&self, at: jiff::Timestamp) {
        self.events.last_received.store(at.as_second(), Ordering::Relaxed);
    }

    /// The number of open streams has changed by `more`.
    pub fn streams(&self, more: i64) {
        self.events.streams.fetch_add(more, Ordering::Relaxed);
    }

    /// A stream of events ended.
    pub fn stream_ended(&self, why: &'static str) {
        self.events.streams_ended.add(1, &[KeyValue::new("why", why)]);
    }

    /// An event of the log could not be read as a whole.
    pub fn damaged_event(&self) {
        self.events.damaged.add(1, &[]);
    }
}
