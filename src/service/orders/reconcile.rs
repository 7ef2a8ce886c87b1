//! Finds out what became of orders whose answer never came: at the start, on
//! a schedule, and for whichever process sent them. Looks, and never sends.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use jiff::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::sim_change::judge_change;
use super::steps::{self, Step};
use super::verdict::{Verdict, Windows, judge, judge_follow_up};
use super::{Inner, Orders, State};
use crate::domain::Deadline;
use crate::domain::act::Act;
use crate::domain::order::Failure;
use crate::store::{self, Record, Settled, Settlement, Slot};
use crate::transatel::call::Patience;

/// Orders that are looked for at once: few, because the same provider serves
/// the callers.
const AT_ONCE: usize = 4;
/// Orders that are taken at once; with what one look may take at most, they
/// are done within a lease.
const BATCH: i64 = 16;
/// The ledger is asked at least this often, and never more often.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
const SHORTEST_PAUSE: Duration = Duration::from_millis(20);
/// A change of a SIM that is being carried out is looked at this often.
const LONGEST_POLL: Duration = Duration::from_secs(30);
/// Old orders are forgotten this often.
const PURGE_EVERY: Duration = Duration::from_secs(3600);

impl Orders {
    /// Makes orders of dead processes `UNKNOWN`; with `all`, because nobody
    /// else can be using the ledger, whatever their lease.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub async fn take_over(&self, all: bool) -> Result<(), store::Error> {
        let orders = self.inner.ledger.take_over(all, Timestamp::now()).await?;
        if orders > 0 {
            tracing::warn!(orders, "orders were on their way when their process died");
        }
        Ok(())
    }

    /// Looks for orders until told to stop. What it does not finish, the next
    /// process does.
    pub async fn reconcile(self, stop: CancellationToken) {
        let mut purge_at = Instant::now();
        let pause = (self.inner.config.reconcile_after / 2).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
        while !stop.is_cancelled() {
            if let Err(error) = self.pass(&mut purge_at).await {
                tracing::warn!(%error, "the ledger of orders cannot be read at the moment");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
                () = self.inner.hurry.notified() => {}
            }
        }
    }

    async fn pass(&self, purge_at: &mut Instant) -> Result<(), store::Error> {
        let inner = &self.inner;
        self.take_over(false).await?;
        loop {
            let now = Timestamp::now();
            let due = inner
                .ledger
                .take_due(now, now + inner.config.lease, BATCH)
                .await?;
            let whole = i64::try_from(due.len()).is_ok_and(|count| count == BATCH);
            stream::iter(due)
                .for_each_concurrent(AT_ONCE, |record| Arc::clone(inner).look_for(record))
                .await;
            if !whole {
                break;
            }
        }
        if Instant::now() >= *purge_at {
            *purge_at = Instant::now() + PURGE_EVERY;
            let forgotten = inner
                .ledger
                .purge(Timestamp::now() - inner.config.keep_for)
                .await?;
            if forgotten > 0 {
                tracing::info!(forgotten, "settled orders were older than orders.keep_for");
            }
        }
        let census = inner.ledger.census().await?;
        let counts: Vec<(&'static str, i64)> = census
            .into_iter()
            .map(|(state, count)| (state.name(), count))
            .collect();
        inner.metrics.orders(&counts);
        let since = inner.ledger.unknown_since().await?;
        let age = since.map(|since| Timestamp::now().duration_since(since));
        inner.metrics.orders_unknown_for(age.unwrap_or_default());
        Ok(())
    }
}

