//! The history of an eSIM, whose shape is not documented: it is passed on as it
//! comes, without activation material, which may be anywhere in it.

use serde_json::Value;

use crate::domain::esim::ActivationCode;
use crate::domain::opaque::{DEEPEST, Opaque};
use crate::transatel::lenient;

/// Texts that must not be shown, in lowercase.
pub(in crate::transatel) struct Secrets(Vec<String>);

impl Secrets {
    /// The ids of a profile; empty ones are ignored.
    pub(in crate::transatel) fn new(ids: impl Iterator<Item = String>) -> Self {
        let named = ids.filter(|id| !id.is_empty());
        Self(named.map(|id| id.to_ascii_lowercase()).collect())
    }

    /// The entry without any part that holds a secret; `None` when it is one.
    pub(in crate::transatel) fn without(&self, entry: Value) -> Option<Opaque> {
        self.part(entry, DEEPEST)
    }

    fn part(&self, value: Value, levels: u32) -> Option<Opaque> {
        let Some(levels) = levels.checked_sub(1) else {
            return Some(Opaque::Null);
        };
        Some(match value {
            Value::Null => Opaque::Null,
            Value::Bool(value) => Opaque::Bool(value),
            Value::Number(number) => {
                let exact = number.as_f64().filter(|float| float.abs() <= lenient::EXACT);
                let text = exact.map_or_else(|| number.to_string(), |float| float.to_string());
                if self.is_in(&text) {
                    return None;
                }
                exact.map_or(Opaque::Text(text), Opaque::Number)
            }
            Value::String(text) if self.is_in(&text) => return None,
            Value::String(text) => Opaque::Text(text),
            Value::Array(items) => Opaque::List(
                items
                    .into_iter()
                    .filter_map(|item| self.part(item, levels))
                    .collect(),
            ),
            Value::Object(members) => Opaque::Object(
                members
                    .into_iter()
                    .filter(|(name, _)| {
                        !self.is_in(name) && !SECRET_MEMBERS.contains(&lenient::letters(name).as_str())
                    })
                    .filter_map(|(name, value)| Some((name, self.part(value, levels)?)))
                    .collect(),
            ),
        })
    }

    fn is_in(&self, text: &str) -> bool {
        let text = text.to_ascii_lowercase();
        self.0.iter().any(|id| text.contains(id))
            || ActivationCode::parse(&text).is_some()
            || ["lpa:", "carddata=", "data:image"]
                .iter()
                .any(|mark| text.contains(mark))
    }
}

/// Members that hold activation material, by the letters of their names.
const SECRET_MEMBERS: [&str; 5] = [
    "ACTIVATIONCODE",
    "MATCHINGID",
    "QRCODE",
    "CONFIRMATIONCODE",
    "ACTIVATIONTOKEN",
];
