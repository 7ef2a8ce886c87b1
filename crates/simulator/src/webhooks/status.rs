//! The state of the stream of events, as the control API shows it.

use serde::Serialize;

/// How the stream of events stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct WebhookStatus {
    /// Where events are sent, without the secret; missing when they are not.
    pub url: Option<String>,
    /// Whether it was suspended after failing for too long.
    pub suspended: bool,
    /// Whether nothing is sent until events are released.
    pub holding: bool,
    /// Events that wait for their time, for a release, or to be sent again.
    pub waiting: usize,
    /// Events that are being sent.
    pub in_flight: usize,
    /// Events that somebody wanted since the start. One that is sent twice counts once.
    pub published: u64,
    /// Messages that were answered with 204.
    pub delivered: u64,
    /// Events that will never be sent.
    pub lost: u64,
}
