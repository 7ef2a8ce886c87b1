//! What an answer shows of another machine's clock, and how far this machine's
//! is from it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// The `Date` of an answer is the second in which it was made.
const RESOLUTION: Duration = Duration::from_secs(1);

/// A time by another clock, read at some moment of a call.
///
/// From there on it is counted by the monotonic clock: a clock that is set
/// shows at once, without another answer.
#[derive(Clone, Copy, Debug)]
pub struct ClockReading {
    /// The earliest that it may have been there when the answer arrived.
    earliest: Timestamp,
    /// How much later it may have been.
    uncertainty: Duration,
    arrived: Instant,
}

impl ClockReading {
    /// Of an answer that has just arrived, to a call that took so long.
    pub fn of_answer(says: Timestamp, took: Duration) -> Self {
        Self {
            earliest: says,
            uncertainty: took.saturating_add(RESOLUTION),
            arrived: Instant::now(),
        }
    }

    /// How far a clock of this machine that shows `local` now is ahead, at the
    /// least; negative when it is behind; zero when both may be equal.
    pub fn offset(&self, local: Timestamp) -> SignedDuration {
        let signed = |span: Duration| SignedDuration::try_from(span).unwrap_or(SignedDuration::MAX);
        let most = local
            .duration_since(self.earliest)
            .saturating_sub(signed(self.arrived.elapsed()));
        let least = most.saturating_sub(signed(self.uncertainty));
        most.min(SignedDuration::ZERO) + least.max(SignedDuration::ZERO)
    }

    /// How long ago it was read.
    pub(super) fn age(&self) -> Duration {
        self.arrived.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_millisecond(1_700_000_000_000 + milliseconds).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn an_offset_is_what_is_certain_of_it() {
        for (sent, says, arrived, expected) in [
            (0, 0, 10, 0),
            (900, 0, 990, 0),
            // A slow answer may have been made at any moment.
            (0, 8_000, 8_000, 0),
            (0, 9_000, 8_000, -1_000),
            (0, 3_000, 10, -2_990),
            (3_990, 0, 4_000, 2_990),
            (3_601_000, 0, 3_601_010, 3_600_000),
            (0, 3_600_000, 10, -3_599_990),
        ] {
            let took = Duration::from_millis(u64::try_from(arrived - sent).unwrap());
            let reading = ClockReading::of_answer(at(says), took);
            let offset = reading.offset(at(arrived));
            assert_eq!(
                offset,
                SignedDuration::from_millis(expected),
                "{sent} {says} {arrived}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_set_shows_without_another_answer() {
        let reading = ClockReading::of_answer(at(0), Duration::ZERO);
        tokio::time::advance(Duration::from_secs(60)).await;
        for (local, expected) in [(60_500, 0), (90_000, 29_000), (30_000, -30_000)] {
            assert_eq!(reading.offset(at(local)), SignedDuration::from_millis(expected));
        }
    }

    #[test]
    fn no_time_that_can_be_said_is_too_much() {
        for says in [Timestamp::MIN, Timestamp::MAX] {
            for local in [Timestamp::MIN, Timestamp::MAX] {
                ClockReading::of_answer(says, Duration::MAX).offset(local);
            }
        }
    }
}
