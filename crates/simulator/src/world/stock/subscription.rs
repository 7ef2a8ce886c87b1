//! A subscription on a SIM and its life.
//!
//! A subscription waits for its first use, runs, perhaps renews, and ends. Time moves
//! it on when somebody looks: [`Subscription::settle`] does all that should have
//! happened since the last look.

use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use crate::world::{
    catalog::product::{Category, Product},
    clock::months_after,
    stock::news::{SubscriptionEvent, SubscriptionNews},
    visibility::{Oddity, Shown},
};

/// A subscription that has started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Started {
    pub(crate) at: Timestamp,
    /// Start and end of the current period.
    pub(crate) from: Timestamp,
    pub(crate) until: Timestamp,
    pub(crate) left_kb: i64,
    /// Periods that have begun.
    pub(crate) periods: u32,
}

/// Where a subscription is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Waits for the first use in a covered place.
    Waiting,
    /// Takes the place of another recurring subscription at this time.
    Scheduled(Timestamp),
    Running(Started),
    /// Has ended at this time; what had started keeps its dates.
    Ended {
        at: Timestamp,
        started: Option<Started>,
    },
}

/// How balances are written, which differs between sources.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum BalanceShape {
    #[default]
    Usual,
    /// `resourceStartValue` is missing.
    NoStartValue,
    /// `resourceStartValue` is 0.
    ZeroStartValue,
    /// Two rows of the same resource and one of another.
    SeveralRows,
    /// `balances` is empty though the subscription runs.
    Empty,
    /// Numbers are a float and a text.
    OddNumbers,
    /// -1, as one integrator reads what an unlimited subscription has.
    MinusOne,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subscription {
    pub(crate) id: Uuid,
    pub(crate) product: Arc<Product>,
    pub(crate) ordered_at: Timestamp,
    /// Ordered for a SIM that had not been used.
    pub(crate) preloaded: bool,
    /// `transactionReference` of the order. The inventory does not show it.
    pub(crate) reference: Option<String>,
    /// For an add-on that was ordered: the subscription that it ends with.
    pub(crate) parent: Option<Uuid>,
    pub(crate) phase: Phase,
    pub(crate) renewal_canceled: bool,
    /// A status word in place of the one that follows from the phase.
    pub(crate) word: Option<&'static str>,
    pub(crate) shape: BalanceShape,
    /// Whether the inventory shows it.
    pub(crate) shown: Shown,
    /// What is wrong with its element in the inventory.
    pub(crate) oddity: Option<Oddity>,
    /// What was not reported yet.
    pub(crate) news: Vec<SubscriptionNews>,
}

/// A subscription of which no more than this part is left is low.
const LOW_PERCENT: i64 = 20;

impl Subscription {
    pub(crate) fn new(id: Uuid, product: Arc<Product>, ordered_at: Timestamp) -> Self {
        Self {
            id,
            product,
            ordered_at,
            preloaded: false,
            reference: None,
            parent: None,
            phase: Phase::Waiting,
            renewal_canceled: false,
            word: None,
            shape: BalanceShape::Usual,
            shown: Shown::Always,
            oddity: None,
            news: Vec::new(),
        }
    }

    /// Remembers that something has happened, with the dates as they are now.
    pub(crate) fn note(&mut self, at: Timestamp, event: SubscriptionEvent) {
        let started = self.started();
        self.news.push(SubscriptionNews {
            at,
            event,
            activated_at: started.map(|started| started.at),
            expires_at: self.expiration(),
            left_kb: started.map(|started| started.left_kb),
            reference: self.reference.clone(),
        });
    }

    /// Says of what was not reported yet that an order with this reference did it.
    pub(crate) fn attribute_news(&mut self, reference: &str) {
        for news in &mut self.news {
            news.reference = Some(reference.to_owned());
        }
    }

    /// When time will next change something, `None` when it has ended.
    pub(crate) fn next_change(&self) -> Option<Timestamp> {
        match self.phase {
            Phase::Waiting => Some(self.activation_deadline()),
            Phase::Scheduled(at) => Some(at),
            Phase::Running(started) => Some(started.until),
            Phase::Ended { .. } => None,
        }
    }

