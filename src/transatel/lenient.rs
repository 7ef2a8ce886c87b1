//! Reads members that have other shapes than documented. A member that cannot
//! be read is absent; it never makes the object around it fail.
//!
//! [`list`] and [`object`] read into a tree first, and accept any content.
//! [`Part`] and [`Lists`] read large answers without one, and fail on an
//! object that has a member twice, or something that cannot be represented:
//! then [`element`] and [`record`] read it from its [`tree`](tree::tree).

mod body;
mod parts;
mod tree;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::de::{DeserializeOwned, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::moment;
use crate::domain::Language;
pub use body::{answer, element, json, record};
pub use parts::{Lists, Part};
use tree::Tree;
pub use tree::tree;

/// Visitor methods that make a value of each of the `$taken` kinds absent.
macro_rules! absent {
    ($($taken:ident)*) => {
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("anything")
        }
        $(absent!(@ $taken);)*
    };
    (@ simple) => {
        fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
        fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
        fn visit_u64<E: Error>(self, _: u64) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
        fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
        fn visit_str<E: Error>(self, _: &str) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
    };
    (@ null) => {
        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
    };
    (@ list) => {
        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            while list.next_element::<IgnoredAny>()?.is_some() {}
            Ok(Self::Value::default())
        }
    };
    (@ object) => {
        fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
            while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            Ok(Self::Value::default())
        }
    };
}

use absent;

/// A simple member.
#[derive(Default)]
enum Simple<'de> {
    Text(Cow<'de, str>),
    Bool(bool),
    Integer(i64),
    Float(f64),
    /// `null`, a list or an object.
    #[default]
    Other,
}

impl<'de> Deserialize<'de> for Simple<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Simple<'de>;
            absent!(null list object);
            fn visit_bool<E: Error>(self, value: bool) -> Result<Simple<'de>, E> {
                Ok(Simple::Bool(value))
            }
            fn visit_i64<E: Error>(self, value: i64) -> Result<Simple<'de>, E> {
                Ok(Simple::Integer(value))
            }
            fn visit_u64<E: Error>(self, value: u64) -> Result<Simple<'de>, E> {
                // Larger than any integer that a float holds exactly.
                Ok(i64::try_from(value).map_or(Simple::Other, Simple::Integer))
            }
            fn visit_f64<E: Error>(self, value: f64) -> Result<Simple<'de>, E> {
                Ok(Simple::Float(value))
            }
            fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Simple<'de>, E> {
                Ok(Simple::Text(Cow::Borrowed(value)))
            }
            fn visit_str<E: Error>(self, value: &str) -> Result<Simple<'de>, E> {
                Ok(Simple::Text(Cow::Owned(value.to_owned())))
            }
            fn visit_string<E: Error>(self, value: String) -> Result<Simple<'de>, E> {
                Ok(Simple::Text(Cow::Owned(value)))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

impl<'de> Simple<'de> {
    fn text(self) -> Option<Cow<'de, str>> {
        match self {
            Self::Text(text) => Some(text),
            Self::Bool(_) | Self::Integer(_) | Self::Float(_) | Self::Other => None,
        }
    }
}

/// Text; numbers and anything else are absent.
pub fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(borrowed_text(deserializer)?.map(Cow::into_owned))
}

/// See [`text`]; not copied where it need not be.
pub fn borrowed_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Cow<'de, str>>, D::Error> {
    Ok(Simple::deserialize(deserializer)?.text())
}

/// A language, in any spelling of its tag; anything else is absent.
pub fn language<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Language>, D::Error> {
    Ok(borrowed_text(deserializer)?.and_then(|tag| Language::parse(tag.trim())))
}

/// An id, as text or as an integer; anything else, and an empty one, is
/// absent.
pub fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Simple::deserialize(deserializer)? {
        Simple::Text(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
        Simple::Integer(number) => Some(number.to_string()),
        Simple::Text(_) | Simple::Bool(_) | Simple::Float(_) | Simple::Other => None,
    })
}

/// A member that decides something: one that cannot be read is not one that is
/// absent.
#[derive(Debug, Default, PartialEq, Eq)]
pub enum Said {
    /// Absent or null.
    #[default]
    Nothing,
    /// This.
    Text(String),
    /// Something else.
    Unreadable,
}

impl<'de> Deserialize<'de> for Said {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Option::<Simple<'de>>::deserialize(deserializer)? {
            None => Self::Nothing,
            Some(Simple::Text(text)) => Self::Text(text.into_owned()),
            Some(Simple::Bool(_) | Simple::Integer(_) | Simple::Float(_) | Simple::Other) => Self::Unreadable,
        })
    }
}

