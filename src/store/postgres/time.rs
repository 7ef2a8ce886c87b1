//! The database's time: what replicas agree on, whatever their own clocks
//! say.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// The database is asked again after this long: its own clock may be set, and
/// a virtual machine that was suspended did not count the time.
const KNOWN_FOR: Duration = Duration::from_secs(5);

/// What the database last said, and when it was asked by the monotonic clock.
#[derive(Default)]
pub(super) struct DatabaseTime(Mutex<Option<(Instant, Timestamp)>>);

impl DatabaseTime {
    /// The time now; `None` when the database has to be asked.
    pub(super) fn now(&self) -> Option<Timestamp> {
        let known = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (asked, answered) = known?;
        let since = asked.elapsed();
        (since < KNOWN_FOR).then(|| answered + since)
    }

    /// Takes an answer. Counted from the question, so that what is called now
    /// is never ahead of the database by the time of a round trip.
    pub(super) fn learn(&self, asked: Instant, answer: Timestamp) -> Timestamp {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((asked, answer));
        answer
    }
}
