//! Orders: bought once, known always. Changes of SIMs go the same way.
//!
//! * [`Orders`] is what callers can do; `operations` what they can do to SIMs.
//! * `create` is a call that wants something done, from what is known to the
//!   send.
//! * `purchase` and `follow_up` look at what has to be so before an order is
//!   sent.
//! * `submission` carries one attempt out, detached from whoever asked;
//!   `flight` is how others wait for it.
//! * `reconcile` finds out what became of attempts that gave no answer; `looks`
//!   measures for how long it has looked.
//! * `evidence` is what events say, the provider's own word.
//! * `resolution` takes an operator's word where nothing can be found out.
//! * `verdict` and `sim_change` are its judgement, as pure functions.
//!
//! The rule that everything here serves: an order is sent only after the
//! ledger durably holds it as `SUBMITTING`, and from no other state is
//! anything ever sent.

mod create;
mod evidence;
mod flight;
mod follow_up;
mod looks;
mod operations;
mod purchase;
mod reconcile;
mod resolution;
mod sim_change;
pub mod steps;
mod submission;
mod verdict;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::{Catalog, Sims};
use crate::config;
use crate::domain::act::{Act, Optional};
use crate::domain::order::{Order, OrderId, RequestId, State, Wish};
use crate::domain::{Clock, Deadline, Error, Iccid, Msisdn, Result, SimIds, SimRef};
use crate::store::{self, EventLog, Filter, OrderLedger, Record, Slot};
use crate::telemetry::Metrics;
use crate::transatel::Transatel;
use flight::Flights;
use looks::Looks;
use steps::Steps;
use submission::Choice;

pub use crate::store::{Key, Note};
pub use resolution::Resolution;

/// The order use cases. Cheap to clone.
#[derive(Clone)]
pub struct Orders {
    inner: Arc<Inner>,
}

struct Inner {
    provider: Transatel,
    sims: Sims,
    catalog: Catalog,
    ledger: Arc<dyn OrderLedger>,
    log: Arc<dyn EventLog>,
    config: config::Orders,
    clock: Clock,
    steps: Steps,
    metrics: Arc<Metrics>,
    /// Names this process in the ledger.
    process: Uuid,
    /// Attempts on their way: the last thing to be waited for at the end.
    submissions: TaskTracker,
    /// Those who ask after attempts of other processes.
    followers: TaskTracker,
    flights: Flights,
    looks: Looks,
    /// Something may have to be looked for sooner than planned.
    wake_up: Notify,
}

/// What the order use cases are made of.
pub struct Parts {
    /// The way to the provider.
    pub provider: Transatel,
    /// SIMs.
    pub sims: Sims,
    /// Products.
    pub catalog: Catalog,
    /// The orders.
    pub ledger: Arc<dyn OrderLedger>,
    /// The events, which are the provider's word on orders.
    pub log: Arc<dyn EventLog>,
    /// Settings.
    pub config: config::Orders,
    /// Instruments.
    pub metrics: Arc<Metrics>,
    /// What attempts run on.
    pub submissions: TaskTracker,
    /// The wall clock.
    pub clock: Clock,
    /// What tests want to happen on the way.
    pub steps: Steps,
}

/// A wish with its name.
#[derive(Clone, Debug)]
pub struct Command {
    /// The caller's id of the wish.
    pub request_id: RequestId,
    /// For which SIM.
    pub sim: SimRef,
    /// What. Of an order about a bundle, the bundle's product is found.
    pub wish: Wish,
    /// Nothing is done unless the SIM has this card.
    pub confirmed: Option<Iccid>,
    /// Who asks, when that is known.
    pub caller: Option<String>,
}

/// Where an act takes place.
struct Target {
    slot: Slot,
    /// What is known of the SIM so far.
    sim: SimIds,
}

/// What is known before an act is written down and sent.
struct Prepared {
    sim: SimIds,
    /// Of a purchase.
    choice: Option<Choice>,
    /// Subscriptions that cannot be what comes of it.
    baseline: Vec<String>,
}

/// What a look before a purchase leads to.
enum Prospect {
    /// It may be sent.
    Ready(Prepared),
    /// It is settled after all: an earlier attempt was carried out, or that
    /// cannot be told.
    Settled(Box<Record>),
    /// The card that was named has another number than the target: the target
    /// has to be found again, and will be the one that was just read.
    Moved,
}

/// Which orders are wanted. What is absent does not filter.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Of this SIM.
    pub sim: Option<SimRef>,
    /// In one of these states.
    pub states: Vec<State>,
    /// Created at or after.
    pub created_from: Option<Timestamp>,
    /// Created before.
    pub created_until: Option<Timestamp>,
}

/// The caller gets its answer this long before its deadline, so that it
/// arrives.
const ANSWER_AHEAD: Duration = Duration::from_millis(100);
/// With less time than this an order is not sent: its answer could not be
/// told.
const LEAST_TIME: Duration = Duration::from_millis(150);

