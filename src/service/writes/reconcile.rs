//! Determines the outcome of writes whose answer never came: at the start, on a
//! schedule, and for all processes. It reads, and never sends.
//!
//! An order that was found not to have been carried out is still checked, at
//! growing intervals, until it has been watched for `orders.escalate_after`:
//! the provider may take longer than the settle window.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::flight::Lost;
use super::limits::Looks;
use super::steps::Step;
use super::verdict::{Judgement, Observation, Verdict, Windows};
use super::{Inner, Key, State, Writes};
use crate::domain::Deadline;
use crate::domain::failure::Reason;
use crate::domain::write::Kind;
use crate::store::{self, Check, Observed, Record, Settled, Settlement, TakeOver};
use crate::transatel::client::request::CallOptions;

/// Orders that are checked in parallel: few, because the same provider serves
/// the callers.
const AT_ONCE: usize = 4;
/// Orders that are leased at once; with the time limit of a check, they are
/// done within a lease.
const BATCH: i64 = 16;
/// The ledger is queried at least this often.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
const SHORTEST_PAUSE: Duration = Duration::from_millis(20);
/// Interval of polling a change of a SIM that is being carried out.
const LONGEST_POLL: Duration = Duration::from_secs(30);
/// Pause between deletions of old orders.
const PURGE_EVERY: Duration = Duration::from_secs(3600);
/// A clock that is further ahead is taken to be wrong: nothing is deleted by
/// it, and it is logged.
const CLOCK_AHEAD: Duration = Duration::from_secs(7 * 24 * 3600);

impl Writes {
    /// Makes orders of dead processes `UNKNOWN`; with `all`, whatever their
    /// lease, because no other process can be using the ledger.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub async fn take_over(&self, all: bool) -> Result<(), store::Error> {
        let inner = &self.inner;
        let whose = match all {
            true => TakeOver::All,
            false => TakeOver::DeadExcept(inner.process),
        };
        let now = inner.ledger.now().await?;
        // Replicas do not agree on the time to the microsecond.
        let horizon = now + 2 * inner.config.lease;
        let orders = inner.ledger.take_over(whose, now, horizon).await?;
        if orders > 0 {
            tracing::warn!(orders, "orders were in flight when their process died");
        }
        Ok(())
    }

    /// Checks orders until cancelled. What it does not finish, the next process
    /// does.
    pub async fn reconcile(self, stop: CancellationToken) {
        let mut purge_at = Instant::now();
        let pause = (self.inner.config.reconcile_after / 2).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
        let mut looks = Looks::new(pause);
        while !stop.is_cancelled() {
            if let Err(error) = self.pass(&mut purge_at, &mut looks).await {
                self.inner.metrics.writes_not_known();
                self.inner.metrics.show_callers(Vec::new(), Vec::new());
                // Why is logged where the store is measured.
                tracing::debug!(%error, "the ledger of orders cannot be read at the moment");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
                () = self.inner.wake_up.notified() => {}
            }
        }
    }

    async fn pass(&self, purge_at: &mut Instant, looks: &mut Looks) -> Result<(), store::Error> {
        let inner = &self.inner;
        inner.take_up_lost().await;
        self.take_over(false).await?;
        loop {
            let now = inner.ledger.now().await?;
            let lease = inner.config.lease;
            // No check is ever planned later than that.
            let horizon = now + inner.longest_wait() + lease;
            let due = inner.ledger.take_due(now, now + lease, horizon, BATCH).await?;
            let whole = i64::try_from(due.len()).is_ok_and(|count| count == BATCH);
            stream::iter(due)
                .for_each_concurrent(AT_ONCE, |record| Arc::clone(inner).check_logged(record))
                .await;
            if !whole {
                break;
            }
        }
        if Instant::now() >= *purge_at {
            *purge_at = Instant::now() + PURGE_EVERY;
            inner.checks.prune(inner.longest_wait() * 2 + PURGE_EVERY);
            inner.purge().await?;
        }
        let counts = inner.ledger.counts().await?.into_iter();
        let counts = counts.map(|count| (count.kind, count.state, count.writes));
        inner.metrics.writes(counts.collect());
        let since = inner.ledger.unknown_since().await?;
        let now = inner.ledger.now().await?;
        let age = since.map(|since| now.duration_since(since));
        inner.metrics.orders_unknown_for(age.unwrap_or_default());
        inner.watch_limits(looks).await
    }
}

impl Inner {
    /// Deletes old orders, by the time that has certainly passed.
    async fn purge(&self) -> Result<(), store::Error> {
        let now = self.ledger.now().await?;
        // Advanced by the upkeep of the log of events.
        let aged_until = self.log.aged_until(now, Duration::ZERO).await?;
        if now.duration_since(aged_until) > CLOCK_AHEAD.try_into().unwrap_or_default() {
            tracing::error!(
                clock = %now,
                known_to_have_passed = %aged_until,
                "the clock is far ahead of what is stored: orders and events are kept for longer than they should be"
            );
        }
        let forgotten = self.ledger.purge(aged_until - self.config.keep_for).await?;
        if forgotten > 0 {
            tracing::info!(
                forgotten,
                "settled orders older than orders.keep_for were deleted"
            );
        }
        Ok(())
    }

