//! How long a connection may still take to send what it has to send.
//!
//! hyper has one time limit for the head of a request, and it also runs while a
//! kept connection waits for the next request: it is either too short for a
//! proxy that keeps connections or too long for a head. So the times are kept
//! here.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The times of one connection.
pub(super) struct Clock {
    head: Duration,
    idle: Duration,
    state: Mutex<State>,
}

struct State {
    phase: Phase,
    /// When the connection is closed; `None` while a request is answered,
    /// which has limits of its own.
    deadline: Option<Instant>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// A head is expected in time, or has begun.
    Head,
    /// The body of a request is read.
    Body,
    /// A request was received as a whole and is answered.
    Answer,
    /// As before, and bytes of the next head were received.
    AnswerAndHead,
    /// Kept for the next request.
    Idle,
}

impl Clock {
    /// A new connection: its first head has to arrive within `head`, as every
    /// other has once it has begun; between requests it is kept for `idle`.
    pub(super) fn start(head: Duration, idle: Duration) -> Self {
        Self {
            head,
            idle,
            state: Mutex::new(State {
                phase: Phase::Head,
                deadline: Some(Instant::now() + head),
            }),
        }
    }

    /// Bytes were received.
    pub(super) fn received(&self) {
        let mut state = self.state();
        match state.phase {
            Phase::Idle => {
                state.phase = Phase::Head;
                state.deadline = Some(Instant::now() + self.head);
            }
            Phase::Answer => state.phase = Phase::AnswerAndHead,
            Phase::Head | Phase::Body | Phase::AnswerAndHead => {}
        }
    }

    /// The head of a request is complete.
    pub(super) fn request_began(&self) {
        let mut state = self.state();
        state.phase = Phase::Body;
        state.deadline = None;
    }

    /// The body of a request is complete.
    pub(super) fn request_is_complete(&self) {
        self.state().phase = Phase::Answer;
    }

    /// A request was answered. What is still to be written of the answer has
    /// to be taken before the connection counts as idle for too long.
    pub(super) fn answered(&self) {
        let mut state = self.state();
        let (phase, limit) = match state.phase {
            Phase::AnswerAndHead => (Phase::Head, self.head),
            Phase::Head | Phase::Body | Phase::Answer | Phase::Idle => (Phase::Idle, self.idle),
        };
        state.phase = phase;
        state.deadline = Some(Instant::now() + limit);
    }

    /// When the connection is closed if nothing happens.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.state().deadline
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: Duration = Duration::from_secs(5);
    const IDLE: Duration = Duration::from_secs(600);

    #[tokio::test(start_paused = true)]
    async fn a_head_has_its_time_from_its_first_byte_and_a_kept_connection_has_another() {
        let clock = Clock::start(HEAD, IDLE);
        let left = || {
            let deadline = clock.deadline()?;
            Some(deadline.duration_since(Instant::now()))
        };
        let pass = async |seconds| tokio::time::advance(Duration::from_secs(seconds)).await;
        // The first head: from the connection on, however its bytes arrive.
        pass(2).await;
        clock.received();
        assert_eq!(left(), Some(HEAD - Duration::from_secs(2)));
        clock.request_began();
        assert_eq!(left(), None);
        clock.received();
        clock.request_is_complete();
        pass(100).await;
        assert_eq!(left(), None);
        clock.answered();
        assert_eq!(left(), Some(IDLE));
        // The next: from its first byte on.
        pass(500).await;
        clock.received();
        assert_eq!(left(), Some(HEAD));
        pass(1).await;
        clock.received();
        assert_eq!(left(), Some(HEAD - Duration::from_secs(1)));
        // A head that begins while the request before it is answered.
        clock.request_began();
        clock.request_is_complete();
        clock.received();
        clock.answered();
        assert_eq!(left(), Some(HEAD));
    }
}
