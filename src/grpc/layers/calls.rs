//! How often each caller may call this replica, by `callers.limits`: a rate, and
//! calls in flight.
//!
//! A call is in flight until its answer ends: a stream for as long as it is open.
//! A rate lets as many calls through at once as it has for a second, and then one
//! after the other. In memory, and not shared with other replicas. What is kept
//! of a caller goes soon after its calls: the memory is that of the callers of
//! the last seconds, and of those with calls in flight.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use governor::clock::Clock as _;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tonic::Status;
use tonic::body::Body;

use crate::domain::limits::{self, CallerLimits, Limit};
use crate::domain::{Caller, Error};
use crate::telemetry::Metrics;

/// What callers that are not in use any more have left is removed this often.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// Callers without a name are one.
type Key = Option<Caller>;

/// The limits of every caller.
#[derive(Debug)]
pub struct CallLimits {
    named: HashMap<Caller, Allowance>,
    /// Of each caller that is not named.
    others: Allowance,
    metrics: Arc<Metrics>,
}

impl CallLimits {
    /// Limits by name, and those of each other caller; `None` when there are
    /// none.
    pub fn new(
        named: &BTreeMap<Caller, CallerLimits>,
        others: Option<&CallerLimits>,
        metrics: &Arc<Metrics>,
    ) -> Option<Self> {
        let mut all = named.values().chain(others);
        all.any(|limits| limits.calls != limits::CallLimits::default())
            .then(|| Self {
                named: named
                    .iter()
                    .map(|(caller, limits)| (caller.clone(), Allowance::new(limits.calls)))
                    .collect(),
                others: Allowance::new(others.map(|limits| limits.calls).unwrap_or_default()),
                metrics: Arc::clone(metrics),
            })
    }

    /// Counts a call, unless it is beyond a limit. It is in flight until the place
    /// is dropped.
    pub(super) fn admit(&self, caller: Option<&Caller>) -> Result<Option<Box<Place>>, Box<Status>> {
        let named = caller.and_then(|caller| self.named.get(caller));
        let allowance = named.unwrap_or(&self.others);
        allowance.admit(caller).map_err(|(limit, retry_after)| {
            self.metrics
                .limit_reached(caller.map(Caller::as_str), limit.name());
            Box::new(Error::CallerLimitReached { limit, retry_after }.into())
        })
    }
}

/// What some callers may do, each for itself.
#[derive(Debug)]
struct Allowance {
    rate: Option<Rate>,
    places: Option<Places>,
}

impl Allowance {
    fn new(limits: limits::CallLimits) -> Self {
        Self {
            rate: limits.per_second.map(Rate::new),
            places: limits.in_flight.map(Places::new),
        }
    }

    fn admit(&self, caller: Option<&Caller>) -> Result<Option<Box<Place>>, (Limit, Duration)> {
        if self.rate.is_none() && self.places.is_none() {
            return Ok(None);
        }
        let caller = caller.cloned();
        // First: a call that has no place does not use up the rate.
        let place = match &self.places {
            None => None,
            Some(places) => {
                let full = || (Limit::CallsInFlight(places.most), back_within());
                Some(places.take(&caller).ok_or_else(full)?)
            }
        };
        if let Some(rate) = &self.rate {
            rate.check(&caller)
                .map_err(|wait| (Limit::CallsPerSecond(rate.most), wait))?;
        }
        Ok(place.map(Box::new))
    }
}

/// Calls a second of each caller.
#[derive(Debug)]
struct Rate {
    most: NonZeroU32,
    limiter: RateLimiter<Key, HashMapStateStore<Key>, Clock, NoOpMiddleware<Nanos>>,
    /// By the limiter's clock.
    sweep_at: AtomicU64,
}

impl Rate {
    fn new(most: NonZeroU32) -> Self {
        Self {
            most,
            limiter: RateLimiter::hashmap_with_clock(Quota::per_second(most), Clock(Instant::now())),
            sweep_at: AtomicU64::default(),
        }
    }

    /// # Errors
    /// How long the caller has to wait.
    fn check(&self, caller: &Key) -> Result<(), Duration> {
        let now = self.limiter.clock().now();
        self.sweep(now.as_u64());
        self.limiter
            .check_key(caller)
            .map_err(|until| until.wait_time_from(now))
    }

    fn sweep(&self, now: u64) {
        let due = self.sweep_at.load(Ordering::Relaxed);
        let next = now + u64::try_from(SWEEP_EVERY.as_nanos()).unwrap_or(u64::MAX / 2);
        let is_ours = || {
            let swap = self
                .sweep_at
                .compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed);
            swap.is_ok()
        };
        if now < due || !is_ours() {
            return;
        }
        let before = self.limiter.len();
        self.limiter.retain_recent();
        if self.limiter.len() < before / 2 {
            self.limiter.shrink_to_fit();
        }
    }
}

/// The time since a limiter was made, by tokio's clock, which tests can pause.
#[derive(Clone, Debug)]
struct Clock(Instant);

impl governor::clock::Clock for Clock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.0.elapsed().into()
    }
}

