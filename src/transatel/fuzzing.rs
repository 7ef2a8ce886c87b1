//! See [`crate::fuzzing`]. One function per API: the answer as a whole, and
//! as one element between two good ones.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::Value;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::api::catalog_wire::{read_eligibility, read_listing};
use super::api::orders::{Outcome, Receipt, failed};
use super::api::sim_operations::{Accepted, Progress, Transaction};
use super::api::{inventory, sim_management, sims};
use super::client::error::{CallError, Need, Refusal, retry_after};
use super::client::token;
use super::lenient;
use crate::domain::opaque::Opaque;
use crate::domain::{Iccid, Msisdn};

const ICCID: &str = "8988247000000000019";
const REFERENCE: &str = "0190b3a4-0000-7000-8000-000000000001";

/// Whether it is JSON that could be an element of a list. Bytes that are not
/// UTF-8 make the whole answer unreadable.
fn is_element(bytes: &[u8]) -> bool {
    serde_json::from_slice::<&RawValue>(bytes).is_ok()
}

/// An object with a list: the element between two others.
fn between(name: &str, [first, last]: [&str; 2], element: &[u8]) -> Vec<u8> {
    [
        format!("{{\"{name}\":[{first},").as_bytes(),
        element,
        format!(",{last}]}}").as_bytes(),
    ]
    .concat()
}

/// The catalog and the eligibility of products.
pub fn catalog(bytes: &[u8]) {
    const GOOD: [&str; 2] = [
        r#"{"productDefinition":{"productId":"FIRST"},"canSubscribe":{"allowed":true}}"#,
        r#"{"productDefinition":{"productId":"LAST"},"canSubscribe":{"allowed":false}}"#,
    ];
    if let Ok(listing) = read_listing(bytes) {
        let ids: HashSet<&str> = listing
            .products
            .iter()
            .map(|product| product.id.as_str())
            .collect();
        assert_eq!(ids.len(), listing.products.len(), "an id occurs twice");
        assert!(!ids.contains(""));
    }
    let _ = read_eligibility(bytes, &["A"]);
    if is_element(bytes) {
        let list = between("products", GOOD, bytes);
        let listing = read_listing(&list).map(|listing| {
            let is_there = |id| listing.products.iter().any(|product| product.id == id);
            // The element may have the last one's id, and is then the one kept.
            (
                listing.products.len() + listing.dropped.len(),
                is_there("FIRST") && is_there("LAST"),
            )
        });
        assert!(matches!(listing, Ok((3, true))), "{listing:?}");
        let verdicts = read_eligibility(&list, &["FIRST", "LAST"]);
        assert!(verdicts.is_ok_and(|verdicts| ["FIRST", "LAST"].iter().all(|id| verdicts.contains_key(*id))));
    }
}

