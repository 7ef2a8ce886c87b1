//! Orders: bought once, known always.
//!
//! * [`Orders`] is what callers can do.
//! * `submission` carries one attempt out, detached from whoever asked.
//! * `reconcile` finds out what became of attempts that gave no answer.
//! * `heard` takes note of what events say.
//! * `verdict` is its judgement, as a pure function.
//!
//! The rule that everything here serves: an order is sent only after the
//! ledger durably holds it as `SUBMITTING`, and from no other state is
//! anything ever sent.

mod heard;
mod reconcile;
pub mod steps;
mod submission;
mod verdict;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

use super::{Catalog, Sims};
use crate::config;
use crate::domain::act::Act;
use crate::domain::error::Violation;
use crate::domain::order::{Activation, Order, OrderId, RequestId, State, Wish};
use crate::domain::{Deadline, Error, Money, Msisdn, Result, SimIds, SimRef, SimStatus};
use crate::store::{self, Attempt, Filter, OrderLedger, Record, Settled, Settlement, Slot};
use crate::telemetry::Metrics;
use crate::transatel::Transatel;
use crate::transatel::call::Patience;
use submission::{Answered, Flights};

pub use crate::store::{Key, Note};

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
    config: config::Orders,
    metrics: Arc<Metrics>,
    /// Attempts on their way: the last thing to be waited for at the end.
    submissions: TaskTracker,
    flights: Flights,
    /// Something may have to be looked for sooner than planned.
    hurry: Notify,
}

/// A wish with its name.
#[derive(Clone, Debug)]
pub struct Command {
    /// The caller's id of the wish.
    pub request_id: RequestId,
    /// For which SIM.
    pub sim: SimRef,
    /// What.
    pub wish: Wish,
    /// Who asks, when that is known.
    pub caller: Option<String>,
}

/// What an operator found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// This bundle came of it.
    Placed(String),
    /// Nothing came of it.
    NotPlaced,
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
/// An attempt that another replica carries out is looked at this often.
const POLL: Duration = Duration::from_millis(50);

