//! What an event says of the state that it reports, and what of its body callers
//! are not shown.

use jiff::Timestamp;
use serde_json::Value;

use crate::domain::event::{Details, EventType};
use crate::domain::opaque::Opaque;
use crate::transatel::api::countries::country;
use crate::transatel::api::inventory;
use crate::transatel::api::sim_management::esim_status;
use crate::transatel::moment;

/// Members that name the company's account at the provider: callers know no
/// account. Compared without letter case, at any depth.
const ACCOUNT_MEMBERS: [&str; 5] = [
    // The account.
    "mvnoRef",
    // Its class of service, which is its catalog.
    "cos",
    "cosRef",
    // Its tariff.
    "ratePlan",
    // The account's number with the subscriber's behind it.
    "subscriberNumber",
];

/// A body without the account's names.
pub fn without_account(body: Opaque) -> Opaque {
    match body {
        Opaque::Object(members) => Opaque::Object(
            members
                .into_iter()
                .filter(|(name, _)| !ACCOUNT_MEMBERS.iter().any(|own| name.eq_ignore_ascii_case(own)))
                .map(|(name, value)| (name, without_account(value)))
                .collect(),
        ),
        Opaque::List(items) => Opaque::List(items.into_iter().map(without_account).collect()),
        Opaque::Null | Opaque::Bool(_) | Opaque::Number(_) | Opaque::Text(_) => body,
    }
}

/// Reads what this type of event says.
pub(super) fn read(raw_type: &str, body: &Value) -> Details {
    let kind = EventType::named(raw_type);
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str);
    let mut details = Details::default();
    if kind.is_about_a_network() {
        details.country = text("/country").and_then(country);
    }
    if raw_type.starts_with("SIM-MANAGEMENT/ESIM/") {
        details.esim_status = text("/status").and_then(esim_status);
    }
    if kind.is_about_a_resource() {
        // Its members are not published: these are the inventory's.
        details.balance = body.get("resource").and_then(inventory::resource);
    }
    if raw_type.starts_with("OCS/PRODUCT/") {
        let date = |name: &str| text(&format!("/productSubscription/{name}")).and_then(moment::read);
        dates(&mut details, kind, date("activationDate"), date("expirationDate"));
    }
    details
}

