//! The JSON of an event.
//!
//! Provider's document: "Events" of its developer guides. A member that is
//! missing or has another shape is absent; only an event without an id cannot
//! be kept as one. Whether the body is the provider's is the webhook's to
//! know.

mod details;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

pub use details::without_account;

use crate::domain::event::{Event, LONGEST_ID, Origin};
use crate::domain::opaque::DEEPEST;
use crate::domain::product::{is_infrastructure_id, is_infrastructure_tag};
use crate::domain::write::WriteId;
use crate::domain::{Iccid, Msisdn, SimIds};
use crate::transatel::{lenient, moment};

/// No member that is stored in a column of its own is longer.
const LONGEST_MEMBER: usize = 255;

/// An event as the provider reported it. It holds personal data.
pub struct Report {
    /// What could be read; `order_id` is the reference that it carries, and what
    /// the ledger knows of it is absent.
    pub event: Event,
    /// The event's own body as JSON, as it came; without what is unreadable.
    pub body: String,
    /// Whether callers can be shown all of the body: it is not nested deeper
    /// than they can read.
    pub is_shown_whole: bool,
    /// Whether the body is as it came: nothing of it was unreadable.
    pub is_kept_whole: bool,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    header: &'a RawValue,
    body: Option<&'a RawValue>,
}

/// Reads an event.
///
/// # Errors
/// What is wrong with the bytes; holds nothing of them.
pub fn read(bytes: &[u8], received_at: Timestamp) -> Result<Report, &'static str> {
    let envelope: Envelope<'_> = lenient::json(bytes).map_err(|_| "not JSON with a header")?;
    let header = lenient::tree(envelope.header);
    let body = envelope.body.map_or(Value::Object(Map::new()), lenient::tree);
    let id = match header.get("eventId") {
        Some(Value::String(id)) if !id.is_empty() && id.len() <= LONGEST_ID => id.clone(),
        Some(Value::Number(id)) => id.to_string(),
        _ => return Err("it has no event id"),
    };
    let header = |name: &str| header.get(name).and_then(Value::as_str);
    let member = |pointer: &str| text(&body, pointer);
    let product_id = member("/productSubscription/productDefinition/productId")
        .or_else(|| member("/productSubscription/productId"))
        .or_else(|| member("/productId"));
    let raw_type = header("eventType").unwrap_or_default();
    let raw_type: String = raw_type.chars().take(LONGEST_MEMBER).collect();
    let event = Event {
        id,
        origin: Origin::Provider,
        details: details::read(&raw_type, &body),
        raw_type,
        occurred_at: header("eventDate").and_then(moment::read),
        received_at,
        sim: SimIds {
            iccid: member("/iccid")
                .or_else(|| member("/simSerial"))
                .and_then(|iccid| Iccid::parse(&iccid)),
            msisdn: member("/msisdn").and_then(|msisdn| Msisdn::parse_international(&msisdn)),
        },
        subscription_id: member("/productSubscription/subscriptionId").or_else(|| member("/subscriptionId")),
        infrastructure: product_id.as_deref().is_some_and(is_infrastructure_id)
            || has_infrastructure_tag(&body),
        product_id,
        // A customer's own reference is free text: only an order's id is ours.
        order_id: member("/externalReference").and_then(|reference| WriteId::parse(&reference)),
        operation_id: None,
        request_id: None,
        caller: None,
        reference: None,
        transaction_id: member("/transactionId"),
    };
    let raw = envelope.body.map_or("{}", RawValue::get);
    let is_kept_whole = serde_json::from_str::<Value>(raw).is_ok();
    Ok(Report {
        event,
        is_shown_whole: is_kept_whole && fits(&body, DEEPEST),
        body: if is_kept_whole {
            raw.to_owned()
        } else {
            body.to_string()
        },
        is_kept_whole,
    })
}

