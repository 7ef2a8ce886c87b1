//! What is posted to the webhook.

use jiff::Timestamp;
use serde_json::json;

use super::{Answer, Facts, ICCID, Mutation, REFERENCE, fact, is_kept_or_none};
use crate::transatel::event;

fn event_facts(body: &[u8]) -> Option<Facts> {
    let report = event::read(body, Timestamp::UNIX_EPOCH).ok()?;
    let own = report.event;
    let mut facts = Facts::new();
    fact(&mut facts, "id", own.id);
    fact(&mut facts, "type", own.raw_type);
    fact(&mut facts, "occurred", own.occurred_at);
    fact(
        &mut facts,
        "iccid",
        own.sim.iccid.as_ref().map(|iccid| iccid.as_str().to_owned()),
    );
    fact(
        &mut facts,
        "msisdn",
        own.sim.msisdn.as_ref().map(|msisdn| msisdn.as_str().to_owned()),
    );
    fact(&mut facts, "subscription", own.subscription_id);
    fact(&mut facts, "product", own.product_id);
    fact(&mut facts, "order", own.order_id);
    fact(&mut facts, "transaction", own.transaction_id);
    fact(&mut facts, "infrastructure", own.infrastructure);
    fact(&mut facts, "deadline", own.details.activation_deadline);
    // What is stored can be read back.
    assert!(serde_json::from_str::<serde_json::Value>(&report.body).is_ok());
    Some(facts)
}

/// An event settles an order only when it names it in words that are
/// understood.
fn order_is_understood(mutation: &Mutation, was: &Facts, is: Option<&Facts>) {
    assert!(
        is_kept_or_none("order", was, is),
        "{} at {}",
        mutation.kind,
        mutation.at
    );
}

pub(super) fn event_of_a_subscription() -> Answer {
    Answer {
        name: "event of a subscription",
        sample: json!({
            "header": { "eventId": "8f7b0c1e", "eventType": "OCS/PRODUCT/PRELOADED", "eventDate": "2026-11-02T03:04:05Z" },
            "body": {
                "mvnoRef": "M", "cos": "C", "msisdn": "882470000000001", "iccid": ICCID, "externalReference": REFERENCE,
                "productSubscription": {
                    "subscriptionId": "S-1", "expirationDate": "2027-11-02T03:04:05Z",
                    "productDefinition": { "productId": "P", "tags": ["DE"] },
                },
            },
        })
        .to_string(),
        read: event_facts,
        dependencies: &[
            ("/header$", &["*"]),
            ("/body$", &["*"]),
            ("/header/eventId", &["*"]),
            // The type says what the date means.
            ("/header/eventType", &["type", "deadline"]),
            ("/header/eventDate", &["occurred"]),
            ("/body/msisdn", &["msisdn"]),
            ("/body/iccid", &["iccid"]),
            ("/body/productSubscription/expirationDate", &["deadline"]),
            ("/body/externalReference", &["order"]),
            ("/body/productSubscription/subscriptionId", &["subscription"]),
            (
                "/body/productSubscription/productDefinition/productId",
                &["product", "infrastructure"],
            ),
            ("/body/productSubscription/productDefinition/tags", &["infrastructure"]),
        ],
        judge: order_is_understood,
        any: |_| (),
        at_least: 300,
    }
}

pub(super) fn event_of_a_sim() -> Answer {
    Answer {
        name: "event of a SIM",
        sample: json!({
            "header": { "eventId": 4711, "eventType": "CONNECTIVITY/SUSPENDED", "eventDate": "2026-11-02T03:04:05Z" },
            "body": { "simSerial": ICCID, "msisdn": "+882470000000001", "transactionId": "T-1", "status": "SUCCESS" },
        })
        .to_string(),
        read: event_facts,
        dependencies: &[
            ("/header$", &["*"]),
            ("/body$", &["*"]),
            ("/header/eventId", &["*"]),
            ("/header/eventType", &["type"]),
            ("/header/eventDate", &["occurred"]),
            ("/body/msisdn", &["msisdn"]),
            ("/body/simSerial", &["iccid"]),
            ("/body/transactionId", &["transaction"]),
        ],
        judge: order_is_understood,
        any: |_| (),
        at_least: 180,
    }
}
