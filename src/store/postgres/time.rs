//! The database's time, which all replicas share whatever their own clocks say.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// The database is queried again after this long: its own clock may be set, and
/// a virtual machine that was suspended did not count the time.
const KNOWN_FOR: Duration = Duration::from_secs(5);

/// The database's last answer, and when it came by the monotonic clock.
#[derive(Default)]
pub(super) struct DatabaseTime(Mutex<Option<(Instant, Timestamp)>>);

impl DatabaseTime {
    /// The time now; `None` when the database has to be queried.
    pub(super) fn now(&self) -> Option<Timestamp> {
        let known = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (learned, answer) = known?;
        let since = learned.elapsed();
        (since < KNOWN_FOR).then(|| answer + since)
    }

    /// Takes an answer that has just arrived: the extrapolated time is never
    /// ahead of the database.
    pub(super) fn update(&self, answer: Timestamp) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), answer));
    }
}
