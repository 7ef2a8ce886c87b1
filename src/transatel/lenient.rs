//! Reads members that come in other shapes than documented. A member that
//! cannot be read is absent; it never fails what it belongs to.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Text; numbers and anything else are absent.
pub fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) => Some(text),
        _ => None,
    })
}

/// `true` and `false`, also as text.
pub fn boolean<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Bool(value) => Some(value),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    })
}

/// A whole number: an integer, a float without fraction, or either as text.
pub fn integer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    Ok(whole(&Value::deserialize(deserializer)?))
}

/// The largest magnitude below which every float is an exact whole number.
pub const EXACT: f64 = 9_007_199_254_740_992.0;

/// See [`integer`].
pub fn whole(value: &Value) -> Option<i64> {
    let of_float = |float: f64| {
        #[expect(clippy::cast_possible_truncation, reason = "whole and within 2^53")]
        (float.fract() == 0.0 && float.abs() <= EXACT).then_some(float as i64)
    };
    match value {
        Value::Number(number) => number.as_i64().or_else(|| of_float(number.as_f64()?)),
        Value::String(text) => {
            let text = text.trim();
            text.parse().ok().or_else(|| of_float(text.parse().ok()?))
        }
        _ => None,
    }
}

/// A list; what is no list is empty, and elements that cannot be read are
/// left out.
pub fn list<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Vec<T>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Array(items) => items
            .into_iter()
            .filter_map(|item| serde_json::from_value(item).ok())
            .collect(),
        _ => Vec::new(),
    })
}

/// Any structure; absent when it has another shape.
pub fn object<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(value
        .is_object()
        .then(|| serde_json::from_value(value).ok())
        .flatten())
}

/// A moment in RFC 3339 with any offset.
pub fn timestamp<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<jiff::Timestamp>, D::Error> {
    Ok(text(deserializer)?.and_then(|text| text.trim().parse().ok()))
}

/// The letters of a word in capitals: `Pre-Activated`, `Preactivated` and
/// `PRE_ACTIVATED` are one word.
pub fn letters(word: &str) -> String {
    word.chars()
        .filter(char::is_ascii_alphabetic)
        .map(|letter| letter.to_ascii_uppercase())
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn whole_numbers_in_every_shape_seen() {
        for (value, expected) in [
            (json!(7), Some(7)),
            (json!(-1), Some(-1)),
            (json!(1048576.0), Some(1_048_576)),
            (json!("3145728"), Some(3_145_728)),
            (json!(" 12 "), Some(12)),
            (json!("4.0"), Some(4)),
            (json!(1.5), None),
            (json!("many"), None),
            (json!(null), None),
            (json!(true), None),
            (json!([1]), None),
            (json!(1e300), None),
            (json!("NaN"), None),
            (json!("inf"), None),
        ] {
            assert_eq!(whole(&value), expected, "{value}");
        }
    }

    #[test]
    fn spellings_of_one_word_are_equal() {
        for word in ["Pre-Activated", "Preactivated", "PRE_ACTIVATED", "pre activated"] {
            assert_eq!(letters(word), "PREACTIVATED");
        }
    }
}
