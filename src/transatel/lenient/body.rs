//! Reads whole answers, and elements of their lists.

use serde::Deserialize;
use serde::de::{DeserializeOwned, Error as _};
use serde_json::value::RawValue;

use super::{Part, tree};

/// JSON, with or without a byte order mark before it.
pub fn json<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, serde_json::Error> {
    let body = without_mark(body);
    // Checked as a whole, UTF-8 costs a tenth of what it does text by text.
    match std::str::from_utf8(body) {
        Ok(text) => serde_json::from_str(text),
        Err(_) => serde_json::from_slice(body),
    }
}

fn without_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix("\u{FEFF}".as_bytes()).unwrap_or(body)
}

/// An answer that is an object. serde also reads a list as a struct, member by
/// member: `["DONE"]` would be a status.
pub fn answer<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, serde_json::Error> {
    let body = without_mark(body);
    match body.trim_ascii_start().first() {
        Some(b'{') => json(body),
        _ => Err(serde_json::Error::custom("not an object")),
    }
}

/// As [`answer`], for an answer whose members do not depend on each other: one
/// that cannot be read is absent.
pub fn record<T: DeserializeOwned>(body: &[u8]) -> Result<T, serde_json::Error> {
    answer(body).or_else(|error| {
        let object: Option<T> = json(body).ok().and_then(element);
        object.ok_or(error)
    })
}

/// An element of a list, read by itself; `None` when it is not an object.
pub fn element<T: DeserializeOwned>(raw: &RawValue) -> Option<T> {
    let direct: Result<Part<T>, _> = serde_json::from_str(raw.get());
    let Part(object) = direct.or_else(|_| Part::deserialize(tree(raw))).ok()?;
    object
}
