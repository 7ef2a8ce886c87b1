//! Log lines about what may happen thousands of times a second.

use std::time::Duration;

use tokio::time::Instant;

/// One line is written in this time.
const EVERY: Duration = Duration::from_secs(60);

/// Counts what happened between two log lines.
#[derive(Debug, Default)]
pub struct LogLimit {
    unlogged: u64,
    last_line: Option<Instant>,
}

impl LogLimit {
    /// Counts one more; how many there were since the last line when another
    /// one is due: at once, and then once a minute.
    pub fn add(&mut self, now: Instant) -> Option<u64> {
        self.unlogged += 1;
        let due = self
            .last_line
            .is_none_or(|last| now.duration_since(last) >= EVERY);
        due.then(|| {
            self.last_line = Some(now);
            std::mem::take(&mut self.unlogged)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lasts_is_logged_at_once_and_then_once_a_minute() {
        let mut limit = LogLimit::default();
        let start = Instant::now();
        let lines: Vec<(u32, u64)> = (0..6_100)
            .filter_map(|turn| Some((turn, limit.add(start + turn * Duration::from_millis(20))?)))
            .collect();
        assert_eq!(lines, [(0, 1), (3_000, 3_000), (6_000, 3_000)]);
    }
}
