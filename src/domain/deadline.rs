//! How long a caller waits.

use std::time::Duration;

use tokio::time::Instant;

/// The moment after which the caller no longer waits for the answer. Passed
/// down to every step that may wait; detached work has its own bounds instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline {
    at: Instant,
    began: Instant,
}

impl Deadline {
    /// A deadline this far from now.
    pub fn after(wait: Duration) -> Self {
        let began = Instant::now();
        Self {
            at: began + wait,
            began,
        }
    }

    /// The moment itself.
    pub fn at(self) -> Instant {
        self.at
    }

    /// How long ago the call began.
    pub fn elapsed(self) -> Duration {
        self.began.elapsed()
    }

    /// What is left; zero once it has passed.
    pub fn remaining(self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }
}
