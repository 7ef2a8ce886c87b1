//! Writes: orders, which cost money, and operations on SIMs. Each is sent once,
//! and followed until its outcome is known or an operator decides.
//!
//! * [`Writes`] is the interface.
//! * `request` answers a request from the ledger or takes it, through its
//!   kind's preparation, to the executor.
//! * `purchase`, `subscription` and `sim` are the kinds: how each is prepared,
//!   sent and judged. `add_on` is what the purchase of an add-on needs.
//! * `unused` is what is checked for a SIM that nothing may use yet.
//! * `validation` answers what a purchase would get, without one.
//! * `in_the_way` is what an error says of a write that keeps another one from
//!   being sent.
//! * `executor` carries out one attempt, detached from the call: begins it in
//!   the ledger, sends it once, settles it. `flight` is how calls wait for it.
//! * `reconcile` determines the outcome of attempts without an answer; `checks`
//!   measures for how long; `verdict` is what one check can conclude.
//! * `capabilities` is what the settings enable.
//! * `limits` shows how much of their limits callers have used.
//! * `lists` are pages of what the ledger holds, `spend` its sums.
//! * `waits` is how reads wait for an outcome.
//! * `evidence` is what the provider's events prove.
//! * `resolution` is what an operator decides where nothing can be determined.
//!
//! The rule that everything here serves: a write is sent only after the ledger
//! durably holds it as `SUBMITTING`, and from no other state is anything ever
//! sent.

mod add_on;
mod capabilities;
mod checks;
mod evidence;
mod executor;
mod flight;
mod in_the_way;
mod limits;
mod lists;
mod operations;
mod prepared;
mod purchase;
mod reconcile;
mod request;
mod resolution;
mod sim;
mod spend;
pub mod steps;
mod subscription;
mod time_left;
mod unused;
mod validation;
mod verdict;
mod waits;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::{Catalog, Sims};
use crate::config;
use crate::domain::change::{OptionalOperation, SimTerms};
use crate::domain::failure::Reason;
use crate::domain::limit_use::Watched;
use crate::domain::limits::AllLimits;
use crate::domain::write::{Kind, Order, PurchaseTerms, RequestId, State, SubscriptionTerms, Write};
use crate::domain::{Clock, Deadline, Error, Iccid, Requester, Result, Scope, SimRef};
use crate::store::{self, EventLog, Ledger, Record, Slot};
use crate::telemetry::Metrics;
use crate::transatel::Transatel;
use checks::Checks;
use flight::Flights;
use steps::Steps;
pub(super) use time_left::ensure_time;
use waits::Waits;

pub use crate::store::{Filter, Key, Note, OperationFilter};
pub use capabilities::Capabilities;
pub use resolution::Resolution;
pub use spend::{Group, Groups, SpendQuery, Sums};
pub use validation::Validated;

/// The use cases that change something. Cheap to clone.
#[derive(Clone)]
pub struct Writes {
    inner: Arc<Inner>,
}

struct Inner {
    provider: Transatel,
    sims: Sims,
    catalog: Catalog,
    ledger: Arc<dyn Ledger>,
    log: Arc<dyn EventLog>,
    config: config::Orders,
    limits: AllLimits,
    watched: Watched,
    clock: Clock,
    steps: Steps,
    metrics: Arc<Metrics>,
    /// Identifies this process in the ledger.
    process: Uuid,
    /// Tasks of attempts in flight: the last ones to be waited for at shutdown.
    submissions: TaskTracker,
    /// Tasks that follow what other processes record.
    followers: TaskTracker,
    flights: Flights,
    waits: Waits,
    checks: Checks,
    /// Notified when a check may be due sooner than planned.
    wake_up: Notify,
    /// Notified when an outcome was recorded, which becomes an event.
    outcomes: Arc<Notify>,
}

/// The dependencies of the use cases.
pub struct Parts {
    /// The provider.
    pub provider: Transatel,
    /// SIMs.
    pub sims: Sims,
    /// Products.
    pub catalog: Catalog,
    /// The writes.
    pub ledger: Arc<dyn Ledger>,
    /// The log of events, which proves outcomes of orders.
    pub log: Arc<dyn EventLog>,
    /// To be notified when this process has recorded an outcome.
    pub outcomes: Arc<Notify>,
    /// Settings.
    pub config: config::Orders,
    /// What callers may order.
    pub limits: AllLimits,
    /// Those that are shown.
    pub watched: Watched,
    /// Instruments.
    pub metrics: Arc<Metrics>,
    /// Runs the attempts.
    pub submissions: TaskTracker,
    /// The wall clock.
    pub clock: Clock,
    /// Hooks at the steps of an attempt.
    pub steps: Steps,
}

