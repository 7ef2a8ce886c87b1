//! What one check can conclude, and how a purchase is judged by the
//! subscriptions that are on the SIM now.
//!
//! The inventory does not show the order's reference, so an order's
//! subscription is one that was not there before its first attempt, is of the
//! ordered product, was not ordered earlier, and belongs to no other order.
//! What cannot be read never counts as absent.

use std::time::Duration;

use crate::domain::Subscription;
use crate::domain::failure::Reason;
use crate::domain::subscription::Holdings;
use crate::domain::write::{Purchase, State};
use crate::store::{Claims, Observed, Record};

/// What a check concludes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// This subscription resulted from it.
    Bought(String),
    /// It was carried out; no subscription is expected from it.
    Done,
    /// Nothing has shown for as long as it should take.
    NotDone,
    /// Not decided yet.
    Open,
    /// Further checks will show nothing new.
    NeedsOperator(Reason),
}

/// A verdict, and whether this check found that there is nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Judgement {
    pub(super) verdict: Verdict,
    pub(super) is_absent: bool,
}

/// The time limits of a judgement.
#[derive(Clone, Copy, Debug)]
pub(super) struct Windows {
    /// An order's effect shows within this time.
    pub settle: Duration,
    /// No order is watched for longer than this.
    pub escalate: Duration,
}

/// Nothing is taken for not placed before this many checks.
const LEAST_LOOKS: i32 = 3;

/// A subscription that was ordered this long before an order does not belong to
/// it. More than synchronized clocks differ by.
const CLOCKS_DIFFER_BY: Duration = Duration::from_secs(300);

/// What is known when a check is judged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Observation {
    pub(super) windows: Windows,
    /// What was observed before this check, and for how long it has been
    /// watched including it.
    pub(super) observed: Observed,
    /// What this check adds.
    pub(super) step: Duration,
}

/// Which windows of a record have passed, including this check.
pub(super) struct PassedWindows {
    /// Its effect would show by now.
    pub settled: bool,
    /// It has been watched for long enough.
    pub too_long: bool,
}

impl Observation {
    /// For how long nothing has shown, when this check found nothing either.
    pub(super) fn absent_for(self) -> Duration {
        self.observed.absent_for + self.step
    }

    /// Which windows have passed; `since` is what the settle window is measured
    /// by.
    pub(super) fn passed(self, record: &Record, since: Duration) -> PassedWindows {
        let Windows { settle, escalate } = self.windows;
        PassedWindows {
            settled: since >= settle && record.checks + 1 >= LEAST_LOOKS,
            too_long: self.observed.watched_for >= escalate.max(settle),
        }
    }
}

/// The subscriptions on the SIM that may have come of an order.
#[derive(Debug, PartialEq)]
pub(super) enum Candidates<'a> {
    /// Nothing.
    None,
    /// This one, and nothing else.
    One(&'a Subscription),
    /// More than one, or one that may or may not be.
    Unclear,
}

impl<'a> Candidates<'a> {
    /// Among everything on the SIM.
    pub(super) fn of(record: &Record, product_id: &str, holdings: &'a Holdings, claims: &Claims) -> Self {
        let is_new = |subscription: &&Subscription| {
            !record.first_baseline.contains(&subscription.id)
                && !claims.subscription_ids.contains(&subscription.id)
        };
        let may_be = |subscription: &&Subscription| {
            // The provider may not name the product, or name it in its own way.
            subscription.product_id.is_empty() || is_alike(&subscription.product_id, product_id)
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

/// Whether two ids differ at most in letter case and in what is around them:
/// then it is not certain that they name two products.
fn is_alike(one: &str, other: &str) -> bool {
    let around = |letter: char| !letter.is_alphanumeric();
    one.trim_matches(around)
        .eq_ignore_ascii_case(other.trim_matches(around))
}

/// Whether an inventory shows everything that was there when the order was last
/// sent. One that does not is not trusted in what it lacks.
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
    observation: Observation,
) -> Judgement {
    let PassedWindows { settled, too_long } = observation.passed(record, observation.absent_for());
    let open_until_too_long = |reason| match too_long {
        true => Verdict::NeedsOperator(reason),
        false => Verdict::Open,
    };
    let judged = |verdict| Judgement {
        verdict,
        is_absent: false,
    };
    let Some(holdings) = holdings.filter(|holdings| is_complete(record, holdings)) else {
        return judged(open_until_too_long(Reason::Unreadable));
    };
    match Candidates::of(record, &purchase.terms.product_id, holdings, claims) {
        Candidates::One(only) => judged(Verdict::Bought(only.id.clone())),
        Candidates::None => Judgement {
            verdict: match record.write.state {
                State::Unknown if settled => Verdict::NotDone,
                // It was bought, as the provider said: only its id is missing.
                State::Done => open_until_too_long(Reason::Unreadable),
                _ => Verdict::Open,
            },
            is_absent: true,
        },
        Candidates::Unclear if holdings.unreadable > 0 => judged(open_until_too_long(Reason::Unreadable)),
        // An event may still say which order it belongs to.
        Candidates::Unclear if claims.rivals > 0 => judged(open_until_too_long(Reason::Ambiguous)),
        Candidates::Unclear => {
            let has_settled = observation
                .passed(record, observation.observed.watched_for)
                .settled;
            let is_late = record.write.state == State::NotDone;
            judged(match has_settled || is_late {
                true => Verdict::NeedsOperator(Reason::Ambiguous),
                false => Verdict::Open,
            })
        }
    }
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
pub(super) mod tests;
