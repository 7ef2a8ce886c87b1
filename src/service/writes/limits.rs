//! Shows how much of their limits callers have used: read from the ledger, which
//! all replicas share, and not with every order.

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
        let (minute, day) = self.watched.need();
        if !(minute || day) || Instant::now() < looks.next {
            return Ok(());
        }
        let now = self.ledger.now().await?;
        let today = match day {
            true => self.ledger.spend(Days::of(now), None).await?,
            false => Vec::new(),
        };
        let last_minute = match minute {
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
        self.metrics.show_limits_used(used.collect());
        looks.next = Instant::now() + looks.every;
        Ok(())
    }
}
