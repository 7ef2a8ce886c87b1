//! Shows what callers have ordered for today, and how much of their limits they have
//! used: read from the ledger, which all replicas share, and not with every order.

use std::time::Duration;

use tokio::time::Instant;

use super::Inner;
use crate::domain::limits::MINUTE;
use crate::domain::spend::Days;
use crate::store;
use crate::telemetry::metrics;

/// Passes over the ledger that take as long as the pause between two looks: one
/// of them reads what is in flight, a look the sums of a day.
const PASSES: u32 = 10;

/// When to look next.
pub(super) struct Looks {
    every: Duration,
    next: Instant,
}

impl Looks {
    pub(super) fn new(pass: Duration) -> Self {
        Self {
            every: pass * PASSES,
            next: Instant::now(),
        }
    }
}

impl Inner {
    pub(super) async fn watch_limits(&self, looks: &mut Looks) -> Result<(), store::Error> {
        if Instant::now() < looks.next {
            return Ok(());
        }
        let now = self.ledger.now().await?;
        let today = self.ledger.spend(Days::of(now), None).await?;
        let last_minute = match self.watched.is_by_minute() {
            true => self.ledger.new_orders(now - MINUTE).await?,
            false => Vec::new(),
        };
        let used = self.watched.used(&today, &last_minute).into_iter();
        let used = used.map(|used| metrics::Used {
            caller: used.caller,
            limit: used.limit,
            currency: used.currency.map(|currency| currency.code().to_owned()),
            share: used.share,
        });
        let spend = self.watched.spend(&today).into_iter();
        let spend = spend.map(|spend| metrics::Spend {
            caller: spend.caller,
            currency: spend.currency.code().to_owned(),
            amount: spend.sum.approximately(),
        });
        self.metrics.show_callers(used.collect(), spend.collect());
        looks.next = Instant::now() + looks.every;
        Ok(())
    }
}
