//! How long a process may send an order after recording that it will.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::{Clock, Deadline};

/// Permission of a process to send, checked immediately before every send. Both
/// clocks have to agree: the monotonic one stands still while a machine is
/// suspended, and the wall clock may be set back. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Lease(Arc<Terms>);

#[derive(Debug)]
struct Terms {
    clock: Clock,
    began: Timestamp,
    length: Duration,
    sending_until: Deadline,
    is_over: AtomicBool,
}

impl Lease {
    /// A lease that begins now. Nothing is sent in its last quarter, which is
    /// left for the answer. To be begun before the ledger's own lease is.
    pub fn begin(clock: &Clock, length: Duration) -> Self {
        Self(Arc::new(Terms {
            began: clock.now(),
            clock: clock.clone(),
            length,
            sending_until: Deadline::after(length.mul_f64(0.75)),
            is_over: AtomicBool::new(false),
        }))
    }

    /// Ends it, whatever the clocks say.
    pub fn end(&self) {
        self.0.is_over.store(true, Ordering::Relaxed);
    }

    /// Until when something may be sent, by the monotonic clock.
    pub fn sending_until(&self) -> Deadline {
        self.0.sending_until
    }

    /// Whether something may be sent now.
    pub fn allows_sending(&self) -> bool {
        let terms = &*self.0;
        let passed = terms.clock.now().duration_since(terms.began);
        let is_within = Duration::try_from(passed).map_or(true, |passed| passed < terms.length);
        is_within && !terms.is_over.load(Ordering::Relaxed) && Instant::now() < terms.sending_until.at()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicI64;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn either_clock_ends_a_lease() {
        let seconds = Arc::new(AtomicI64::new(1_000_000));
        let shown = Arc::clone(&seconds);
        let clock = Clock::new(move || Timestamp::from_second(shown.load(Ordering::Relaxed)).unwrap());
        let lease = Lease::begin(&clock, Duration::from_secs(120));
        assert!(lease.allows_sending());
        // Set back: the monotonic clock decides.
        seconds.fetch_sub(3_600, Ordering::Relaxed);
        assert!(lease.allows_sending());
        tokio::time::advance(Duration::from_secs(90)).await;
        assert!(!lease.allows_sending());
        // Ended explicitly.
        let lease = Lease::begin(&clock, Duration::from_secs(120));
        lease.clone().end();
        assert!(!lease.allows_sending());
        // Suspended: only the wall clock has gone on.
        let lease = Lease::begin(&clock, Duration::from_secs(120));
        seconds.fetch_add(120, Ordering::Relaxed);
        assert!(!lease.allows_sending());
    }
}
