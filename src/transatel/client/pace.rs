//! Our own limit on requests a second, for accounts whose limit is known. Off
//! by default: no limit is documented.
//!
//! Requests get evenly spaced turns in the order in which they ask. Own code:
//! with `governor` a waiter asks again when its time has come and may lose to
//! another each time. Measured in docs/benchmarks.md, "Own code or a crate".

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Gives turns.
#[derive(Debug)]
pub struct Pace {
    gap: Duration,
    next: Mutex<Option<Instant>>,
}

impl Pace {
    /// A limit in requests a second; 0 for none.
    pub fn new(per_second: u32) -> Self {
        Self {
            gap: Duration::from_secs(1).checked_div(per_second).unwrap_or_default(),
            next: Mutex::new(None),
        }
    }

    /// Waits for a turn. The turn of a caller that stops waiting is lost.
    pub async fn turn(&self) {
        if self.gap.is_zero() {
            return;
        }
        let turn = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let turn = next.map_or(now, |next| next.max(now));
            *next = Some(turn + self.gap);
            turn
        };
        tokio::time::sleep_until(turn).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn turns_are_spaced_and_an_idle_time_is_not_saved_up() {
        let pace = Pace::new(10);
        let begin = Instant::now();
        for _ in 0..11 {
            pace.turn().await;
        }
        let taken = begin.elapsed();
        assert!((1000..1020).contains(&taken.as_millis()), "{taken:?}");
        tokio::time::advance(Duration::from_secs(60)).await;
        let begin = Instant::now();
        for _ in 0..3 {
            pace.turn().await;
        }
        assert!(begin.elapsed() >= Duration::from_millis(200));
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_limit_no_call_waits() {
        let pace = Pace::new(0);
        let begin = Instant::now();
        for _ in 0..1000 {
            pace.turn().await;
        }
        assert!(begin.elapsed().is_zero());
    }
}