/// What a caller requests, under its idempotency key.
#[derive(Clone, Debug)]
pub struct Request {
    /// The caller's id.
    pub request_id: RequestId,
    /// Who requests it.
    pub by: Requester,
    /// For which SIM.
    pub sim: SimRef,
    /// The requested change.
    pub terms: Terms,
    /// Whether a purchase is only sent for a SIM that nothing uses. The ledger does not
    /// keep it: it is a condition of the call.
    pub require_unused: bool,
}

/// The requested change, apart from the SIM.
#[derive(Clone, Debug)]
pub enum Terms {
    /// A purchase.
    Purchase(PurchaseTerms),
    /// A change of a subscription; its product is looked up.
    Subscription(SubscriptionTerms),
    /// A change of the SIM.
    Sim {
        /// The terms.
        terms: SimTerms,
        /// The SIM has to have this card.
        confirmed: Option<Iccid>,
    },
}

impl Terms {
    /// The operation that has to be enabled; `None` for buying.
    fn required(&self) -> Option<OptionalOperation> {
        match self {
            Self::Purchase(_) => None,
            Self::Subscription(terms) => Some(OptionalOperation::of_subscription(terms.action)),
            Self::Sim { terms, .. } => Some(OptionalOperation::of_sim(&terms.action)),
        }
    }

    /// The fields in which these differ from the terms of a known write, apart from
    /// the SIM; `None` when that is of another kind.
    fn differences(&self, known: &Kind) -> Option<Vec<&'static str>> {
        match (self, known) {
            (Self::Purchase(terms), Kind::Purchase(known)) => Some(terms.differences(&known.terms)),
            (Self::Subscription(terms), Kind::Subscription(known)) => terms.differences(&known.terms),
            (Self::Sim { terms, confirmed }, Kind::Sim(known)) => {
                let mut fields = terms.differences(&known.terms)?;
                let is_confirmed = confirmed.as_ref().is_none_or(|card| *card == known.iccid);
                fields.extend((!is_confirmed).then_some("confirm_iccid"));
                Some(fields)
            }
            _ => None,
        }
    }
}

impl Writes {
    /// Sends nothing yet.
    pub fn new(parts: Parts) -> Self {
        let Parts {
            provider,
            sims,
            catalog,
            ledger,
            log,
            outcomes,
            config,
            limits,
            watched,
            metrics,
            submissions,
            clock,
            steps,
        } = parts;
        metrics.show_limits(watched.names(), &watched.limits());
        let refusals = Reason::ALL.into_iter().filter(|reason| reason.is_refusal());
        let refusals: Vec<_> = refusals.map(Reason::name).collect();
        metrics.show_refusals(&["purchase", "subscription", "sim"], &refusals);
        Self {
            inner: Arc::new(Inner {
                provider,
                sims,
                catalog,
                ledger,
                log,
                config,
                limits,
                watched,
                clock,
                steps,
                metrics,
                process: Uuid::new_v4(),
                submissions,
                followers: TaskTracker::new(),
                flights: Flights::default(),
                waits: Waits::default(),
                checks: Checks::default(),
                wake_up: Notify::new(),
                outcomes,
            }),
        }
    }

    /// Buys or changes a subscription, or answers the outcome of an earlier
    /// call with the same id.
    ///
    /// Cancel-safe: what was begun is carried out.
    ///
    /// # Errors
    /// Any error means that this call bought and changed nothing.
    /// [`Error::AfterLedger`] also says what the ledger held of the id; only
    /// that, or [`get`](Self::get), says anything about earlier calls.
    pub async fn create_order(&self, request: &Request, deadline: Deadline) -> Result<Order> {
        let write = self.execute(request, deadline).await?;
        write.into_order().ok_or_else(Error::id_of_another)
    }

    /// An order by one of its ids, settled if that happens within `wait`.
    /// Cancel-safe.
    ///
    /// # Errors
    /// `ORDER_NOT_FOUND` also beyond the scope; `LEDGER_UNAVAILABLE`; `DEADLINE_EXCEEDED` when it
    /// cannot be determined in time whether an order that may be repeated was
    /// carried out after all.
    pub async fn get(&self, key: Key, wait: Duration, scope: &Scope, deadline: Deadline) -> Result<Order> {
        let record = self.find_order(key, scope).await?;
        let record = self.confirmed(record, deadline).await?;
        let record = self.settled_within(wait, record, deadline).await?;
        let order = record.and_then(|record| record.write.into_order());
        order.ok_or(Error::OrderNotFound)
    }

