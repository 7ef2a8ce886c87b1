//! One attempt at an order, carried out in a task of its own: whoever asked
//! may go away at any moment and changes nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;

use super::steps::{self, Step};
use super::{Inner, busy, outcome, unavailable};
use crate::domain::act::Act;
use crate::domain::order::{Activation, Order, OrderId, Reason};
use crate::domain::{Deadline, Error, Result};
use crate::store::{Attempt, Begun, Record, Settled, Settlement};
use crate::telemetry::propagation;
use crate::transatel::call::Patience;
use crate::transatel::orders::{OrderAct, Outcome};

/// How a bundle begins, and who said so.
#[derive(Clone, Copy, Debug)]
pub(super) enum Choice {
    /// Passed on whatever comes of it.
    Callers(Activation),
    /// A guess: the other one is tried when this one is refused.
    Ours(Activation),
}

/// How far an attempt is.
#[derive(Clone, Debug)]
enum Progress {
    /// Nothing is durable that is going to be sent.
    Beginning,
    /// Its caller's deadline passed first: it is not sent.
    Abandoned,
    /// On its way, with what the ledger holds.
    Sending(Box<Order>),
    /// Over. `None` when the ledger had moved on and nothing was begun.
    Ended(Box<Option<Result<Order>>>),
}

/// An attempt of this process.
#[derive(Debug)]
pub(super) struct Flight {
    progress: watch::Sender<Progress>,
}

/// What a flight tells those who wait.
#[derive(Debug)]
pub(super) enum Answered {
    /// What became of it.
    Ended(Result<Order>),
    /// It was never on its way, and never will be.
    Nothing,
    /// Nothing yet; the order as it stands, when it is on its way.
    Late(Option<Order>),
}

impl Flight {
    fn new() -> Self {
        Self {
            progress: watch::Sender::new(Progress::Beginning),
        }
    }

    /// Goes on from the beginning, unless somebody else did. Whoever of the
    /// caller's deadline and the ledger is first decides.
    fn leave_beginning(&self, next: Progress) -> bool {
        self.progress.send_if_modified(|progress| {
            let first = matches!(progress, Progress::Beginning);
            if first {
                *progress = next;
            }
            first
        })
    }

    /// Waits for the end. Cancel-safe.
    pub(super) async fn answer(&self, until: Instant) -> Answered {
        let mut progress = self.progress.subscribe();
        let ended = progress.wait_for(|progress| matches!(progress, Progress::Ended(_)));
        let _ = tokio::time::timeout_at(until, ended).await;
        let now = progress.borrow().clone();
        match now {
            Progress::Ended(answer) => match *answer {
                Some(answer) => Answered::Ended(answer),
                None => Answered::Nothing,
            },
            Progress::Sending(order) => Answered::Late(Some(*order)),
            Progress::Beginning | Progress::Abandoned => Answered::Late(None),
        }
    }
}

/// The attempts of this process, so that repeats wait for them.
#[derive(Debug, Default)]
pub(super) struct Flights {
    by_order: Mutex<HashMap<OrderId, Arc<Flight>>>,
}

impl Flights {
    fn lock(&self) -> MutexGuard<'_, HashMap<OrderId, Arc<Flight>>> {
        self.by_order.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn of(&self, id: OrderId) -> Option<Arc<Flight>> {
        self.lock().get(&id).cloned()
    }
}

/// Takes a flight off the list however its task ends.
struct Listed<'a> {
    flights: &'a Flights,
    id: OrderId,
}

impl<'a> Listed<'a> {
    fn new(flights: &'a Flights, id: OrderId, flight: &Arc<Flight>) -> Self {
        flights.lock().insert(id, Arc::clone(flight));
        Self { flights, id }
    }
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        self.flights.lock().remove(&self.id);
    }
}

/// Waits between tries to write down an outcome.
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

