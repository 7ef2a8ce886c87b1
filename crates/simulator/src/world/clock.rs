//! The simulator's wall clock.
//!
//! It starts at the real time and runs with `tokio::time`, so a paused test
//! clock stops it; a control call may move it forward, which is how subscriptions
//! expire without waiting. Token lifetimes do not follow the moves: a test that
//! lets half a year pass wants to see subscriptions end, not credentials.

use std::{
    pin::pin,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use jiff::{SignedDuration, Span, Timestamp, tz::TimeZone};
use tokio::{sync::Notify, time::Instant};

#[derive(Debug)]
pub(crate) struct Clock {
    origin: Timestamp,
    started: Instant,
    /// How far control calls have moved the clock, in milliseconds.
    advanced: AtomicU64,
    moved: Notify,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self {
            origin: Timestamp::now(),
            started: Instant::now(),
            advanced: AtomicU64::new(0),
            moved: Notify::new(),
        }
    }

    /// When the simulator started. The times of the stock are relative to it.
    pub(crate) fn origin(&self) -> Timestamp {
        self.origin
    }

    pub(crate) fn now(&self) -> Timestamp {
        let moved = Duration::from_millis(self.advanced.load(Ordering::Relaxed));
        after(self.origin, self.started.elapsed().saturating_add(moved))
    }

    pub(crate) fn advance(&self, by: Duration) {
        let by = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        let add = |moved: u64| Some(moved.saturating_add(by));
        // The update always gives a value, so it cannot fail.
        let _ = self
            .advanced
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        self.moved.notify_waiters();
    }

    /// Returns when it is `at`, by the passing of time or by control calls. Cancel-safe.
    pub(crate) async fn until(&self, at: Timestamp) {
        loop {
            let mut moved = pin!(self.moved.notified());
            // From here on a move is not missed.
            moved.as_mut().enable();
            let left = at.duration_since(self.now());
            let Some(left) = Duration::try_from(left).ok().filter(|left| !left.is_zero()) else {
                return;
            };
            tokio::select! {
                () = tokio::time::sleep(left) => {}
                () = moved => {}
            }
        }
    }
}

/// `at` plus `by`, or the last representable moment.
pub(crate) fn after(at: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by)
        .ok()
        .and_then(|by| at.checked_add(by).ok())
        .unwrap_or(Timestamp::MAX)
}

/// `at` minus `by`, or the first representable moment.
pub(crate) fn before(at: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by)
        .ok()
        .and_then(|by| at.checked_sub(by).ok())
        .unwrap_or(Timestamp::MIN)
}

/// The same moment so many calendar months later, in UTC.
pub(crate) fn months_after(at: Timestamp, months: u32) -> Timestamp {
    at.to_zoned(TimeZone::UTC)
        .checked_add(Span::new().months(i64::from(months)))
        .map_or(Timestamp::MAX, |zoned| zoned.timestamp())
}

/// As the provider writes timestamps: whole seconds, `Z`.
pub(crate) fn iso(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second()).unwrap_or(at).to_string()
}

/// Days as a duration.
pub(crate) const fn days(count: u64) -> Duration {
    Duration::from_secs(count * 86_400)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_written_without_fractions() {
        let at: Timestamp = "2026-03-31T10:20:30.987Z".parse().unwrap();
        assert_eq!(iso(at), "2026-03-31T10:20:30Z");
    }

    #[test]
    fn months_end_on_the_last_day_of_a_shorter_month() {
        let at: Timestamp = "2026-08-31T00:00:00Z".parse().unwrap();
        assert_eq!(iso(months_after(at, 6)), "2027-02-28T00:00:00Z");
    }

    #[tokio::test(start_paused = true)]
    async fn the_clock_follows_tokio_and_control() {
        let clock = Clock::start();
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(
            iso(clock.now()),
            iso(after(clock.origin(), Duration::from_secs(5)))
        );
        clock.advance(days(1));
        assert_eq!(
            iso(clock.now()),
            iso(after(clock.origin(), Duration::from_secs(86_405)))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_is_woken_by_tokio_and_by_control() {
        let clock = Clock::start();
        let before = Instant::now();
        clock.until(after(clock.now(), Duration::from_secs(5))).await;
        assert_eq!(before.elapsed().as_secs(), 5);
        let far = after(clock.now(), days(1));
        tokio::join!(clock.until(far), async { clock.advance(days(1)) });
        assert!(before.elapsed() < Duration::from_secs(6));
    }
}
