//! What is stored of one key, and for how long.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use moka::Expiry;
use tokio::sync::watch;
use tokio::time::Instant;

use super::{Cached, Load};

/// One key: its value, and its load in flight.
pub(super) struct Slot<L: Load> {
    pub(super) entry: ArcSwapOption<Entry<L::Value>>,
    pub(super) work: Mutex<Work<L>>,
}

pub(super) struct Entry<V> {
    pub(super) value: Arc<V>,
    pub(super) as_of: SystemTime,
    pub(super) fresh_until: Instant,
    pub(super) usable_until: Instant,
}

pub(super) type LoadResult<L> = Result<Arc<Entry<<L as Load>::Value>>, <L as Load>::Error>;
pub(super) type Flight<L> = watch::Receiver<Option<LoadResult<L>>>;

pub(super) struct Work<L: Load> {
    pub(super) flight: Option<Flight<L>>,
    /// The result of the load in flight is not cached.
    pub(super) outdated: bool,
    pub(super) failure: Option<LastFailure<L::Error>>,
}

pub(super) struct LastFailure<E> {
    pub(super) error: E,
    pub(super) until: Instant,
    pub(super) in_a_row: u32,
}

impl<L: Load> Slot<L> {
    pub(super) fn new() -> Self {
        Self {
            entry: ArcSwapOption::empty(),
            work: Mutex::new(Work {
                flight: None,
                outdated: false,
                failure: None,
            }),
        }
    }

    pub(super) fn work(&self) -> MutexGuard<'_, Work<L>> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V> Entry<V> {
    pub(super) fn answer(&self, stale: bool) -> Cached<V> {
        Cached {
            value: Arc::clone(&self.value),
            as_of: self.as_of,
            stale,
        }
    }
}

/// The lifetime for moka: a slot expires when its value is no longer usable. An
/// empty slot (a load in flight or a stored failure) expires when it was not
/// read for a while.
pub(super) struct Lifetime;

const EMPTY_SLOT_LIFETIME: Duration = Duration::from_secs(600);

impl<L: Load> Expiry<L::Key, Arc<Slot<L>>> for Lifetime {
    fn expire_after_create(
        &self,
        _key: &L::Key,
        slot: &Arc<Slot<L>>,
        _created_at: std::time::Instant,
    ) -> Option<Duration> {
        let entry = slot.entry.load();
        let left = entry
            .as_ref()
            .map(|entry| entry.usable_until.saturating_duration_since(Instant::now()));
        Some(left.unwrap_or_default().max(EMPTY_SLOT_LIFETIME))
    }

    fn expire_after_update(
        &self,
        key: &L::Key,
        slot: &Arc<Slot<L>>,
        updated_at: std::time::Instant,
        _left: Option<Duration>,
    ) -> Option<Duration> {
        Expiry::<L::Key, Arc<Slot<L>>>::expire_after_create(self, key, slot, updated_at)
    }
}

/// Ends the flight of a slot however its load ends: a load that panics must not
/// block its key forever.
pub(super) struct FlightGuard<'a, L: Load>(pub(super) &'a Slot<L>);

impl<L: Load> Drop for FlightGuard<'_, L> {
    fn drop(&mut self) {
        let mut work = self.0.work();
        work.flight = None;
        work.outdated = false;
    }
}
