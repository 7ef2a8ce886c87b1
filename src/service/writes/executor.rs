//! Carries out one attempt at a write: begins it in the ledger, sends it once,
//! settles it. In a task of its own: a caller that goes away changes nothing.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::flight::{Answered, Flight, Listed, Lost};
use super::prepared::Change;
use super::steps::Step;
use super::time_left::{answer_at, too_little_time};
use super::{Inner, Key, outcome, unavailable};
use crate::domain::failure::Reason;
use crate::domain::limits::Refusal;
use crate::domain::write::{Kind, State, Write};
use crate::domain::{Deadline, Error, Lease, Result, Scope};
use crate::store::{self, Attempt, Begun, Record, Released, Settled, Settlement, Slot};
use crate::telemetry::metrics::NOT_SENT;
use crate::telemetry::propagation;
use crate::transatel::api::orders::Outcome;
use crate::transatel::client::request::CallOptions;

/// An attempt that is ready to be begun and sent.
pub(super) struct PlannedAttempt {
    pub(super) attempt: Attempt,
    /// The number of the attempt.
    pub(super) number: i32,
    pub(super) change: Change,
    /// Begun before the ledger's own lease.
    pub(super) lease: Lease,
    /// What its call may see.
    pub(super) scope: Scope,
}

/// Pauses between tries to record an outcome.
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

impl Inner {
    /// Carries out an attempt and waits for it until shortly before the deadline. `None`
    /// when the ledger moved on before it was begun.
    ///
    /// Cancel-safe: the attempt continues.
    pub(super) async fn submit(
        self: &Arc<Self>,
        planned: PlannedAttempt,
        deadline: Deadline,
    ) -> Result<Option<Result<Write>>> {
        if self.submissions.is_closed() {
            return Err(Error::ShuttingDown);
        }
        let flight = Arc::new(Flight::new(planned.lease.clone()));
        let mut waiting = flight.join();
        let task = Arc::clone(self).carry_out(Arc::clone(&flight), planned);
        self.submissions.spawn(propagation::carried(task));
        match waiting.answer(answer_at(deadline)).await {
            Answered::Ended(answer) => Ok(Some(answer)),
            Answered::Late(Some(write)) => Ok(Some(Ok(write))),
            Answered::Nothing => Ok(None),
            Answered::Late(None) => {
                if flight.abandon() {
                    return Err(too_little_time(deadline));
                }
                // It began at this very moment.
                match waiting.answer(Instant::now()).await {
                    Answered::Ended(answer) => Ok(Some(answer)),
                    Answered::Late(Some(write)) => Ok(Some(Ok(write))),
                    Answered::Nothing | Answered::Late(None) => Ok(None),
                }
            }
        }
    }

