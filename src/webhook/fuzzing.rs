//! See [`crate::fuzzing`].

use bytes::Bytes;
use jiff::Timestamp;
use ring::hmac;

use super::arrival;
use super::signature::{Keys, Received, key};
use crate::domain::event::LONGEST_ID;
use crate::service::events::Arrival;
use crate::transatel::event;

const SECRET: &[u8] = b"a secret of the webhook";

/// A body of any kind: read as an event, or stored as received.
pub fn envelope(bytes: &[u8]) {
    let body = Bytes::copy_from_slice(bytes);
    let Ok(verified) = Received::new(body, None).verify(&Keys::Unchecked) else {
        return;
    };
    match arrival::read(verified, Timestamp::UNIX_EPOCH) {
        Arrival::Unreadable { body, reason, .. } => {
            assert_eq!(body, bytes);
            assert!(!reason.is_empty());
        }
        Arrival::Event(incoming) => {
            assert!((1..=LONGEST_ID).contains(&incoming.event.id.len()));
            let part = incoming.body.as_bytes();
            assert!(
                part == b"{}"
                    || bytes.windows(part.len()).any(|window| window == part)
                    // A part of it cannot be read, and is left out.
                    || event::read(bytes, Timestamp::UNIX_EPOCH).is_ok_and(|report| !report.is_kept_whole),
                "the body is not as it came"
            );
            for text in [&incoming.event.product_id, &incoming.event.subscription_id] {
                assert!(text.as_ref().is_none_or(|text| (1..=255).contains(&text.len())));
            }
        }
    }
}

/// A header and a body, separated by the first byte: only the body's own
/// signature in the documented form is accepted, and no signature of another
/// body or secret.
pub fn signature(bytes: &[u8]) {
    let Some((length, rest)) = bytes.split_first() else {
        return;
    };
    let (header, body) = rest.split_at(usize::from(*length).min(rest.len()));
    let own = |secret: &[u8], body: &[u8]| {
        let tag = hmac::sign(&key(secret), body);
        let digits: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("sha256={digits}").into_bytes()
    };
    let is_taken = |header: Option<&[u8]>| {
        let received = Received::new(Bytes::copy_from_slice(body), header);
        received.verify(&Keys::Any(vec![key(SECRET)])).is_ok()
    };
    let expected = own(SECRET, body);
    let same = header.starts_with(b"sha256=") && header.eq_ignore_ascii_case(&expected);
    assert_eq!(is_taken(Some(header)), same);
    assert!(is_taken(Some(&expected)));
    assert!(!is_taken(None));
    assert!(!is_taken(Some(&own(b"another secret", body))));
    assert!(!is_taken(Some(&own(SECRET, &[body, b"."].concat()))));
}
