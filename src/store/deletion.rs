//! Old rows are deleted a few at a time: a writer waits for one batch at most. Nobody
//! has read these rows for weeks, so that each of them may need a page of the table
//! and one of every index from the disk. How many rows a batch has therefore follows
//! from how long the one before took.

use std::time::Duration;

/// Rows of the largest batch. More make a commit of SQLite's long, however fast
/// they were read.
const MOST: u32 = 25;

/// What a batch may take. The next one after a longer one has half as many rows.
const SHORT: Duration = Duration::from_millis(5);

/// How many rows the next batch may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rows(u32);

impl Rows {
    /// Of the first batch: what it takes is not known.
    pub(super) fn first() -> Self {
        Self(1)
    }

    pub(super) fn most(self) -> u32 {
        self.0
    }

    /// After a batch that took so long, without what it waited for others and for
    /// its commit.
    pub(super) fn after(self, took: Duration) -> Self {
        match took > SHORT {
            true => Self((self.0 / 2).max(1)),
            false => Self((self.0 + 1).min(MOST)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_grows_row_by_row_and_halves_after_a_slow_one() {
        let slow = SHORT + Duration::from_millis(1);
        for (rows, took, expected) in [
            (1, SHORT, 2),
            (24, Duration::ZERO, MOST),
            (MOST, SHORT, MOST),
            (MOST, slow, 12),
            (3, slow, 1),
            (1, slow, 1),
        ] {
            assert_eq!(Rows(rows).after(took), Rows(expected), "{rows} rows in {took:?}");
        }
    }
}