impl Orders {
    /// Prepares; sends nothing yet.
    pub fn new(parts: Parts) -> Self {
        let Parts {
            provider,
            sims,
            catalog,
            ledger,
            log,
            config,
            metrics,
            submissions,
            clock,
            steps,
        } = parts;
        Self {
            inner: Arc::new(Inner {
                provider,
                sims,
                catalog,
                ledger,
                log,
                config,
                clock,
                steps,
                metrics,
                process: Uuid::new_v4(),
                submissions,
                followers: TaskTracker::new(),
                flights: Flights::default(),
                looks: Looks::default(),
                wake_up: Notify::new(),
            }),
        }
    }

    /// An order by one of its names.
    ///
    /// # Errors
    /// `ORDER_NOT_FOUND`, `LEDGER_UNAVAILABLE`; `DEADLINE_EXCEEDED` when it
    /// cannot be told in time whether an order that may be repeated was
    /// carried out after all.
    pub async fn get(&self, key: Key, deadline: Deadline) -> Result<Order> {
        let record = self.find_order(key).await?;
        Ok(self.confirmed(record, deadline).await?.order)
    }

    /// An order that is not known to have been carried out, after the log of
    /// events was asked. When that takes too long or fails, the order as it is
    /// known, unless it would be sent again.
    async fn confirmed(&self, record: Record, deadline: Deadline) -> Result<Record> {
        if matches!(record.order.state, State::Placed | State::Submitting) {
            return Ok(record);
        }
        let as_known = record.clone();
        let confirmed = self.inner.confirm(record);
        match tokio::time::timeout_at(deadline.at() - ANSWER_AHEAD, confirmed).await {
            Ok(Ok(record)) => Ok(record),
            Ok(Err(error)) if as_known.order.may_be_sent_again() => Err(unavailable(error)),
            Err(_) if as_known.order.may_be_sent_again() => Err(Error::DeadlineExceeded),
            Ok(Err(_)) | Err(_) => Ok(as_known),
        }
    }

    /// Orders, newest first, at most this many, beginning after one of them.
    ///
    /// # Errors
    /// `LEDGER_UNAVAILABLE`, and those of finding a SIM's MSISDN.
    pub async fn list(&self, wanted: &Wanted, after: Option<OrderId>, limit: u32) -> Result<Vec<Order>> {
        let msisdn = match &wanted.sim {
            None => None,
            Some(sim) => Some(self.inner.sims.msisdn(sim).await?),
        };
        let filter = Filter {
            msisdn,
            states: wanted.states.clone(),
            created_from: wanted.created_from,
            created_until: wanted.created_until,
        };
        self.inner
            .ledger
            .page(&filter, after, i64::from(limit))
            .await
            .map_err(unavailable)
    }

    /// What has to be enabled is.
    fn ensure_enabled(&self, act: &Act) -> Result<()> {
        match Optional::of(act) {
            Some(operation) if !self.inner.provider.is_enabled(operation) => {
                Err(Error::OperationNotEnabled {
                    provider: Default::default(),
                })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// An order: changes of SIMs are none.
    async fn find_order(&self, key: Key) -> Result<Record> {
        let record = self.find(key).await?;
        record
            .filter(|record| record.order.wish.act.on_sim().is_none())
            .ok_or(Error::OrderNotFound)
    }

    async fn find(&self, key: Key) -> Result<Option<Record>> {
        self.inner.ledger.find(key).await.map_err(unavailable)
    }

    fn msisdn_of(order: &Order) -> Option<&Msisdn> {
        order.sim.msisdn.as_ref()
    }
}

/// What a caller is told of an order that is no longer on its way.
fn outcome(order: Order) -> Result<Order> {
    match (order.state, &order.failure) {
        (State::Rejected, Some(failure)) => {
            let failure = failure.clone();
            Err(match order.wish.act.on_sim() {
                None => Error::OrderRejected {
                    order_id: order.id,
                    failure,
                },
                Some(_) => Error::SimOperationRejected {
                    operation_id: order.id,
                    failure,
                },
            })
        }
        _ => Ok(order),
    }
}

/// Another order is in flight where this act wants to be.
fn busy(act: &Act, other: OrderId) -> Error {
    match act.on_sim() {
        None => Error::OrderInProgress { order_id: other },
        Some(_) => Error::SimOperationInProgress { operation_id: other },
    }
}

fn unavailable(error: store::Error) -> Error {
    tracing::error!(%error, "the ledger of orders failed");
    Error::LedgerUnavailable
}

impl Inner {
    /// A state was reached: for the metrics and the log.
    fn report(&self, order: &Order) {
        self.metrics.order(order.state.name());
        let (order_id, state, caller) = (order.id, order.state.name(), order.caller.as_deref());
        match order.state {
            State::NeedsOperator => {
                tracing::error!(%order_id, state, caller, "an operator has to find out what became of an order");
            }
            State::Unknown => {
                tracing::warn!(%order_id, state, caller, "it is not known whether an order was carried out")
            }
            _ => tracing::info!(%order_id, state, caller, "order"),
        }
    }
}
