//! How long to wait before a call is repeated.

use std::time::Duration;

use tonic::Status;
use uuid::Uuid;

use crate::Reason;

/// The trailer that gRPC's own retries obey (gRFC A6).
const PUSHBACK: &str = "grpc-retry-pushback-ms";

/// Waits that double, of which a random part is waited (full jitter): callers
/// that failed together do not come back together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    pub(crate) first: Duration,
    pub(crate) longest: Duration,
}

impl Backoff {
    /// The wait before repeat number `repeats`, from 0: what the gateway asks
    /// for, and a random part of the back-off on top. `None` when the gateway
    /// asks for no repeat.
    pub(crate) fn after(self, status: &Status, repeats: u32) -> Option<Duration> {
        let asked = match status.metadata().get(PUSHBACK) {
            // Negative or unreadable means: do not repeat.
            Some(value) => Duration::from_millis(value.to_str().ok()?.parse().ok()?),
            None => Reason::of(status).retry_delay.unwrap_or_default(),
        };
        asked.checked_add(self.jitter(repeats))
    }

    /// A random part of the back-off.
    pub(crate) fn jitter(self, repeats: u32) -> Duration {
        let limit = self.first.saturating_mul(2_u32.saturating_pow(repeats));
        let nanos = u64::try_from(limit.min(self.longest).as_nanos()).unwrap_or(u64::MAX);
        // The last four bytes of a version 4 UUID are random.
        let [.., a, b, c, d] = Uuid::new_v4().into_bytes();
        let part = (u128::from(nanos) * u128::from(u32::from_be_bytes([a, b, c, d]))) >> 32;
        Duration::from_nanos(u64::try_from(part).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff {
        first: Duration::from_millis(100),
        longest: Duration::from_secs(1),
    };

    fn pushed_back(value: &str) -> Option<Duration> {
        let mut status = Status::unavailable("");
        status.metadata_mut().insert(PUSHBACK, value.parse().unwrap());
        BACKOFF.after(&status, 0)
    }

    #[test]
    fn waits_double_up_to_the_longest_and_a_random_part_is_waited() {
        for (repeats, limit) in [(0, 100), (1, 200), (3, 800), (4, 1_000), (u32::MAX, 1_000)] {
            let waits: Vec<Duration> = (0..200).map(|_| BACKOFF.jitter(repeats)).collect();
            let limit = Duration::from_millis(limit);
            assert!(waits.iter().all(|wait| *wait <= limit), "{repeats}");
            assert!(waits.iter().any(|wait| *wait > limit / 2), "{repeats}");
            assert!(waits.iter().any(|wait| *wait < limit / 2), "{repeats}");
        }
    }

    #[test]
    fn pushback_is_waited_for_and_a_negative_or_unreadable_one_forbids_the_repeat() {
        let second = Duration::from_secs(1);
        let wait = pushed_back("1000").unwrap();
        assert!(wait >= second && wait <= second + BACKOFF.first, "{wait:?}");
        for forbidden in ["-1", "soon", "", "1.5"] {
            assert_eq!(pushed_back(forbidden), None, "{forbidden:?}");
        }
    }
}
