//! Orders, changes of SIMs, and refusals.

use serde_json::json;

use super::{Answer, Facts, Mutation, REFERENCE, SAME, anything, fact, is_another_text, is_kept_or_none};
use crate::transatel::api::orders::{Outcome, Receipt, failed};
use crate::transatel::api::sim_operations::{Accepted, Transaction};
use crate::transatel::client::error::{CallError, Refusal};
use crate::transatel::{fuzzing, lenient};

pub(super) fn order() -> Answer {
    Answer {
        name: "order",
        sample: json!({
            "id": "TSL-1", "orderReference": "TSL-4DCB7FFD5DF1", "status": "done", "subscriptionId": "S-1",
            "transactionReference": REFERENCE, "creationDate": "2026-11-02T03:04:05Z",
        })
        .to_string(),
        read: |body| match lenient::answer::<Receipt>(body).ok()?.placed(REFERENCE)? {
            Outcome::Placed {
                subscription_id,
                provider_reference,
            } => {
                let mut facts = Facts::new();
                fact(&mut facts, "placed", true);
                fact(&mut facts, "subscription", subscription_id);
                fact(&mut facts, "reference", provider_reference);
                Some(facts)
            }
            other => panic!("{other:?}"),
        },
        dependencies: &[
            // What decides, and is not understood, leaves the outcome open; so
            // does a receipt with a member that occurs twice.
            ("/status", &["*"]),
            ("/transactionReference", &["*"]),
            ("/id", &["*"]),
            ("/orderReference", &["*"]),
            ("/subscriptionId", &["*"]),
        ],
        judge: |mutation, was, is| {
            let understood = match mutation.at.as_str() {
                "/status" => &["drop", "null", "other case"][..],
                "/transactionReference" => &["drop", "null"],
                "" => &["twice, another first", "very long"],
                _ => return,
            };
            let is_understood = SAME.contains(&mutation.kind) || understood.contains(&mutation.kind);
            assert!(
                is.is_none() || is_understood,
                "{} at {}: placed",
                mutation.kind,
                mutation.at
            );
            assert!(is.is_none() || is_kept_or_none("subscription", was, is));
        },
        any: fuzzing::orders,
        at_least: 120,
    }
}

pub(super) fn accepted() -> Answer {
    Answer {
        name: "accepted",
        sample: json!({ "transactionId": "T-1", "transactionStatus": "PENDING", "message": "accepted" })
            .to_string(),
        read: |body| {
            let outcome = lenient::record::<Accepted>(body).ok()?.outcome();
            let mut facts = Facts::new();
            fact(&mut facts, "refused", matches!(outcome, Outcome::Refused(_)));
            if let Outcome::Accepted { transaction } = outcome {
                fact(&mut facts, "transaction", transaction);
            }
            Some(facts)
        },
        dependencies: &[("/transactionId", &["transaction"])],
        judge: anything,
        any: fuzzing::connectivity,
        at_least: 60,
    }
}

pub(super) fn transaction() -> Answer {
    Answer {
        name: "transaction",
        sample: json!({
            "transactionId": "T-1", "syncStatus": "SUCCESS", "asyncStatus": "DONE", "requestDate": "2026-11-02T03:04:05Z",
        })
        .to_string(),
        read: |body| {
            let progress = lenient::record::<Transaction>(body).ok()?.progress();
            Some(Facts::from([("progress".to_owned(), format!("{progress:?}"))]))
        },
        dependencies: &[("/asyncStatus", &["progress"])],
        judge: |_, _, is| {
            let progress = is.and_then(|is| is.get("progress"));
            assert!(progress.is_none_or(|progress| progress != "Failed"));
        },
        any: fuzzing::connectivity,
        at_least: 80,
    }
}

fn outcome(body: &[u8], status: u16) -> Facts {
    let refusal = Refusal::read(status, body, None, None);
    let mut facts = Facts::new();
    fact(&mut facts, "title", &refusal.title);
    fact(&mut facts, "detail", &refusal.detail);
    let outcome = match failed(CallError::Refused(refusal)) {
        Outcome::Refused(failure) => format!("{:?}", failure.reason),
        Outcome::Unknown => "unknown".into(),
        other => panic!("{other:?}"),
    };
    facts.insert("outcome".into(), outcome);
    facts
}

/// An order is refused only by a code that is understood.
fn refused_is_understood(mutation: &Mutation, was: &Facts, is: Option<&Facts>) {
    let Some(is) = is else { return };
    let is_refused = is["outcome"] != "unknown";
    assert_eq!(
        is_refused,
        is["title"] != "None",
        "{} at {}",
        mutation.kind,
        mutation.at
    );
    let names_code = mutation.at == "/title" || mutation.at == "/errorCode";
    let is_another = names_code && is_another_text(mutation.kind) && mutation.kind != "blank";
    assert!(
        is["title"] == was["title"] || !is_refused || is_another,
        "{} at {}: {is:?}",
        mutation.kind,
        mutation.at
    );
}

pub(super) fn refusal_of_today() -> Answer {
    Answer {
        name: "refusal",
        sample: json!({
            "type": "about:blank", "title": "INSUFFICIENT_FUND", "status": 400, "detail": "no money",
            "instance": "/ocs/subscriptions/api/orders/products",
        })
        .to_string(),
        read: |body| Some(outcome(body, 400)),
        dependencies: &[("/title", &["title", "outcome"]), ("/detail", &["detail"])],
        judge: refused_is_understood,
        any: |body| fuzzing::problem(&[&[0, 0, b'\n'], body].concat()),
        at_least: 120,
    }
}

pub(super) fn refusal_of_old() -> Answer {
    Answer {
        name: "refusal of the older form",
        sample: json!({ "errorCode": "SUBSCRIBER_NOT_FOUND", "message": "unknown" }).to_string(),
        read: |body| Some(outcome(body, 404)),
        dependencies: &[("/errorCode", &["title", "outcome"]), ("/message", &["detail"])],
        judge: refused_is_understood,
        any: |body| fuzzing::problem(&[&[0, 4, b'\n'], body].concat()),
        at_least: 50,
    }
}