impl Orders {
    /// Prepares; sends nothing yet. Attempts run on `submissions`.
    pub fn new(
        provider: Transatel,
        sims: Sims,
        catalog: Catalog,
        ledger: Arc<dyn OrderLedger>,
        config: config::Orders,
        metrics: Arc<Metrics>,
        submissions: TaskTracker,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                provider,
                sims,
                catalog,
                ledger,
                config,
                metrics,
                submissions,
                flights: Flights::default(),
                hurry: Notify::new(),
            }),
        }
    }

    /// Buys, or answers what became of an earlier call with the same id.
    ///
    /// Cancel-safe: what was begun is carried out.
    ///
    /// # Errors
    /// Any error means that nothing was bought.
    pub async fn create(&self, command: &Command, deadline: Deadline) -> Result<Order> {
        loop {
            let known = self.find(Key::Request(command.request_id)).await?;
            let again = match known {
                Some(record) => {
                    self.assert_same(&record, command).await?;
                    if record.order.state != State::NotPlaced {
                        match self.answer(record, deadline).await {
                            Some(answer) => return answer,
                            // Taken back meanwhile: begin anew.
                            None => continue,
                        }
                    }
                    Some(record.order)
                }
                None => None,
            };
            if let Some(answer) = self.attempt(command, again, deadline).await? {
                return answer;
            }
            if deadline.remaining() < LEAST_TIME {
                return Err(Error::DeadlineExceeded);
            }
        }
    }

    /// An order by one of its names.
    ///
    /// # Errors
    /// `ORDER_NOT_FOUND`, `LEDGER_UNAVAILABLE`.
    pub async fn get(&self, key: Key) -> Result<Order> {
        let record = self.find(key).await?.ok_or(Error::OrderNotFound)?;
        Ok(record.order)
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

    /// Takes an operator's word for what became of an order.
    ///
    /// # Errors
    /// `ORDER_NOT_FOUND`; `ORDER_NOT_RESOLVABLE` unless it needs an operator,
    /// or was resolved in the same way before; `INVALID_REQUEST` when the
    /// bundle belongs to another order; `LEDGER_UNAVAILABLE`.
    pub async fn resolve(&self, id: OrderId, resolution: &Resolution, note: Note) -> Result<Order> {
        let record = self.find(Key::Order(id)).await?.ok_or(Error::OrderNotFound)?;
        if record.order.state != State::NeedsOperator {
            return already(&record.order, resolution);
        }
        let settlement = match resolution {
            Resolution::Placed(subscription_id) => Settlement::Placed {
                subscription_id: Some(subscription_id.clone()),
                provider_reference: record.order.provider_reference.clone(),
                next_check_at: None,
            },
            Resolution::NotPlaced => Settlement::NotPlaced,
        };
        let settled = self
            .inner
            .ledger
            .settle(id, record.attempt, settlement, Some(note), Timestamp::now())
            .await
            .map_err(unavailable)?;
        match settled {
            Settled::Yes(record) => {
                self.inner.report(&record.order);
                Ok(record.order)
            }
            Settled::No(record) => already(&record.order, resolution),
            Settled::Gone => Err(Error::OrderNotFound),
            Settled::Claimed => Err(Error::InvalidRequest(vec![Violation {
                field: "subscription_id".into(),
                description: "belongs to another order of this SIM".into(),
            }])),
        }
    }

    async fn find(&self, key: Key) -> Result<Option<Record>> {
        self.inner.ledger.find(key).await.map_err(unavailable)
    }

    /// One wish, one id: anything else is a mistake of the caller's that
    /// must not be answered with somebody else's order.
    async fn assert_same(&self, record: &Record, command: &Command) -> Result<()> {
        let order = &record.order;
        let same_sim = order.sim.is(&command.sim)
            || order.sim.msisdn.as_ref() == Some(&self.inner.sims.msisdn(&command.sim).await?);
        if same_sim && order.wish == command.wish {
            Ok(())
        } else {
            Err(Error::RequestIdReused)
        }
    }

    /// The answer for an order that is known, waiting for one that is on its
    /// way. `None` when it was taken back.
    async fn answer(&self, record: Record, deadline: Deadline) -> Option<Result<Order>> {
        let answer_at = deadline.at() - ANSWER_AHEAD;
        let mut record = record;
        while record.order.state == State::Submitting {
            if let Some(flight) = self.inner.flights.of(record.order.id) {
                return match flight.answer(answer_at).await {
                    Answered::Ended(answer) => Some(answer),
                    Answered::Nothing => None,
                    Answered::Late(order) => Some(Ok(order.unwrap_or(record.order))),
                };
            }
            // Another process has it.
            if tokio::time::Instant::now() + POLL >= answer_at {
                break;
            }
            tokio::time::sleep(POLL).await;
            match self.find(Key::Order(record.order.id)).await {
                Ok(Some(now)) => record = now,
                Ok(None) => return None,
                // The order is durable: what is known of it is the answer.
                Err(_) => break,
            }
        }
        Some(outcome(record.order))
    }

    /// Everything before the send, and the send. `None` when the ledger
    /// moved on meanwhile, so that all has to be read again.
    async fn attempt(
        &self,
        command: &Command,
        again: Option<Order>,
        deadline: Deadline,
    ) -> Result<Option<Result<Order>>> {
        let inner = &self.inner;
        if !inner.provider.can_order() {
            return Err(Error::OperationNotEnabled {
                provider: Default::default(),
            });
        }
        self.assert_price(&command.wish).await?;
        let slot = Slot {
            msisdn: inner.sims.msisdn(&command.sim).await?,
            product_id: command.wish.product_id.clone(),
        };
        let traffic = inner.ledger.traffic(&slot).await.map_err(unavailable)?;
        if let Some(order_id) = traffic.in_flight {
            // Our own, when it began after we looked.
            return match self.find(Key::Request(command.request_id)).await? {
                Some(own) if own.order.id == order_id => Ok(None),
                _ => Err(busy(&command.wish.act, order_id)),
            };
        }
        steps::reached(steps::Step::BeforeReads).await;
        let patience = Patience::until(deadline);
        let ((choice, sim), present) = tokio::join!(
            self.choose(command, deadline),
            inner.provider.all_subscriptions(&slot.msisdn, patience)
        );
        let baseline = present?.into_iter().map(|subscription| subscription.id).collect();
        if deadline.remaining() < LEAST_TIME {
            return Err(Error::DeadlineExceeded);
        }
        let now = Timestamp::now();
        let again = again.map(|order| (order.id, order.created_at));
        let (id, created_at) = again.unwrap_or_else(|| (OrderId::new(), now));
        let attempt = Attempt {
            order: Order {
                id,
                request_id: command.request_id,
                sim: SimIds {
                    msisdn: Some(slot.msisdn),
                    ..sim
                },
                wish: command.wish.clone(),
                caller: command.caller.clone(),
                state: State::Submitting,
                subscription_id: None,
                provider_reference: None,
                failure: None,
                created_at,
                updated_at: now,
                next_check_at: None,
            },
            baseline,
            generation: traffic.generation,
            lease_until: now + inner.config.lease,
        };
        inner
            .submit(attempt, Some(choice), deadline.at() - ANSWER_AHEAD)
            .await
    }

    /// How the bundle begins, whether that was the caller's choice, and what
    /// is known of the SIM.
    async fn choose(&self, command: &Command, deadline: Deadline) -> (submission::Choice, SimIds) {
        use submission::Choice;
        if let Some(activation) = command.wish.activation {
            let sim = self.inner.sims.known(&command.sim).await;
            return (Choice::Callers(activation), sim);
        }
        match self.inner.sims.record(&command.sim, deadline).await {
            Ok(record) => {
                let activation = match record.status {
                    Some(SimStatus::Preactivated) | None => Activation::OnFirstUse,
                    Some(_) => Activation::Immediate,
                };
                (Choice::Ours(activation), record.ids)
            }
            // The order itself will tell: the wrong choice is refused without
            // harm, while `subscribe` may put a SIM into service.
            Err(_) => {
                let sim = self.inner.sims.known(&command.sim).await;
                (Choice::Ours(Activation::OnFirstUse), sim)
            }
        }
    }

    /// The product exists, and costs no more than the caller allows by a
    /// catalog that is not stale.
    async fn assert_price(&self, wish: &Wish) -> Result<()> {
        let Some(most) = wish.max_price else {
            return self
                .inner
                .catalog
                .product(None, &wish.product_id)
                .await
                .map(|_| ());
        };
        let price = self.inner.catalog.price(&wish.product_id).await?;
        compare(price, most)
    }

    fn msisdn_of(order: &Order) -> Option<&Msisdn> {
        order.sim.msisdn.as_ref()
    }
}

