//! The last attempts to deliver an event, so that tests see what was really sent.

use serde::Serialize;

/// One attempt that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Delivery {
    /// Counts up from 1 in the order in which attempts ended.
    pub number: u64,
    /// The simulator's time when it ended.
    pub at: String,
    /// Where it was sent.
    pub url: String,
    /// Type of the event; empty when a control call has sent bytes of its own.
    pub event_type: String,
    /// Id of the event, whether the body had it or not.
    pub event_id: String,
    /// 1 for the first attempt with this message.
    pub attempt: u32,
    /// What was wrong with it on purpose.
    pub disturbance: Option<&'static str>,
    /// `X-TSL-Signature-256` as sent.
    pub signature: Option<String>,
    /// The body as sent.
    pub body: String,
    /// HTTP status of the answer. Only 204 is a success.
    pub status: Option<u16>,
    /// Why there was no answer.
    pub error: Option<String>,
}
