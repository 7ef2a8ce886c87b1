//! A request: answered from the ledger, or prepared and passed to the executor.

use super::executor::PlannedAttempt;
use super::flight::Answered;
use super::prepared::{Before, Prepared};
use super::steps::Step;
use super::time_left::{answer_at, ensure_time};
use super::{Inner, Key, Record, Request, Terms, Writes, outcome, unavailable};
use crate::domain::error::LedgerState;
use crate::domain::write::{State, Write, WriteId};
use crate::domain::{Deadline, Error, Lease, Result};
use crate::store::{Attempt, LookUp, Slot, SlotStatus};

impl Writes {
    /// Carries out a request, or answers the outcome of an earlier one with the
    /// same id.
    pub(super) async fn execute(&self, request: &Request, deadline: Deadline) -> Result<Write> {
        self.ensure_enabled(&request.terms)?;
        loop {
            let (known, slot) = self.look_up(request).await?;
            if let Some(record) = &known {
                ensure_visible(record, request)?;
            }
            let read = match &known {
                Some(record) => self.inner.held(record),
                None => LedgerState::Nothing,
            };
            match self.execute_from(known, slot, request, deadline).await {
                Ok(Some(answer)) => return Ok(answer),
                // The ledger has moved on: everything has to be read again.
                Ok(None) => ensure_time(deadline)?,
                Err(error) if read == LedgerState::Nothing => {
                    return Err(self.after_nothing(error, request).await);
                }
                Err(error) => return Err(error.after_ledger(read)),
            }
        }
    }

    /// The error of a call that found nothing in the ledger, with what it holds now: an
    /// earlier call of the request may have begun meanwhile.
    async fn after_nothing(&self, error: Error, request: &Request) -> Error {
        match self.find(Key::Request(request.request_id)).await {
            Ok(Some(record)) if ensure_visible(&record, request).is_ok() => {
                error.after_ledger(self.inner.held(&record))
            }
            Ok(_) => error.after_ledger(LedgerState::Nothing),
            Err(_) => error,
        }
    }

    /// The write of a request, or the slot that a new purchase takes, where that is
    /// known before the provider is asked.
    async fn look_up(&self, request: &Request) -> Result<(Option<Record>, Option<(Slot, SlotStatus)>)> {
        let Inner { sims, ledger, .. } = &*self.inner;
        let slot = match &request.terms {
            Terms::Purchase(terms) => sims.known(&request.sim).await.msisdn.map(|msisdn| Slot::Product {
                msisdn,
                product_id: terms.product_id.clone(),
            }),
            Terms::Subscription(_) | Terms::Sim { .. } => None,
        };
        let Some(slot) = slot else {
            return Ok((self.find(Key::Request(request.request_id)).await?, None));
        };
        let found = ledger.look_up(request.request_id, &slot).await;
        Ok(match found.map_err(unavailable)? {
            LookUp::Known(record) => (Some(*record), None),
            LookUp::New(status) => (None, Some((slot, status))),
        })
    }

    async fn execute_from(
        &self,
        known: Option<Record>,
        slot: Option<(Slot, SlotStatus)>,
        request: &Request,
        deadline: Deadline,
    ) -> Result<Option<Write>> {
        let again = match known {
            None => None,
            Some(record) => {
                self.ensure_same(&record, request).await?;
                let mut record = self.confirmed(record, deadline).await?;
                if record.write.may_be_sent_again() {
                    record = self.inner.settle_doubtful(record).await.map_err(unavailable)?;
                }
                if !record.write.may_be_sent_again() {
                    return self.answer(record, deadline).await.transpose();
                }
                Some(record)
            }
        };
        let before = Before {
            record: again.as_ref(),
            slot: slot.as_ref(),
        };
        self.attempt(request, before, deadline).await?.transpose()
    }

    /// One request, one id: anything else is a mistake of the caller that must
    /// not be answered with another request's write.
    pub(super) async fn ensure_same(&self, record: &Record, request: &Request) -> Result<()> {
        let known = &record.write.kind;
        let mut fields = request
            .terms
            .differences(known)
            .ok_or_else(Error::id_of_another)?;
        if !known.sim().is(&request.sim) {
            match self.inner.sims.msisdn(&request.sim).await {
                Ok(msisdn) if msisdn == *known.msisdn() => {}
                Ok(_) => fields.push("sim"),
                // The request is another one, whatever its SIM.
                Err(_) if !fields.is_empty() => {}
                Err(error) => return Err(error),
            }
        }
        match fields.is_empty() {
            true => Ok(()),
            false => Err(Error::RequestIdReused { fields }),
        }
    }

    /// The answer for a known write, waiting for one that is being sent. `None`
    /// when it was withdrawn.
    async fn answer(&self, record: Record, deadline: Deadline) -> Option<Result<Write>> {
        if record.write.state != State::Submitting {
            return Some(outcome(record.write));
        }
        let mut waiting = self.inner.wait_for(&record.write);
        match waiting.answer(answer_at(deadline)).await {
            Answered::Ended(answer) => Some(answer),
            Answered::Nothing => None,
            // The write is durable: its known state is the answer.
            Answered::Late(write) => Some(Ok(write.unwrap_or(record.write))),
        }
    }