/// How many calls of each caller are in flight; a caller without any is not kept.
type Taken = Arc<Mutex<HashMap<Key, u32>>>;

/// Calls in flight of each caller.
#[derive(Debug)]
struct Places {
    most: NonZeroU32,
    taken: Taken,
}

impl Places {
    fn new(most: NonZeroU32) -> Self {
        Self {
            most,
            taken: Taken::default(),
        }
    }

    fn take(&self, caller: &Key) -> Option<Place> {
        let mut taken = lock(&self.taken);
        let calls = taken.entry(caller.clone()).or_default();
        if *calls >= self.most.get() {
            return None;
        }
        *calls += 1;
        Some(Place {
            taken: Arc::clone(&self.taken),
            caller: caller.clone(),
        })
    }
}

/// A call in flight of a caller. Dropping it frees its place.
#[derive(Debug)]
pub struct Place {
    taken: Taken,
    caller: Key,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        let Some(calls) = taken.get_mut(&self.caller) else {
            return;
        };
        *calls = calls.saturating_sub(1);
        if *calls == 0 {
            taken.remove(&self.caller);
            if taken.capacity() > SPARE && taken.len() < taken.capacity() / 4 {
                taken.shrink_to(SPARE);
            }
        }
    }
}

/// Room for callers that is kept.
const SPARE: usize = 1024;

fn lock(taken: &Taken) -> MutexGuard<'_, HashMap<Key, u32>> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

/// When a caller should try again that waits for other calls to end: spread, so
/// that callers do not retry together.
pub(super) fn back_within() -> Duration {
    Duration::from_millis(fastrand::u64(100..500))
}

/// Keeps the place until the end of the answer.
pub(super) fn hold(place: Box<Place>, answer: &mut Body) {
    if !answer.is_end_stream() {
        let body = std::mem::take(answer);
        let place = Some(place);
        *answer = Body::new(Held { body, place });
    }
}

pin_project! {
    /// The body of an answer.
    struct Held {
        #[pin]
        body: Body,
        // Dropped before the end is sent: the caller's next call finds it free.
        place: Option<Box<Place>>,
    }
}

impl HttpBody for Held {
    type Data = <Body as HttpBody>::Data;
    type Error = <Body as HttpBody>::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.project();
        let frame = ready!(this.body.poll_frame(context));
        let goes_on = matches!(&frame, Some(Ok(frame)) if !frame.is_trailers());
        if !goes_on {
            *this.place = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(number: u32) -> Key {
        Caller::parse(&format!("shop-{number}.internal"))
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_has_a_second_at_once_and_then_one_after_the_other() {
        let rate = Rate::new(NonZeroU32::new(10).unwrap());
        let pass = |caller: &Key| (0..100).take_while(|_| rate.check(caller).is_ok()).count();
        let (one, other) = (named(1), named(2));
        assert_eq!((pass(&one), pass(&other), pass(&None)), (10, 10, 10));
        assert_eq!(rate.check(&one), Err(Duration::from_millis(100)));
        tokio::time::advance(Duration::from_millis(250)).await;
        assert_eq!(pass(&one), 2);
        assert_eq!(rate.check(&one), Err(Duration::from_millis(50)));
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(pass(&one), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_hundred_thousand_names_do_not_stay() {
        let rate = Rate::new(NonZeroU32::new(1).unwrap());
        let places = Places::new(NonZeroU32::new(1).unwrap());
        for number in 0..100_000 {
            let caller = named(number);
            rate.check(&caller).unwrap();
            places.take(&caller).unwrap();
            if number % 100 == 0 {
                tokio::time::advance(Duration::from_millis(100)).await;
                // Those of three seconds, by a thousand a second.
                assert!(rate.limiter.len() <= 3_100, "{}", rate.limiter.len());
            }
        }
        // All at once: they go with the first call after that.
        for number in 0..100_000 {
            rate.check(&named(100_000 + number)).unwrap();
        }
        let held: Vec<_> = (0..100_000).map(|number| places.take(&named(number))).collect();
        assert_eq!(lock(&places.taken).len(), 100_000);
        drop(held);
        tokio::time::advance(Duration::from_secs(3)).await;
        rate.check(&None).unwrap();
        assert_eq!((rate.limiter.len(), lock(&places.taken).len()), (1, 0));
        assert!(lock(&places.taken).capacity() <= 2 * SPARE);
    }

    #[test]
    fn a_call_without_a_place_does_not_use_up_the_rate() {
        let one = NonZeroU32::new(1);
        let allowance = Allowance::new(limits::CallLimits {
            per_second: NonZeroU32::new(2),
            in_flight: one,
        });
        let place = allowance.admit(None).unwrap();
        for _ in 0..10 {
            let (limit, _) = allowance.admit(None).unwrap_err();
            assert_eq!(limit, Limit::CallsInFlight(one.unwrap()));
        }
        drop(place);
        drop(allowance.admit(None).unwrap());
        let (limit, _) = allowance.admit(None).unwrap_err();
        assert_eq!(limit.name(), "calls_per_second");
    }
}
