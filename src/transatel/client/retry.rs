//! Which failed reads are tried again, and when. Writes never come here.

use std::time::Duration;

use super::error::CallError;

/// Exponential back-off with full jitter: the wait after the `n`th attempt is a
/// random part of `first * 2^(n-1)`, at most `longest`.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// Longest wait before the second attempt.
    pub first: Duration,
    /// Longest wait before any attempt.
    pub longest: Duration,
}

impl Backoff {
    /// The longest wait after this many attempts.
    pub fn ceiling(&self, attempts: u32) -> Duration {
        let doublings = attempts.saturating_sub(1).min(31);
        self.first.saturating_mul(1 << doublings).min(self.longest)
    }

    /// A random wait after this many attempts.
    pub fn wait(&self, attempts: u32) -> Duration {
        self.ceiling(attempts).mul_f64(fastrand::f64())
    }
}

/// Whether a read that failed like this may succeed when it is repeated, and
/// how long the provider asks to wait first.
///
/// Not repeated: a decision of the provider (501, and 4xx except 429), an
/// answer that is complete but cannot be used, a missing token (it has a
/// back-off of its own), and whatever the deadline ended.
pub fn worth_another_try(failure: &CallError) -> Option<Option<Duration>> {
    match failure {
        CallError::Connect(_)
        | CallError::Broken(_)
        | CallError::Timeout { by_deadline: false }
        | CallError::Unreadable { truncated: true, .. } => Some(None),
        CallError::Refused(refusal) => match refusal.status {
            501 => None,
            429 | 500.. => Some(refusal.retry_after),
            _ => None,
        },
        CallError::Token(_)
        | CallError::NoTimeLeft
        | CallError::CircuitOpen { .. }
        | CallError::Crowded
        | CallError::Timeout { by_deadline: true }
        | CallError::Unreadable { truncated: false, .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_wait_never_exceeds_its_ceiling(first in 1..10_000_u64, longest in 1..100_000_u64, attempts in 0..1000_u32) {
            let backoff = Backoff { first: Duration::from_millis(first), longest: Duration::from_millis(longest) };
            prop_assert!(backoff.wait(attempts) <= backoff.ceiling(attempts));
            prop_assert!(backoff.ceiling(attempts) <= backoff.longest);
            prop_assert!(backoff.ceiling(attempts) <= backoff.ceiling(attempts + 1));
        }
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let refused = |status| {
            CallError::Refused(crate::transatel::client::error::Refusal {
                status,
                ..Default::default()
            })
        };
        for status in [429, 500, 502, 503, 504] {
            assert!(worth_another_try(&refused(status)).is_some(), "{status}");
        }
        for status in [400, 401, 403, 404, 409, 501] {
            assert!(worth_another_try(&refused(status)).is_none(), "{status}");
        }
        assert!(worth_another_try(&CallError::Timeout { by_deadline: true }).is_none());
        assert!(worth_another_try(&CallError::Timeout { by_deadline: false }).is_some());
    }
}
