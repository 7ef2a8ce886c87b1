//! One loading cache, used for the token, the catalog and SIM ids.
//!
//! moka provides capacity and expiry. The rest is added here, once for all
//! users. Measured on moka 0.12.16: five callers that each give up before
//! `try_get_with` is done make three loads and get no answer. So:
//!
//! * A load runs in a detached task with a bound on its time. A caller that
//!   gives up neither cancels it nor starts another.
//! * At most one load per key is in flight; all waiters share its result,
//!   failure included.
//! * A *fresh* value returns at once. A *stale* one returns at once, is
//!   marked, and starts one refresh in the background.
//! * A failed load is not cached, but not repeated within a hold that the user
//!   of the cache chooses by the error.
//!
//! A key that nearly every call needs is declared by the cache's user as its
//! [resident](Load::resident) and is stored outside of moka: it is never
//! evicted, and a hit costs neither a hash nor the bookkeeping of use.
//!
//! [`SharedLoads`] does the same for what must not be cached at all.
//!
//! Time is `tokio::time`, so a paused clock works. moka's own expiry follows
//! the real clock and only frees memory.

mod replace;
mod shared;
mod slot;

use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use foldhash::fast::RandomState;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

pub use crate::telemetry::metrics::CacheCounts as Counts;
use crate::telemetry::propagation;
pub use shared::SharedLoads;
use slot::{Entry, Flight, FlightGuard, LastFailure, Lifetime, Slot, Work};

/// How values of one kind are loaded.
pub trait Load: Send + Sync + 'static {
    /// What is requested.
    type Key: Clone + Eq + Hash + Send + Sync + 'static;
    /// What is cached.
    type Value: Send + Sync + 'static;
    /// Why a load fails; shared by all waiters.
    type Error: Clone + Send + Sync + 'static;

    /// Name of the cache in spans and metrics.
    const NAME: &'static str;

    /// Loads one value. Runs detached from any caller.
    fn load(&self, key: &Self::Key) -> impl Future<Output = Result<Loaded<Self::Value>, Self::Error>> + Send;

    /// How long a key is not loaded again after its `failures`th failed load in
    /// a row (1 is the first).
    fn hold(&self, error: &Self::Error, failures: u32) -> Duration;

    /// The error of a load that was aborted because it took too long.
    fn timed_out(&self) -> Self::Error;

    /// The key that nearly every call needs, when there is one.
    fn resident(&self) -> Option<Self::Key> {
        None
    }
}

/// A loaded value and its lifetimes, counted from now.
#[derive(Debug)]
pub struct Loaded<V> {
    /// The value.
    pub value: V,
    /// Until then it is returned as it is.
    pub fresh_for: Duration,
    /// Until then it is returned, marked stale, while a refresh is tried.
    pub usable_for: Duration,
}

/// A value from the cache.
#[derive(Debug)]
pub struct Cached<V> {
    /// The value.
    pub value: Arc<V>,
    /// When it was loaded.
    pub as_of: SystemTime,
    /// Whether it is older than it should be.
    pub stale: bool,
}

/// Bounds of a cache.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Most entries; the least used are evicted.
    pub capacity: u64,
    /// Time limit of a load, everything included.
    pub load_within: Duration,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// The cache. Cheap to clone; clones share everything.
pub struct LoadingCache<L: Load> {
    inner: Arc<Inner<L>>,
}

impl<L: Load> Clone for LoadingCache<L> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

struct Inner<L: Load> {
    loader: L,
    bounds: Bounds,
    resident: Option<(L::Key, Arc<Slot<L>>)>,
    slots: moka::future::Cache<L::Key, Arc<Slot<L>>, RandomState>,
    tasks: TaskTracker,
    counts: Arc<Counts>,
}

/// What a caller that found no usable value does next.
enum Next<L: Load> {
    Return(Arc<Entry<L::Value>>),
    Fail(L::Error),
    Wait(Flight<L>),
}

