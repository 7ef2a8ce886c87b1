//! One event on its way to the receiver.

use bytes::Bytes;
use jiff::Timestamp;

use crate::webhooks::{disturbance::Disturbance, event::Event, signature};

/// What is posted until it has arrived.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) event_type: String,
    pub(crate) event_id: String,
    /// Counts up with each event; copies of one have the same.
    pub(crate) number: u64,
    /// As it should be.
    body: Bytes,
    /// As the first attempt has it instead.
    spoilt: Option<Bytes>,
    disturbance: Option<Disturbance>,
    pub(crate) failures: u32,
    pub(crate) failing_since: Option<Timestamp>,
}

impl Message {
    pub(crate) fn new(event: &Event, number: u64, disturbance: Option<Disturbance>) -> Self {
        let body = Bytes::from(event.envelope(true));
        let spoilt = match disturbance {
            Some(Disturbance::NoEventId) => Some(Bytes::from(event.envelope(false))),
            Some(Disturbance::Garbage) => Some(body.slice(..body.len() / 2)),
            _ => None,
        };
        Self {
            event_type: event.event_type.clone(),
            event_id: event.id.to_string(),
            number,
            body,
            spoilt,
            disturbance,
            failures: 0,
            failing_since: None,
        }
    }

    /// Bytes that are no event of the simulator's.
    pub(crate) fn raw(body: Bytes, number: u64) -> Self {
        Self {
            event_type: String::new(),
            event_id: String::new(),
            number,
            body,
            spoilt: None,
            disturbance: None,
            failures: 0,
            failing_since: None,
        }
    }

    /// What is wrong with the next attempt.
    pub(crate) fn disturbance(&self) -> Option<Disturbance> {
        self.disturbance.filter(|_| self.failures == 0)
    }

    /// Body and signature of the next attempt.
    pub(crate) fn posted(&self, secret: Option<&str>) -> (Bytes, Option<String>) {
        let disturbance = self.disturbance();
        let spoilt = self.spoilt.as_ref().filter(|_| disturbance.is_some());
        let body = spoilt.unwrap_or(&self.body).clone();
        let signature = match (secret, disturbance) {
            (None, _) | (_, Some(Disturbance::NoSignature)) => None,
            (Some(secret), Some(Disturbance::WrongSignature)) => {
                Some(signature::of(&format!("not {secret}"), &body))
            }
            (Some(secret), _) => Some(signature::of(secret, &body)),
        };
        (body, signature)
    }
}
