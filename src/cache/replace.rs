//! Changes of a cache that are not loads: values learned elsewhere.
//!
//! A load that is in flight meanwhile answers its waiters and is not cached: it
//! may have read the state from before.

use std::sync::Arc;
use std::time::SystemTime;

use tokio::time::Instant;

use super::{Entry, Load, Loaded, LoadingCache, Slot};

impl<L: Load> LoadingCache<L> {
    /// Caches a value that was obtained without a load. It replaces any other.
    pub async fn put(&self, key: &L::Key, loaded: Loaded<L::Value>) {
        let slot = self.slot(key).await;
        let now = Instant::now();
        let entry = Entry {
            value: Arc::new(loaded.value),
            as_of: SystemTime::now(),
            fresh_until: now + loaded.fresh_for,
            usable_until: now + loaded.usable_for.max(loaded.fresh_for),
        };
        {
            let mut work = slot.work();
            work.outdated = work.flight.is_some();
            work.failure = None;
            slot.entry.store(Some(Arc::new(entry)));
        }
        if self.inner.resident(key).is_none() {
            // So that moka notices the new lifetime.
            self.inner.slots.insert(key.clone(), slot).await;
        }
    }

    /// Drops the value of a key. The next caller waits for a load.
    pub async fn forget(&self, key: &L::Key) {
        let slot = match self.inner.resident(key) {
            Some(slot) => Arc::clone(slot),
            None => match self.inner.slots.get(key).await {
                Some(slot) => slot,
                None => return,
            },
        };
        slot.forget();
    }

    /// Drops every value.
    pub fn forget_all(&self) {
        let resident = self.inner.resident.iter().map(|(_, slot)| Arc::clone(slot));
        let others = self.inner.slots.iter().map(|(_, slot)| slot);
        for slot in others.chain(resident) {
            slot.forget();
        }
    }
}

impl<L: Load> Slot<L> {
    fn forget(&self) {
        let mut work = self.work();
        work.outdated = work.flight.is_some();
        self.entry.store(None);
    }
}