fn compare(price: Option<Money>, most: Money) -> Result<()> {
    let Some(known) = price else {
        return Err(Error::PriceNotComparable { price });
    };
    match known.compare(&most) {
        None => Err(Error::PriceNotComparable { price }),
        Some(std::cmp::Ordering::Greater) => Err(Error::PriceAboveMaximum { price: known }),
        Some(_) => Ok(()),
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

/// A resolution that was made before is no error, but no other one counts.
fn already(order: &Order, resolution: &Resolution) -> Result<Order> {
    let same = match resolution {
        Resolution::Placed(id) => order.state == State::Placed && order.subscription_id.as_ref() == Some(id),
        Resolution::NotPlaced => order.state == State::NotPlaced,
    };
    if same {
        Ok(order.clone())
    } else {
        Err(Error::OrderNotResolvable { state: order.state })
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
        let (order_id, state) = (order.id, order.state.name());
        match order.state {
            State::NeedsOperator => {
                tracing::error!(%order_id, state, "an operator has to find out what became of an order");
            }
            State::Unknown => {
                tracing::warn!(%order_id, state, "it is not known whether an order was carried out")
            }
            _ => tracing::info!(%order_id, state, "order"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::money::Currency;

    #[test]
    fn a_price_is_compared_only_with_its_like() {
        let money = |code: &str, cents| Money::from_cents(Currency::parse(code).unwrap(), cents);
        let most = money("EUR", 1000);
        assert_eq!(compare(Some(money("EUR", 1000)), most), Ok(()));
        assert_eq!(compare(Some(money("EUR", 0)), most), Ok(()));
        let price = money("EUR", 1001);
        assert_eq!(
            compare(Some(price), most),
            Err(Error::PriceAboveMaximum { price })
        );
        let price = Some(money("USD", 1));
        assert_eq!(compare(price, most), Err(Error::PriceNotComparable { price }));
        assert_eq!(
            compare(None, most),
            Err(Error::PriceNotComparable { price: None })
        );
    }
}
