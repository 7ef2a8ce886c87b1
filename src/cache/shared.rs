//! Loads that are shared by their waiters, and not cached.
//!
//! For what is always read live. As with the cache, a load is detached and
//! bounded, and at most one per key is in flight; once it is done, the next
//! caller starts another. So there is nothing to evict: only loads in flight
//! are stored.

use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use foldhash::HashMap;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use super::{Counts, count};
use crate::telemetry::propagation;

/// The loads in flight. Cheap to clone; clones share everything.
pub struct SharedLoads<K, V, E> {
    name: &'static str,
    within: Duration,
    flights: Arc<Flights<K, V, E>>,
    tasks: TaskTracker,
    counts: Arc<Counts>,
}

type Outcome<V, E> = Result<Arc<V>, E>;
type Flight<V, E> = watch::Receiver<Option<Outcome<V, E>>>;
type Flights<K, V, E> = Mutex<HashMap<K, Flight<V, E>>>;

impl<K, V, E> Clone for SharedLoads<K, V, E> {
    fn clone(&self) -> Self {
        Self {
            name: self.name,
            within: self.within,
            flights: Arc::clone(&self.flights),
            tasks: self.tasks.clone(),
            counts: Arc::clone(&self.counts),
        }
    }
}

impl<K, V, E> SharedLoads<K, V, E>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
{
    /// Nothing in flight. Loads run on `tasks`, whose owner ends them, and are
    /// aborted after `within`; `name` is their name in spans.
    pub fn new(name: &'static str, within: Duration, tasks: TaskTracker) -> Self {
        Self {
            name,
            within,
            flights: Arc::default(),
            tasks,
            counts: Arc::default(),
        }
    }

    /// The counters. Every answer counts as missed.
    pub fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.counts)
    }

    /// Waits for the load of a key that is in flight, or else starts `load`.
    /// `None` when it was aborted before it had a result.
    ///
    /// Cancel-safe: a caller that stops waiting does not end the load.
    pub async fn get<F>(&self, key: &K, load: impl FnOnce() -> F) -> Option<Outcome<V, E>>
    where
        F: Future<Output = Result<V, E>> + Send + 'static,
    {
        count(&self.counts.missed);
        let mut flight = self.join_or_start(key, load);
        let outcome = flight.wait_for(Option::is_some).await.ok()?;
        outcome.clone()
    }

    /// Decides under the lock, so that two callers cannot both start a load.
    fn join_or_start<F>(&self, key: &K, load: impl FnOnce() -> F) -> Flight<V, E>
    where
        F: Future<Output = Result<V, E>> + Send + 'static,
    {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = flights.get(key) {
            return flight.clone();
        }
        let (sender, flight) = watch::channel(None);
        flights.insert(key.clone(), flight.clone());
        drop(flights);
        let guard = FlightGuard {
            flights: Arc::clone(&self.flights),
            key: key.clone(),
        };
        let bounded = tokio::time::timeout(self.within, load());
        let counts = Arc::clone(&self.counts);
        let load = async move {
            let outcome = bounded.await.ok().map(|outcome| outcome.map(Arc::new));
            let loaded = matches!(outcome, Some(Ok(_)));
            count(if loaded { &counts.loaded } else { &counts.failed });
            drop(guard);
            if outcome.is_some() {
                let _ = sender.send(outcome);
            }
        };
        self.tasks.spawn(propagation::load(self.name, load));
        flight
    }
}

/// Removes the flight of a key however its load ends: a load that panics must
/// not block its key forever.
struct FlightGuard<K: Eq + Hash, V, E> {
    flights: Arc<Flights<K, V, E>>,
    key: K,
}

impl<K: Eq + Hash, V, E> Drop for FlightGuard<K, V, E> {
    fn drop(&mut self) {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        flights.remove(&self.key);
    }
}

#[cfg(test)]
#[path = "shared_tests.rs"]
mod tests;