/// The subscriptions of a SIM: none without an id, and none lost without a
/// trace.
pub fn inventory(bytes: &[u8]) {
    const GOOD: [&str; 2] = [r#"{"subscriptionId":"FIRST"}"#, r#"{"subscriptionId":"LAST"}"#];
    if let Ok(read) = inventory::read(bytes) {
        let mut subscriptions = read.subscriptions.iter();
        assert!(subscriptions.all(|subscription| !subscription.id.is_empty()));
    }
    if is_element(bytes) {
        let list = between("productSubscriptions", GOOD, bytes);
        let read = inventory::read(&list);
        let ends = read.as_ref().ok().and_then(|read| {
            let subscriptions = &read.subscriptions;
            // What cannot be read is counted.
            let all = subscriptions.len() + read.unreadable == 3;
            subscriptions.first().zip(subscriptions.last()).filter(|_| all)
        });
        assert!(
            ends.is_some_and(|(first, last)| first.id == "FIRST" && last.id == "LAST"),
            "{read:?}"
        );
    }
}

/// Records of SIMs, of either API.
pub fn sims(bytes: &[u8]) {
    const GOOD: [&str; 2] = [
        r#"{"simSerial":"8988247000000000019"}"#,
        r#"{"msisdn":"+882470000000001"}"#,
    ];
    if let Ok(record) = sims::read_record(bytes) {
        let (iccid, msisdn) = (record.ids.iccid, record.ids.msisdn);
        assert!(iccid.is_none_or(|iccid| Iccid::parse(iccid.as_str()).as_ref() == Some(&iccid)));
        assert!(msisdn.is_none_or(|own| Msisdn::parse_international(own.as_str()).as_ref() == Some(&own)));
    }
    if let Ok(page) = sims::read_page(bytes) {
        assert!(page.records.len() <= page.length);
        assert!(page.records.iter().all(|record| record.ids != Default::default()));
    }
    if is_element(bytes) {
        let page = sims::read_page(&between("sims", GOOD, bytes));
        assert!(page.is_ok_and(|page| page.length == 3 && page.records.len() >= 2));
    }
}

/// Whether any text below holds this.
fn holds(value: &Opaque, secret: &str) -> bool {
    match value {
        Opaque::Null | Opaque::Bool(_) => false,
        Opaque::Number(number) => number.to_string().contains(secret),
        Opaque::Text(text) => text.contains(secret),
        Opaque::List(items) => items.iter().any(|item| holds(item, secret)),
        Opaque::Object(members) => members
            .iter()
            .any(|(name, value)| name.contains(secret) || holds(value, secret)),
    }
}

/// An eSIM profile: a code is one that reads back, and is in nothing that is
/// shown to support staff.
pub fn esim(bytes: &[u8]) {
    let read = Iccid::parse(ICCID).map(|iccid| sim_management::read_body(bytes, &iccid));
    let Some(Ok(Ok(profile))) = read else { return };
    assert!(!profile.raw_status.is_empty());
    let Some(code) = &profile.code else { return };
    let link = code.link();
    let again = crate::domain::esim::ActivationCode::parse(&link);
    assert!(again.as_ref() == Some(code), "a code does not read back");
    assert_eq!(link, link.trim(), "a code that no device would take");
    for secret in [code.matching_id(), &link] {
        assert!(
            profile.history.iter().all(|entry| !holds(entry, secret)),
            "history holds activation material"
        );
    }
    assert!(!format!("{profile:?}").contains(&link));
}

/// The answer to an order: placed only by a receipt that names what was
/// bought, and never by another order's.
pub fn orders(bytes: &[u8]) {
    let receipt = || lenient::answer::<Receipt>(bytes).ok();
    let is_named = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
    match receipt().and_then(|receipt| receipt.placed(REFERENCE)) {
        Some(Outcome::Placed {
            subscription_id,
            provider_reference,
        }) => {
            assert!(is_named(&subscription_id) || is_named(&provider_reference));
            let echo = serde_json::from_slice::<serde_json::Value>(bytes)
                .ok()
                .and_then(|body| body.get("transactionReference")?.as_str().map(str::to_owned));
            assert!(echo.is_none_or(|echo| echo == REFERENCE));
        }
        other => assert_eq!(other, None, "a receipt is neither"),
    }
}

/// The answers to a change of a SIM and about a transaction: never that
/// something was bought, and never that it was not sent.
pub fn connectivity(bytes: &[u8]) {
    if let Ok(accepted) = lenient::answer::<Accepted>(bytes) {
        let outcome = accepted.outcome();
        assert!(matches!(outcome, Outcome::Accepted { .. } | Outcome::Refused(_)));
    }
    if let Ok(transaction) = lenient::answer::<Transaction>(bytes) {
        // A member that is not read may hold what a tree cannot.
        let Ok(body) = serde_json::from_slice::<Value>(bytes) else {
            return;
        };
        let says = |words: [&str; 2]| {
            ["syncStatus", "asyncStatus", "transactionStatus", "status"]
                .iter()
                .filter_map(|name| body.get(name)?.as_str())
                .any(|word| words.contains(&lenient::letters(word).as_str()))
        };
        // Over only when a status says so.
        match transaction.progress() {
            Progress::Pending => {}
            Progress::Done => assert!(says(["DONE", "SUCCESS"])),
            Progress::Failed => assert!(says(["ERROR", "FAILED"])),
        }
    }
}

/// An error answer: its status, its `Retry-After` up to the first end of
/// line, its body. An order is refused only by a title of a 4xx, or a 501.
pub fn problem(bytes: &[u8]) {
    let Some(([high, low], rest)) = bytes.split_first_chunk::<2>() else {
        return;
    };
    let status = 400 + u16::from_be_bytes([*high, *low]) % 200;
    let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or_default();
    let (header, body) = rest.split_at(end);
    let wait = std::str::from_utf8(header).ok().and_then(retry_after);
    assert!(
        Instant::now().checked_add(wait.unwrap_or_default()).is_some(),
        "{wait:?}"
    );
    let refusal = Refusal::read(status, body, wait, None);
    let titled = refusal.title.is_some();
    assert!(
        refusal
            .title
            .as_ref()
            .is_none_or(|title| (1..=100).contains(&title.len()))
    );
    for need in [Need::Required, Need::Optional] {
        let _ = CallError::Refused(refusal.clone()).into_error(need);
    }
    let outcome = failed(CallError::Refused(refusal));
    match status {
        401 | 429 => assert!(matches!(outcome, Outcome::NotSent(_))),
        501 => assert!(matches!(outcome, Outcome::Refused(_))),
        400..=499 if titled => assert!(matches!(outcome, Outcome::Refused(_))),
        _ => assert_eq!(outcome, Outcome::Unknown),
    }
}

/// Longer than any token lives.
const A_DAY: Duration = Duration::from_secs(86_400);

/// The answer to a request for a token: its times can be reckoned with, and
/// it is printed nowhere.
pub fn token(bytes: &[u8]) {
    let granted = lenient::answer::<token::Granted>(bytes).ok();
    let Some(loaded) = granted.and_then(token::Granted::token) else {
        return;
    };
    assert!(loaded.value.authorization().is_sensitive());
    assert!(loaded.fresh_for <= loaded.usable_for || loaded.usable_for <= Duration::from_secs(1));
    assert!(loaded.usable_for <= A_DAY, "{:?}", loaded.usable_for);
    let printed = format!("{:?}", loaded.value);
    assert_eq!(printed, "Token(<redacted>)");
}