    async fn carry_out(self: Arc<Self>, flight: Arc<Flight>, planned: PlannedAttempt) {
        let PlannedAttempt {
            attempt,
            number,
            change,
            lease,
            scope,
        } = planned;
        self.steps.reached(Step::BeforeDurable).await;
        let (id, lease_until) = (attempt.write.id, attempt.lease_until);
        let slot = Slot::of(&attempt.write.kind);
        let caller = attempt.write.caller.clone();
        let begun = match self.ledger.begin(attempt).await {
            Ok(begun) => begun,
            // Perhaps durable: then it is withdrawn later.
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
                flight.end(Some(Err(self.busy(&slot, other, &scope).await)));
                return;
            }
            Begun::Reserved => {
                flight.end(Some(Err(Error::SimReserved)));
                return;
            }
            Begun::Unreserved => {
                flight.end(Some(Err(Error::ReservationOver)));
                return;
            }
            Begun::Limited(refusal) => {
                if let Refusal::Reached { limit, .. } = refusal {
                    self.metrics.limit_reached(caller.as_deref(), limit.name());
                }
                flight.end(Some(Err(limited(refusal, &change))));
                return;
            }
            Begun::Known(_) | Begun::Moved => {
                flight.end(None);
                return;
            }
        };
        let id = record.write.id;
        let listed = Listed::new(&self.flights, id, record.attempt, &flight);
        self.steps.reached(Step::Durable).await;
        if !flight.start_sending(record.write.clone()) {
            self.release(&record).await;
            flight.end(None);
            listed.settled();
            self.waits.notify(id);
            return;
        }
        self.report(&record.write);
        let sent = tokio::select! {
            sent = self.send(&record, &change, lease) => sent,
            never = self.watch(&record, &flight) => match never {},
        };
        self.steps.reached(Step::Answered).await;
        let answer = self.record_outcome(record, sent, &flight).await;
        let answer = answer.map_err(|error| with_status(error, &change));
        self.steps.reached(Step::Settled).await;
        flight.end(Some(answer));
        listed.settled();
        // Also when it was withdrawn, or settled by another process first.
        self.waits.notify(id);
    }

    /// Sends the change of its kind. Each send checks the lease first.
    async fn send(&self, record: &Record, change: &Change, lease: Lease) -> Outcome {
        let options = CallOptions {
            attempt: Some(self.config.send_timeout),
            ..CallOptions::under(lease)
        };
        match change {
            Change::Purchase(purchase, choice) => {
                self.send_purchase(record, purchase, *choice, options).await
            }
            Change::Subscription(change) => self.send_subscription_change(record, change, options).await,
            Change::Sim(change, status) => self.provider.change_sim(change, *status, options).await,
        }
    }

    /// No outcome of an earlier attempt has become known since this one began:
    /// an event may have come meanwhile.
    pub(super) async fn ensure_unconfirmed(&self, record: &Record) -> Result<()> {
        if record.attempt == 1 {
            return Ok(());
        }
        let id = record.write.id;
        let known = self.ledger.find(Key::Write(id)).await.map_err(unavailable)?;
        let is_open = match known {
            Some(known) if known.attempt == record.attempt => {
                self.is_unmentioned(known).await.map_err(unavailable)?
            }
            Some(_) | None => false,
        };
        match is_open {
            true => Ok(()),
            false => Err(self.changed_meanwhile(&record.write)),
        }
    }

    /// Makes the outcome durable, however long the ledger takes: it is kept for
    /// as long as the process lives. Meanwhile another process may take the
    /// write over, and this outcome still counts.
    async fn record_outcome(&self, record: Record, sent: Outcome, flight: &Flight) -> Result<Write> {
        if let Outcome::NotSent(error) = sent {
            return match self.release(&record).await {
                // An event proves that an earlier attempt was carried out.
                Some(write) if write.state == State::Done => Ok(write),
                _ => Err(error),
            };
        }
        let id = record.write.id;
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
                Ok((write, is_new)) => {
                    // An event may have come first, and been reported.
                    if is_new && !flight.is_over() {
                        match &sent {
                            Outcome::Accepted { .. } => self.report_accepted(&write),
                            _ => self.report(&write),
                        }
                    }
                    return outcome(write);
                }
                Err(error) => {
                    tracing::warn!(%error, order_id = %id, "an outcome could not be recorded yet");
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
            }
        }
    }

    /// The settlement for an outcome.
    fn settlement(&self, record: &Record, sent: &Outcome, now: Timestamp) -> Settlement {
        match sent {
            Outcome::Placed {
                subscription_id,
                provider_reference,
            } => {
                let is_unnamed = matches!(record.write.kind, Kind::Purchase(_)) && subscription_id.is_none();
                Settlement::Done {
                    next_check_at: is_unnamed.then_some(now),
                    subscription_id: subscription_id.clone(),
                    provider_reference: provider_reference.clone(),
                }
            }
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

    /// Settles an attempt. Returns the write as it is then, and whether it
    /// changed.
    async fn settle(
        &self,
        record: &Record,
        settlement: Settlement,
        now: Timestamp,
    ) -> store::Result<(Write, bool)> {
        let (id, attempt) = (record.write.id, record.attempt);
        let named = named(&settlement).cloned();
        let has_to_be_looked_for = match &settlement {
            Settlement::Done { next_check_at, .. } => next_check_at.is_some(),
            Settlement::Unknown { .. } => true,
            _ => false,
        };
        let mut settled = self
            .ledger
            .settle(id, attempt, settlement.clone(), None, now)
            .await?;
        if matches!(settled, Settled::Claimed) {
            // It was carried out, but a subscription belongs to one order:
            // reconciliation looks for another one.
            self.report_conflict(&record.write);
            settled = self
                .ledger
                .settle(id, attempt, unnamed(settlement, now), None, now)
                .await?;
        }
        match settled {
            Settled::Yes(record) => {
                if has_to_be_looked_for {
                    self.checks.note(id);
                    self.wake_up.notify_one();
                }
                Ok((record.write, true))
            }
            Settled::No(as_it_is) => {
                let known = as_it_is.write.bought();
                if named.is_some() && known.is_some() && named.as_ref() != known {
                    self.report_twice(&as_it_is.write);
                }
                tracing::warn!(
                    order_id = %id,
                    state = as_it_is.write.state_name(),
                    "an order was settled elsewhere before its own answer came"
                );
                Ok((as_it_is.write, false))
            }
            Settled::Gone | Settled::Claimed => {
                tracing::error!(order_id = %id, "an order in flight is no longer in the ledger");
                Ok((record.write.clone(), false))
            }
        }
    }

    /// Withdraws an attempt that was certainly not sent, however long the
    /// ledger takes. Returns the write that remains, if any.
    async fn release(&self, record: &Record) -> Option<Write> {
        let (id, attempt) = (record.write.id, record.attempt);
        let mut wait = FIRST_WAIT;
        loop {
            let released = match self.ledger.now().await {
                Ok(now) => self.ledger.release(id, attempt, now).await,
                Err(error) => Err(error),
            };
            match released {
                Ok(released) => {
                    self.metrics.write(record.write.kind.name(), NOT_SENT);
                    return match released {
                        Released::Gone => None,
                        Released::Kept(record) => Some(record.write),
                    };
                }
                Err(error) => {
                    tracing::warn!(%error, order_id = %id, "an order that was not sent could not be withdrawn yet");
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
            }
        }
    }
}

/// The error of an attempt that is beyond a limit.
fn limited(refusal: Refusal, change: &Change) -> Error {
    match refusal {
        Refusal::Reached { limit, retry_after } => Error::CallerLimitReached { limit, retry_after },
        Refusal::NotPriced => Error::PriceNotLimited {
            price: match change {
                Change::Purchase(purchase, _) => purchase.list_price.as_ref().map(|list| list.price),
                Change::Subscription(_) | Change::Sim(..) => None,
            },
        },
    }
}

/// What was refused for the status of the SIM names that.
fn with_status(error: Error, change: &Change) -> Error {
    match (error, change) {
        (
            Error::SimOperationRejected {
                operation_id,
                failure,
                ..
            },
            Change::Sim(_, status),
        ) => Error::SimOperationRejected {
            operation_id,
            sim_status: status.filter(|_| failure.reason == Reason::SimStatusNotEligible),
            failure,
        },
        (error, _) => error,
    }
}

/// The subscription that a settlement names.
fn named(settlement: &Settlement) -> Option<&String> {
    match settlement {
        Settlement::Done { subscription_id, .. } => subscription_id.as_ref(),
        _ => None,
    }
}

fn unnamed(settlement: Settlement, now: Timestamp) -> Settlement {
    match settlement {
        Settlement::Done {
            provider_reference, ..
        } => Settlement::Done {
            subscription_id: None,
            provider_reference,
            next_check_at: Some(now),
        },
        other => other,
    }
}