/// `true` and `false`, also as text.
pub fn boolean<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    Ok(match Simple::deserialize(deserializer)? {
        Simple::Bool(value) => Some(value),
        Simple::Text(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Simple::Text(text) if text.eq_ignore_ascii_case("false") => Some(false),
        Simple::Text(_) | Simple::Integer(_) | Simple::Float(_) | Simple::Other => None,
    })
}

/// An integer: written as one, as a float without a fraction, or as text.
pub fn integer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    Ok(match Simple::deserialize(deserializer)? {
        Simple::Integer(value) => Some(value),
        Simple::Float(value) => whole_float(value),
        Simple::Text(text) => whole_text(&text),
        Simple::Bool(_) | Simple::Other => None,
    })
}

/// 2^53: every integer up to here is exact as a float.
pub const EXACT: f64 = 9_007_199_254_740_992.0;

fn whole_float(float: f64) -> Option<i64> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "without a fraction and within 2^53"
    )]
    (float.fract() == 0.0 && float.abs() <= EXACT).then_some(float as i64)
}

fn whole_text(text: &str) -> Option<i64> {
    let text = text.trim();
    text.parse().ok().or_else(|| whole_float(text.parse().ok()?))
}

/// See [`integer`].
pub fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| whole_float(number.as_f64()?)),
        Value::String(text) => whole_text(text),
        _ => None,
    }
}

/// Calls `take` with each text of a list.
pub fn each_text<'de, D: Deserializer<'de>>(deserializer: D, take: impl FnMut(&str)) -> Result<(), D::Error> {
    struct Reader<F>(F);
    impl<'de, F: FnMut(&str)> Visitor<'de> for Reader<F> {
        type Value = ();
        absent!(simple null object);
        fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
            while let Some(element) = list.next_element::<Simple<'de>>()? {
                if let Simple::Text(text) = element {
                    (self.0)(&text);
                }
            }
            Ok(())
        }
    }
    deserializer.deserialize_any(Reader(take))
}

/// A list; anything else is an empty one, and elements that cannot be read
/// are left out.
pub fn list<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Vec<T>, D::Error> {
    Ok(match Tree::deserialize(deserializer)?.0 {
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
    let Tree(value) = Tree::deserialize(deserializer)?;
    Ok(value
        .is_object()
        .then(|| serde_json::from_value(value).ok())
        .flatten())
}

/// The entries of an object as texts, each by itself: a number or a truth
/// value as it is written; what is neither text nor these is left out.
pub fn entries<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<BTreeMap<String, String>>, D::Error> {
    let text = |value: Value| match value {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    Ok(match Tree::deserialize(deserializer)?.0 {
        Value::Object(members) => {
            let entries = members.into_iter();
            let entries = entries.filter_map(|(key, value)| Some((key, text(value)?)));
            Some(entries.collect())
        }
        _ => None,
    })
}

/// A moment; see [`moment::read`].
pub fn timestamp<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    Ok(borrowed_text(deserializer)?.and_then(|text| moment::read(&text)))
}

/// The letters of a word in uppercase: `Pre-Activated`, `Preactivated` and
/// `PRE_ACTIVATED` are the same word.
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
    fn integers_in_every_shape_seen() {
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
    fn entries_are_read_one_by_one() {
        let value = json!({ "depot": "Lyon", "shelf": 7, "sold": false, "old": null, "deep": { "a": 1 } });
        let expected = [("depot", "Lyon"), ("shelf", "7"), ("sold", "false")];
        let expected = expected.map(|(key, text)| (key.to_owned(), text.to_owned()));
        assert_eq!(entries(value).unwrap(), Some(BTreeMap::from(expected)));
        assert_eq!(entries(json!(["a"])).unwrap(), None);
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_json() {
        let body = "\u{FEFF}{\"a\":1}".as_bytes();
        assert_eq!(answer::<Value>(body).unwrap(), json!({ "a": 1 }));
        assert_eq!(
            super::json::<Value>("\u{FEFF}[1]".as_bytes()).unwrap(),
            json!([1])
        );
    }

    #[test]
    fn spellings_of_one_word_are_equal() {
        for word in ["Pre-Activated", "Preactivated", "PRE_ACTIVATED", "pre activated"] {
            assert_eq!(letters(word), "PREACTIVATED");
        }
    }
}