/// Whether a value is nested no deeper than this many levels.
fn fits(value: &Value, levels: u32) -> bool {
    let Some(levels) = levels.checked_sub(1) else {
        return false;
    };
    match value {
        Value::Array(items) => items.iter().all(|item| fits(item, levels)),
        Value::Object(members) => members.values().all(|member| fits(member, levels)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

/// A text, or a number as text; absent when empty or too long for a column.
fn text(body: &Value, pointer: &str) -> Option<String> {
    let text = match body.pointer(pointer)? {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    (!text.is_empty() && text.len() <= LONGEST_MEMBER).then_some(text)
}

fn has_infrastructure_tag(body: &Value) -> bool {
    let tags = body.pointer("/productSubscription/productDefinition/tags");
    let mut tags = tags.and_then(Value::as_array).into_iter().flatten();
    tags.any(|tag| tag.as_str().is_some_and(is_infrastructure_tag))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> Result<Report, &'static str> {
        super::read(text.as_bytes(), Timestamp::UNIX_EPOCH)
    }

    fn of_body(body: Value) -> Event {
        let envelope = json!({ "header": { "eventId": "E", "eventType": "T" }, "body": body });
        read(&envelope.to_string()).unwrap().event
    }

    #[test]
    fn an_event_of_a_subscription_is_read_whole() {
        let order = WriteId::new();
        let text = json!({
            "header": {
                "eventId": "8f7b0c1e", "eventType": "OCS/PRODUCT/ACTIVATED",
                "eventDate": "2026-02-01T10:00:00.000+02:00"
            },
            "body": {
                "mvnoRef": "M", "cos": "C", "msisdn": "882470000000001", "iccid": "8988247000000000019",
                "externalReference": order.to_string(),
                "productSubscription": {
                    "subscriptionId": "S", "productDefinition": { "productId": "P" }
                }
            }
        })
        .to_string();
        let report = read(&text).unwrap();
        assert!(text.contains(&report.body), "the body is kept as it came");
        let event = report.event;
        assert_eq!(
            (event.id.as_str(), event.raw_type.as_str()),
            ("8f7b0c1e", "OCS/PRODUCT/ACTIVATED")
        );
        assert_eq!(event.occurred_at, "2026-02-01T08:00:00Z".parse().ok());
        assert_eq!(event.sim.iccid.unwrap().as_str(), "8988247000000000019");
        assert_eq!(event.sim.msisdn.unwrap().as_str(), "882470000000001");
        assert_eq!(event.subscription_id.as_deref(), Some("S"));
        assert_eq!(event.product_id.as_deref(), Some("P"));
        assert_eq!(event.order_id, Some(order));
        assert!(!event.infrastructure);
    }

    #[test]
    fn dates_are_read_as_everywhere_else() {
        for (date, expected) in [
            ("2026-02-01T10:00:00", "2026-02-01T10:00:00Z".parse().ok()),
            ("0001-01-01T00:00:00Z", None),
        ] {
            let text = json!({ "header": { "eventId": "E", "eventDate": date } }).to_string();
            assert_eq!(read(&text).unwrap().event.occurred_at, expected, "{date}");
        }
    }

    #[test]
    fn a_part_that_cannot_be_read_is_left_out_alone() {
        let text = r#"{"header":{"eventId":"E"},"body":{"msisdn":"882470000000001","odd":1e999,"iccid":"1","iccid":"2"}}"#;
        let report = read(text).unwrap();
        assert_eq!(report.event.sim.msisdn.unwrap().as_str(), "882470000000001");
        assert!(!report.is_kept_whole && !report.is_shown_whole);
        let kept: Value = serde_json::from_str(&report.body).unwrap();
        assert_eq!(kept["msisdn"], "882470000000001");
    }

    #[test]
    fn either_spelling_names_the_sim() {
        let event = of_body(json!({ "simSerial": "8988247000000000019", "msisdn": "+882470000000001" }));
        assert_eq!(event.sim.iccid.unwrap().as_str(), "8988247000000000019");
        assert_eq!(event.sim.msisdn.unwrap().as_str(), "882470000000001");
        let event = of_body(json!({ "iccid": 8_988_247_000_000_000_019_u64, "msisdn": "unknown" }));
        assert_eq!(event.sim.iccid.unwrap().as_str(), "8988247000000000019");
        assert_eq!(event.sim.msisdn, None);
    }

    #[test]
    fn infrastructure_is_recognized_by_its_product() {
        let of_product = |definition: Value| {
            of_body(json!({ "productSubscription": { "productDefinition": definition } })).infrastructure
        };
        assert!(of_product(json!({ "productId": "WW_901O_WALLEDGARDEN_X" })));
        assert!(of_product(json!({ "productId": "ww_walled_garden" })));
        assert!(of_product(json!({ "productId": "P", "tags": ["walled_garden"] })));
        assert!(!of_product(json!({ "productId": "WW_901O_GARDEN" })));
    }

    #[test]
    fn a_reference_that_is_not_an_order_id_names_no_order() {
        for reference in [json!("fleet 7"), json!(7), json!(null), json!({})] {
            assert_eq!(of_body(json!({ "externalReference": reference })).order_id, None);
        }
    }

    #[test]
    fn little_is_needed_to_be_an_event() {
        for (text, event_type) in [
            (r#"{"header":{"eventId":"E"}}"#, ""),
            (r#"{"header":{"eventId":"E","eventType":7},"body":null}"#, ""),
            (
                r#"{"header":{"eventId":"E","eventType":"NEW/TYPE","eventDate":"soon"},"body":[1]}"#,
                "NEW/TYPE",
            ),
        ] {
            let event = read(text).unwrap().event;
            assert_eq!(
                (event.raw_type.as_str(), event.occurred_at),
                (event_type, None),
                "{text}"
            );
        }
        for text in [
            "",
            "{",
            "[]",
            "7",
            r#"{"body":{}}"#,
            r#"{"header":{}}"#,
            r#"{"header":{"eventId":""}}"#,
            r#"{"header":{"eventId":null}}"#,
            r#"{"header":"E"}"#,
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(read(&format!(r#"{{"header":{{"eventId":"{}"}}}}"#, "x".repeat(256))).is_err());
        assert!(
            read(&format!(
                r#"{{"header":{{"eventId":"E"}},"body":{}}}"#,
                "[".repeat(500)
            ))
            .is_err()
        );
    }
}
