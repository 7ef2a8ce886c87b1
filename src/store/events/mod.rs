//! the log of events: what the provider reported, in the order in which it was
//! made durable.
//!
//! Numbers have no gaps and follow the order of commits, whoever appends: a
//! reader that has seen number *n* has seen everything before it.

pub(super) mod append;
pub(super) mod operations;
mod row;
mod statements;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::Notify;
use uuid::Uuid;

use super::Result;
use crate::domain::event::{Event, Mark};
use crate::domain::opaque::Opaque;
use crate::domain::write::WriteId;

/// What came in. It holds personal data.
#[derive(Clone)]
pub enum Arrival {
    /// An event.
    Event(Box<Incoming>),
    /// A body that was signed and cannot be read.
    Unreadable {
        /// As it came.
        body: Bytes,
        /// What is wrong with it; nothing of what is in it.
        reason: &'static str,
        /// When.
        received_at: Timestamp,
    },
}

/// An event that came in.
#[derive(Clone)]
pub struct Incoming {
    /// The event; `order_id` is the reference that it carries, and
    /// `request_id` absent.
    pub event: Event,
    /// Its body as JSON, as it came.
    pub body: String,
}

/// What became of something that came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It has this number.
    New {
        /// Its place in the log.
        sequence: u64,
        /// The order that it names, which is in the ledger.
        order_id: Option<WriteId>,
    },
    /// It was there already.
    Known,
    /// It is kept apart.
    Apart,
}

/// An event in the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Logged {
    /// Its place.
    pub sequence: u64,
    /// The event, joined to its order.
    pub event: Event,
    /// Its body, without what is nested too deep to be passed on.
    pub attributes: Opaque,
    /// Columns that could not be read; what is in them is absent.
    pub damaged: Vec<&'static str>,
}

impl Logged {
    /// What tells it from another event with its number.
    pub fn mark(&self) -> Mark {
        self.event.mark(self.sequence)
    }
}

/// What there is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The log's name, for as long as the database lives.
    pub log: Uuid,
    /// Number of the earliest event that is kept; the next one's when there is
    /// none.
    pub earliest: u64,
    /// Number of the last event that came; 0 before the first.
    pub latest: u64,
    /// When the last one that is kept came.
    pub last_received_at: Option<Timestamp>,
}

/// Keeps events. Every method is durable when it returns. With PostgreSQL none
/// takes longer than `store.operation_timeout` allows; a caller that is dropped, and an
/// error, leave it open whether a write happened.
#[async_trait]
pub trait EventLog: Send + Sync + 'static {
    /// Keeps all of these or, on an error, perhaps none: repeat them. Answers
    /// in their order. An event whose id is in the log is `Known`, also when
    /// it stands twice in `arrivals`.
    async fn append(&self, arrivals: Vec<Arrival>) -> Result<Vec<Appended>>;

    /// The events of an order, in the order of the log, without their bodies.
    async fn events_of(&self, order: WriteId) -> Result<Vec<Event>>;

    /// Events after this number, at most so many, in order. The first is not
    /// the next number when that one is no longer kept.
    async fn events_after(&self, sequence: u64, limit: u32) -> Result<Vec<Logged>>;

    /// What there is.
    async fn extent(&self) -> Result<Extent>;

    /// Until when time has certainly passed, for whoever deletes by age. It
    /// follows `now`, which may be wrong, at twice the pace of what `elapsed`
    /// since the last call: a clock that is ahead deletes nothing early, and a
    /// process that did not run for a while catches up. A clock that is behind
    /// deletes less, and what is known to have passed stays known.
    async fn aged_until(&self, now: Timestamp, elapsed: Duration) -> Result<Timestamp>;

    /// Forgets what came before this, in the order of the log. Returns how
    /// many events.
    async fn forget_events(&self, received_before: Timestamp) -> Result<u64>;

    /// Bought orders that were settled within these bounds and that no event
    /// names: the oldest, at most so many.
    async fn orders_without_event(
        &self,
        from: Timestamp,
        until: Timestamp,
        limit: i64,
    ) -> Result<Vec<WriteId>>;

    /// Notifies whenever another process may have appended, until it is dropped.
    /// A store that cannot tell never notifies.
    async fn listen(&self, appended: &Notify);
}
