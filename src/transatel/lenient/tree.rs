//! JSON as a tree, with what cannot be read left out at the smallest place that
//! holds it: the members beside it are read.

use std::fmt;

use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// A tree in which a member that occurs with two values is unreadable: which
/// of them is meant is not known.
pub(super) struct Tree(pub(super) Value);

/// Stands for what cannot be read. No reader takes an empty list for a value,
/// and it is not absent.
fn unreadable() -> Value {
    Value::Array(Vec::new())
}

fn put(object: &mut Map<String, Value>, name: String, value: Value) {
    match object.get_mut(&name) {
        None => _ = object.insert(name, value),
        Some(first) if *first == value => {}
        Some(first) => *first = unreadable(),
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Tree;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }
            fn visit_unit<E: Error>(self) -> Result<Tree, E> {
                Ok(Tree(Value::Null))
            }
            fn visit_bool<E: Error>(self, value: bool) -> Result<Tree, E> {
                Ok(Tree(value.into()))
            }
            fn visit_i64<E: Error>(self, value: i64) -> Result<Tree, E> {
                Ok(Tree(value.into()))
            }
            fn visit_u64<E: Error>(self, value: u64) -> Result<Tree, E> {
                Ok(Tree(value.into()))
            }
            fn visit_f64<E: Error>(self, value: f64) -> Result<Tree, E> {
                Ok(Tree(value.into()))
            }
            fn visit_str<E: Error>(self, value: &str) -> Result<Tree, E> {
                Ok(Tree(value.into()))
            }
            fn visit_string<E: Error>(self, value: String) -> Result<Tree, E> {
                Ok(Tree(value.into()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Tree, A::Error> {
                let mut items = Vec::new();
                while let Some(Tree(item)) = list.next_element()? {
                    items.push(item);
                }
                Ok(Tree(Value::Array(items)))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Tree, A::Error> {
                let mut object = Map::new();
                while let Some((name, Tree(value))) = members.next_entry()? {
                    put(&mut object, name, value);
                }
                Ok(Tree(Value::Object(object)))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// The members of an object, none of them read yet.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = object.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

/// What is nested deeper than this is not looked for: everything that is read
/// is much nearer, and each level is read once more.
const LEVELS: u32 = 16;

/// Any JSON. Values that are nested too deeply or cannot be represented, and
/// members that occur with two values, are unreadable by themselves.
pub fn tree(raw: &RawValue) -> Value {
    read(raw, LEVELS)
}

fn read(raw: &RawValue, levels: u32) -> Value {
    if let Ok(Tree(value)) = serde_json::from_str(raw.get()) {
        return value;
    }
    let Some(levels) = levels.checked_sub(1) else {
        return unreadable();
    };
    if let Ok(Members(members)) = serde_json::from_str(raw.get()) {
        let mut object = Map::new();
        for (name, value) in members {
            put(&mut object, name, read(value, levels));
        }
        return Value::Object(object);
    }
    match serde_json::from_str::<Vec<&RawValue>>(raw.get()) {
        Ok(items) => Value::Array(items.into_iter().map(|item| read(item, levels)).collect()),
        Err(_) => unreadable(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(text: &str) -> Value {
        tree(serde_json::from_str(text).unwrap())
    }

    #[test]
    fn what_cannot_be_read_is_left_out_alone() {
        let deep = format!("{}1{}", "[".repeat(500), "]".repeat(500));
        for (bad, kept) in [
            (deep.as_str(), json!(null)),
            ("1e999", json!([])),
            (r#""\ud800""#, json!([])),
            (r#"{"a":1e999,"b":2}"#, json!({ "a": [], "b": 2 })),
            (r#"{"a":1,"b":2,"a":3}"#, json!({ "a": [], "b": 2 })),
            (r#"{"a":1,"b":2,"a":1}"#, json!({ "a": 1, "b": 2 })),
            (r#"[1e999,{"a":1}]"#, json!([[], { "a": 1 }])),
        ] {
            let read = of(&format!(r#"{{"before":"x","bad":{bad},"after":[7]}}"#));
            assert_eq!(
                (&read["before"], &read["after"]),
                (&json!("x"), &json!([7])),
                "{bad}"
            );
            assert!(kept.is_null() || read["bad"] == kept, "{bad}: {}", read["bad"]);
        }
    }
}
