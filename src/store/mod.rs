//! What must survive the process: the ledger of orders and the log of events.
//!
//! Owns everything that is SQL. Two stores, one behaviour, held by one
//! conformance suite each (`tests/it/writes/ledger.rs`, `tests/it/events/event_log.rs`): SQLite in a file beside the
//! process, and PostgreSQL for several replicas. Guarantees that a method
//! which returned `Ok` is durable, that a state only follows one that
//! [`State::may_become`](crate::domain::order::State::may_become) allows, that
//! at most one order is in flight per [`Slot`], and that no two orders claim
//! one subscription.

mod act;
mod durability;
mod error;
pub mod events;
mod migrations;
pub mod moves;
mod open;
mod operations;
mod postgres;
mod row;
mod session;
mod sqlite;
mod statements;

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

use crate::domain::Msisdn;
use crate::domain::order::{Failure, Order, OrderId, RequestId, State};

pub use durability::durability;
pub use error::{Error, Result};
pub use events::EventLog;
pub use open::{OpenError, Opened, open};

/// At most one order is in flight for it: that makes reconciliation
/// unambiguous.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Slot {
    /// The SIM.
    pub msisdn: Msisdn,
    /// What is put on it.
    pub product_id: String,
}

/// What the ledger says about a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// The order in flight.
    pub in_flight: Option<OrderId>,
    /// Attempts that were ever made and are still in the ledger. Differs
    /// whenever an order came and went in between.
    pub generation: i64,
}

/// An order and what is needed to find out what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The order.
    pub order: Order,
    /// Which attempt at it this is, from 1. Only a `NOT_PLACED` order is
    /// attempted again.
    pub attempt: i32,
    /// Subscriptions that were on the SIM before the first attempt: what is
    /// not among them may have come of the order.
    pub first_baseline: Vec<String>,
    /// Subscriptions that were on the SIM before this attempt: an inventory
    /// that lacks one of them is not complete.
    pub baseline: Vec<String>,
    /// This attempt was sent no later than this, if at all.
    pub sent_by: Timestamp,
    /// How often it was looked for in its state.
    pub checks: i32,
    /// When the next look is due.
    pub due_at: Option<Timestamp>,
    /// When somebody last looked.
    pub checked_at: Option<Timestamp>,
    /// What those who looked have observed so far.
    pub observed: Observed,
}

/// What looks at an order have observed. The spans are sums of what the
/// clocks of those who looked have measured between two looks: no step of a
/// wall clock lengthens them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// For how long nothing of the order has shown, while all could be read.
    pub absent_for: Duration,
    /// For how long it has been looked for in its state.
    pub watched_for: Duration,
}

/// An attempt that is about to be sent.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The order; its state is `SUBMITTING`.
    pub order: Order,
    /// Subscriptions that are on the SIM.
    pub baseline: Vec<String>,
    /// The slot's generation before the baseline was read.
    pub generation: i64,
    /// Until then nobody else may think that this process is dead.
    pub lease_until: Timestamp,
    /// The process that carries it out.
    pub owner: Uuid,
}

/// What became of the wish to begin an attempt.
#[derive(Clone, Debug)]
pub enum Begun {
    /// It is durable: send. For a repeated `NOT_PLACED` order, its own id,
    /// creation time and number of the attempt.
    Yes(Box<Record>),
    /// The request id is known, and its order is not one that is attempted
    /// again, or an event says that it was carried out.
    Known(Box<Record>),
    /// Another order is in flight for the slot.
    Busy(OrderId),
    /// An order came and went since the baseline was read: read it again.
    Moved,
}

/// What an order becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// Bought: true of the order whichever attempt it came of.
    Placed {
        /// The bundle; `None` when the provider did not say.
        subscription_id: Option<String>,
        /// The provider's reference, when it gave one.
        provider_reference: Option<String>,
        /// When to look for the bundle that the provider did not name.
        next_check_at: Option<Timestamp>,
    },
    /// Refused. Attempts before this one are looked for as before.
    Rejected(Failure),
    /// Perhaps bought.
    Unknown {
        /// The provider's name for what it is doing, when it gave one.
        provider_reference: Option<String>,
        /// This attempt was sent no later than this.
        sent_by: Timestamp,
        /// When to look.
        next_check_at: Timestamp,
    },
    /// Not bought, as far as can be seen. Not accepted for an order that an
    /// event says was carried out, except as an operator's word.
    NotPlaced {
        /// When to look whether it was after all.
        next_check_at: Option<Timestamp>,
    },
    /// A person has to look.
    NeedsOperator(Failure),
}

impl Settlement {
    /// The state that it leads to.
    pub fn state(&self) -> State {
        match self {
            Self::Placed { .. } => State::Placed,
            Self::Rejected(_) => State::Rejected,
            Self::Unknown { .. } => State::Unknown,
            Self::NotPlaced { .. } => State::NotPlaced,
            Self::NeedsOperator(_) => State::NeedsOperator,
        }
    }
}

/// What became of a settlement.
#[derive(Clone, Debug)]
pub enum Settled {
    /// Done; the order as it is now.
    Yes(Box<Record>),
    /// The order is in a state that it may not leave like this, was attempted
    /// again meanwhile, or an event says otherwise; the order as it is.
    No(Box<Record>),
    /// There is no such order.
    Gone,
    /// Another order of the SIM has claimed the subscription, or is in flight
    /// where this one would be.
    Claimed,
}

