//! See [`crate::fuzzing`].

use uuid::Uuid;

use super::forwarded;
use super::page_token::{Fingerprint, List, PageStart, Position, decode, encode};
use super::parse::events::ANY;
use crate::domain::Caller;
use crate::domain::event::{Cursor, Mark};
use crate::domain::write::WriteId;

/// A decoded token encodes to the same text, if it is of this version; for
/// another request it is refused.
fn read<P: PageStart>(list: List, fingerprint: Fingerprint, token: &str) {
    let Ok(Some(start)) = decode::<P>(list, fingerprint, token) else {
        return;
    };
    // Tokens of the previous version begin with an A and a Q.
    assert!(token.starts_with("AQ") || encode(list, fingerprint, &start) == token);
    assert!(decode::<P>(list, Fingerprint::of(&"another"), token).is_err());
}

/// An encoded token decodes to the same, and is refused with any other letter.
fn written<P: PageStart + PartialEq>(
    list: List,
    fingerprint: Fingerprint,
    start: &P,
    (at, letter): (u8, u8),
) {
    let token = encode(list, fingerprint, start);
    assert!(decode::<P>(list, fingerprint, &token).is_ok_and(|read| read.as_ref() == Some(start)));
    let at = usize::from(at) % token.len();
    let letter = char::from(letter);
    let mangled: String = token
        .char_indices()
        .map(|(index, own)| if index == at { letter } else { own })
        .collect();
    assert!(mangled == token || decode::<P>(list, fingerprint, &mangled).is_err());
}

/// Headers of proxies. A parsed name is valid and parses to itself, and nothing
/// that a caller writes before it changes what the proxy says.
pub fn caller(bytes: &[u8]) {
    const ENVOY: &str = "x-forwarded-client-cert";
    const REAL: &str = "By=spiffe://a/gateway;Subject=\"CN=x,O=\\\"y;URI=spiffe://a/no\";URI=spiffe://a/real";
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    for header in ["x-caller", ENVOY] {
        let Some(caller) = forwarded::caller(header, text) else {
            continue;
        };
        assert_eq!(Caller::parse(caller.as_str()).as_ref(), Some(&caller));
        let key = if caller.as_str().starts_with("spiffe:") {
            "URI"
        } else {
            "DNS"
        };
        let written = forwarded::caller(ENVOY, &format!("Hash=0;{key}={caller}"));
        assert_eq!(written, Some(caller));
    }
    let caller = forwarded::caller(ENVOY, &format!("{text},{REAL}"));
    assert!(caller.is_none_or(|name| name.as_str() == "spiffe://a/real"));
}

/// Tokens of pages: any text, and any position.
pub fn page_token(bytes: &[u8]) {
    if let Ok(token) = std::str::from_utf8(bytes) {
        for list in [List::Products, List::Sims] {
            read::<Position>(list, Fingerprint::ANY, token);
        }
        read::<WriteId>(List::Orders, Fingerprint::ANY, token);
        read::<Cursor>(List::Events, Fingerprint::ANY, token);
    }
    if let Some(([a, b, c, d, e, f, g, h, i, j, k, l, at, letter], rest)) = bytes.split_first_chunk::<14>() {
        let start = Position {
            within: u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]),
            offset: u32::from_be_bytes([*i, *j, *k, *l]),
        };
        written(List::Products, Fingerprint::of(&rest), &start, (*at, *letter));
    }
    if let Some((id, [at, letter, ..])) = bytes.split_first_chunk::<16>() {
        written(
            List::Orders,
            Fingerprint::ANY,
            &WriteId(Uuid::from_bytes(*id)),
            (*at, *letter),
        );
    }
}

/// Tokens of a stream: any text, and any cursor.
pub fn resume_token(bytes: &[u8]) {
    if let Ok(token) = std::str::from_utf8(bytes) {
        read::<Cursor>(List::EventStream, ANY, token);
    }
    if let Some((log, [a, b, c, d, e, f, g, h, at, letter, ..])) = bytes.split_first_chunk::<16>() {
        let cursor = Cursor {
            log: Uuid::from_bytes(*log),
            sequence: u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]),
            mark: a.is_multiple_of(2).then_some(Mark(u64::from(*b))),
        };
        written(List::EventStream, ANY, &cursor, (*at, *letter));
    }
}
