//! What a verified body becomes: an event, or bytes that are stored apart.

use jiff::Timestamp;

use super::signature::Verified;
use crate::service::events::{Arrival, Incoming};
use crate::transatel::event;

/// Reads an event. A body with a valid signature that cannot be read is stored
/// as received, not refused.
pub(super) fn read(verified: Verified, received_at: Timestamp) -> Arrival {
    let body = verified.into_body();
    match event::read(&body, received_at) {
        Ok(report) => {
            if !report.is_kept_whole {
                tracing::warn!(
                    event_id = report.event.id,
                    "a part of an event cannot be read: the rest is kept"
                );
            } else if !report.is_shown_whole {
                tracing::warn!(
                    event_id = report.event.id,
                    "an event is nested deeper than callers can read: the deeper levels are kept and not shown"
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
