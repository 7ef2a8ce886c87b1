//! The database's time: what replicas agree on, whatever their own clocks
//! say.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// The database is asked again after this long: its own clock may be set, and
/// a virtual machine that was suspended did not count the time.
const KNOWN_FOR: Duration = Duration::from_secs(5);

/// What the database last said, and when by the monotonic clock.
#[derive(Default)]
pub(super) struct DatabaseTime(Mutex<Option<(Instant, Timestamp)>>);

impl DatabaseTime {
    /// The time now; `None` when the database has to be asked.
    pub(super) fn now(&self) -> Option<Timestamp> {
        let known = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (learned, answer) = known?;
        let since = learned.elapsed();
        (since < KNOWN_FOR).then(|| answer + since)
    }

    /// Takes an answer that has just come: what is called now is never ahead
    /// of the database.
    pub(super) fn learn(&self, answer: Timestamp) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), answer));
    }
}
