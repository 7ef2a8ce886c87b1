//! What keeps the stock current without a call.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{Inner, Stock};
use crate::domain::stock::{PoolStock, StockCount, StockState};
use crate::domain::stock_level::StockLevel;
use crate::store::Result;
use crate::telemetry::metrics::Pools;

/// Time between two rounds: a reservation may be held so much longer, and a level
/// is reported so much later.
const EVERY: Duration = Duration::from_secs(5);

/// Time between two looks for reservations to forget.
const FORGET_EVERY: Duration = Duration::from_secs(3600);

/// Reservations that are over are kept for as long, for repeats of their
/// requests.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

impl Stock {
    /// Gives back what was reserved for too long, forgets old reservations, reports
    /// pools that are low or filled again, and shows the stock in the metrics, until
    /// `stop`.
    pub async fn upkeep(self, stop: CancellationToken) {
        let mut rounds = interval(EVERY);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut forget_at = Instant::now();
        while stop.run_until_cancelled(rounds.tick()).await.is_some() {
            if Instant::now() >= forget_at && self.inner.forget().await.is_ok() {
                forget_at = Instant::now() + FORGET_EVERY;
            }
            // The store's failures are logged where it is measured.
            match self.inner.round().await {
                Ok(counts) => self.inner.metrics.show_stock(self.inner.pools(&counts)),
                Err(_) => self.inner.metrics.show_stock(Pools::default()),
            }
        }
    }
}

impl Inner {
    async fn round(&self) -> Result<Vec<StockCount>> {
        let now = self.store.now().await?;
        while self.store.expire(now).await? > 0 {}
        let counts = self.store.count().await?;
        self.report_levels(&counts, now).await?;
        Ok(counts)
    }

    async fn report_levels(&self, counts: &[StockCount], now: Timestamp) -> Result<()> {
        let reported = self.store.levels().await?;
        for stock in PoolStock::each(counts) {
            let threshold = self.config.low.of(&stock.pool);
            let level = StockLevel {
                available: stock.in_state(StockState::Available),
                threshold: threshold.into(),
                pool: stock.pool,
            };
            let before = reported.get(&level.pool).copied().unwrap_or_default();
            if threshold == 0 || !level.is_new(before) {
                continue;
            }
            let Some(level) = self.store.report_level(&level.pool, threshold, now).await? else {
                continue;
            };
            let (is_low, pool, available) = (level.is_low(), &level.pool, level.available);
            match is_low {
                true => tracing::warn!(%pool, available, threshold, "a pool of the stock is low"),
                false => tracing::info!(%pool, available, threshold, "a pool of the stock is filled again"),
            }
        }
        Ok(())
    }

    /// Every state of every pool, how many SIMs are in it, and how many should be
    /// available.
    fn pools(&self, counts: &[StockCount]) -> Pools {
        let mut pools = Pools::default();
        for stock in PoolStock::each(counts) {
            let name = stock.pool.to_string();
            let states = StockState::ALL
                .iter()
                .map(|state| (name.clone(), state.name(), stock.in_state(*state)));
            pools.counts.extend(states);
            let threshold = self.config.low.of(&stock.pool);
            pools.thresholds.push((name, threshold.into()));
        }
        pools
    }

    async fn forget(&self) -> Result<()> {
        let now = self.store.now().await?;
        self.store.forget_reservations(now - KEPT).await?;
        Ok(())
    }
}
