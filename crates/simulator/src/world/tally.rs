//! How many tokens and orders the provider has granted and refused.

use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) tokens_issued: AtomicU64,
    pub(crate) tokens_refused: AtomicU64,
    pub(crate) unauthorized: AtomicU64,
    pub(crate) orders_accepted: AtomicU64,
}

impl Tally {
    pub(crate) fn bump(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Sets every number to 0.
    pub(crate) fn reset(&self) {
        for counter in [
            &self.tokens_issued,
            &self.tokens_refused,
            &self.unauthorized,
            &self.orders_accepted,
        ] {
            counter.store(0, Ordering::Relaxed);
        }
    }
}