    /// Everything before the send, and the send. `None` when the ledger moved
    /// on meanwhile, so that everything has to be read again.
    async fn attempt(
        &self,
        request: &Request,
        before: Before<'_>,
        deadline: Deadline,
    ) -> Result<Option<Result<Write>>> {
        let inner = &self.inner;
        ensure_time(deadline)?;
        // Before anything is read: nothing is sent on data that is old by
        // either clock.
        let lease = Lease::begin(&inner.clock, inner.config.lease);
        inner.steps.reached(Step::BeforeReads).await;
        let ready = match self.prepare(request, before, deadline).await? {
            Prepared::Ready(ready) => ready,
            Prepared::Settled(record) => return Ok(Some(outcome(record.write))),
            Prepared::Stale => return Ok(None),
        };
        ensure_time(deadline)?;
        let now = inner.ledger.now().await.map_err(unavailable)?;
        let again = before.record;
        let number = again.map_or(1, |record| record.attempt.saturating_add(1));
        let (id, created_at) = match again {
            Some(record) => (record.write.id, record.write.created_at),
            None => (WriteId::at(now), now),
        };
        // Whoever repeats it: the order stays its first caller's.
        let caller = match again {
            Some(record) => record.write.caller.clone(),
            None => request.by.caller.clone(),
        };
        let attempt = Attempt {
            write: Write {
                id,
                request_id: request.request_id,
                caller: caller.clone(),
                state: State::Submitting,
                kind: ready.change.kind(),
                provider_reference: None,
                failure: None,
                created_at,
                updated_at: now,
                next_check_at: None,
                note: None,
            },
            baseline: ready.baseline,
            generation: ready.generation,
            alone: ready.alone,
            lease_until: now + inner.config.lease,
            owner: inner.process,
            limits: inner.limits.of(caller.as_deref()),
        };
        let planned = PlannedAttempt {
            attempt,
            number,
            change: ready.change,
            lease,
            scope: request.by.scope.clone(),
        };
        inner.submit(planned, deadline).await
    }

    /// Everything that is checked before a write is sent, by its kind.
    pub(super) async fn prepare(
        &self,
        request: &Request,
        before: Before<'_>,
        deadline: Deadline,
    ) -> Result<Prepared> {
        match &request.terms {
            Terms::Purchase(terms) => self.prepare_purchase(request, terms, before, deadline).await,
            Terms::Subscription(terms) => {
                self.prepare_subscription_change(request, terms, before, deadline)
                    .await
            }
            Terms::Sim { terms, confirmed } => {
                self.prepare_sim_change(request, terms, confirmed.as_ref(), deadline)
                    .await
            }
        }
    }

    /// The generation of a slot without a write in flight. `None` when the
    /// write in flight is the request's own, which began meanwhile.
    ///
    /// # Errors
    /// `ORDER_IN_PROGRESS` or `SIM_OPERATION_IN_PROGRESS`; `SIM_RESERVED` when
    /// somebody else sells the SIM from the stock; `REQUEST_ID_REUSED`
    /// when the card has another number than at the attempt before: what is on
    /// that number says nothing about it.
    pub(super) async fn free_slot(
        &self,
        slot: &Slot,
        request: &Request,
        before: Before<'_>,
    ) -> Result<Option<i64>> {
        if before
            .record
            .is_some_and(|record| record.write.kind.msisdn() != slot.msisdn())
        {
            return Err(Error::RequestIdReused { fields: vec!["sim"] });
        }
        let status = match before.slot {
            Some((seen, status)) if seen == slot => *status,
            Some(_) | None => self.inner.ledger.slot_status(slot).await.map_err(unavailable)?,
        };
        // Who has reserved it may be about to sell it.
        if status.is_reserved && names_sim(&request.terms) {
            return Err(Error::SimReserved);
        }
        let Some(in_flight) = status.in_flight else {
            return Ok(Some(status.generation));
        };
        match self.find(Key::Write(in_flight)).await? {
            Some(other) if other.write.request_id != request.request_id => {
                let scope = &request.by.scope;
                Err(self.inner.occupied(slot, &other.write, scope))
            }
            // The request's own, which began after the ledger was read, or one
            // that was withdrawn meanwhile.
            Some(_) | None => Ok(None),
        }
    }
}

/// An id that another caller has used is answered like any id that was used for
/// something else, before anything of that is read.
pub(super) fn ensure_visible(record: &Record, request: &Request) -> Result<()> {
    match request.by.scope.admits(record.write.caller.as_deref()) {
        true => Ok(()),
        false => Err(Error::id_of_another()),
    }
}

/// A purchase for a SIM that the caller chose, and not the stock.
fn names_sim(terms: &Terms) -> bool {
    match terms {
        Terms::Purchase(terms) => terms.from_stock.is_none(),
        Terms::Subscription(_) | Terms::Sim { .. } => false,
    }
}