impl Inner {
    /// Carries an attempt out and waits for it until `answer_at`. `None` when
    /// the ledger moved on before it was begun.
    ///
    /// Cancel-safe: the attempt goes on.
    pub(super) async fn submit(
        self: &Arc<Self>,
        attempt: Attempt,
        choice: Option<Choice>,
        answer_at: Instant,
    ) -> Result<Option<Result<Order>>> {
        if self.submissions.is_closed() {
            return Err(Error::ShuttingDown);
        }
        // Measured from before the ledger's lease, so that sending has
        // stopped when the lease ends.
        let sending_until = Deadline::after(self.config.lease.mul_f64(0.75));
        let flight = Arc::new(Flight::new());
        let task = Arc::clone(self).carry_out(Arc::clone(&flight), attempt, choice, sending_until);
        self.submissions.spawn(propagation::carried(task));
        match flight.answer(answer_at).await {
            Answered::Ended(answer) => Ok(Some(answer)),
            Answered::Late(Some(order)) => Ok(Some(Ok(order))),
            Answered::Nothing => Ok(None),
            Answered::Late(None) => {
                if flight.leave_beginning(Progress::Abandoned) {
                    return Err(Error::DeadlineExceeded);
                }
                // It was begun in this very moment.
                match flight.answer(Instant::now()).await {
                    Answered::Ended(answer) => Ok(Some(answer)),
                    Answered::Late(Some(order)) => Ok(Some(Ok(order))),
                    Answered::Nothing | Answered::Late(None) => Ok(None),
                }
            }
        }
    }

    async fn carry_out(
        self: Arc<Self>,
        flight: Arc<Flight>,
        attempt: Attempt,
        choice: Option<Choice>,
        sending_until: Deadline,
    ) {
        steps::reached(Step::BeforeDurable).await;
        let act = attempt.order.wish.act.clone();
        let begun = match self.ledger.begin(attempt).await {
            Ok(begun) => begun,
            // Perhaps durable: then its lease ends, and it is found not to
            // have been placed.
            Err(error) => {
                flight.end(Some(Err(unavailable(error))));
                return;
            }
        };
        let record = match begun {
            Begun::Yes(record) => *record,
            Begun::Busy(other) => {
                flight.end(Some(Err(busy(&act, other))));
                return;
            }
            Begun::Known(_) | Begun::Moved => {
                flight.end(None);
                return;
            }
        };
        let id = record.order.id;
        let _listed = Listed::new(&self.flights, id, &flight);
        steps::reached(Step::Durable).await;
        if !flight.leave_beginning(Progress::Sending(Box::new(record.order.clone()))) {
            self.release(&record).await;
            flight.end(None);
            return;
        }
        self.report(&record.order);
        let outcome = self.send(&record, choice, sending_until).await;
        let sent_by = Timestamp::now();
        steps::reached(Step::Answered).await;
        let answer = self.write_down(record, outcome, sent_by).await;
        steps::reached(Step::Settled).await;
        flight.end(Some(answer));
    }

    /// Sends; the other activation too when the first was a guess of ours
    /// that was definitely refused.
    async fn send(&self, record: &Record, choice: Option<Choice>, until: Deadline) -> Outcome {
        let patience = Patience {
            attempt: Some(self.config.send_timeout),
            deadline: Some(until),
        };
        match &record.order.wish.act {
            Act::Buy => self.buy(record, choice, patience).await,
            Act::CancelRenewal { subscription_id } => {
                self.order(record, OrderAct::CancelRenewal(subscription_id), patience)
                    .await
            }
            Act::TerminateSubscription { subscription_id } => {
                self.order(record, OrderAct::Terminate(subscription_id), patience)
                    .await
            }
            Act::Sim(change) => match &record.order.sim.iccid {
                Some(iccid) => self.provider.change_sim(iccid, change, patience).await,
                None => Outcome::NotSent(Error::Internal),
            },
        }
    }

    async fn buy(&self, record: &Record, choice: Option<Choice>, patience: Patience) -> Outcome {
        let (first, guess) = match choice {
            None => return Outcome::NotSent(Error::Internal),
            Some(Choice::Callers(activation)) => (activation, false),
            Some(Choice::Ours(activation)) => (activation, true),
        };
        let outcome = self.order(record, OrderAct::Buy(first), patience).await;
        match &outcome {
            Outcome::Refused(failure) if guess && failure.reason == Reason::SimStatusNotEligible => {
                steps::reached(Step::BetweenActivations).await;
                self.order(record, OrderAct::Buy(first.other()), patience).await
            }
            _ => outcome,
        }
    }

