//! What a look can tell, and the judgement of a purchase by the subscriptions
//! that are on the SIM now.
//!
//! The inventory does not show our reference, so an order's subscription is
//! one that was not there before its first attempt, is of the right product,
//! was not ordered earlier, and belongs to no other order. What cannot be read
//! never counts as not there.

use std::time::Duration;

use crate::domain::Subscription;
use crate::domain::failure::Reason;
use crate::domain::subscription::Holdings;
use crate::domain::write::{Purchase, State};
use crate::store::{Claims, Observed, Record};

/// What a look can tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// This subscription came of it.
    Bought(String),
    /// It was carried out; nothing new comes of it.
    Done,
    /// Nothing has come of it for as long as it should take.
    NotDone,
    /// Nothing can be said yet.
    Open,
    /// Looking again will show nothing new.
    NeedsOperator(Reason),
}

/// A verdict, and whether this look has seen that there is nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Judgement {
    pub(super) verdict: Verdict,
    pub(super) is_absent: bool,
}

/// When a question becomes an answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Windows {
    /// What came of an order shows within this time.
    pub settle: Duration,
    /// Nobody waits for longer than this.
    pub escalate: Duration,
}

/// Nothing is taken for not placed before this many looks.
const LEAST_LOOKS: i32 = 3;

/// A subscription that was ordered this long before an order is not its. More
/// than clocks that are kept right differ by.
const CLOCKS_DIFFER_BY: Duration = Duration::from_secs(300);

/// What is known when a look is judged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sight {
    pub(super) windows: Windows,
    /// What was observed before this look, and how long it has been watched
    /// with it.
    pub(super) observed: Observed,
    /// What this look adds.
    pub(super) step: Duration,
}

/// Which windows of a record have passed, with this look.
pub(super) struct Passed {
    /// What came of it would show by now.
    pub settled: bool,
    /// It has been looked for long enough.
    pub too_long: bool,
}

impl Sight {
    /// For how long nothing has shown, when this look has seen nothing either.
    pub(super) fn absent_for(self) -> Duration {
        self.observed.absent_for + self.step
    }

    /// Which windows have passed; `since` is what the settle window is counted
    /// by.
    pub(super) fn passed(self, record: &Record, since: Duration) -> Passed {
        let Windows { settle, escalate } = self.windows;
        Passed {
            settled: since >= settle && record.checks + 1 >= LEAST_LOOKS,
            too_long: self.observed.watched_for >= escalate.max(settle),
        }
    }
}

/// What there is on the SIM that may have come of an order.
#[derive(Debug, PartialEq)]
pub(super) enum Candidates<'a> {
    /// Nothing.
    None,
    /// This one, and nothing else.
    One(&'a Subscription),
    /// More than one, or something that may be or may not be.
    Unclear,
}

impl<'a> Candidates<'a> {
    /// Of everything on the SIM.
    pub(super) fn of(record: &Record, product_id: &str, holdings: &'a Holdings, claims: &Claims) -> Self {
        let is_new = |subscription: &&Subscription| {
            !record.first_baseline.contains(&subscription.id)
                && !claims.subscription_ids.contains(&subscription.id)
        };
        let may_be = |subscription: &&Subscription| {
            // The provider may not name the product.
            subscription.product_id == product_id || subscription.product_id.is_empty()
        };
        let earliest = record.write.created_at - CLOCKS_DIFFER_BY;
        let is_earlier =
            |subscription: &Subscription| subscription.ordered_at.is_some_and(|at| at < earliest);
        let mut found = holdings.subscriptions.iter().filter(is_new).filter(may_be);
        match (found.next(), found.next()) {
            (None, _) if holdings.unreadable > 0 => Self::Unclear,
            (None, _) => Self::None,
            (Some(only), None)
                if only.product_id == product_id
                    && !is_earlier(only)
                    && holdings.unreadable == 0
                    && claims.rivals == 0 =>
            {
                Self::One(only)
            }
            (Some(_), _) => Self::Unclear,
        }
    }
}

/// Whether an inventory shows everything that was there when the order was
/// last sent. One that does not cannot be believed in what it lacks.
pub(super) fn is_complete(record: &Record, holdings: &Holdings) -> bool {
    let has = |id: &String| {
        holdings
            .subscriptions
            .iter()
            .any(|subscription| subscription.id == *id)
    };
    record.baseline.iter().all(has)
}

/// Judges a purchase by what is on the SIM, subscriptions that are over
/// included; `None` when that cannot be read.
pub(super) fn judge(
    record: &Record,
    purchase: &Purchase,
    holdings: Option<&Holdings>,
    claims: &Claims,
    sight: Sight,
) -> Judgement {
    let Passed { settled, too_long } = sight.passed(record, sight.absent_for());
    let open_until_too_long = |reason| match too_long {
        true => Verdict::NeedsOperator(reason),
        false => Verdict::Open,
    };
    let seen = |verdict| Judgement {
        verdict,
        is_absent: false,
    };
    let Some(holdings) = holdings.filter(|holdings| is_complete(record, holdings)) else {
        return seen(open_until_too_long(Reason::Unreadable));
    };
    match Candidates::of(record, &purchase.terms.product_id, holdings, claims) {
        Candidates::One(only) => seen(Verdict::Bought(only.id.clone())),
        Candidates::None => Judgement {
            verdict: match record.write.state {
                State::Unknown if settled => Verdict::NotDone,
                // It was bought, the provider said so: only its id is missing.
                State::Done => open_until_too_long(Reason::Unreadable),
                _ => Verdict::Open,
            },
            is_absent: true,
        },
        Candidates::Unclear if holdings.unreadable > 0 => seen(open_until_too_long(Reason::Unreadable)),
        // Whose it is may still be told by an event.
        Candidates::Unclear if claims.rivals > 0 => seen(open_until_too_long(Reason::Ambiguous)),
        Candidates::Unclear => {
            let has_settled = sight.passed(record, sight.observed.watched_for).settled;
            let is_late = record.write.state == State::NotDone;
            seen(match has_settled || is_late {
                true => Verdict::NeedsOperator(Reason::Ambiguous),
                false => Verdict::Open,
            })
        }
    }
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
pub(super) mod tests;
