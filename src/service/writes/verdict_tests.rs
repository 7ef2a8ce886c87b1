use jiff::Timestamp;

use super::*;
use crate::domain::order::{Order, OrderId, RequestId, Wish};
use crate::domain::{Msisdn, SimIds};

pub const WINDOWS: Windows = Windows {
    settle: Duration::from_secs(60),
    escalate: Duration::from_secs(600),
};

/// One that was looked for often enough.
pub fn record(baseline: &[&str]) -> Record {
    let at = Timestamp::from_second(1_000_000).unwrap();
    let baseline: Vec<String> = baseline.iter().map(|id| (*id).to_owned()).collect();
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
        first_baseline: baseline.clone(),
        baseline,
        sent_by: at,
        checks: LEAST_LOOKS - 1,
        due_at: Some(at),
        checked_at: Some(at),
        observed: Observed::default(),
    }
}

fn subscription(id: &str, product_id: &str) -> Subscription {
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

fn holdings(present: &[(&str, &str)], unreadable: usize) -> Holdings {
    Holdings {
        subscriptions: present
            .iter()
            .map(|(id, product)| subscription(id, product))
            .collect(),
        unreadable,
    }
}

fn claims(ids: &[&str], rivals: i64) -> Claims {
    Claims {
        subscription_ids: ids.iter().map(|id| (*id).to_owned()).collect(),
        rivals,
    }
}

/// What is observed when it was always looked at and nothing has shown.
pub fn after(seconds: u64) -> (Observed, Duration) {
    let span = Duration::from_secs(seconds);
    let observed = Observed {
        absent_for: Duration::ZERO,
        watched_for: span,
    };
    (observed, span)
}

fn verdict(record: &Record, holdings: Option<&Holdings>, claims: &Claims, seconds: u64) -> Verdict {
    let (observed, step) = after(seconds);
    judge(record, holdings, claims, WINDOWS, observed, step).verdict
}

#[test]
fn every_case() {
    use Verdict::*;
    let placed = |id: &str| Placed(id.to_owned());
    let ambiguous = NeedsOperator(Reason::Ambiguous);
    let unreadable = NeedsOperator(Reason::Unreadable);
    let none: &[(&str, &str)] = &[];
    // What is there, what cannot be read, what is claimed, rivals; the
    // verdict after 10 s, 60 s and 600 s.
    for (present, unread, claimed, rivals, early, settled, late) in [
        (
            &[("A", "P"), ("N", "P")][..],
            0,
            &[][..],
            0,
            placed("N"),
            placed("N"),
            placed("N"),
        ),
        (&[("A", "P")], 0, &[], 0, Open, NotPlaced, NotPlaced),
        (&[("A", "P"), ("N", "Q")], 0, &[], 0, Open, NotPlaced, NotPlaced),
        (
            &[("A", "P"), ("N", "P")],
            0,
            &["N"],
            0,
            Open,
            NotPlaced,
            NotPlaced,
        ),
        (
            &[("A", "P"), ("N", "P"), ("M", "P")],
            0,
            &["N"],
            0,
            placed("M"),
            placed("M"),
            placed("M"),
        ),
        (
            &[("A", "P"), ("N", "P"), ("M", "P")],
            0,
            &[],
            0,
            Open,
            ambiguous.clone(),
            ambiguous.clone(),
        ),
        (
            &[("A", "P"), ("N", "P")],
            0,
            &[],
            1,
            Open,
            Open,
            ambiguous.clone(),
        ),
        (&[("A", "P")], 0, &[], 1, Open, NotPlaced, NotPlaced),
        (
            &[("A", "P"), ("N", "")],
            0,
            &[],
            0,
            Open,
            ambiguous.clone(),
            ambiguous.clone(),
        ),
        (
            &[("A", "P"), ("N", "P"), ("M", "")],
            0,
            &[],
            0,
            Open,
            ambiguous.clone(),
            ambiguous.clone(),
        ),
        // What cannot be read may be the order's, or a second one.
        (&[("A", "P")], 1, &[], 0, Open, Open, unreadable.clone()),
        (
            &[("A", "P"), ("N", "P")],
            1,
            &[],
            0,
            Open,
            Open,
            unreadable.clone(),
        ),
        // What was there is gone: the list is not to be believed.
        (none, 0, &[], 0, Open, Open, unreadable.clone()),
        (&[("N", "P")], 0, &[], 0, Open, Open, unreadable.clone()),
    ] {
        let holdings = holdings(present, unread);
        for (seconds, expected) in [(10, &early), (60, &settled), (600, &late)] {
            assert_eq!(
                verdict(
                    &record(&["A"]),
                    Some(&holdings),
                    &claims(claimed, rivals),
                    seconds
                ),
                *expected,
                "{present:?} {unread} {claimed:?} {rivals} at {seconds} s"
            );
        }
    }
    for (seconds, expected) in [(10, Open), (60, Open), (600, unreadable)] {
        assert_eq!(verdict(&record(&["A"]), None, &claims(&[], 0), seconds), expected);
    }
}

#[test]
fn not_placed_takes_several_looks_and_time_in_which_all_could_be_read() {
    let nothing = holdings(&[], 0);
    let mut record = record(&[]);
    assert_eq!(
        verdict(&record, Some(&nothing), &claims(&[], 0), 60),
        Verdict::NotPlaced
    );
    record.checks = LEAST_LOOKS - 2;
    assert_eq!(
        verdict(&record, Some(&nothing), &claims(&[], 0), 60),
        Verdict::Open
    );
    record.checks = LEAST_LOOKS;
    // Watched for long, but hardly ever readable.
    let (observed, _) = after(600);
    let judged = judge(
        &record,
        Some(&nothing),
        &claims(&[], 0),
        WINDOWS,
        observed,
        Duration::from_secs(59),
    );
    assert_eq!((judged.verdict, judged.is_absent), (Verdict::Open, true));
}

#[test]
fn a_repeat_is_judged_by_what_was_there_before_the_first_attempt() {
    let mut record = record(&["A"]);
    record.baseline = vec!["A".into(), "N".into()];
    let holdings = holdings(&[("A", "P"), ("N", "P")], 0);
    assert_eq!(
        verdict(&record, Some(&holdings), &claims(&[], 0), 10),
        Verdict::Placed("N".into())
    );
}

#[test]
fn what_was_ordered_before_is_not_taken_for_the_orders() {
    let record = record(&[]);
    let mut holdings = holdings(&[("N", "P")], 0);
    for (seconds_before, expected) in [
        (1, Verdict::Placed("N".into())),
        (299, Verdict::Placed("N".into())),
        (3_600, Verdict::Open),
    ] {
        holdings.subscriptions[0].ordered_at =
            Some(record.order.created_at - Duration::from_secs(seconds_before));
        assert_eq!(verdict(&record, Some(&holdings), &claims(&[], 0), 10), expected);
    }
    assert_eq!(
        verdict(&record, Some(&holdings), &claims(&[], 0), 60),
        Verdict::NeedsOperator(Reason::Ambiguous)
    );
}

#[test]
fn what_was_not_placed_as_far_as_could_be_seen_may_show_later() {
    let mut record = record(&["A"]);
    record.order.state = State::NotPlaced;
    let one = holdings(&[("A", "P"), ("N", "P")], 0);
    let two = holdings(&[("A", "P"), ("N", "P"), ("M", "P")], 0);
    let nothing = holdings(&[("A", "P")], 0);
    let none = claims(&[], 0);
    assert_eq!(
        verdict(&record, Some(&one), &none, 1),
        Verdict::Placed("N".into())
    );
    assert_eq!(
        verdict(&record, Some(&two), &none, 1),
        Verdict::NeedsOperator(Reason::Ambiguous)
    );
    assert_eq!(verdict(&record, Some(&nothing), &none, 600), Verdict::Open);
}

#[test]
fn an_order_that_was_placed_is_never_taken_for_not_placed() {
    let mut record = record(&["A"]);
    record.order.state = State::Placed;
    let present = holdings(&[("A", "P")], 0);
    let given_up = Verdict::NeedsOperator(Reason::Unreadable);
    for (seconds, expected) in [(10, Verdict::Open), (60, Verdict::Open), (600, given_up)] {
        let verdict = verdict(&record, Some(&present), &claims(&[], 0), seconds);
        assert_eq!(verdict, expected, "at {seconds} s");
    }
}

#[test]
fn an_order_on_a_subscription_is_judged_by_the_subscription() {
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
        let subscriptions = status.map(|status| Subscription {
            status: Some(status),
            ..subscription("A", "P")
        });
        let holdings = Holdings {
            subscriptions: subscriptions.into_iter().collect(),
            unreadable: 0,
        };
        for (seconds, expected) in [(10, &early), (60, &settled), (600, &late)] {
            let (observed, step) = after(seconds);
            let judged = judge_follow_up(&record, Some(&holdings), WINDOWS, observed, step);
            assert_eq!(judged.verdict, *expected, "{act:?} {status:?} at {seconds} s");
        }
    }
}
