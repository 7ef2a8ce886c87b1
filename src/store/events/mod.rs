//! The log of events: what the provider reported, and what became of orders and
//! operations, in the order in which it became durable.
//!
//! Events of the provider are appended here. Those of the gateway are kept by the
//! database itself, in the transaction that changes a state in the ledger: the
//! trigger `orders_outcome` of the migrations. In SQLite, which has one writer,
//! it appends them to the log. In PostgreSQL it would make all changes wait for
//! each other's commit, so it sets them aside, and [`EventLog::publish`] appends
//! them in batches.
//!
//! Numbers have no gaps and follow the order of commits of all replicas: a
//! reader that has seen number *n* has seen everything before it.

pub(super) mod append;
mod details;
pub(super) mod operations;
mod row;
pub(super) mod selection;
pub(super) mod statements;

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

/// What was received. It holds personal data.
#[derive(Clone)]
pub enum Arrival {
    /// An event.
    Event(Box<Incoming>),
    /// A body with a valid signature that cannot be read.
    Unreadable {
        /// As received.
        body: Bytes,
        /// What is wrong with it; nothing of its content.
        reason: &'static str,
        /// When it was received.
        received_at: Timestamp,
    },
}

/// A received event.
#[derive(Clone)]
pub struct Incoming {
    /// The event; `order_id` is the reference that it carries, and what the
    /// ledger knows of that order or of the transaction is absent.
    pub event: Event,
    /// Its body as JSON, as received.
    pub body: String,
}

/// What became of an arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It was added with this number.
    New {
        /// Its place in the log.
        sequence: u64,
        /// The order that it names, if that is in the ledger.
        order_id: Option<WriteId>,
    },
    /// It was in the log already.
    Known,
    /// It is stored apart, as unreadable.
    Apart,
}

/// An event in the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Logged {
    /// Its position.
    pub sequence: u64,
    /// The event, joined to its order or operation.
    pub event: Event,
    /// Its body, without what is nested too deep to be passed on.
    pub attributes: Opaque,
    /// Columns that could not be read; their values are absent.
    pub damaged: Vec<&'static str>,
}

impl Logged {
    /// Distinguishes it from another event with its number.
    pub fn mark(&self) -> Mark {
        self.event.mark(self.sequence)
    }
}

/// What the log holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The log's name, which lasts as long as the database.
    pub log: Uuid,
    /// Number of the earliest event that is kept; the next number when there is
    /// none.
    pub earliest: u64,
    /// Number of the last event; 0 before the first.
    pub latest: u64,
}

pub use selection::Selection;

/// Keeps events. Every method is durable when it returns. With PostgreSQL none
/// takes longer than `store.operation_timeout` allows; if the future is dropped
/// or fails, the write may or may not have happened.
#[async_trait]
pub trait EventLog: Send + Sync + 'static {
    /// Stores all of these or, on an error, perhaps none: repeat them. Returns
    /// results in their order. An event whose id is in the log is `Known`, also
    /// when it occurs twice in `arrivals`.
    async fn append(&self, arrivals: Vec<Arrival>) -> Result<Vec<Appended>>;

    /// The provider's events of an order, in the order of the log, without their
    /// bodies and details.
    async fn events_of(&self, order: WriteId) -> Result<Vec<Event>>;

    /// Events after this number, at most `limit`, in order. The first is not
    /// the next number when that one is no longer kept.
    async fn events_after(&self, sequence: u64, limit: u32) -> Result<Vec<Logged>>;

    /// Events after a number and up to another that a selection admits, at most
    /// `limit`, in order.
    async fn select(&self, selection: &Selection, after: u64, until: u64, limit: u32) -> Result<Vec<Logged>>;

    /// Appends the outcomes of the ledger that are not in the log yet, and
    /// returns how many. Those of one order are in the order of its changes.
    async fn publish(&self) -> Result<u64>;

    /// What the log holds.
    async fn extent(&self) -> Result<Extent>;

    /// When the last event of the provider was received; `None` when there is none
    /// among the newest events.
    async fn last_received_at(&self) -> Result<Option<Timestamp>>;

    /// Until when time has certainly passed, for deletion by age. It follows
    /// `now`, which may be wrong, at no more than twice the pace of `elapsed`
    /// since the last call: a clock that is ahead deletes nothing early, and a
    /// process that did not run for a while catches up. A clock that is behind
    /// deletes less, and the stored value never decreases.
    async fn aged_until(&self, now: Timestamp, elapsed: Duration) -> Result<Timestamp>;

    /// Deletes what was received before this: events in the order of the log, and
    /// what could not be read. Returns how much.
    async fn forget_events(&self, received_before: Timestamp) -> Result<u64>;

    /// Placed orders that were settled within these bounds and that no event of
    /// the provider names: the oldest, at most `limit`.
    async fn orders_without_event(
        &self,
        from: Timestamp,
        until: Timestamp,
        limit: i64,
    ) -> Result<Vec<WriteId>>;

    /// Notifies whenever another process may have appended, until it is
    /// dropped. A store that cannot detect that never notifies.
    async fn listen(&self, appended: &Notify);
}
