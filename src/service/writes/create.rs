//! A call that wants something done: what is known of it, or everything from
//! the first look to the send.

use super::flight::Answered;
use super::steps::Step;
use super::submission::Departure;
use super::{
    ANSWER_AHEAD, Command, Key, LEAST_TIME, Orders, Prepared, Prospect, Record, busy, outcome, unavailable,
};
use crate::domain::act::Act;
use crate::domain::error::LedgerState;
use crate::domain::order::{Order, OrderId, State, Wish};
use crate::domain::{Deadline, Error, Lease, Result, SimIds};
use crate::store::Attempt;

impl Orders {
    /// Buys or does what else is wished, or answers what became of an earlier
    /// call with the same id.
    ///
    /// Cancel-safe: what was begun is carried out.
    ///
    /// # Errors
    /// Any error means that this call bought and changed nothing. One that is
    /// [`Error::AfterLedger`] says what the ledger held of the id; only what
    /// it says there, or what [`get`](Self::get) answers, tells of earlier
    /// calls.
    pub async fn create(&self, command: &Command, deadline: Deadline) -> Result<Order> {
        self.ensure_enabled(&command.wish.act)?;
        loop {
            let known = self.find(Key::Request(command.request_id)).await?;
            let read = match &known {
                Some(record) => LedgerState::Order(record.order.id, record.order.state),
                None => LedgerState::Nothing,
            };
            match self.create_from(known, command, deadline).await {
                Ok(Some(answer)) => return Ok(answer),
                Ok(None) if deadline.remaining() < LEAST_TIME => return Err(Error::DeadlineExceeded),
                // The ledger has moved on: all has to be read again.
                Ok(None) => {}
                Err(error) => return Err(error.after_ledger(read)),
            }
        }
    }

    async fn create_from(
        &self,
        known: Option<Record>,
        command: &Command,
        deadline: Deadline,
    ) -> Result<Option<Order>> {
        let again = match known {
            None => None,
            Some(record) => {
                self.ensure_same(&record, command).await?;
                let mut record = self.confirmed(record, deadline).await?;
                if record.order.may_be_sent_again() {
                    record = self.inner.settle_doubtful(record).await.map_err(unavailable)?;
                }
                if !record.order.may_be_sent_again() {
                    return self.answer(record, deadline).await.transpose();
                }
                Some(record)
            }
        };
        self.attempt(command, again, deadline).await?.transpose()
    }

    /// One wish, one id: anything else is a mistake of the caller's that
    /// must not be answered with somebody else's order.
    async fn ensure_same(&self, record: &Record, command: &Command) -> Result<()> {
        let order = &record.order;
        let confirmed = command.confirmed.as_ref();
        let other_card = confirmed.is_some_and(|card| order.sim.iccid.as_ref() != Some(card));
        if other_card || !is_same(&order.wish, &command.wish) {
            return Err(Error::RequestIdReused);
        }
        let same_sim = order.sim.is(&command.sim)
            || order.sim.msisdn.as_ref() == Some(&self.inner.sims.msisdn(&command.sim).await?);
        if same_sim {
            Ok(())
        } else {
            Err(Error::RequestIdReused)
        }
    }

    /// The answer for an order that is known, waiting for one that is on its
    /// way. `None` when it was taken back.
    async fn answer(&self, record: Record, deadline: Deadline) -> Option<Result<Order>> {
        if record.order.state != State::Submitting {
            return Some(outcome(record.order));
        }
        let mut waiting = self.inner.wait_for(&record.order);
        match waiting.answer(deadline.at() - ANSWER_AHEAD).await {
            Answered::Ended(answer) => Some(answer),
            Answered::Nothing => None,
            // The order is durable: what is known of it is the answer.
            Answered::Late(order) => Some(Ok(order.unwrap_or(record.order))),
        }
    }

    /// Everything before the send, and the send. `None` when the ledger
    /// moved on meanwhile, so that all has to be read again.
    async fn attempt(
        &self,
        command: &Command,
        again: Option<Record>,
        deadline: Deadline,
    ) -> Result<Option<Result<Order>>> {
        let inner = &self.inner;
        // Before anything is read: what was read long ago by either clock is
        // not acted on.
        let lease = Lease::begin(&inner.clock, inner.config.lease);
        inner.steps.reached(Step::BeforeReads).await;
        let target = match &command.wish.act {
            Act::Buy => self.purchase_target(command, deadline).await?,
            Act::CancelRenewal { .. } | Act::TerminateSubscription { .. } => {
                self.follow_up_target(command, deadline).await?
            }
            Act::Sim(change) => self.sim_target(command, change, deadline).await?,
        };
        let line_before = again.as_ref().and_then(|record| record.order.sim.msisdn.as_ref());
        if line_before.is_some_and(|before| *before != target.slot.msisdn) {
            // The card has another number now. What is on that line says
            // nothing about the attempt before.
            return Err(Error::RequestIdReused);
        }
        let traffic = inner.ledger.traffic(&target.slot).await.map_err(unavailable)?;
        if let Some(order_id) = traffic.in_flight {
            return match self.find(Key::Order(order_id)).await? {
                Some(other) if other.order.request_id != command.request_id => {
                    Err(busy(&command.wish.act, order_id))
                }
                // Our own, which began after we looked, or one that was taken
                // back meanwhile.
                Some(_) | None => Ok(None),
            };
        }
        let prospect = match &command.wish.act {
            Act::Buy => {
                self.look_before_purchase(command, &target, again.as_ref(), deadline)
                    .await?
            }
            _ => Prospect::Ready(Prepared {
                sim: target.sim,
                choice: None,
                baseline: Vec::new(),
            }),
        };
        let prepared = match prospect {
            Prospect::Ready(prepared) => prepared,
            Prospect::Settled(record) => return Ok(Some(outcome(record.order))),
            Prospect::Moved => return Ok(None),
        };
        if deadline.remaining() < LEAST_TIME {
            return Err(Error::DeadlineExceeded);
        }
        let now = inner.ledger.now().await.map_err(unavailable)?;
        let number = again
            .as_ref()
            .map_or(1, |record| record.attempt.saturating_add(1));
        let again = again.map(|record| (record.order.id, record.order.created_at));
        let (id, created_at) = again.unwrap_or_else(|| (OrderId::new(), now));
        let attempt = Attempt {
            order: Order {
                id,
                request_id: command.request_id,
                sim: SimIds {
                    msisdn: Some(target.slot.msisdn),
                    ..prepared.sim
                },
                wish: Wish {
                    product_id: target.slot.product_id,
                    ..command.wish.clone()
                },
                caller: command.caller.clone(),
                state: State::Submitting,
                subscription_id: None,
                provider_reference: None,
                failure: None,
                created_at,
                updated_at: now,
                next_check_at: None,
            },
            baseline: prepared.baseline,
            generation: traffic.generation,
            lease_until: now + inner.config.lease,
            owner: inner.process,
        };
        let departure = Departure {
            attempt,
            number,
            choice: prepared.choice,
            lease,
        };
        inner.submit(departure, deadline.at() - ANSWER_AHEAD).await
    }
}

/// Whether two wishes are one. Which product a bundle is of was found out.
fn is_same(known: &Wish, wished: &Wish) -> bool {
    let found = Wish {
        product_id: known.product_id.clone(),
        ..wished.clone()
    };
    match wished.act.on_subscription() {
        Some(_) => *known == found,
        None => known == wished,
    }
}