    /// Attempts of this process whose task is gone: nothing more of them is
    /// sent.
    async fn take_up_lost(&self) {
        for lost in self.flights.take_lost() {
            if let Err(error) = self.settle_lost(lost).await {
                tracing::warn!(%error, order_id = %lost.id, "a lost attempt at an order cannot be recorded yet");
                self.flights.lose(lost);
            }
        }
    }

    async fn settle_lost(&self, lost: Lost) -> Result<(), store::Error> {
        let Lost { id, attempt, .. } = lost;
        let now = self.ledger.now().await?;
        if let Some(lease_until) = lost.unsent_until {
            // A later call may have begun an attempt with the same number.
            let known = self.ledger.find(Key::Write(id)).await?;
            let is_it = known.is_some_and(|record| {
                record.write.state == State::Submitting
                    && record.sent_by.as_microsecond() == lease_until.as_microsecond()
            });
            if is_it {
                self.ledger.release(id, attempt, now).await?;
                self.waits.notify(id);
            }
            return Ok(());
        }
        tracing::error!(order_id = %id, "the task of an order ended without a result");
        let settlement = Settlement::Unknown {
            provider_reference: None,
            sent_by: now,
            next_check_at: now,
        };
        if let Settled::Yes(record) = self.ledger.settle(id, attempt, settlement, None, now).await? {
            self.report(&record.write);
        }
        Ok(())
    }

    /// The longest time between two checks.
    fn longest_wait(&self) -> Duration {
        self.config
            .reconcile_at_most
            .max(self.config.settle_window)
            .max(self.config.give_up_after)
            .max(LONGEST_POLL)
    }

    async fn check_logged(self: Arc<Self>, record: Record) {
        self.steps.reached(Step::BeforeCheck).await;
        let id = record.write.id;
        if let Err(error) = self.check(record).await {
            // Its lease ends, and it is checked again.
            tracing::warn!(%error, order_id = %id, "an order could not be checked, or the result could not be recorded");
        }
    }

    async fn check(&self, record: Record) -> Result<(), store::Error> {
        let state = record.write.state;
        let record = self.confirm(record).await?;
        if record.write.state != state || record.write.state == State::Done && record.due_at.is_none() {
            self.checks.forget(record.write.id);
            return Ok(());
        }
        let now = self.ledger.now().await?;
        let observed_for = self.checks.record(record.write.id, now, record.checked_at);
        let step = observed_for.unwrap_or_default();
        let observed = Observed {
            watched_for: record.observed.watched_for + step,
            ..record.observed
        };
        let Judgement { verdict, is_absent } = self.examine(&record, observed, step).await?;
        let observed = Observed {
            absent_for: match is_absent {
                true => observed.absent_for + step,
                false => observed.absent_for,
            },
            ..observed
        };
        self.steps.reached(Step::Checked).await;
        let is_first = observed_for.is_none();
        self.conclude(record, verdict, observed, is_first).await
    }

    /// Records what a check has found.
    async fn conclude(
        &self,
        record: Record,
        verdict: Verdict,
        observed: Observed,
        is_first: bool,
    ) -> Result<(), store::Error> {
        let id = record.write.id;
        let is_watched = matches!(record.write.state, State::NotDone | State::Rejected);
        let settlement = match (record.write.state, verdict) {
            (_, Verdict::Done) => {
                if let Kind::Sim(change) = &record.write.kind {
                    self.forget_changed_sim(change).await;
                }
                done(&record, None)
            }
            (_, Verdict::Bought(subscription_id)) => {
                if is_watched {
                    tracing::warn!(
                        order_id = %id,
                        before = record.write.state_name(),
                        "the subscription of an order has appeared late: the order was carried out"
                    );
                }
                done(&record, Some(subscription_id))
            }
            (State::Unknown, Verdict::NotDone) => {
                let now = self.ledger.now().await?;
                Settlement::NotDone {
                    // A change of a SIM may be made by others later.
                    next_check_at: (record.write.is_order())
                        .then(|| now + self.config.reconcile_after.min(self.config.reconcile_at_most)),
                }
            }
            (State::Unknown, Verdict::NeedsOperator(reason))
            | (State::NotDone, Verdict::NeedsOperator(reason @ Reason::Ambiguous)) => {
                Settlement::NeedsOperator(reason.into())
            }
            // It was bought, as the provider said; only the subscription id is
            // missing.
            (State::Done, Verdict::NeedsOperator(_)) => {
                tracing::error!(order_id = %id, "the subscription of an order that was placed cannot be found");
                return self.postpone(&record, observed, None).await;
            }
            (State::Rejected, Verdict::NeedsOperator(Reason::Ambiguous)) => {
                tracing::error!(order_id = %id, "a subscription has appeared that may have come of an order that was refused");
                return self.postpone(&record, observed, None).await;
            }
            _ => {
                let is_over = is_watched && observed.watched_for >= self.config.escalate_after;
                let wait = (!is_over).then(|| self.wait_after(&record, observed, is_first));
                return self.postpone(&record, observed, wait).await;
            }
        };
        match self.settle_record(&record, settlement).await? {
            // An event contradicts it: either it settles the order at the next
            // check, or it does not fit.
            Some(as_it_is) if as_it_is.write.state == State::Unknown => {
                let record = self.settle_doubtful(record).await?;
                if record.write.state == State::Unknown {
                    self.postpone(&record, observed, Some(Duration::ZERO)).await?;
                }
                Ok(())
            }
            Some(_) => Ok(()),
            // Another order occupies the slot.
            None => {
                let wait = self.wait_after(&record, observed, is_first);
                self.postpone(&record, observed, Some(wait)).await
            }
        }
    }

