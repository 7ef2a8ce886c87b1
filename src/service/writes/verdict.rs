//! What became of an order, judged by the subscriptions that are on the SIM
//! now.
//!
//! The inventory does not show our reference, so an order's subscription is
//! one that was not there before its first attempt, is of the right product,
//! was not ordered earlier, and belongs to no other order. What cannot be read
//! never counts as not there.

use std::time::Duration;

use crate::domain::Subscription;
use crate::domain::act::Act;
use crate::domain::order::{Reason, State};
use crate::domain::subscription::{Holdings, Status};
use crate::store::{Claims, Observed, Record};

/// What a look tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// This subscription came of it.
    Placed(String),
    /// It was done; nothing new came of it.
    Done,
    /// Nothing has come of it for as long as it should take.
    NotPlaced,
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

/// Which windows of a record have passed, with this look.
pub(super) struct Passed {
    /// What came of it would show by now.
    pub settled: bool,
    /// It has been looked for long enough.
    pub too_long: bool,
}

impl Windows {
    /// Those that have passed when `seen` has been observed, this look
    /// included. `since` is what they are counted by.
    pub(super) fn passed(self, record: &Record, observed: Observed, since: Duration) -> Passed {
        Passed {
            settled: since >= self.settle && record.checks + 1 >= LEAST_LOOKS,
            too_long: observed.watched_for >= self.escalate.max(self.settle),
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
    pub(super) fn of(record: &Record, holdings: &'a Holdings, claims: &Claims) -> Self {
        let is_new = |subscription: &&Subscription| {
            !record.first_baseline.contains(&subscription.id)
                && !claims.subscription_ids.contains(&subscription.id)
        };
        let product_id = &record.order.wish.product_id;
        let may_be = |subscription: &&Subscription| {
            // The provider may not name the product.
            subscription.product_id == *product_id || subscription.product_id.is_empty()
        };
        let earliest = record.order.created_at - CLOCKS_DIFFER_BY;
        let is_earlier =
            |subscription: &Subscription| subscription.ordered_at.is_some_and(|at| at < earliest);
        let mut found = holdings.subscriptions.iter().filter(is_new).filter(may_be);
        match (found.next(), found.next()) {
            (None, _) if holdings.unreadable > 0 => Self::Unclear,
            (None, _) => Self::None,
            (Some(only), None)
                if only.product_id == *product_id
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

/// Judges an order by what is on the SIM, subscriptions that are over
/// included; `None` when that cannot be read. `observed` holds what was
/// observed before this look, and how long it has been watched with it; `step`
/// is what this look adds.
pub(super) fn judge(
    record: &Record,
    holdings: Option<&Holdings>,
    claims: &Claims,
    windows: Windows,
    observed: Observed,
    step: Duration,
) -> Judgement {
    let Passed { settled, too_long } = windows.passed(record, observed, observed.absent_for + step);
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
    match Candidates::of(record, holdings, claims) {
        Candidates::One(only) => seen(Verdict::Placed(only.id.clone())),
        Candidates::None => Judgement {
            verdict: match record.order.state {
                State::Unknown if settled => Verdict::NotPlaced,
                // Bought by the provider's word: only its name is missing.
                State::Placed => open_until_too_long(Reason::Unreadable),
                _ => Verdict::Open,
            },
            is_absent: true,
        },
        Candidates::Unclear if holdings.unreadable > 0 => seen(open_until_too_long(Reason::Unreadable)),
        // Whose it is may still be told by an event.
        Candidates::Unclear if claims.rivals > 0 => seen(open_until_too_long(Reason::Ambiguous)),
        Candidates::Unclear => {
            let has_settled = observed.watched_for >= windows.settle && record.checks + 1 >= LEAST_LOOKS;
            let is_late = record.order.state == State::NotPlaced;
            seen(match has_settled || is_late {
                true => Verdict::NeedsOperator(Reason::Ambiguous),
                false => Verdict::Open,
            })
        }
    }
}

/// Judges an order on a subscription by that subscription as it is now.
pub(super) fn judge_follow_up(
    record: &Record,
    holdings: Option<&Holdings>,
    windows: Windows,
    observed: Observed,
    step: Duration,
) -> Judgement {
    let Passed { settled, too_long } = windows.passed(record, observed, observed.absent_for + step);
    let seen = |verdict, is_absent| Judgement { verdict, is_absent };
    let Some(id) = record.order.wish.act.on_subscription() else {
        return seen(Verdict::Open, false);
    };
    let on_sim = holdings.and_then(|holdings| holdings.find(id));
    let over = on_sim.is_some_and(Subscription::is_over);
    let done = match &record.order.wish.act {
        Act::CancelRenewal { .. } => {
            over || on_sim.is_some_and(|subscription| subscription.status == Some(Status::Canceled))
        }
        _ => over,
    };
    match on_sim {
        Some(_) if done => seen(Verdict::Done, false),
        Some(_) if settled => seen(Verdict::NotPlaced, true),
        Some(_) => seen(Verdict::Open, true),
        // It was there when the order was sent.
        None if too_long => seen(Verdict::NeedsOperator(Reason::Unreadable), false),
        None => seen(Verdict::Open, false),
    }
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
pub(super) mod tests;