/// The provider gives one expiration date: the deadline of a subscription that
/// waits for its first use, and the end of one that has started. Where it is not
/// known which, the date is left out.
fn dates(
    details: &mut Details,
    kind: EventType,
    activated: Option<Timestamp>,
    expiration: Option<Timestamp>,
) {
    match kind {
        EventType::ProductPreloaded | EventType::ProductDeferred => details.activation_deadline = expiration,
        EventType::ProductActivated
        | EventType::ProductRenewed
        | EventType::ProductCanceled
        | EventType::ProductExpired
        | EventType::ProductResourceThreshold
        | EventType::ProductResourceExhausted => {
            details.activated_at = activated;
            details.expires_at = expiration;
        }
        _ => {
            details.activated_at = activated;
            details.expires_at = expiration.filter(|_| activated.is_some());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::EsimStatus;
    use crate::domain::product::Amount;
    use crate::domain::subscription::Level;

    fn of_subscription(raw_type: &str, activation: Value, expiration: Value) -> [Option<Timestamp>; 3] {
        let dates = json!({ "activationDate": activation, "expirationDate": expiration });
        let details = read(raw_type, &json!({ "productSubscription": dates }));
        [
            details.activated_at,
            details.activation_deadline,
            details.expires_at,
        ]
    }

    #[test]
    fn the_one_date_is_a_deadline_before_the_first_use_and_an_end_after_it() {
        const FIRST: &str = "2026-08-04T13:30:00Z";
        const LAST: &str = "2026-09-03T13:30:00+02:00";
        let (first, last) = (FIRST.parse().ok(), LAST.parse().ok());
        for (name, activation, expected) in [
            ("PRELOADED", json!(null), [None, last, None]),
            // Dates that stand for "none".
            ("PRELOADED", json!("0001-01-01T00:00:00Z"), [None, last, None]),
            ("DEFERRED", json!(FIRST), [None, last, None]),
            ("ACTIVATED", json!(FIRST), [first, None, last]),
            ("EXPIRED", json!(null), [None, None, last]),
            ("CANCELED", json!(null), [None, None, last]),
            ("CANCELLED", json!(null), [None, None, last]),
            ("RENEWED", json!(FIRST), [first, None, last]),
            ("RESOURCE/EXHAUSTED", json!(5), [None, None, last]),
            // Ended, used or not.
            ("TERMINATED", json!(null), [None, None, None]),
            ("TERMINATED", json!(FIRST), [first, None, last]),
            ("NEW_WORD", json!(null), [None, None, None]),
        ] {
            let raw_type = format!("OCS/PRODUCT/{name}");
            assert_eq!(
                of_subscription(&raw_type, activation, json!(LAST)),
                expected,
                "{name}"
            );
        }
        for odd in [json!("soon"), json!("9999-12-31T23:59:59Z"), json!({}), json!(7)] {
            let read = of_subscription("OCS/PRODUCT/ACTIVATED", odd.clone(), odd);
            assert_eq!(read, [None; 3]);
        }
        assert_eq!(of_subscription("T", json!(FIRST), json!(LAST)), [None; 3]);
    }

    #[test]
    fn a_country_is_that_of_the_network() {
        let named = |raw_type: &str, country: Value| {
            let details = read(raw_type, &json!({ "country": country }));
            details.country.map(|country| country.to_string())
        };
        const ALERT: &str = "CONNECTIVITY-MANAGEMENT/SUBSCRIBER/ROAMING/ALERT";
        assert_eq!(named(ALERT, json!("DEU")).as_deref(), Some("DE"));
        assert_eq!(
            named("NETWORK/LOCATION-UPDATE/DENIED", json!("fr")).as_deref(),
            Some("FR")
        );
        for odd in [json!("EUROPE"), json!(276), json!(null)] {
            assert_eq!(named(ALERT, odd), None);
        }
        let elsewhere = "CONNECTIVITY-MANAGEMENT/SUBSCRIBER/MODIFIED";
        assert_eq!(named(elsewhere, json!("DEU")), None, "of the customer");
    }

    #[test]
    fn a_profile_has_the_status_that_the_event_names() {
        let status = |raw_type, status: Value| read(raw_type, &json!({ "status": status })).esim_status;
        let enabled = Some(EsimStatus::Enabled);
        assert_eq!(status("SIM-MANAGEMENT/ESIM/ENABLED", json!("enabled")), enabled);
        assert_eq!(status("SIM-MANAGEMENT/ESIM/ERROR", json!("ENABLED")), enabled);
        assert_eq!(status("SIM-MANAGEMENT/ESIM/ENABLED", json!("frozen")), None);
        assert_eq!(
            status("CONNECTIVITY-MANAGEMENT/SUBSCRIBER/ACTIVATED", json!("enabled")),
            None
        );
    }

    #[test]
    fn what_is_left_is_read_as_in_the_inventory() {
        let balance = |raw_type, resource: Value| read(raw_type, &json!({ "resource": resource })).balance;
        const LOW: &str = "OCS/PRODUCT/RESOURCE/THRESHOLD";
        let resource = json!({ "resourceName": "DATA_BUNDLE_COUNTRY", "resourceUnit": "KB",
            "resourceValue": "204", "resourceStartValue": 1024 });
        let found = balance(LOW, resource.clone()).unwrap();
        let expected = Level::Limited {
            remaining: Some(Amount::DataBytes(204 * 1024)),
            initial: Some(Amount::DataBytes(1024 * 1024)),
        };
        assert_eq!(
            (found.resource.as_str(), found.level),
            ("DATA_BUNDLE_COUNTRY", expected)
        );
        assert!(balance("OCS/RESOURCE/EXHAUSTED", resource.clone()).is_some());
        assert!(balance("OCS/PRODUCT/EXPIRED", resource).is_none());
        for odd in [
            json!("DATA"),
            json!([]),
            json!({}),
            json!({ "resourceValue": {} }),
        ] {
            assert!(balance(LOW, odd).is_none());
        }
    }

    #[test]
    fn the_accounts_names_are_left_out_at_any_depth() {
        let text = |text: &str| Opaque::Text(text.into());
        let body = |account: &[&str]| {
            let mut members = vec![("msisdn".to_owned(), text("1"))];
            members.extend(account.iter().map(|name| ((*name).to_owned(), text("SECRET"))));
            Opaque::Object(members)
        };
        let nested = |account: &[&str]| {
            let list = Opaque::List(vec![body(account), Opaque::Null]);
            Opaque::Object(vec![("list".to_owned(), list)])
        };
        let all = [
            "mvnoRef",
            "MVNOREF",
            "cos",
            "cosRef",
            "ratePlan",
            "subscriberNumber",
        ];
        assert!(without_account(nested(&all)) == nested(&[]));
        assert!(without_account(body(&["costs"])) == body(&["costs"]));
    }
}
