use jiff::Timestamp;

use super::*;
use crate::domain::Msisdn;
use crate::domain::change::SubscriptionAction;
use crate::domain::subscription::Status;
use crate::domain::write::{Kind, Line, PurchaseTerms, RequestId, SubscriptionTerms, Write, WriteId};
use crate::service::writes::subscription;

pub const WINDOWS: Windows = Windows {
    settle: Duration::from_secs(60),
    escalate: Duration::from_secs(600),
};

/// The purchase of product P.
pub fn purchase() -> Purchase {
    Purchase {
        line: Line {
            msisdn: Msisdn::parse("882470000000001").unwrap(),
            iccid: None,
        },
        terms: PurchaseTerms {
            product_id: "P".into(),
            activation: None,
            reference: String::new(),
            max_price: None,
            parent: None,
            from_stock: None,
        },
        activation_used: None,
        list_price: None,
        subscription_id: None,
    }
}

/// One that was checked often enough.
pub fn record(baseline: &[&str]) -> Record {
    let at = Timestamp::from_second(1_000_000).unwrap();
    let baseline: Vec<String> = baseline.iter().map(|id| (*id).to_owned()).collect();
    Record {
        write: Write {
            id: WriteId::new(),
            request_id: RequestId(uuid::Uuid::new_v4()),
            caller: None,
            state: State::Unknown,
            kind: Kind::Purchase(purchase()),
            provider_reference: None,
            failure: None,
            created_at: at,
            updated_at: at,
            next_check_at: Some(at),
            note: None,
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

fn on_sim(id: &str, product_id: &str) -> Subscription {
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
        unlimited: false,
    }
}

fn holdings(present: &[(&str, &str)], unreadable: usize) -> Holdings {
    Holdings {
        subscriptions: present.iter().map(|(id, product)| on_sim(id, product)).collect(),
        unreadable,
        language: None,
    }
}

fn claims(ids: &[&str], rivals: i64) -> Claims {
    Claims {
        subscription_ids: ids.iter().map(|id| (*id).to_owned()).collect(),
        rivals,
    }
}

/// What is observed when it was always checked and nothing has shown.
pub fn after(seconds: u64) -> Observation {
    let span = Duration::from_secs(seconds);
    Observation {
        windows: WINDOWS,
        observed: Observed {
            absent_for: Duration::ZERO,
            watched_for: span,
        },
        step: span,
    }
}

fn verdict(record: &Record, holdings: Option<&Holdings>, claims: &Claims, seconds: u64) -> Verdict {
    judge(record, &purchase(), holdings, claims, after(seconds)).verdict
}

#[test]
fn every_case() {
    use Verdict::*;
    let bought = |id: &str| Bought(id.to_owned());
    let ambiguous = NeedsOperator(Reason::Ambiguous);
    let unreadable = NeedsOperator(Reason::Unreadable);
    let none: &[(&str, &str)] = &[];
    // What is there, what cannot be read, what is claimed, rivals; the verdict
    // after 10 s, 60 s and 600 s.
    for (present, unread, claimed, rivals, early, settled, late) in [
        (
            &[("A", "P"), ("N", "P")][..],
            0,
            &[][..],
            0,
            bought("N"),
            bought("N"),
            bought("N"),
        ),
        (&[("A", "P")], 0, &[], 0, Open, NotDone, NotDone),
        (&[("A", "P"), ("N", "Q")], 0, &[], 0, Open, NotDone, NotDone),
        (&[("A", "P"), ("N", "P")], 0, &["N"], 0, Open, NotDone, NotDone),
        (
            &[("A", "P"), ("N", "P"), ("M", "P")],
            0,
            &["N"],
            0,
            bought("M"),
            bought("M"),
            bought("M"),
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
        (&[("A", "P")], 0, &[], 1, Open, NotDone, NotDone),
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
        // What is written in another way may be the order's.
        (
            &[("A", "P"), ("N", "p")],
            0,
            &[],
            0,
            Open,
            ambiguous.clone(),
            ambiguous.clone(),
        ),
        (
            &[("A", "P"), ("N", "\u{FEFF}P\0")],
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
        // What was there is gone: the list is not trusted.
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
        Verdict::NotDone
    );
    record.checks = LEAST_LOOKS - 2;
    assert_eq!(
        verdict(&record, Some(&nothing), &claims(&[], 0), 60),
        Verdict::Open
    );
    record.checks = LEAST_LOOKS;
    // Watched for long, but hardly ever readable.
    let observation = Observation {
        step: Duration::from_secs(59),
        ..after(600)
    };
    let judged = judge(&record, &purchase(), Some(&nothing), &claims(&[], 0), observation);
    assert_eq!((judged.verdict, judged.is_absent), (Verdict::Open, true));
}

#[test]
fn a_repeat_is_judged_by_what_was_there_before_the_first_attempt() {
    let mut record = record(&["A"]);
    record.baseline = vec!["A".into(), "N".into()];
    let holdings = holdings(&[("A", "P"), ("N", "P")], 0);
    assert_eq!(
        verdict(&record, Some(&holdings), &claims(&[], 0), 10),
        Verdict::Bought("N".into())
    );
}

#[test]
fn a_subscription_from_before_the_order_is_not_counted() {
    let record = record(&[]);
    let mut holdings = holdings(&[("N", "P")], 0);
    for (seconds_before, expected) in [
        (1, Verdict::Bought("N".into())),
        (299, Verdict::Bought("N".into())),
        (3_600, Verdict::Open),
    ] {
        holdings.subscriptions[0].ordered_at =
            Some(record.write.created_at - Duration::from_secs(seconds_before));
        assert_eq!(verdict(&record, Some(&holdings), &claims(&[], 0), 10), expected);
    }
    assert_eq!(
        verdict(&record, Some(&holdings), &claims(&[], 0), 60),
        Verdict::NeedsOperator(Reason::Ambiguous)
    );
}

#[test]
fn an_order_taken_for_not_placed_may_show_later() {
    let mut record = record(&["A"]);
    record.write.state = State::NotDone;
    let one = holdings(&[("A", "P"), ("N", "P")], 0);
    let two = holdings(&[("A", "P"), ("N", "P"), ("M", "P")], 0);
    let nothing = holdings(&[("A", "P")], 0);
    let none = claims(&[], 0);
    assert_eq!(
        verdict(&record, Some(&one), &none, 1),
        Verdict::Bought("N".into())
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
    record.write.state = State::Done;
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
    let (cancel, end) = (SubscriptionAction::CancelRenewal, SubscriptionAction::Terminate);
    let unreadable = NeedsOperator(Reason::Unreadable);
    for (action, status, early, settled, late) in [
        (cancel, Some(Status::Canceled), Done, Done, Done),
        (cancel, Some(Status::Terminated), Done, Done, Done),
        (cancel, Some(Status::Active), Open, NotDone, NotDone),
        (end, Some(Status::Terminated), Done, Done, Done),
        (end, Some(Status::Canceled), Open, NotDone, NotDone),
        (end, None, Open, Open, unreadable),
    ] {
        let terms = SubscriptionTerms {
            subscription_id: "A".into(),
            action,
        };
        let subscriptions = status.map(|status| Subscription {
            status: Some(status),
            ..on_sim("A", "P")
        });
        let holdings = Holdings {
            subscriptions: subscriptions.into_iter().collect(),
            unreadable: 0,
            language: None,
        };
        for (seconds, expected) in [(10, &early), (60, &settled), (600, &late)] {
            let judged = subscription::judge(&record(&[]), &terms, Some(&holdings), after(seconds));
            assert_eq!(judged.verdict, *expected, "{action:?} {status:?} at {seconds} s");
        }
    }
}
