//! Whether a call has enough time left for something to be sent, and when it is answered.

use std::time::Duration;

use tokio::time::Instant;

use crate::domain::{Deadline, Error, Result};

/// The caller gets its answer this long before its deadline, so that it arrives
/// in time.
const ANSWER_AHEAD: Duration = Duration::from_millis(100);
/// With less time than this nothing is sent: the answer would come too late.
const LEAST_TIME: Duration = Duration::from_millis(150);
/// What callers learn of that, with the time that is kept for the answer's way, and some
/// for reading from the provider.
const LEAST_DEADLINE: Duration = Duration::from_millis(200);
/// Callers learn it in steps of this.
const DEADLINE_STEP: Duration = Duration::from_millis(50);

/// When a call with this deadline is answered at the latest.
pub(super) fn answer_at(deadline: Deadline) -> Instant {
    deadline.at() - ANSWER_AHEAD
}

/// Enough time is left for something to be sent.
///
/// # Errors
/// `DEADLINE_EXCEEDED`, which says that nothing was sent.
pub(in crate::service) fn ensure_time(deadline: Deadline) -> Result<()> {
    match deadline.remaining() < LEAST_TIME {
        true => Err(too_little_time(deadline)),
        false => Ok(()),
    }
}

/// The error of a call with this deadline. What the call has spent so far, mostly on reads
/// from the provider, a call with a later deadline will spend as well.
pub(super) fn too_little_time(deadline: Deadline) -> Error {
    let needed = LEAST_DEADLINE + deadline.elapsed();
    let steps = needed.as_millis() / DEADLINE_STEP.as_millis();
    Error::TooLittleTime {
        least: DEADLINE_STEP.saturating_mul(u32::try_from(steps).unwrap_or(u32::MAX)),
    }
}
