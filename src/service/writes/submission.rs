//! One attempt at an order, carried out in a task of its own: whoever asked
//! may go away at any moment and changes nothing.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::flight::{Answered, Flight, Listed, Lost};
use super::steps::Step;
use super::{Inner, Key, busy, outcome, unavailable};
use crate::domain::act::Act;
use crate::domain::order::{Activation, Order, Reason, State};
use crate::domain::{Error, Lease, Result};
use crate::store::{self, Attempt, Begun, Record, Released, Settled, Settlement};
use crate::telemetry::propagation;
use crate::transatel::api::orders::{OrderAct, Outcome};
use crate::transatel::client::request::CallOptions;

/// How a bundle begins, and who said so.
#[derive(Clone, Copy, Debug)]
pub(super) enum Choice {
    /// Passed on whatever comes of it.
    Callers(Activation),
    /// A guess: the other one is tried when this one is refused.
    Ours(Activation),
}

/// An attempt that is ready to be begun and sent.
pub(super) struct Departure {
    pub(super) attempt: Attempt,
    /// Which attempt at the order it is going to be.
    pub(super) number: i32,
    /// Of a purchase.
    pub(super) choice: Option<Choice>,
    /// Began before the ledger's own lease does.
    pub(super) lease: Lease,
}

/// Waits between tries to write down an outcome.
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

impl Inner {
    /// Carries an attempt out and waits for it until `answer_at`. `None` when the ledger moved on before it was begun.
    ///
    /// Cancel-safe: the attempt goes on.
    pub(super) async fn submit(
        self: &Arc<Self>,
        departure: Departure,
        answer_at: Instant,
    ) -> Result<Option<Result<Order>>> {
        if self.submissions.is_closed() {
            return Err(Error::ShuttingDown);
        }
        let flight = Arc::new(Flight::new(departure.lease.clone()));
        let mut waiting = flight.join();
        let task = Arc::clone(self).carry_out(Arc::clone(&flight), departure);
        self.submissions.spawn(propagation::carried(task));
        match waiting.answer(answer_at).await {
            Answered::Ended(answer) => Ok(Some(answer)),
            Answered::Late(Some(order)) => Ok(Some(Ok(order))),
            Answered::Nothing => Ok(None),
            Answered::Late(None) => {
                if flight.abandon() {
                    return Err(Error::DeadlineExceeded);
                }
                // It was begun in this very moment.
                match waiting.answer(Instant::now()).await {
                    Answered::Ended(answer) => Ok(Some(answer)),
                    Answered::Late(Some(order)) => Ok(Some(Ok(order))),
                    Answered::Nothing | Answered::Late(None) => Ok(None),
                }
            }
        }
    }