impl<L: Load> LoadingCache<L> {
    /// An empty cache. Loads run on `tasks`, whose owner ends them.
    pub fn new(loader: L, bounds: Bounds, tasks: TaskTracker) -> Self {
        let slots = moka::future::Cache::builder()
            .name(L::NAME)
            .max_capacity(bounds.capacity)
            .expire_after(Lifetime)
            .build_with_hasher(RandomState::default());
        let counts = Arc::new(Counts::default());
        let resident = loader.resident().map(|key| (key, Arc::new(Slot::new())));
        Self {
            inner: Arc::new(Inner {
                loader,
                bounds,
                resident,
                slots,
                tasks,
                counts,
            }),
        }
    }

    /// The counters of the cache.
    pub fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.inner.counts)
    }

    /// Returns the value of a key, loading it when there is none.
    ///
    /// Cancel-safe: a caller that stops waiting does not end the load.
    ///
    /// # Errors
    /// The failure of the load, when there is no usable value.
    pub async fn get(&self, key: &L::Key) -> Result<Cached<L::Value>, L::Error> {
        let counts = &self.inner.counts;
        let kept;
        let slot = match self.inner.resident(key) {
            Some(slot) => slot,
            None => {
                kept = self.slot(key).await;
                &kept
            }
        };
        if let Some(entry) = slot.entry.load().as_deref() {
            let now = Instant::now();
            if now < entry.fresh_until {
                count(&counts.fresh);
                return Ok(entry.answer(false));
            }
            if now < entry.usable_until {
                count(&counts.stale);
                self.refresh(key, slot, now);
                return Ok(entry.answer(true));
            }
        }
        match self.next(key, slot) {
            Next::Return(entry) => Ok(entry.answer(false)),
            Next::Fail(error) => {
                count(&counts.held);
                Err(error)
            }
            Next::Wait(flight) => {
                count(&counts.missed);
                self.wait(flight).await
            }
        }
    }

    /// Like [`get`](Self::get), but waits for a load when the value is stale,
    /// and fails when that load does.
    ///
    /// # Errors
    /// The failure of the load.
    pub async fn get_fresh(&self, key: &L::Key) -> Result<Cached<L::Value>, L::Error> {
        let slot = self.slot(key).await;
        match self.next(key, &slot) {
            Next::Return(entry) => Ok(entry.answer(false)),
            Next::Fail(error) => Err(error),
            Next::Wait(flight) => self.wait(flight).await,
        }
    }

    /// The value of a key if there is a usable one; loads nothing.
    pub async fn peek(&self, key: &L::Key) -> Option<Arc<L::Value>> {
        let slot = match self.inner.resident(key) {
            Some(slot) => Arc::clone(slot),
            None => self.inner.slots.get(key).await?,
        };
        let entry = slot.entry.load_full()?;
        (Instant::now() < entry.usable_until).then(|| Arc::clone(&entry.value))
    }

    /// Drops the value of a key if it still is `value`: a newer one stays. The
    /// next caller waits for a load.
    pub async fn invalidate(&self, key: &L::Key, value: &Arc<L::Value>) {
        let slot = self.slot(key).await;
        let _work = slot.work();
        let same = slot
            .entry
            .load()
            .as_ref()
            .is_some_and(|entry| Arc::ptr_eq(&entry.value, value));
        if same {
            slot.entry.store(None);
        }
    }

    /// Drops the last failure of a key: the next caller starts a load.
    pub async fn forget_failure(&self, key: &L::Key) {
        self.slot(key).await.work().failure = None;
    }

    async fn slot(&self, key: &L::Key) -> Arc<Slot<L>> {
        if let Some(slot) = self.inner.resident(key) {
            return Arc::clone(slot);
        }
        match self.inner.slots.get(key).await {
            Some(slot) => slot,
            None => {
                self.inner
                    .slots
                    .get_with(key.clone(), async { Arc::new(Slot::new()) })
                    .await
            }
        }
    }

    async fn wait(&self, mut flight: Flight<L>) -> Result<Cached<L::Value>, L::Error> {
        let outcome = flight
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|outcome| outcome.clone());
        // No outcome: the load's task was ended, at shutdown or by a panic.
        let entry = outcome.unwrap_or_else(|| Err(self.inner.loader.timed_out()))?;
        Ok(entry.answer(false))
    }

    /// Decides under the slot's lock, so that two callers cannot both start a
    /// load.
    fn next(&self, key: &L::Key, slot: &Arc<Slot<L>>) -> Next<L> {
        let mut work = slot.work();
        let now = Instant::now();
        if let Some(entry) = slot.entry.load_full().filter(|entry| now < entry.fresh_until) {
            return Next::Return(entry);
        }
        if let Some(flight) = &work.flight {
            return Next::Wait(flight.clone());
        }
        if let Some(failure) = work.failure.as_ref().filter(|failure| now < failure.until) {
            return Next::Fail(failure.error.clone());
        }
        let (flight, load) = self.start(key, slot, &mut work);
        self.inner.tasks.spawn(propagation::load(L::NAME, load));
        Next::Wait(flight)
    }

    /// Starts a refresh in the background unless one runs or the last one has
    /// just failed. The span of the refresh has no parent; it links to the
    /// caller that found the stale value.
    fn refresh(&self, key: &L::Key, slot: &Arc<Slot<L>>, now: Instant) {
        let mut work = slot.work();
        let renewed = slot
            .entry
            .load()
            .as_ref()
            .is_some_and(|entry| now < entry.fresh_until);
        let held = work.failure.as_ref().is_some_and(|failure| now < failure.until);
        if work.flight.is_none() && !held && !renewed {
            let span = tracing::info_span!(
                parent: None,
                "cache.refresh",
                otel.name = format_args!("cache.refresh {}", L::NAME),
                cache.name = L::NAME
            );
            span.follows_from(tracing::Span::current());
            let (_, load) = self.start(key, slot, &mut work);
            self.inner.tasks.spawn(load.instrument(span));
        }
    }

    /// Starts a load and shares it with all later waiters.
    fn start(
        &self,
        key: &L::Key,
        slot: &Arc<Slot<L>>,
        work: &mut Work<L>,
    ) -> (Flight<L>, impl Future<Output = ()> + Send + use<L>) {
        let (sender, flight) = watch::channel(None);
        work.flight = Some(flight.clone());
        let inner = Arc::clone(&self.inner);
        let slot = Arc::clone(slot);
        let key = key.clone();
        let load = async move {
            let guard = FlightGuard(&slot);
            let loaded = tokio::time::timeout(inner.bounds.load_within, inner.loader.load(&key)).await;
            let outcome = match loaded.unwrap_or_else(|_| Err(inner.loader.timed_out())) {
                Ok(loaded) => Ok(inner.keep(&slot, loaded)),
                Err(error) => Err(inner.remember(&slot, error)),
            };
            if outcome.is_ok() && inner.resident(&key).is_none() {
                // So that moka notices the new lifetime.
                inner.slots.insert(key, Arc::clone(&slot)).await;
            }
            drop(guard);
            let _ = sender.send(Some(outcome));
        };
        (flight, load)
    }
}

