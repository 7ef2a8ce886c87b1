//! What an event says in fields of its own, and what callers are not shown.

use serde_json::{Value, json};
use transatel_gateway_client::connectivity::v1::*;

use crate::events::webhook::{EventSource, all};

#[tokio::test]
async fn what_the_provider_says_is_in_fields() {
    let source = EventSource::open(&[]).await;
    let dates = |activated: &str, until: &str| json!({ "productSubscription": { "subscriptionId": "S", "activationDate": activated, "expirationDate": until } });
    let (none, first, last) = (
        "0001-01-01T00:00:00Z",
        "2026-08-04T13:30:00Z",
        "2026-09-03T13:30:00Z",
    );
    let resource = json!({ "resource": { "resourceName": "DATA_BUNDLE_COUNTRY", "resourceUnit": "KB",
        "resourceValue": 204, "resourceStartValue": 1024 } });
    let cases: [(&str, Value); 8] = [
        ("OCS/PRODUCT/PRELOADED", dates(none, last)),
        ("OCS/PRODUCT/ACTIVATED", dates(first, last)),
        ("OCS/PRODUCT/EXPIRED", dates("soon", last)),
        (
            "CONNECTIVITY-MANAGEMENT/SUBSCRIBER/ROAMING/ALERT",
            json!({ "country": "DEU" }),
        ),
        ("SIM-MANAGEMENT/ESIM/ENABLED", json!({ "status": "enabled" })),
        ("OCS/PRODUCT/RESOURCE/THRESHOLD", resource),
        ("OCS/PRODUCT/RESOURCE/EXHAUSTED", json!({ "resource": "DATA" })),
        // Only the gateway makes events of its types.
        ("GATEWAY/ORDER/PLACED", json!({})),
    ];
    for (number, (kind, body)) in cases.into_iter().enumerate() {
        source.send(number, kind, body).await;
    }
    let events = all(&mut source.gateway.events()).await;
    let second = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_second();
    let dates: Vec<_> = events[..3]
        .iter()
        .map(|event| {
            [event.activated_at, event.activation_deadline, event.expires_at]
                .map(|date| date.map(|date| date.seconds))
        })
        .collect();
    let (first, last) = (Some(second(first)), Some(second(last)));
    assert_eq!(
        dates,
        [[None, last, None], [first, None, last], [None, None, last]]
    );
    assert_eq!(events[3].country, "DE");
    assert_eq!(events[4].esim_status(), EsimStatus::Enabled);
    let balance = events[5].balance.clone().unwrap();
    let amount = |bytes| {
        Some(Amount {
            kind: Some(amount::Kind::DataBytes(bytes)),
        })
    };
    assert_eq!(balance.resource, "DATA_BUNDLE_COUNTRY");
    assert_eq!(
        (balance.remaining, balance.initial),
        (amount(204 * 1024), amount(1024 * 1024))
    );
    assert_eq!(events[6].balance, None);
    assert_eq!(
        (events[7].r#type(), events[7].raw_type.as_str()),
        (EventType::Other, "GATEWAY/ORDER/PLACED")
    );
}

#[tokio::test]
async fn the_names_of_the_account_are_not_shown_at_any_depth() {
    let source = EventSource::open(&[]).await;
    let account = json!({ "mvnoRef": "ACCOUNT-77", "MvnoRef": "ACCOUNT-77", "cos": "ACCOUNT-77",
        "cosRef": "ACCOUNT-77", "ratePlan": "ACCOUNT-77", "subscriberNumber": "ACCOUNT-77.1", "kept": true });
    let mut body = account.clone();
    body["inner"] = json!([{ "deeper": account }, 7]);
    source.send("A", "T", body).await;
    let event = all(&mut source.gateway.events()).await.remove(0);
    let shown = format!("{:?}", event.attributes.unwrap().fields);
    assert!(!shown.contains("ACCOUNT-77"), "{shown}");
    assert_eq!(shown.matches("\"kept\"").count(), 2, "{shown}");
}