    async fn carry_out(self: Arc<Self>, flight: Arc<Flight>, departure: Departure) {
        let Departure {
            attempt,
            number,
            choice,
            lease,
        } = departure;
        self.steps.reached(Step::BeforeDurable).await;
        let (id, act) = (attempt.order.id, attempt.order.wish.act.clone());
        let lease_until = attempt.lease_until;
        let begun = match self.ledger.begin(attempt).await {
            Ok(begun) => begun,
            // Perhaps durable: then it is taken back later.
            Err(error) => {
                self.flights.lose(Lost {
                    id,
                    attempt: number,
                    unsent_until: Some(lease_until),
                    due: Instant::now() + self.config.lease,
                });
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
        let listed = Listed::new(&self.flights, record.order.id, record.attempt, &flight);
        self.steps.reached(Step::Durable).await;
        if !flight.depart(record.order.clone()) {
            self.release(&record).await;
            flight.end(None);
            listed.settled();
            return;
        }
        self.report(&record.order);
        let sent = self.send(&record, choice, lease).await;
        self.steps.reached(Step::Answered).await;
        let answer = self.write_down(record, sent, &flight).await;
        self.steps.reached(Step::Settled).await;
        flight.end(Some(answer));
        listed.settled();
    }

    /// Sends; the other activation too when the first was a guess of ours
    /// that was definitely refused. Each send asks the lease first.
    async fn send(&self, record: &Record, choice: Option<Choice>, lease: Lease) -> Outcome {
        let options = CallOptions {
            attempt: Some(self.config.send_timeout),
            ..CallOptions::under(lease)
        };
        match &record.order.wish.act {
            Act::Buy => self.buy(record, choice, options).await,
            Act::CancelRenewal { subscription_id } => {
                self.order(record, OrderAct::CancelRenewal(subscription_id), options)
                    .await
            }
            Act::TerminateSubscription { subscription_id } => {
                self.order(record, OrderAct::Terminate(subscription_id), options)
                    .await
            }
            Act::Sim(change) => match &record.order.sim.iccid {
                Some(iccid) => self.provider.change_sim(iccid, change, options).await,
                None => Outcome::NotSent(Error::Internal),
            },
        }
    }

    async fn buy(&self, record: &Record, choice: Option<Choice>, options: CallOptions) -> Outcome {
        let (first, guess) = match choice {
            None => return Outcome::NotSent(Error::Internal),
            Some(Choice::Callers(activation)) => (activation, false),
            Some(Choice::Ours(activation)) => (activation, true),
        };
        let outcome = self.order(record, OrderAct::Buy(first), options.clone()).await;
        match &outcome {
            Outcome::Refused(failure) if guess && failure.reason == Reason::SimStatusNotEligible => {
                self.steps.reached(Step::BetweenActivations).await;
                self.order(record, OrderAct::Buy(first.other()), options).await
            }
            _ => outcome,
        }
    }

    async fn order(&self, record: &Record, act: OrderAct<'_>, options: CallOptions) -> Outcome {
        let Some(msisdn) = super::Orders::msisdn_of(&record.order) else {
            return Outcome::NotSent(Error::Internal);
        };
        if let Err(error) = self.ensure_unconfirmed(record).await {
            return Outcome::NotSent(error);
        }
        let product_id = &record.order.wish.product_id;
        self.provider
            .order(record.order.id, msisdn, product_id, act, options)
            .await
    }

    /// Nothing has become known of an earlier attempt since this one began: an
    /// event may have come meanwhile.
    async fn ensure_unconfirmed(&self, record: &Record) -> Result<()> {
        if record.attempt == 1 {
            return Ok(());
        }
        let id = record.order.id;
        let known = self.ledger.find(Key::Order(id)).await.map_err(unavailable)?;
        let is_open = match known {
            Some(known) if known.attempt == record.attempt => {
                self.says_nothing(known).await.map_err(unavailable)?
            }
            Some(_) | None => false,
        };
        match is_open {
            true => Ok(()),
            false => Err(Error::OrderInProgress { order_id: id }),
        }
    }

    /// Makes the outcome durable, however long the ledger takes: what is known
    /// is not given up for as long as the process lives. Meanwhile another
    /// process may take the order over, and this word still counts.
    async fn write_down(&self, record: Record, sent: Outcome, flight: &Flight) -> Result<Order> {
        if let Outcome::NotSent(error) = sent {
            return match self.release(&record).await {
                // An event says that an earlier attempt was carried out.
                Some(order) if order.state == State::Placed => Ok(order),
                _ => Err(error),
            };
        }
        let id = record.order.id;
        let mut wait = FIRST_WAIT;
        loop {
            let written = match self.ledger.now().await {
                Ok(now) => {
                    self.settle(&record, self.settlement(&record, &sent, now), now)
                        .await
                }
                Err(error) => Err(error),
            };
            match written {
                Ok((order, is_new)) => {
                    // An event may have been faster, and have reported it.
                    if is_new && !flight.is_over() {
                        self.report(&order);
                    }
                    return outcome(order);
                }
                Err(error) => {
                    tracing::warn!(%error, order_id = %id, "an outcome could not be written down yet");
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
            }
        }
    }

    /// What an outcome makes of an order.
    fn settlement(&self, record: &Record, sent: &Outcome, now: Timestamp) -> Settlement {
        match sent {
            // The subscription is known: it is no new one's name.
            Outcome::Placed {
                provider_reference, ..
            } if record.order.wish.act != Act::Buy => Settlement::Placed {
                next_check_at: None,
                subscription_id: None,
                provider_reference: provider_reference.clone(),
            },
            Outcome::Placed {
                subscription_id,
                provider_reference,
            } => Settlement::Placed {
                next_check_at: subscription_id.is_none().then_some(now),
                subscription_id: subscription_id.clone(),
                provider_reference: provider_reference.clone(),
            },
            Outcome::Accepted { transaction } => Settlement::Unknown {
                provider_reference: transaction.clone(),
                sent_by: now,
                next_check_at: now + self.config.poll_after,
            },
            Outcome::Refused(failure) => Settlement::Rejected(failure.clone()),
            Outcome::Unknown | Outcome::NotSent(_) => Settlement::Unknown {
                provider_reference: None,
                sent_by: now,
                next_check_at: now + self.config.reconcile_after.min(self.config.reconcile_at_most),
            },
        }
    }

    /// Settles an attempt. Returns the order as it is then, and whether that
    /// is new.
    async fn settle(
        &self,
        record: &Record,
        settlement: Settlement,
        now: Timestamp,
    ) -> store::Result<(Order, bool)> {
        let (id, attempt) = (record.order.id, record.attempt);
        let named = named(&settlement).cloned();
        let has_to_be_looked_for = match &settlement {
            Settlement::Placed { next_check_at, .. } => next_check_at.is_some(),
            Settlement::Unknown { .. } => true,
            _ => false,
        };
        let mut settled = self
            .ledger
            .settle(id, attempt, settlement.clone(), None, now)
            .await?;
        if matches!(settled, Settled::Claimed) {
            // The provider's word counts, but a subscription has one order:
            // the reconciliation looks for another one.
            tracing::error!(order_id = %id, "the provider names a subscription that belongs to another order");
            settled = self
                .ledger
                .settle(id, attempt, unnamed(settlement, now), None, now)
                .await?;
        }
        match settled {
            Settled::Yes(record) => {
                if has_to_be_looked_for {
                    self.looks.note(id);
                    self.wake_up.notify_one();
                }
                Ok((record.order, true))
            }
            Settled::No(as_it_is) => {
                let known = as_it_is.order.subscription_id.as_ref();
                if named.is_some() && known.is_some() && named.as_ref() != known {
                    self.report_twice(id);
                }
                tracing::warn!(
                    order_id = %id,
                    state = as_it_is.order.state.name(),
                    "an order was settled elsewhere before its own answer came"
                );
                Ok((as_it_is.order, false))
            }
            Settled::Gone | Settled::Claimed => {
                tracing::error!(order_id = %id, "an order on its way has left the ledger");
                Ok((record.order.clone(), false))
            }
        }
    }

    /// Takes back what was certainly not sent, however long the ledger takes.
    /// Returns the order that is left, if any.
    async fn release(&self, record: &Record) -> Option<Order> {
        let (id, attempt) = (record.order.id, record.attempt);
        let mut wait = FIRST_WAIT;
        loop {
            let released = match self.ledger.now().await {
                Ok(now) => self.ledger.release(id, attempt, now).await,
                Err(error) => Err(error),
            };
            match released {
                Ok(released) => {
                    self.metrics.order("not_sent");
                    return match released {
                        Released::Gone => None,
                        Released::Kept(record) => Some(record.order),
                    };
                }
                Err(error) => {
                    tracing::warn!(%error, order_id = %id, "an order that was not sent could not be taken back yet");
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
            }
        }
    }
}

/// The subscription that a settlement names.
fn named(settlement: &Settlement) -> Option<&String> {
    match settlement {
        Settlement::Placed { subscription_id, .. } => subscription_id.as_ref(),
        _ => None,
    }
}

fn unnamed(settlement: Settlement, now: Timestamp) -> Settlement {
    match settlement {
        Settlement::Placed {
            provider_reference, ..
        } => Settlement::Placed {
            subscription_id: None,
            provider_reference,
            next_check_at: Some(now),
        },
        other => other,
    }
}
