//! How long a caller waits.

use std::time::Duration;

use tokio::time::Instant;

/// The moment after which the caller no longer waits for the answer. Passed
/// down to every step that may wait; detached work has its own bounds instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// A deadline this far from now.
    pub fn after(wait: Duration) -> Self {
        Self(Instant::now() + wait)
    }

    /// The moment itself.
    pub fn at(self) -> Instant {
        self.0
    }

    /// What is left; zero once it has passed.
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}