/// What a release left of an order.
#[derive(Clone, Debug)]
pub enum Released {
    /// Nothing: the order is gone.
    Gone,
    /// The order as it is: attempted before, or settled meanwhile.
    Kept(Box<Record>),
}

/// Whose attempts a process takes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakeOver {
    /// All: nobody else can be using the ledger.
    All,
    /// Those whose lease has ended, unless this process carries them out.
    DeadExcept(Uuid),
}

/// The result of a look that settles nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// When.
    pub at: Timestamp,
    /// The look was due then. When that has changed meanwhile, somebody has
    /// asked for another look, which is not put off.
    pub was_due_at: Option<Timestamp>,
    /// What is known by now.
    pub observed: Observed,
    /// When to look again; `None` never.
    pub next_check_at: Option<Timestamp>,
}

/// An operator's word on an order, kept for the audit.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Note {
    /// Who.
    pub by: Option<String>,
    /// Why; may be empty.
    pub text: String,
}

/// Which subscriptions of a SIM belong to orders.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// Those that are named.
    pub subscription_ids: Vec<String>,
    /// Other orders of this product to which a subscription that no order
    /// claims may belong: placed without a name, in flight, or not placed as
    /// far as could be seen and still looked for.
    pub rivals: i64,
}

/// An order by one of its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// Ours.
    Order(OrderId),
    /// The caller's.
    Request(RequestId),
}

/// Which orders are wanted.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this SIM.
    pub msisdn: Option<Msisdn>,
    /// In one of these states; empty for all.
    pub states: Vec<State>,
    /// Created at or after.
    pub created_from: Option<Timestamp>,
    /// Created before.
    pub created_until: Option<Timestamp>,
}

/// Orders in a state, for metrics.
pub type Census = Vec<(State, i64)>;

/// Keeps orders. Every method is durable when it returns. With PostgreSQL none
/// takes longer than `store.operation_timeout` allows; a caller that is dropped, and an
/// error, leave it open whether a write happened.
#[async_trait]
pub trait OrderLedger: Send + Sync + 'static {
    /// The time that leases and looks go by: the database's where several
    /// processes share it.
    async fn now(&self) -> Result<Timestamp>;

    /// An order by one of its names.
    async fn find(&self, key: Key) -> Result<Option<Record>>;

    /// What is going on in a slot.
    async fn traffic(&self, slot: &Slot) -> Result<Traffic>;

    /// Begins an attempt: the last thing before it is sent.
    async fn begin(&self, attempt: Attempt) -> Result<Begun>;

    /// Writes down what became of an attempt, unless the order has moved on.
    /// `Placed` is true of the order, so that it does not matter which attempt
    /// is named. A note of an operator goes with it.
    async fn settle(
        &self,
        id: OrderId,
        attempt: i32,
        settlement: Settlement,
        note: Option<Note>,
        now: Timestamp,
    ) -> Result<Settled>;

    /// Takes back an attempt that was certainly not sent: the order is gone,
    /// or `NOT_PLACED` again when this was not its first attempt.
    async fn release(&self, id: OrderId, attempt: i32, now: Timestamp) -> Result<Released>;

    /// Makes orders whose process died `UNKNOWN`. A lease that lies beyond
    /// `horizon` is a clock's error and counts as ended. Returns how many.
    async fn take_over(&self, whose: TakeOver, now: Timestamp, horizon: Timestamp) -> Result<u64>;

    /// Orders that have to be looked for now, at most this many, leased to
    /// the caller: `UNKNOWN` ones, `PLACED` ones without a subscription, and
    /// those not placed or refused that are still watched. Nobody else gets
    /// them before the lease ends. A look or a lease that lies beyond
    /// `horizon` is a clock's error and counts as due. A row that cannot be
    /// read is logged and put off, and keeps no other from its turn.
    async fn take_due(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        horizon: Timestamp,
        limit: i64,
    ) -> Result<Vec<Record>>;

    /// Looked for and not settled: counts the look and ends the lease.
    async fn postpone(&self, id: OrderId, attempt: i32, look: Look) -> Result<()>;

    /// Which subscriptions of a SIM belong to orders other than this one;
    /// rivals are counted for the slot only.
    async fn claims(&self, slot: &Slot, other_than: OrderId) -> Result<Claims>;

    /// Makes an order that is looked for due now, by its id or the provider's
    /// name for what it is doing. Returns how many that were.
    async fn make_due(&self, name: &str, now: Timestamp) -> Result<u64>;

    /// Orders, newest first, beginning after one of them.
    async fn page(&self, filter: &Filter, after: Option<OrderId>, limit: i64) -> Result<Vec<Order>>;

    /// Forgets settled orders that have not changed since. Returns how many.
    async fn purge(&self, unchanged_since: Timestamp) -> Result<u64>;

    /// How many orders are in each state; states without any may be absent.
    async fn census(&self) -> Result<Census>;

    /// Since when an order has been `UNKNOWN` at the longest.
    async fn unknown_since(&self) -> Result<Option<Timestamp>>;
}
