//! How events are sent.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{duration_text, world::clock::after};

/// How events are sent and sent again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSettings {
    /// How long after it happened an event is sent, by its type or a beginning of it that ends in `/`; empty for
    /// every type. The longest that fits decides.
    #[serde(with = "duration_text::by_name")]
    pub delays: BTreeMap<String, Duration>,
    /// How long a receiver may take to answer.
    #[serde(with = "duration_text")]
    pub timeout: Duration,
    /// How long after a failure an event is sent again. Every ten minutes, as older documentation says.
    #[serde(with = "duration_text")]
    pub retry_after: Duration,
    /// By what that time grows with each failure of the event. 1 is always the same.
    pub retry_factor: u32,
    /// The most that it grows to.
    #[serde(with = "duration_text")]
    pub retry_at_most: Duration,
    /// When an event has failed for so long the stream is suspended, and everything that waits is lost. Ten hours,
    /// as older documentation says.
    #[serde(with = "duration_text")]
    pub give_up_after: Duration,
    /// How many events are on their way at a time. With more than one their order is not kept.
    pub in_flight: usize,
    /// How many events may wait; more are lost.
    pub capacity: usize,
    /// Type of the event of a subscription that will start by itself. Published documentation cuts it off. Empty sends none.
    pub deferred_event: String,
    /// The member of eSIM events that has the ICCID: unpublished, `simSerial` or `iccid`.
    pub esim_serial_member: String,
}

impl Default for WebhookSettings {
    fn default() -> Self {
        Self {
            delays: BTreeMap::new(),
            timeout: Duration::from_secs(10),
            retry_after: Duration::from_secs(600),
            retry_factor: 1,
            retry_at_most: Duration::from_secs(3_600),
            give_up_after: Duration::from_secs(36_000),
            in_flight: 1,
            capacity: 10_000,
            deferred_event: "OCS/PRODUCT/DEFERRED".to_owned(),
            esim_serial_member: "simSerial".to_owned(),
        }
    }
}

impl WebhookSettings {
    /// How much later than it happened an event of this type is sent.
    pub(crate) fn delay(&self, event_type: &str) -> Duration {
        let fits = |name: &str| {
            name.is_empty() || name == event_type || (name.ends_with('/') && event_type.starts_with(name))
        };
        self.delays
            .iter()
            .filter(|(name, _)| fits(name))
            .max_by_key(|(name, _)| name.len())
            .map_or(Duration::ZERO, |(_, delay)| *delay)
    }

    /// When an event is sent again that has failed so often.
    pub(crate) fn next_attempt(&self, failures: u32, now: Timestamp) -> Timestamp {
        let growth = self.retry_factor.saturating_pow(failures.saturating_sub(1));
        let wait = self.retry_after.saturating_mul(growth);
        after(now, wait.min(self.retry_at_most.max(self.retry_after)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_a_limit() {
        let settings = WebhookSettings {
            retry_after: Duration::from_secs(10),
            retry_factor: 3,
            retry_at_most: Duration::from_secs(60),
            ..WebhookSettings::default()
        };
        let now = Timestamp::UNIX_EPOCH;
        let waits: Vec<_> = (1..=5)
            .map(|failures| settings.next_attempt(failures, now).as_second())
            .collect();
        assert_eq!(waits, [10, 30, 60, 60, 60]);
        let settings = WebhookSettings::default();
        assert_eq!(settings.next_attempt(40, now).as_second(), 600);
    }
}