    async fn order(&self, record: &Record, act: OrderAct<'_>, patience: Patience) -> Outcome {
        let Some(msisdn) = super::Orders::msisdn_of(&record.order) else {
            return Outcome::NotSent(Error::Internal);
        };
        let product_id = &record.order.wish.product_id;
        self.provider
            .order(record.order.id, msisdn, product_id, act, patience)
            .await
    }

    /// Makes the outcome durable, however long the ledger takes: until then
    /// the order stays `SUBMITTING`, and another process takes it over when
    /// the lease ends.
    async fn write_down(&self, record: Record, sent: Outcome, sent_by: Timestamp) -> Result<Order> {
        let settlement = match sent {
            Outcome::NotSent(error) => {
                self.release(&record).await;
                return Err(error);
            }
            // The bundle is known: it is no new one's name.
            Outcome::Placed {
                provider_reference, ..
            } if record.order.wish.act != Act::Buy => Settlement::Placed {
                next_check_at: None,
                subscription_id: None,
                provider_reference,
            },
            Outcome::Placed {
                subscription_id,
                provider_reference,
            } => Settlement::Placed {
                next_check_at: subscription_id.is_none().then_some(sent_by),
                subscription_id,
                provider_reference,
            },
            Outcome::Accepted { transaction } => Settlement::Unknown {
                provider_reference: transaction,
                sent_by,
                next_check_at: sent_by + self.config.poll_after,
            },
            Outcome::Refused(failure) => Settlement::Rejected(failure),
            Outcome::Unknown => Settlement::Unknown {
                provider_reference: None,
                sent_by,
                next_check_at: sent_by + self.config.reconcile_after.min(self.config.reconcile_at_most),
            },
        };
        let hurry = matches!(
            settlement,
            Settlement::Unknown { .. }
                | Settlement::Placed {
                    subscription_id: None,
                    ..
                }
        );
        let order = self.settle(record, settlement).await;
        if hurry {
            self.hurry.notify_one();
        }
        outcome(order)
    }

    async fn settle(&self, record: Record, settlement: Settlement) -> Order {
        let (id, attempt) = (record.order.id, record.attempt);
        let mut wanted = settlement;
        let mut wait = FIRST_WAIT;
        let until = Instant::now() + self.config.lease;
        loop {
            let settled = self
                .ledger
                .settle(id, attempt, wanted.clone(), None, Timestamp::now())
                .await;
            match settled {
                Ok(Settled::Yes(record)) => {
                    self.report(&record.order);
                    return record.order;
                }
                // Taken over meanwhile: it is not ours to settle any more.
                Ok(Settled::No(record)) => {
                    tracing::warn!(order_id = %id, state = record.order.state.name(), "an order was settled by another process");
                    return record.order;
                }
                Ok(Settled::Gone) => {
                    tracing::error!(order_id = %id, "an order on its way has left the ledger");
                    return record.order;
                }
                // The provider's word counts, but a bundle has one order: the
                // reconciliation looks for another one.
                Ok(Settled::Claimed) => {
                    tracing::error!(order_id = %id, "the provider names a bundle that belongs to another order");
                    wanted = unnamed(wanted);
                }
                Err(error) if Instant::now() + wait > until => {
                    tracing::error!(%error, order_id = %id, "an outcome could not be written down");
                    return record.order;
                }
                Err(error) => {
                    tracing::warn!(%error, order_id = %id, "an outcome could not be written down yet");
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
            }
        }
    }

    /// Takes back what was certainly not sent. When that fails the lease
    /// ends, and the order is found not to have been placed.
    async fn release(&self, record: &Record) {
        let (id, attempt) = (record.order.id, record.attempt);
        if let Err(error) = self.ledger.release(id, attempt, Timestamp::now()).await {
            tracing::warn!(%error, order_id = %id, "an order that was not sent could not be taken back yet");
        }
        self.metrics.order("not_sent");
    }
}

impl Flight {
    fn end(&self, answer: Option<Result<Order>>) {
        self.progress.send_replace(Progress::Ended(Box::new(answer)));
    }
}

fn unnamed(settlement: Settlement) -> Settlement {
    match settlement {
        Settlement::Placed {
            provider_reference, ..
        } => Settlement::Placed {
            subscription_id: None,
            provider_reference,
            next_check_at: Some(Timestamp::now()),
        },
        other => other,
    }
}