    pub(crate) fn cancel_renewal(&mut self, at: Timestamp) {
        self.renewal_canceled = true;
        self.note(at, SubscriptionEvent::Canceled);
    }

    /// When a subscription that waits is lost.
    pub(crate) fn activation_deadline(&self) -> Timestamp {
        months_after(self.ordered_at, self.product.months_to_first_use().unwrap_or(6))
    }

    pub(crate) fn start(&mut self, at: Timestamp) {
        self.phase = Phase::Running(Started {
            at,
            from: at,
            until: self.product.validity.end(at),
            left_kb: self.product.data_kb,
            periods: 1,
        });
        self.note(at, SubscriptionEvent::Activated);
    }

    /// Ends it, unless it has: before its time, or because its validity is over.
    pub(crate) fn end(&mut self, at: Timestamp, event: SubscriptionEvent) {
        let started = match self.phase {
            Phase::Running(started) => Some(started),
            Phase::Ended { .. } => return,
            Phase::Waiting | Phase::Scheduled(_) => None,
        };
        self.phase = Phase::Ended { at, started };
        self.note(at, event);
    }

    /// Whether another period follows the current one.
    pub(crate) fn renews(&self) -> bool {
        let more = match self.phase {
            Phase::Running(started) => self.product.max_periods.is_none_or(|most| started.periods < most),
            Phase::Waiting | Phase::Scheduled(_) | Phase::Ended { .. } => false,
        };
        more && self.product.category == Category::Recurring && !self.renewal_canceled
    }

    /// Does what time has brought since the last look.
    pub(crate) fn settle(&mut self, now: Timestamp) {
        loop {
            match self.phase {
                Phase::Waiting if self.activation_deadline() <= now => {
                    self.end(self.activation_deadline(), SubscriptionEvent::Terminated);
                }
                Phase::Scheduled(at) if at <= now => self.start(at),
                Phase::Running(started) if started.until <= now => {
                    if self.renews() {
                        self.phase = Phase::Running(Started {
                            from: started.until,
                            until: self.product.validity.end(started.until),
                            left_kb: self.product.data_kb,
                            periods: started.periods + 1,
                            at: started.at,
                        });
                        self.note(started.until, SubscriptionEvent::Renewed);
                    } else {
                        self.end(started.until, SubscriptionEvent::Expired);
                    }
                }
                _ => return,
            }
        }
    }

    pub(crate) fn is_live(&self) -> bool {
        !matches!(self.phase, Phase::Ended { .. })
    }

    pub(crate) fn started(&self) -> Option<Started> {
        match self.phase {
            Phase::Running(started)
            | Phase::Ended {
                started: Some(started),
                ..
            } => Some(started),
            _ => None,
        }
    }

