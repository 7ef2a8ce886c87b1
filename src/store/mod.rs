//! What must survive the process: the ledger of writes, the stock of SIMs, the
//! log of events and the history of the catalog.
//!
//! Owns everything that is SQL. Two stores, one behaviour, held by one
//! conformance suite each (`tests/it/writes/ledger.rs`, `tests/it/events/event_log.rs`,
//! `tests/it/reads/catalog_history.rs`): SQLite in a file beside the
//! process, and PostgreSQL for several replicas. Guarantees that a method
//! which returned `Ok` is durable, that a state only follows one that
//! [`State::may_become`](crate::domain::write::State::may_become) allows, that
//! at most one write is in flight per [`Slot`], and that no two orders claim
//! one subscription.

mod backend;
mod begin;
pub mod catalog;
mod deletion;
mod durability;
mod error;
mod error_kind;
pub mod events;
mod kind;
mod limits;
mod migrations;
pub mod moves;
mod open;
mod operations;
mod pages;
mod postgres;
mod progress;
mod row;
mod session;
mod spend;
mod sqlite;
mod statements;
pub mod stock;
mod sums;
mod visit;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

use crate::domain::failure::Failure;
use crate::domain::limits::{Limits, Refusal};
use crate::domain::spend::{Days, Spent};
use crate::domain::write::{Activation, Kind, RequestId, State, Write, WriteId};
use crate::domain::{Iccid, Msisdn};

pub use crate::domain::write::Note;
pub use backend::Connections;
pub use catalog::{Appending, CatalogHistory, Keep};
pub use durability::durability;
pub use error::{Error, ErrorKind, Result};
pub use events::EventLog;
pub use open::{OpenError, Opened, open, open_with, visit};
pub use pages::{Filter, OperationFilter};
pub use progress::{Progress, Report};
pub use stock::{KNOWN_AT_ONCE, StockFilter, StockStore, Taken, Wanted};

/// At most one write is in flight per slot: that makes reconciliation
/// unambiguous.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Slot {
    /// Of orders: a product on a SIM.
    Product {
        /// The SIM.
        msisdn: Msisdn,
        /// The product that is added to it, or that the subscription is of.
        product_id: String,
    },
    /// Of operations: the SIM itself, whatever changes.
    Sim {
        /// The number that it has.
        msisdn: Msisdn,
    },
}

impl Slot {
    /// The SIM.
    pub fn msisdn(&self) -> &Msisdn {
        match self {
            Self::Product { msisdn, .. } | Self::Sim { msisdn } => msisdn,
        }
    }

    /// The slot that a write occupies.
    pub fn of(kind: &Kind) -> Self {
        let product = |msisdn: &Msisdn, product_id: &String| Self::Product {
            msisdn: msisdn.clone(),
            product_id: product_id.clone(),
        };
        match kind {
            Kind::Purchase(purchase) => product(&purchase.line.msisdn, &purchase.terms.product_id),
            Kind::Subscription(change) => product(&change.line.msisdn, &change.product_id),
            Kind::Sim(change) => Self::Sim {
                msisdn: change.msisdn.clone(),
            },
        }
    }
}

/// What the ledger holds of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotStatus {
    /// The write in flight.
    pub in_flight: Option<WriteId>,
    /// Number of attempts for the slot that are in the ledger. It differs
    /// whenever an order began and ended in between.
    pub generation: i64,
    /// A request has reserved the SIM in the stock.
    pub is_reserved: bool,
}

/// What the ledger holds of a request that is for a slot.
#[derive(Clone, Debug, PartialEq)]
pub enum LookUp {
    /// Its write.
    Known(Box<Record>),
    /// Nothing; what it holds of the slot.
    New(SlotStatus),
}

/// A purchase for a SIM, as far as another one for the SIM depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimPurchase {
    /// Its id.
    pub id: WriteId,
    /// Its latest attempt.
    pub attempt: i32,
    /// Its state.
    pub state: State,
    /// Whether it may show yet although it is not known to have been carried out.
    pub is_watched: bool,
    /// The card, where it is known.
    pub iccid: Option<Iccid>,
    /// The subscription that came of it, where it is known.
    pub subscription_id: Option<String>,
}

/// A write and the data needed to determine its outcome.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The write.
    pub write: Write,
    /// Number of the attempt, from 1. Only a `NOT_DONE` order is attempted
    /// again.
    pub attempt: i32,
    /// Subscriptions that were on the SIM before the first attempt: only others
    /// may have come of the order.
    pub first_baseline: Vec<String>,
    /// Subscriptions that were on the SIM before this attempt: an inventory
    /// that lacks one of them is incomplete.
    pub baseline: Vec<String>,
    /// This attempt was sent no later than this, if at all.
    pub sent_by: Timestamp,
    /// Number of checks in its state.
    pub checks: i32,
    /// When the next check is due.
    pub due_at: Option<Timestamp>,
    /// When it was last checked, by any process.
    pub checked_at: Option<Timestamp>,
    /// What the checks have observed so far.
    pub observed: Observed,
}

