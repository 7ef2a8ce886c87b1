//! Maintains the log, and detects missing events: what the provider never
//! delivered cannot be requested again.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use super::Inner;
use crate::domain::write::WriteId;
use crate::store;

/// Pause between deletions of old events.
const FORGET_EVERY: Duration = Duration::from_secs(3600);
/// Orders are checked for this long after their event was expected.
const LOOKED_AT_FOR: Duration = Duration::from_secs(24 * 3600);
/// Orders without an event that are checked; the metric stops there.
const MOST_ORDERS: i64 = 1_000;
/// Longest time between two checks.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Warns when no event has come for too long, once per silence.
pub(super) async fn silence(inner: &Inner) {
    let began = Timestamp::now();
    let limit = inner.config.silence_after;
    let known = inner.log.last_received_at().await.ok().flatten();
    inner.event_came(known.unwrap_or(began));
    let mut said_of = None;
    loop {
        tokio::time::sleep((limit / 2).min(LONGEST_PAUSE)).await;
        if !inner.config.expected {
            continue;
        }
        // Before this process began it cannot be known whether one was missed.
        let last = inner.last_event().max(began);
        let since = Timestamp::now().duration_since(last);
        if Duration::try_from(since).is_ok_and(|since| since >= limit) && said_of != Some(last) {
            said_of = Some(last);
            tracing::error!(
                seconds = since.as_secs(),
                "no event has come from the provider: is the stream suspended there?"
            );
        }
    }
}

/// Deletes old events, and checks for orders without an event.
pub(super) async fn upkeep(inner: &Inner) {
    let mut reported = BTreeSet::new();
    let mut forget_at = tokio::time::Instant::now();
    let mut aged = forget_at;
    loop {
        let looked = async {
            if tokio::time::Instant::now() >= forget_at {
                forget_at = tokio::time::Instant::now() + FORGET_EVERY;
                let aged_until = inner.log.aged_until(Timestamp::now(), aged.elapsed()).await?;
                aged = tokio::time::Instant::now();
                let forgotten = inner
                    .log
                    .forget_events(aged_until - inner.config.keep_for)
                    .await?;
                if forgotten > 0 {
                    tracing::info!(forgotten, "events older than events.keep_for were deleted");
                }
            }
            if inner.config.expected {
                check_orders(inner, &mut reported).await?;
            }
            Ok::<(), store::Error>(())
        };
        if let Err(error) = looked.await {
            inner.metrics.orders_without_event_not_known();
            tracing::warn!(%error, "the log of events cannot be maintained at the moment");
        }
        tokio::time::sleep((inner.config.order_event_within / 2).min(LONGEST_PAUSE)).await;
    }
}

async fn check_orders(inner: &Inner, reported: &mut BTreeSet<WriteId>) -> store::Result<()> {
    let until = Timestamp::now() - inner.config.order_event_within;
    let without = inner
        .log
        .orders_without_event(until - LOOKED_AT_FOR, until, MOST_ORDERS)
        .await?;
    inner.metrics.orders_without_event(without.len());
    let without: BTreeSet<WriteId> = without.into_iter().collect();
    for order_id in without.difference(reported) {
        tracing::error!(%order_id, "no event has come for an order that was placed");
    }
    *reported = without;
    Ok(())
}
