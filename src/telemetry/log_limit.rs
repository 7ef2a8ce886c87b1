//! Log lines about what may happen thousands of times a second.

use std::time::Duration;

use tokio::time::Instant;

/// Lines are counted over this time.
const PERIOD: Duration = Duration::from_secs(60);

/// Limits lines, and counts what happened between two of them.
#[derive(Debug)]
pub struct LogLimit {
    most: u32,
    written: u32,
    unlogged: u64,
    began: Option<Instant>,
}

impl LogLimit {
    /// At most so many lines a minute.
    pub fn a_minute(most: u32) -> Self {
        Self {
            most,
            written: 0,
            unlogged: 0,
            began: None,
        }
    }

    /// Counts one more. When a line is due: how many there were since the last
    /// one, this one included.
    pub fn add(&mut self, now: Instant) -> Option<u64> {
        self.unlogged += 1;
        if self.began.is_none_or(|began| now.duration_since(began) >= PERIOD) {
            self.began = Some(now);
            self.written = 0;
        }
        (self.written < self.most).then(|| {
            self.written += 1;
            std::mem::take(&mut self.unlogged)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lasts_is_logged_at_once_and_then_once_a_minute() {
        let mut limit = LogLimit::a_minute(1);
        let start = Instant::now();
        let lines: Vec<(u32, u64)> = (0..6_100)
            .filter_map(|turn| Some((turn, limit.add(start + turn * Duration::from_millis(20))?)))
            .collect();
        assert_eq!(lines, [(0, 1), (3_000, 3_000), (6_000, 3_000)]);
    }
}
