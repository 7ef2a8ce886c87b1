//! Files that are read again when they change.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use opentelemetry::KeyValue;
use opentelemetry::metrics::Counter;

use super::start_at_zero;

/// Changes of files, and whether the present ones cannot be used.
#[derive(Debug)]
pub(super) struct Reloads {
    changes: Counter<u64>,
    unusable: Arc<AtomicI64>,
}

impl Reloads {
    pub(super) fn new(changes: Counter<u64>, unusable: Arc<AtomicI64>) -> Self {
        start_at_zero(&changes, "outcome", &["ok", "failed"]);
        Self { changes, unusable }
    }

    /// The files have changed; `usable` says whether they are valid.
    pub(super) fn changed(&self, usable: bool) {
        let outcome = if usable { "ok" } else { "failed" };
        self.changes.add(1, &[KeyValue::new("outcome", outcome)]);
        self.unusable.store(i64::from(!usable), Ordering::Relaxed);
    }
}