impl<L: Load> Inner<L> {
    fn resident(&self, key: &L::Key) -> Option<&Arc<Slot<L>>> {
        let (resident, slot) = self.resident.as_ref()?;
        (resident == key).then_some(slot)
    }

    fn keep(&self, slot: &Slot<L>, loaded: Loaded<L::Value>) -> Arc<Entry<L::Value>> {
        let now = Instant::now();
        let entry = Arc::new(Entry {
            value: Arc::new(loaded.value),
            as_of: SystemTime::now(),
            fresh_until: now + loaded.fresh_for,
            usable_until: now + loaded.usable_for.max(loaded.fresh_for),
        });
        let mut work = slot.work();
        if !std::mem::take(&mut work.outdated) {
            // A value without a lifetime is not cached: the load was only
            // shared.
            let kept = (entry.usable_until > now).then(|| Arc::clone(&entry));
            slot.entry.store(kept);
        }
        work.failure = None;
        count(&self.counts.loaded);
        entry
    }

    fn remember(&self, slot: &Slot<L>, error: L::Error) -> L::Error {
        let mut work = slot.work();
        let in_a_row = work
            .failure
            .as_ref()
            .map_or(0, |failure| failure.in_a_row)
            .saturating_add(1);
        let until = Instant::now() + self.loader.hold(&error, in_a_row);
        work.failure = Some(LastFailure {
            error: error.clone(),
            until,
            in_a_row,
        });
        count(&self.counts.failed);
        error
    }
}

#[cfg(test)]
mod tests;