    /// The provider's word for the status.
    pub(crate) fn status(&self) -> &'static str {
        let word = match self.phase {
            Phase::Waiting if self.preloaded => "readyForUse",
            Phase::Waiting => "pendingForFirstUse",
            Phase::Scheduled(_) => "scheduled",
            Phase::Running(_) if self.renewal_canceled => "canceled",
            Phase::Running(_) => "active",
            Phase::Ended { .. } => "terminated",
        };
        self.word.unwrap_or(word)
    }

    /// `expirationDate`: the end of validity once started, else the deadline for the first use.
    pub(crate) fn expiration(&self) -> Timestamp {
        match self.phase {
            Phase::Running(started) => started.until,
            Phase::Ended { at, .. } => at,
            Phase::Waiting | Phase::Scheduled(_) => self.activation_deadline(),
        }
    }

    /// Whether it runs, and its data is not limited.
    pub(crate) fn is_unlimited(&self) -> bool {
        self.product.unlimited && matches!(self.phase, Phase::Running(_))
    }

    /// Uses up to so many KB and says how many there were. Of an unlimited subscription, those with full speed.
    pub(crate) fn consume(&mut self, wanted_kb: i64, at: Timestamp) -> i64 {
        let low = self.product.data_kb.saturating_mul(LOW_PERCENT) / 100;
        let (taken, left) = match &mut self.phase {
            Phase::Running(started) => {
                let taken = wanted_kb.min(started.left_kb);
                started.left_kb -= taken;
                (taken, started.left_kb)
            }
            Phase::Waiting | Phase::Scheduled(_) | Phase::Ended { .. } => return 0,
        };
        // Which events the fair-use volume causes, if any, is not known.
        if self.product.unlimited {
            return taken;
        }
        if left <= low && left + taken > low {
            self.note(at, SubscriptionEvent::Low);
        }
        if left == 0 && taken > 0 {
            self.note(at, SubscriptionEvent::Exhausted);
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::{
        catalog::Catalog,
        clock::{after, days},
    };

    fn subscription(product: &str) -> (Subscription, Timestamp) {
        let origin: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let product = Catalog::generate(1, origin).product(product).unwrap();
        (Subscription::new(Uuid::nil(), product, origin), origin)
    }

    #[test]
    fn a_subscription_that_is_never_used_is_lost_after_six_months() {
        let (mut subscription, origin) = subscription("WW_901O_STACK_ONEOFF_FRANCE_1GB_7D");
        subscription.settle(after(origin, days(180)));
        assert_eq!(subscription.status(), "pendingForFirstUse");
        subscription.settle(after(origin, days(181)));
        assert_eq!(subscription.status(), "terminated");
        assert_eq!(subscription.expiration(), "2026-07-01T00:00:00Z".parse().unwrap());
        assert_eq!(subscription.started(), None);
    }

    #[test]
    fn a_one_off_ends_with_its_validity() {
        let (mut subscription, origin) = subscription("WW_901O_STACK_ONEOFF_FRANCE_1GB_7D");
        subscription.start(origin);
        assert_eq!(subscription.consume(1_000_000, origin), 1_000_000);
        assert_eq!(subscription.consume(1_000_000, origin), 48_576);
        subscription.settle(after(origin, days(7)));
        assert_eq!(subscription.status(), "terminated");
        assert_eq!(subscription.started().map(|started| started.left_kb), Some(0));
    }

    #[test]
    fn a_recurring_one_renews_until_it_is_cancelled() {
        let (mut subscription, origin) = subscription("WW_901O_STACK_RECURRING_FRANCE_5GB_1M");
        subscription.start(origin);
        subscription.consume(5, origin);
        subscription.settle(after(origin, days(32)));
        let Phase::Running(started) = subscription.phase else {
            panic!("{:?}", subscription.phase)
        };
        assert_eq!(
            (started.periods, started.left_kb),
            (2, subscription.product.data_kb)
        );
        assert_eq!(started.until, "2026-03-01T00:00:00Z".parse().unwrap());
        subscription.renewal_canceled = true;
        assert_eq!(subscription.status(), "canceled");
        subscription.settle(after(origin, days(60)));
        assert_eq!(subscription.status(), "terminated");
    }

    #[test]
    fn a_recurring_one_ends_after_its_last_period() {
        let (mut subscription, origin) = subscription("WW_901O_STACK_RECURRING_FRANCE_5GB_1M");
        subscription.product = Arc::new(Product {
            max_periods: Some(3),
            ..Product::clone(&subscription.product)
        });
        subscription.start(origin);
        subscription.settle(after(origin, days(1000)));
        assert_eq!(subscription.expiration(), "2026-04-01T00:00:00Z".parse().unwrap());
    }

    #[test]
    fn what_happens_is_noted_with_the_moment_it_happened() {
        let (mut subscription, origin) = subscription("WW_901O_STACK_ONEOFF_FRANCE_1GB_7D");
        subscription.start(origin);
        subscription.consume(900_000, origin);
        subscription.consume(900_000, origin);
        subscription.consume(1, origin);
        subscription.settle(after(origin, days(100)));
        subscription.end(after(origin, days(101)), SubscriptionEvent::Terminated);
        let noted: Vec<_> = subscription
            .news
            .iter()
            .map(|news| (news.event, news.at))
            .collect();
        let week = after(origin, days(7));
        assert_eq!(
            noted,
            [
                (SubscriptionEvent::Activated, origin),
                (SubscriptionEvent::Low, origin),
                (SubscriptionEvent::Exhausted, origin),
                (SubscriptionEvent::Expired, week)
            ]
        );
        assert!(subscription.news.iter().all(|news| news.expires_at == week));
    }
}
