//! Metrics of callers' TLS connections.

use jiff::Timestamp;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Meter};

use super::moment::Moment;
use super::reloads::Reloads;
use super::{Metrics, gauge, start_at_zero};

#[derive(Debug)]
pub(super) struct Tls {
    handshakes: Counter<u64>,
    files: Reloads,
    certificate_expires: Moment,
}

impl Tls {
    pub(super) fn new(meter: &Meter) -> Self {
        let handshakes = meter
            .u64_counter("transatel_gateway.tls.handshakes")
            .with_description("Connections of callers, by what became of their TLS handshake")
            .build();
        start_at_zero(&handshakes, "outcome", &["ok", "failed", "left", "timed_out"]);
        let files = Reloads::new(
            meter
                .u64_counter("transatel_gateway.tls.reloads")
                .with_description("Changes of the certificate files, by whether they can be used")
                .build(),
            gauge(
                meter,
                "transatel_gateway.tls.files_unusable",
                "",
                "1 while the certificate files cannot be used and the last ones that could stay in use; else 0",
            ),
        );
        Self {
            handshakes,
            files,
            certificate_expires: Moment::unknown(
                meter,
                "transatel_gateway.tls.certificate_expires",
                "When the first certificate of the chain that callers are shown expires, in seconds since 1970; missing without TLS",
            ),
        }
    }
}

impl Metrics {
    /// A TLS handshake ended.
    pub fn handshake(&self, outcome: &'static str) {
        self.tls.handshakes.add(1, &[KeyValue::new("outcome", outcome)]);
    }

    /// Callers are shown certificates that expire then, if that can be read.
    pub fn certificate_expires(&self, at: Option<Timestamp>) {
        match at {
            Some(at) => self.tls.certificate_expires.set(at),
            None => self.tls.certificate_expires.clear(),
        }
    }

    /// The certificate files have changed; `usable` says whether they are
    /// valid.
    pub fn certificates(&self, usable: bool) {
        self.tls.files.changed(usable);
    }
}