    async fn postpone(
        &self,
        record: &Record,
        observed: Observed,
        wait: Option<Duration>,
    ) -> Result<(), store::Error> {
        if wait.is_none() {
            self.checks.forget(record.write.id);
        }
        let at = self.ledger.now().await?;
        let check = Check {
            at,
            was_due_at: record.due_at,
            observed,
            next_check_at: wait.map(|wait| at + wait),
        };
        self.ledger.postpone(record.write.id, record.attempt, check).await
    }

    async fn examine(
        &self,
        record: &Record,
        observed: Observed,
        step: Duration,
    ) -> Result<Judgement, store::Error> {
        // Within the lease, in which every write of a batch has its turn.
        let options = CallOptions::for_order(Deadline::after(self.config.lease / 8));
        let observation = Observation {
            windows: Windows {
                settle: self.config.settle_window,
                escalate: self.config.escalate_after,
            },
            observed,
            step,
        };
        Ok(match &record.write.kind {
            Kind::Purchase(purchase) => {
                self.judge_purchase(record, purchase, observation, options)
                    .await?
            }
            Kind::Subscription(change) => {
                self.judge_subscription_change(record, change, observation, options)
                    .await
            }
            Kind::Sim(change) => self.judge_sim_change(record, change, observation, options).await,
        })
    }

    /// Settles a write that is not being sent. `None` when another write
    /// occupies its slot; otherwise the write as it is then.
    pub(super) async fn settle_record(
        &self,
        record: &Record,
        settlement: Settlement,
    ) -> Result<Option<Record>, store::Error> {
        let (id, attempt) = (record.write.id, record.attempt);
        let now = self.ledger.now().await?;
        Ok(
            match self.ledger.settle(id, attempt, settlement, None, now).await? {
                Settled::Yes(settled) => {
                    self.checks.forget(id);
                    if settled.write.state != record.write.state {
                        self.report(&settled.write);
                    }
                    Some(*settled)
                }
                // Another process was first, or an event came meanwhile.
                Settled::No(as_it_is) => Some(*as_it_is),
                Settled::Gone => Some(record.clone()),
                Settled::Claimed => None,
            },
        )
    }

    /// Doubling from the first wait to the longest, but in time for the end of
    /// the settle window; for a change of a SIM that has a transaction, as the
    /// provider advises until it is given up. The first check of a process
    /// measures nothing, so the next one follows soon: otherwise processes that
    /// live for less than the wait would never observe anything.
    fn wait_after(&self, record: &Record, observed: Observed, is_first: bool) -> Duration {
        let checks = u32::try_from(record.checks).unwrap_or_default();
        let doublings = match is_first {
            true => 0,
            false => checks.saturating_add(1).min(20),
        };
        let config = &self.config;
        let write = &record.write;
        let given_up_in = config.give_up_after.saturating_sub(observed.watched_for);
        let runs = !write.is_order() && write.provider_reference.is_some();
        let (first, longest, due_in) = if runs && !given_up_in.is_zero() {
            (config.poll_after, LONGEST_POLL, given_up_in)
        } else {
            let settled_in = config.settle_window.saturating_sub(observed.absent_for);
            (config.reconcile_after, config.reconcile_at_most, settled_in)
        };
        let wait = first.saturating_mul(1 << doublings).min(longest);
        if due_in.is_zero() { wait } else { wait.min(due_in) }
    }
}

pub(super) fn done(record: &Record, subscription_id: Option<String>) -> Settlement {
    Settlement::Done {
        subscription_id,
        provider_reference: record.write.provider_reference.clone(),
        next_check_at: None,
    }
}