    /// The SIM that a request has an order for, by its card where that is known.
    ///
    /// # Errors
    /// `LEDGER_UNAVAILABLE`.
    pub(super) async fn sim_of(&self, request_id: RequestId) -> Result<Option<SimRef>> {
        let known = self.find(Key::Request(request_id)).await?;
        Ok(known.map(|record| {
            let kind = &record.write.kind;
            match kind.iccid() {
                Some(iccid) => SimRef::Iccid(iccid.clone()),
                None => SimRef::Msisdn(kind.msisdn().clone()),
            }
        }))
    }

    /// An order that is not known to have been carried out, after its events in
    /// the log were read. When that takes too long or fails, the order as it is
    /// in the ledger, unless it would be sent again.
    async fn confirmed(&self, record: Record, deadline: Deadline) -> Result<Record> {
        if matches!(record.write.state, State::Done | State::Submitting) {
            return Ok(record);
        }
        let as_known = record.clone();
        let confirmed = self.inner.confirm(record);
        match tokio::time::timeout_at(time_left::answer_at(deadline), confirmed).await {
            Ok(Ok(record)) => Ok(record),
            Ok(Err(error)) if as_known.write.may_be_sent_again() => Err(unavailable(error)),
            Err(_) if as_known.write.may_be_sent_again() => Err(Error::DeadlineExceeded),
            Ok(Err(_)) | Err(_) => Ok(as_known),
        }
    }

    /// The operation that the request needs is enabled.
    fn ensure_enabled(&self, terms: &Terms) -> Result<()> {
        match terms.required() {
            Some(operation) if !self.inner.provider.is_enabled(operation) => {
                Err(Error::OperationNotEnabled {
                    provider: Default::default(),
                })
            }
            Some(_) | None => Ok(()),
        }
    }

    async fn find_order(&self, key: Key, scope: &Scope) -> Result<Record> {
        let record = self.find(key).await?;
        record
            .filter(|record| record.write.is_order() && scope.admits(record.write.caller.as_deref()))
            .ok_or(Error::OrderNotFound)
    }

    async fn find(&self, key: Key) -> Result<Option<Record>> {
        self.inner.ledger.find(key).await.map_err(unavailable)
    }
}

/// The answer to a caller whose write is no longer being sent.
fn outcome(write: Write) -> Result<Write> {
    match (write.state, &write.failure) {
        (State::Rejected, Some(failure)) => {
            let failure = failure.clone();
            Err(match write.is_order() {
                true => Error::OrderRejected {
                    order_id: write.id,
                    failure,
                },
                false => Error::SimOperationRejected {
                    operation_id: write.id,
                    failure,
                    sim_status: None,
                },
            })
        }
        _ => Ok(write),
    }
}

fn unavailable(error: store::Error) -> Error {
    // The call is logged as failed, and why where the store is measured.
    tracing::debug!(%error, "the ledger of orders failed");
    Error::LedgerUnavailable
}

impl Inner {
    /// Reports a state that was reached, in the metrics and the log, to the calls
    /// that wait for it and, as the ledger made it an event, to followers.
    fn report(&self, write: &Write) {
        self.count(write);
        let (kind, state) = (write.kind.name(), write.state_name());
        if let (State::Rejected, Some(failure)) = (write.state, &write.failure) {
            self.metrics.refused(kind, failure.reason.name());
        }
        let (order_id, caller) = (write.id, write.caller.as_deref());
        match write.state {
            State::NeedsOperator => {
                tracing::error!(%order_id, kind, state, caller, "an operator has to find out what became of an order");
            }
            State::Unknown => {
                tracing::warn!(%order_id, kind, state, caller, "it is not known whether an order was carried out")
            }
            _ => tracing::info!(%order_id, kind, state, caller, "order"),
        }
    }

    /// Reports that the provider is carrying an operation out. Its outcome is open,
    /// as it is after every operation for a while.
    fn report_accepted(&self, write: &Write) {
        self.count(write);
        let (order_id, caller) = (write.id, write.caller.as_deref());
        let (kind, state) = (write.kind.name(), write.state_name());
        tracing::info!(%order_id, kind, state, caller, "the provider has accepted an operation");
    }

    fn count(&self, write: &Write) {
        self.waits.notify(write.id);
        if !write.state.is_unsettled() {
            self.outcomes.notify_one();
        }
        self.metrics.write(write.kind.name(), write.state_name());
    }
}
