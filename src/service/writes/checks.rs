//! When this process checked which write, by its monotonic clock: what a check
//! adds to the time that a write has been observed for.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::domain::write::WriteId;

/// The checks of this process.
#[derive(Debug, Default)]
pub(super) struct Checks(Mutex<HashMap<WriteId, Instant>>);

impl Checks {
    /// Records a check of a write. Returns for how long it has been observed
    /// since the last check: never more than this process has measured since
    /// its own last check, so that no step of a wall clock counts, and never
    /// more than has passed since the last check of any process, so that two
    /// replicas do not count the same time twice. `None` when this process has
    /// not checked it before: nothing has been measured then.
    pub(super) fn record(&self, id: WriteId, now: Timestamp, last: Option<Timestamp>) -> Option<Duration> {
        let before = self.note(id)?;
        let since_last = Duration::try_from(now.duration_since(last?)).unwrap_or_default();
        Some(before.elapsed().min(since_last))
    }

    /// The write is observed from now on. Returns when it last was, in this
    /// process.
    pub(super) fn note(&self, id: WriteId) -> Option<Instant> {
        self.lock().insert(id, Instant::now())
    }

    /// The write is settled.
    pub(super) fn forget(&self, id: WriteId) {
        self.lock().remove(&id);
    }

    /// Drops writes that another process must have settled.
    pub(super) fn prune(&self, unseen_for: Duration) {
        self.lock().retain(|_, at| at.elapsed() < unseen_for);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<WriteId, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_time_that_really_passed_is_counted() {
        let checks = Checks::default();
        let id = WriteId::new();
        let at = |seconds: i64| Timestamp::from_second(1_000_000 + seconds).unwrap();
        let seconds = Duration::from_secs;
        // Not checked here before.
        assert_eq!(checks.record(id, at(100), Some(at(0))), None);
        tokio::time::advance(seconds(10)).await;
        assert_eq!(checks.record(id, at(110), Some(at(100))), Some(seconds(10)));
        // The wall clock stepped an hour ahead, and an hour back.
        tokio::time::advance(seconds(10)).await;
        assert_eq!(checks.record(id, at(3_720), Some(at(110))), Some(seconds(10)));
        tokio::time::advance(seconds(10)).await;
        assert_eq!(checks.record(id, at(130), Some(at(3_720))), Some(Duration::ZERO));
        // Another replica checked four seconds ago.
        tokio::time::advance(seconds(10)).await;
        assert_eq!(checks.record(id, at(140), Some(at(136))), Some(seconds(4)));
        checks.forget(id);
        assert_eq!(checks.record(id, at(150), Some(at(140))), None);
    }
}