/// What the checks of an order have observed. The spans are sums of what each
/// checking process measured between two checks, so no step of a wall clock
/// lengthens them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// For how long nothing of the order has shown, while everything could be
    /// read.
    pub absent_for: Duration,
    /// For how long it has been watched in its state.
    pub watched_for: Duration,
}

/// An attempt that is about to be sent.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The write; its state is `SUBMITTING`. Its id is new, or that of the write of
    /// its request which is to be sent again.
    pub write: Write,
    /// Subscriptions that are on the SIM.
    pub baseline: Vec<String>,
    /// The slot's generation before the baseline was read.
    pub generation: i64,
    /// The purchases for the SIM before anything was read of it, when none of them may
    /// have begun or changed since; `None` when that does not matter.
    pub alone: Option<Vec<SimPurchase>>,
    /// Until then no other process may treat this one as dead.
    pub lease_until: Timestamp,
    /// The process that carries it out.
    pub owner: Uuid,
    /// What the caller may order; `None` without limits.
    pub limits: Option<Arc<Limits>>,
}

/// Result of beginning an attempt.
#[derive(Clone, Debug)]
pub enum Begun {
    /// It is durable: send. For a repeated `NOT_DONE` order, with its own id,
    /// creation time and the number of the attempt.
    Yes(Box<Record>),
    /// The request id is known, and its write cannot be attempted again, is not the
    /// one that the attempt repeats, or was carried out, as an event proves.
    Known(Box<Record>),
    /// Another write is in flight for the slot.
    Busy(WriteId),
    /// Another write began and ended since the baseline was read, or has begun
    /// for a SIM that had to be alone: read it again.
    Moved,
    /// The SIM is no longer reserved for the request.
    Unreserved,
    /// The SIM is reserved for another request.
    Reserved,
    /// The caller, or all together, would have ordered too much.
    Limited(Refusal),
}

/// The outcome to record for a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// Carried out: true of the write, whichever attempt it resulted from.
    Done {
        /// The resulting subscription of a purchase; `None` when the provider
        /// did not say, and for every other kind.
        subscription_id: Option<String>,
        /// The provider's reference, when it gave one.
        provider_reference: Option<String>,
        /// When to check for the subscription that the provider did not name.
        next_check_at: Option<Timestamp>,
    },
    /// Refused. Attempts before this one are still checked.
    Rejected(Failure),
    /// Perhaps carried out.
    Unknown {
        /// The provider's reference for what it is doing, when it gave one.
        provider_reference: Option<String>,
        /// This attempt was sent no later than this.
        sent_by: Timestamp,
        /// When to check.
        next_check_at: Timestamp,
    },
    /// Not carried out, as far as can be seen. Not accepted for an order that
    /// an event proves to be carried out, unless an operator decides so.
    NotDone {
        /// When to check whether it was after all.
        next_check_at: Option<Timestamp>,
    },
    /// An operator has to decide.
    NeedsOperator(Failure),
}

impl Settlement {
    /// The state that it leads to.
    pub fn state(&self) -> State {
        match self {
            Self::Done { .. } => State::Done,
            Self::Rejected(_) => State::Rejected,
            Self::Unknown { .. } => State::Unknown,
            Self::NotDone { .. } => State::NotDone,
            Self::NeedsOperator(_) => State::NeedsOperator,
        }
    }
}

/// What became of a settlement.
#[derive(Clone, Debug)]
pub enum Settled {
    /// Recorded; the write as it is now.
    Yes(Box<Record>),
    /// The write is in a state that does not allow it, was attempted again
    /// meanwhile, or an event contradicts it; the write as it is.
    No(Box<Record>),
    /// There is no such write.
    Gone,
    /// Another order of the SIM has claimed the subscription, or another write
    /// is in flight in the slot that this one would occupy.
    Claimed,
}

/// What remains of a released write.
#[derive(Clone, Debug)]
pub enum Released {
    /// Nothing: the write is gone.
    Gone,
    /// The write as it is: it was attempted before, or settled meanwhile.
    Kept(Box<Record>),
}

/// Which attempts a process takes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakeOver {
    /// All: no other process can be using the ledger.
    All,
    /// Those whose lease has ended, unless this process carries them out
    /// itself.
    DeadExcept(Uuid),
}

/// The result of a check that settles nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check {
    /// When.
    pub at: Timestamp,
    /// When the check was due. If that has changed meanwhile, another check was
    /// requested and is not postponed.
    pub was_due_at: Option<Timestamp>,
    /// What has been observed by now.
    pub observed: Observed,
    /// When to check again; `None` for never.
    pub next_check_at: Option<Timestamp>,
}

/// Which subscriptions of a SIM belong to orders.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// Those that are named.
    pub subscription_ids: Vec<String>,
    /// Other purchases of this product to which an unclaimed subscription may
    /// belong: done without a subscription id, in flight, or not done as far as
    /// could be seen and still checked.
    pub rivals: i64,
}

/// A write by one of its ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The gateway's.
    Write(WriteId),
    /// The caller's.
    Request(RequestId),
}

