//! What became of an order, judged by the bundles that are on the SIM now.
//!
//! The inventory does not show our reference, so an order's bundle is one
//! that was not there before, is of the right product, and belongs to no
//! other order. At most one order per SIM and product is in flight, which is
//! what makes this unambiguous.

use std::time::Duration;

use jiff::Timestamp;

use crate::domain::Subscription;
use crate::domain::act::Act;
use crate::domain::order::{Reason, State};
use crate::domain::subscription::Status;
use crate::store::{Claims, Record};

/// What a look at the inventory tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// This bundle came of it.
    Placed(String),
    /// It was done; nothing new came of it.
    Done,
    /// Nothing came of it, and nothing will.
    NotPlaced,
    /// Nothing can be said yet.
    Open,
    /// Nothing will be learnt by looking again.
    NeedsOperator(Reason),
}

/// When a question becomes an answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Windows {
    /// A bundle shows within this time after its order was sent.
    pub settle: Duration,
    /// Nobody waits for longer than this.
    pub escalate: Duration,
}

/// Which windows of a record have passed.
pub(super) struct Passed {
    /// What came of it shows by now.
    pub settled: bool,
    /// It has been looked for long enough.
    pub too_long: bool,
}

impl Windows {
    /// Those that have passed since an attempt was sent.
    pub(super) fn passed(self, record: &Record, now: Timestamp) -> Passed {
        let since_sent = Duration::try_from(now.duration_since(record.sent_by)).unwrap_or_default();
        Passed {
            settled: since_sent >= self.settle,
            too_long: since_sent >= self.escalate.max(self.settle),
        }
    }
}

/// Judges an order by the SIM's bundles, those that are over included;
/// `None` when they cannot be read.
pub(super) fn judge(
    record: &Record,
    present: Option<&[Subscription]>,
    claims: &Claims,
    windows: Windows,
    now: Timestamp,
) -> Verdict {
    let Passed { settled, too_long } = windows.passed(record, now);
    let open_until_too_long = |reason| {
        if too_long {
            Verdict::NeedsOperator(reason)
        } else {
            Verdict::Open
        }
    };
    // An inventory that has lost what was there before does not tell
    // everything: no conclusion may be drawn from what it lacks.
    let complete = |present: &&[Subscription]| {
        let has = |id: &String| present.iter().any(|subscription| subscription.id == *id);
        record.baseline.iter().all(has)
    };
    let Some(present) = present.filter(complete) else {
        return open_until_too_long(Reason::Unreadable);
    };
    let is_new = |subscription: &&Subscription| {
        !record.baseline.contains(&subscription.id) && !claims.subscription_ids.contains(&subscription.id)
    };
    let is_ours = |subscription: &&Subscription| subscription.product_id == record.order.wish.product_id;
    // Of a product that the provider does not name: may be ours.
    let may_be_ours = |subscription: &&Subscription| subscription.product_id.is_empty();
    let unclear = present.iter().filter(is_new).filter(may_be_ours).count();
    let mut ours = present.iter().filter(is_new).filter(is_ours);
    match (ours.next(), ours.next()) {
        (Some(only), None) if unclear == 0 && claims.unnamed == 0 => Verdict::Placed(only.id.clone()),
        // Bought by the provider's word: only its bundle has not shown.
        (None, _) if unclear == 0 && record.order.state == State::Placed => {
            open_until_too_long(Reason::Unreadable)
        }
        (None, _) if unclear == 0 && settled => Verdict::NotPlaced,
        (None, _) if unclear == 0 => Verdict::Open,
        // An earlier order's bundle is being looked for as well.
        _ if claims.unnamed > 0 => open_until_too_long(Reason::Ambiguous),
        _ if settled => Verdict::NeedsOperator(Reason::Ambiguous),
        _ => Verdict::Open,
    }
}

