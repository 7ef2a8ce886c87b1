//! What a verified body becomes: an event, or bytes that are stored apart.

use jiff::Timestamp;

use super::signature::Verified;
use crate::service::events::{Arrival, Incoming};
use crate::transatel::event;

/// Reads an event. What is signed and cannot be read is kept as it came, not
/// refused.
pub(super) fn read(verified: Verified, received_at: Timestamp) -> Arrival {
    let body = verified.into_body();
    match event::read(&body, received_at) {
        Ok(report) => {
            if !report.is_shown_whole {
                tracing::warn!(
                    event_id = report.event.id,
                    "an event is nested deeper than callers can read: its depths are kept and not shown"
                );
            }
            Arrival::Event(Box::new(Incoming {
                event: report.event,
                body: report.body,
            }))
        }
        Err(reason) => Arrival::Unreadable {
            body,
            reason,
            received_at,
        },
    }
}
