//! What can go wrong with an event on its way.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::{Map, Value};

use crate::{duration_text, kinds, kinds::Kind};

/// What happens to the next event. Where it is spoilt, only its first attempt is: when the receiver refuses it, what
/// comes again is as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self", tag = "disturbance", rename_all = "snake_case")]
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

/// Every disturbance, as the control API takes them.
pub(crate) const DISTURBANCES: &[Kind] = &[
    Kind::new("pass", &[], "nothing: lets events through between others"),
    Kind::new(
        "duplicate",
        &["times"],
        "sent so many times more, with the same id",
    ),
    Kind::new(
        "again",
        &["for"],
        "sent, and once more this much later, with the same id",
    ),
    Kind::new("reorder", &[], "sent after the one that comes after it"),
    Kind::new("delay", &["for"], "sent this much later"),
    Kind::new("hold", &[], "sent when events are released"),
    Kind::new("lose", &[], "never sent"),
    Kind::new(
        "wrong_signature",
        &[],
        "signed with another secret at the first attempt",
    ),
    Kind::new("no_signature", &[], "not signed at the first attempt"),
    Kind::new("no_event_id", &[], "without eventId at the first attempt"),
    Kind::new("garbage", &[], "no JSON at the first attempt"),
];

impl Serialize for Disturbance {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Disturbance {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let members = Map::deserialize(deserializer)?;
        kinds::check("disturbance", DISTURBANCES, &[], &members).map_err(D::Error::custom)?;
        Self::deserialize(Value::Object(members)).map_err(D::Error::custom)
    }
}

impl Disturbance {
    /// The name that deliveries show.
    pub(crate) fn name(self) -> &'static str {
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