/// How many writes of a kind are in a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// [`Kind::name`], or `unknown` when it cannot be read.
    pub kind: &'static str,
    /// The state's name for that kind.
    pub state: &'static str,
    /// How many.
    pub writes: i64,
}

/// A write in flight, without anything of its SIM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InFlight {
    /// The write.
    pub id: WriteId,
    /// As in [`Count`].
    pub kind: &'static str,
    /// As in [`Count`].
    pub state: &'static str,
    /// When it last changed.
    pub since: Option<Timestamp>,
}

/// Keeps writes. Every method is durable when it returns. With PostgreSQL none
/// takes longer than `store.operation_timeout` allows; if the future is dropped
/// or fails, the write may or may not have happened.
#[async_trait]
pub trait Ledger: Send + Sync + 'static {
    /// The time of leases and checks: the database's where several processes
    /// share it.
    async fn now(&self) -> Result<Timestamp>;

    /// A write by one of its ids.
    async fn find(&self, key: Key) -> Result<Option<Record>>;

    /// The status of a slot.
    async fn slot_status(&self, slot: &Slot) -> Result<SlotStatus>;

    /// The write of a request, or the status of its slot when there is none.
    async fn look_up(&self, request_id: RequestId, slot: &Slot) -> Result<LookUp>;

    /// The purchases for a SIM, of whatever product, in the order of their ids.
    async fn sim_purchases(&self, msisdn: &Msisdn) -> Result<Vec<SimPurchase>>;

    /// Begins an attempt: the last step before it is sent.
    async fn begin(&self, attempt: Attempt) -> Result<Begun>;

    /// Records the outcome of an attempt, unless the write has moved on. `Done`
    /// is true of the write, so it does not matter which attempt is named. An
    /// operator's note is stored with it.
    async fn settle(
        &self,
        id: WriteId,
        attempt: i32,
        settlement: Settlement,
        note: Option<Note>,
        now: Timestamp,
    ) -> Result<Settled>;

    /// Records how an attempt at a purchase is sent now, when that is not as it
    /// was begun. Before it is sent.
    async fn set_activation_used(&self, id: WriteId, attempt: i32, activation: Activation) -> Result<()>;

    /// Withdraws an attempt that was certainly not sent: the write is deleted,
    /// or `NOT_DONE` again when this was not its first attempt.
    async fn release(&self, id: WriteId, attempt: i32, now: Timestamp) -> Result<Released>;

    /// Makes writes whose process died `UNKNOWN`. A lease beyond `horizon` is a
    /// clock error and counts as ended. Returns how many.
    async fn take_over(&self, whose: TakeOver, now: Timestamp, horizon: Timestamp) -> Result<u64>;

    /// Writes whose check is due, at most `limit`, leased to the caller:
    /// `UNKNOWN` ones, purchases that are `DONE` without a subscription, and
    /// those not done or refused that are still watched. No other process gets
    /// them before the lease ends. A check or a lease beyond `horizon` is a
    /// clock error and counts as due. A row that cannot be read is logged and
    /// postponed, and does not block the others.
    async fn take_due(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        horizon: Timestamp,
        limit: i64,
    ) -> Result<Vec<Record>>;

    /// Records a check that settled nothing, and ends the lease.
    async fn postpone(&self, id: WriteId, attempt: i32, check: Check) -> Result<()>;

    /// Which subscriptions of a SIM belong to other orders; rivals are counted
    /// for the slot only.
    async fn claims(&self, slot: &Slot, other_than: WriteId) -> Result<Claims>;

    /// Makes the pending check of a write due now, by the write's id or the
    /// provider's reference. Returns how many were found.
    async fn make_due(&self, name: &str, now: Timestamp) -> Result<u64>;

    /// Orders, newest first, beginning after one of them.
    async fn page(&self, filter: &Filter, after: Option<WriteId>, limit: i64) -> Result<Vec<Write>>;

    /// Operations on SIMs, newest first, beginning after one of them.
    async fn page_of_operations(
        &self,
        filter: &OperationFilter,
        after: Option<WriteId>,
        limit: i64,
    ) -> Result<Vec<Write>>;

    /// Deletes settled writes that have not changed since. Returns how many.
    async fn purge(&self, unchanged_since: Timestamp) -> Result<u64>;

    /// The number of writes per kind and state; zero counts may be absent.
    async fn counts(&self) -> Result<Vec<Count>>;

    /// The purchases that were last sent on these days and are placed or in
    /// flight, of all callers or of one. Those that are placed stay when the writes
    /// are deleted.
    async fn spend(&self, days: Days, caller: Option<&str>) -> Result<Vec<Spent>>;

    /// How many purchases each caller has first requested since; callers that are
    /// not known are one.
    async fn new_orders(&self, since: Timestamp) -> Result<Vec<(Option<String>, i64)>>;

    /// When the oldest `UNKNOWN` write became so.
    async fn unknown_since(&self) -> Result<Option<Timestamp>>;

    /// The writes that have been in a state for longest, the oldest first; none
    /// for a state that is not [in flight](State::is_in_flight).
    async fn oldest_in_flight(&self, state: State, limit: i64) -> Result<Vec<InFlight>>;
}
