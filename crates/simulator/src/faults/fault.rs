//! What can go wrong with one request.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{duration_text, kinds::Kind};

/// What happens to a request instead of an ordinary answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum Fault {
    /// Nothing: lets requests through between other steps.
    Pass,
    /// The answer comes this much later. Without `commit` the wait is before the request is carried out, with it
    /// after. It is carried out even when the caller has given up meanwhile, as a slow provider would.
    Delay {
        /// How long.
        #[serde(rename = "for", with = "duration_text")]
        duration: Duration,
    },
    /// It is carried out only when the caller has given up and its connection is gone, and this much later. There is
    /// no answer, with `commit` neither: then it is carried out at once.
    OnceGone {
        /// How much later.
        #[serde(rename = "for", with = "duration_text", default)]
        duration: Duration,
    },
    /// It is carried out, and answered when every event that it caused has arrived, or is lost.
    AfterEvents,
    /// As a delay, but until the gate of this name is released.
    Hold {
        /// Name of the gate.
        gate: String,
    },
    /// An answer with this status. Without a body it is the provider's error for that status.
    Status {
        /// HTTP status, 200 to 599.
        status: u16,
        /// Machine code in the error, when it shall be another than the usual one of the status.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        title: Option<String>,
        /// The body, verbatim. `Some("")` sends none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body: Option<String>,
        /// More headers, or others in place of the usual `content-type`.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        headers: BTreeMap<String, String>,
    },
    /// 429, with `Retry-After` in whole seconds when given.
    RateLimited {
        /// The time to wait that the answer names.
        #[serde(
            default,
            with = "duration_text::optional",
            skip_serializing_if = "Option::is_none"
        )]
        retry_after: Option<Duration>,
    },
    /// 401, as for a token that was revoked a moment ago.
    Unauthorized,
    /// The TCP connection is reset; without `commit`, before the body is read.
    Reset,
    /// The connection is closed in an orderly way, without an answer.
    Close,
    /// No answer ever comes; the connection stays open.
    Hang,
    /// A 200 that says it is JSON and is not.
    Garbage,
    /// The answer is cut off: fewer bytes come than `content-length` promises, then the connection closes.
    Truncated,
    /// As `Truncated`, but the connection stays open and the rest never comes.
    Stalled,
    /// A 200 with an HTML page, as from a proxy in between.
    Html,
    /// A 200 whose JSON is padded to this many bytes.
    Oversize {
        /// Length of the body.
        bytes: u64,
    },
}

/// Every fault, as the control API takes them.
pub(crate) const FAULTS: &[Kind] = &[
    Kind::new("pass", &[], "nothing: lets requests through between other steps"),
    Kind::new(
        "delay",
        &["for"],
        "the answer comes this much later; without commit it is carried out then, whether the caller still waits or not",
    ),
    Kind::new(
        "hold",
        &["gate"],
        "as delay, until the gate of this name is opened: POST /__sandbox/gates/{gate}/release",
    ),
    Kind::new(
        "once_gone",
        &["for?"],
        "carried out only once its caller has closed the connection, this much later; never answered",
    ),
    Kind::new(
        "after_events",
        &[],
        "carried out, and answered when every event that it caused has arrived or is lost",
    ),
    Kind::new(
        "status",
        &["status", "title?", "body?", "headers?"],
        "an answer with this status",
    ),
    Kind::new("rate_limited", &["retry_after?"], "429"),
    Kind::new("unauthorized", &[], "401, as for a token that was revoked"),
    Kind::new(
        "reset",
        &[],
        "the connection is reset; without commit, before the body is read",
    ),
    Kind::new("close", &[], "the connection is closed without an answer"),
    Kind::new("hang", &[], "no answer ever comes; the connection stays open"),
    Kind::new("garbage", &[], "a 200 that says it is JSON and is not"),
    Kind::new(
        "truncated",
        &[],
        "the answer is cut off, and the connection closes",
    ),
    Kind::new(
        "stalled",
        &[],
        "the answer is cut off, and the connection stays open",
    ),
    Kind::new("html", &[], "a 200 with an HTML page"),
    Kind::new(
        "oversize",
        &["bytes"],
        "a 200 whose JSON is padded to this many bytes",
    ),
];

impl Fault {
    /// An answer with this status and the provider's error for it.
    pub fn status(status: u16) -> Self {
        Self::Status {
            status,
            title: None,
            body: None,
            headers: BTreeMap::new(),
        }
    }

    /// An error answer with this status and machine code.
    pub fn problem(status: u16, title: impl Into<String>) -> Self {
        Self::Status {
            status,
            title: Some(title.into()),
            body: None,
            headers: BTreeMap::new(),
        }
    }

    /// An answer with this status and this body, verbatim.
    pub fn body(status: u16, body: impl Into<String>) -> Self {
        Self::Status {
            status,
            title: None,
            body: Some(body.into()),
            headers: BTreeMap::new(),
        }
    }

    /// The answer comes this much later.
    pub fn delay(duration: Duration) -> Self {
        Self::Delay { duration }
    }

    /// The request is carried out this much later than its caller has gone.
    pub fn once_gone(duration: Duration) -> Self {
        Self::OnceGone { duration }
    }

    /// The request waits at a gate.
    pub fn hold(gate: impl Into<String>) -> Self {
        Self::Hold { gate: gate.into() }
    }

    /// The name that the journal shows.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Delay { .. } => "delay",
            Self::OnceGone { .. } => "once_gone",
            Self::AfterEvents => "after_events",
            Self::Hold { .. } => "hold",
            Self::Status { .. } => "status",
            Self::RateLimited { .. } => "rate_limited",
            Self::Unauthorized => "unauthorized",
            Self::Reset => "reset",
            Self::Close => "close",
            Self::Hang => "hang",
            Self::Garbage => "garbage",
            Self::Truncated => "truncated",
            Self::Stalled => "stalled",
            Self::Html => "html",
            Self::Oversize { .. } => "oversize",
        }
    }
}