impl Inner {
    async fn look_for(self: Arc<Self>, record: Record) {
        steps::reached(Step::BeforeCheck).await;
        let (id, attempt) = (record.order.id, record.attempt);
        let verdict = match self.examine(&record).await {
            Ok(verdict) => verdict,
            Err(error) => {
                tracing::warn!(%error, order_id = %id, "an order could not be looked for");
                Verdict::Open
            }
        };
        steps::reached(Step::Checked).await;
        let written = match (record.order.state, verdict) {
            (_, Verdict::Done) => {
                self.settled_as_wished(&record.order).await;
                self.settle_checked(&record, placed(&record, None)).await
            }
            (_, Verdict::Placed(subscription_id)) => {
                self.settle_checked(&record, placed(&record, Some(subscription_id)))
                    .await
            }
            // It was bought, the provider said so; only its bundle is missing.
            (State::Placed, Verdict::NeedsOperator(_)) => {
                tracing::error!(order_id = %id, "the bundle of an order that was placed cannot be found");
                self.ledger.postpone(id, attempt, None).await
            }
            (State::Unknown, Verdict::NotPlaced) => self.settle_checked(&record, Settlement::NotPlaced).await,
            (State::Unknown, Verdict::NeedsOperator(reason)) => {
                let failure = Failure {
                    reason,
                    provider: Default::default(),
                };
                self.settle_checked(&record, Settlement::NeedsOperator(failure))
                    .await
            }
            _ => {
                self.ledger
                    .postpone(id, attempt, Some(self.next_check(&record)))
                    .await
            }
        };
        if let Err(error) = written {
            // Its lease ends, and it is looked for again.
            tracing::warn!(%error, order_id = %id, "what became of an order could not be written down");
        }
    }

    async fn examine(&self, record: &Record) -> Result<Verdict, store::Error> {
        let Some(msisdn) = Orders::msisdn_of(&record.order).cloned() else {
            return Ok(Verdict::Open);
        };
        // Within the lease, in which every order of a batch has its turn.
        let patience = Patience::until(Deadline::after(self.config.lease / 8));
        let windows = Windows {
            settle: self.config.settle_window,
            escalate: self.config.escalate_after,
        };
        if let Act::Sim(change) = &record.order.wish.act {
            let seen = self.look_at_sim(record, change, &msisdn, patience).await;
            return Ok(judge_change(record, seen, windows, Timestamp::now()));
        }
        let present = self.provider.all_subscriptions(&msisdn, patience).await;
        let present = present.as_deref().ok();
        if record.order.wish.act != Act::Buy {
            return Ok(judge_follow_up(record, present, windows, Timestamp::now()));
        }
        let slot = Slot {
            msisdn,
            product_id: record.order.wish.product_id.clone(),
        };
        let claims = self.ledger.claims(&slot, record.order.id).await?;
        Ok(judge(record, present, &claims, windows, Timestamp::now()))
    }

    pub(super) async fn settle_checked(
        &self,
        record: &Record,
        settlement: Settlement,
    ) -> Result<(), store::Error> {
        let (id, attempt) = (record.order.id, record.attempt);
        let settled = self
            .ledger
            .settle(id, attempt, settlement, None, Timestamp::now())
            .await?;
        match settled {
            Settled::Yes(settled) if settled.order.state != record.order.state => self.report(&settled.order),
            // Somebody else was faster.
            Settled::Yes(_) | Settled::No(_) | Settled::Gone => {}
            Settled::Claimed => {
                self.ledger
                    .postpone(id, attempt, Some(self.next_check(record)))
                    .await?;
            }
        }
        Ok(())
    }

    /// Doubling from the first wait to the longest, but on time for the end
    /// of the settle window; for a change of a SIM that has a transaction, in
    /// step with the provider's advice until it is given up.
    fn next_check(&self, record: &Record) -> Timestamp {
        let now = Timestamp::now();
        let doublings = u32::try_from(record.checks)
            .unwrap_or_default()
            .saturating_add(1)
            .min(20);
        let config = &self.config;
        let given_up_at = record.sent_by + config.give_up_after;
        let order = &record.order;
        let runs = order.wish.act.on_sim().is_some() && order.provider_reference.is_some();
        let (first, longest, due_at) = if runs && now < given_up_at {
            (config.poll_after, LONGEST_POLL, given_up_at)
        } else {
            let settled_at = record.sent_by + config.settle_window;
            (config.reconcile_after, config.reconcile_at_most, settled_at)
        };
        let next = now + first.saturating_mul(1 << doublings).min(longest);
        if now < due_at { next.min(due_at) } else { next }
    }
}

pub(super) fn placed(record: &Record, subscription_id: Option<String>) -> Settlement {
    Settlement::Placed {
        subscription_id,
        provider_reference: record.order.provider_reference.clone(),
        next_check_at: None,
    }
}
