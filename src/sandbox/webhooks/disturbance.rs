//! What can go wrong with an event on its way.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::sandbox::duration_text;

/// What happens to the next event. Where it is spoilt, only its first attempt is: when the receiver refuses it, what
/// comes again is as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "disturbance", rename_all = "snake_case")]
pub enum Disturbance {
    /// Nothing: lets events through between others.
    Pass,
    /// It is sent so many times more, with the same id.
    Duplicate {
        /// How many times more.
        times: u32,
    },
    /// It is sent after the one that comes after it, or when the queue is flushed.
    Reorder,
    /// It is sent this much later.
    Delay {
        /// How much.
        #[serde(rename = "for", with = "duration_text")]
        duration: Duration,
    },
    /// It is sent, and once more this much later, with the same id.
    Again {
        /// How much.
        #[serde(rename = "for", with = "duration_text")]
        duration: Duration,
    },
    /// It is sent when events are released.
    Hold,
    /// It is never sent.
    Lose,
    /// It is signed with another secret.
    WrongSignature,
    /// It is not signed.
    NoSignature,
    /// Its header has no `eventId`; the signature is right.
    NoEventId,
    /// Its body is no JSON; the signature is right.
    Garbage,
}

impl Disturbance {
    /// The name that deliveries show.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Duplicate { .. } => "duplicate",
            Self::Reorder => "reorder",
            Self::Delay { .. } => "delay",
            Self::Again { .. } => "again",
            Self::Hold => "hold",
            Self::Lose => "lose",
            Self::WrongSignature => "wrong_signature",
            Self::NoSignature => "no_signature",
            Self::NoEventId => "no_event_id",
            Self::Garbage => "garbage",
        }
    }
}
