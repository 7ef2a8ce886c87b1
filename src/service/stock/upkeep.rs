//! What keeps the stock current without a call.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{Inner, Stock};
use crate::domain::stock::{PoolStock, StockCount, StockState};
use crate::store::Result;

/// Time between two rounds: a reservation may be held so much longer.
const EVERY: Duration = Duration::from_secs(5);

/// Time between two looks for reservations to forget.
const FORGET_EVERY: Duration = Duration::from_secs(3600);

/// Reservations that are over are kept for as long, for repeats of their
/// requests.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

impl Stock {
    /// Gives back what was reserved for too long, forgets old reservations, and
    /// shows the stock in the metrics, until `stop`.
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
                Ok(counts) => self.inner.metrics.show_stock(by_pool(&counts)),
                Err(_) => self.inner.metrics.show_stock(Vec::new()),
            }
        }
    }
}

impl Inner {
    async fn round(&self) -> Result<Vec<StockCount>> {
        let now = self.store.now().await?;
        while self.store.expire(now).await? > 0 {}
        self.store.count().await
    }

    async fn forget(&self) -> Result<()> {
        let now = self.store.now().await?;
        while self.store.forget_reservations(now - KEPT).await? > 0 {}
        Ok(())
    }
}

/// Every state of every pool, and how many SIMs are in it.
fn by_pool(counts: &[StockCount]) -> Vec<(String, &'static str, u64)> {
    let states = |stock: PoolStock| {
        let in_state =
            move |state: &StockState| (stock.pool.to_string(), state.name(), stock.in_state(*state));
        StockState::ALL.iter().map(in_state)
    };
    PoolStock::each(counts).into_iter().flat_map(states).collect()
}