/// Judges an order on a bundle by that bundle as it is now.
pub(super) fn judge_follow_up(
    record: &Record,
    present: Option<&[Subscription]>,
    windows: Windows,
    now: Timestamp,
) -> Verdict {
    let Passed { settled, too_long } = windows.passed(record, now);
    let Some(id) = record.order.wish.act.on_subscription() else {
        return Verdict::Open;
    };
    let bundle = present.and_then(|present| present.iter().find(|subscription| subscription.id == id));
    let over = bundle.is_some_and(Subscription::is_over);
    let done = match &record.order.wish.act {
        Act::CancelRenewal { .. } => {
            over || bundle.is_some_and(|bundle| bundle.status == Some(Status::Canceled))
        }
        _ => over,
    };
    match bundle {
        Some(_) if done => Verdict::Done,
        Some(_) if settled => Verdict::NotPlaced,
        Some(_) => Verdict::Open,
        // It was there when the order was sent.
        None if too_long => Verdict::NeedsOperator(Reason::Unreadable),
        None => Verdict::Open,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::domain::order::{Order, OrderId, RequestId, Wish};
    use crate::domain::{Msisdn, SimIds};

    pub const WINDOWS: Windows = Windows {
        settle: Duration::from_secs(60),
        escalate: Duration::from_secs(600),
    };

    pub fn record(baseline: &[&str]) -> Record {
        let at = Timestamp::UNIX_EPOCH;
        Record {
            order: Order {
                id: OrderId::new(),
                request_id: RequestId(uuid::Uuid::new_v4()),
                sim: SimIds {
                    iccid: None,
                    msisdn: Msisdn::parse("882470000000001"),
                },
                wish: Wish {
                    act: Act::Buy,
                    product_id: "P".into(),
                    activation: None,
                    reference: String::new(),
                    max_price: None,
                },
                caller: None,
                state: State::Unknown,
                subscription_id: None,
                provider_reference: None,
                failure: None,
                created_at: at,
                updated_at: at,
                next_check_at: Some(at),
            },
            attempt: 1,
            baseline: baseline.iter().map(|id| (*id).to_owned()).collect(),
            sent_by: at,
            checks: 0,
        }
    }

    fn bundle(id: &str, product_id: &str) -> Subscription {
        Subscription {
            id: id.into(),
            product_id: product_id.into(),
            category: None,
            status: Some(Status::WaitingForFirstUse),
            raw_status: String::new(),
            ordered_at: None,
            activated_at: None,
            end: None,
            balances: Vec::new(),
            countries: Vec::new(),
            infrastructure: false,
        }
    }

    fn claims(ids: &[&str], unnamed: i64) -> Claims {
        Claims {
            subscription_ids: ids.iter().map(|id| (*id).to_owned()).collect(),
            unnamed,
        }
    }

    #[test]
    fn every_case() {
        use Verdict::*;
        let placed = |id: &str| Placed(id.to_owned());
        let ambiguous = NeedsOperator(Reason::Ambiguous);
        let unreadable = NeedsOperator(Reason::Unreadable);
        let none: &[(&str, &str)] = &[];
        // What is there, what is claimed, unnamed; at 10 s, at 60 s, at 600 s.
        for (present, claimed, unnamed, early, settled, late) in [
            (
                &[("A", "P"), ("N", "P")][..],
                &[][..],
                0,
                placed("N"),
                placed("N"),
                placed("N"),
            ),
            (&[("A", "P")], &[], 0, Open, NotPlaced, NotPlaced),
            (&[("A", "P"), ("N", "Q")], &[], 0, Open, NotPlaced, NotPlaced),
            (&[("A", "P"), ("N", "P")], &["N"], 0, Open, NotPlaced, NotPlaced),
            (
                &[("A", "P"), ("N", "P"), ("M", "P")],
                &["N"],
                0,
                placed("M"),
                placed("M"),
                placed("M"),
            ),
            (
                &[("A", "P"), ("N", "P"), ("M", "P")],
                &[],
                0,
                Open,
                ambiguous.clone(),
                ambiguous.clone(),
            ),
            (&[("A", "P"), ("N", "P")], &[], 1, Open, Open, ambiguous.clone()),
            (&[("A", "P")], &[], 1, Open, NotPlaced, NotPlaced),
            (
                &[("A", "P"), ("N", "")],
                &[],
                0,
                Open,
                ambiguous.clone(),
                ambiguous.clone(),
            ),
            (
                &[("A", "P"), ("N", "P"), ("M", "")],
                &[],
                0,
                Open,
                ambiguous.clone(),
                ambiguous.clone(),
            ),
            // What was there is gone: the list is not to be believed.
            (none, &[], 0, Open, Open, unreadable.clone()),
            (&[("N", "P")], &[], 0, Open, Open, unreadable.clone()),
        ] {
            let bundles: Vec<Subscription> =
                present.iter().map(|(id, product)| bundle(id, product)).collect();
            for (seconds, expected) in [(10, &early), (60, &settled), (600, &late)] {
                let now = Timestamp::UNIX_EPOCH + Duration::from_secs(seconds);
                let verdict = judge(
                    &record(&["A"]),
                    Some(&bundles),
                    &claims(claimed, unnamed),
                    WINDOWS,
                    now,
                );
                assert_eq!(
                    verdict, *expected,
                    "{present:?} {claimed:?} {unnamed} at {seconds} s"
                );
            }
        }
        for (seconds, expected) in [(10, Open), (60, Open), (600, unreadable)] {
            let now = Timestamp::UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(
                judge(&record(&["A"]), None, &claims(&[], 0), WINDOWS, now),
                expected
            );
        }
    }

    #[test]
    fn an_order_that_was_placed_is_never_taken_for_not_placed() {
        let mut record = record(&["A"]);
        record.order.state = State::Placed;
        let present = [bundle("A", "P")];
        let given_up = Verdict::NeedsOperator(Reason::Unreadable);
        for (seconds, expected) in [(10, Verdict::Open), (60, Verdict::Open), (600, given_up)] {
            let now = Timestamp::UNIX_EPOCH + Duration::from_secs(seconds);
            let verdict = judge(&record, Some(&present), &claims(&[], 0), WINDOWS, now);
            assert_eq!(verdict, expected, "at {seconds} s");
        }
    }

    #[test]
    fn an_order_on_a_bundle_is_judged_by_the_bundle() {
        use Verdict::*;
        let subscription_id = "A".to_owned();
        let cancel = Act::CancelRenewal {
            subscription_id: subscription_id.clone(),
        };
        let end = Act::TerminateSubscription { subscription_id };
        let unreadable = NeedsOperator(Reason::Unreadable);
        for (act, status, early, settled, late) in [
            (&cancel, Some(Status::Canceled), Done, Done, Done),
            (&cancel, Some(Status::Terminated), Done, Done, Done),
            (&cancel, Some(Status::Active), Open, NotPlaced, NotPlaced),
            (&end, Some(Status::Terminated), Done, Done, Done),
            (&end, Some(Status::Canceled), Open, NotPlaced, NotPlaced),
            (&end, None, Open, Open, unreadable),
        ] {
            let mut record = record(&[]);
            record.order.wish.act = act.clone();
            let bundles: Vec<Subscription> = status
                .map(|status| Subscription {
                    status: Some(status),
                    ..bundle("A", "P")
                })
                .into_iter()
                .collect();
            for (seconds, expected) in [(10, &early), (60, &settled), (600, &late)] {
                let now = Timestamp::UNIX_EPOCH + Duration::from_secs(seconds);
                let verdict = judge_follow_up(&record, Some(&bundles), WINDOWS, now);
                assert_eq!(verdict, *expected, "{act:?} {status:?} at {seconds} s");
            }
        }
    }
}
