//! Metrics of callers' TLS connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Meter};

use super::{Metrics, gauge};

#[derive(Debug)]
pub(super) struct Tls {
    handshakes: Counter<u64>,
    reloads: Counter<u64>,
    files_unusable: Arc<AtomicI64>,
}

impl Tls {
    pub(super) fn new(meter: &Meter) -> Self {
        Self {
            handshakes: meter
                .u64_counter("transatel_gateway.tls.handshakes")
                .with_description("Connections of callers, by what became of their TLS handshake")
                .build(),
            reloads: meter
                .u64_counter("transatel_gateway.tls.reloads")
                .with_description("Changes of the certificate files, by whether they can be used")
                .build(),
            files_unusable: gauge(
                meter,
                "transatel_gateway.tls.files_unusable",
                "",
                "1 while the certificate files cannot be used and the last ones that could stay in use; else 0",
            ),
        }
    }
}

impl Metrics {
    /// A TLS handshake ended.
    pub fn handshake(&self, outcome: &'static str) {
        self.tls.handshakes.add(1, &[KeyValue::new("outcome", outcome)]);
    }

    /// The certificate files have changed; `usable` says whether they are
    /// valid.
    pub fn certificates(&self, usable: bool) {
        let outcome = if usable { "ok" } else { "failed" };
        self.tls.reloads.add(1, &[KeyValue::new("outcome", outcome)]);
        let unusable = i64::from(!usable);
        self.tls.files_unusable.store(unusable, Ordering::Relaxed);
    }
}
