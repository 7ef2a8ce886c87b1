//! Data for which the provider publishes no schema: passed on unchanged.

use std::fmt;

/// How deep data is passed on: callers' protobuf readers stop at about a
/// hundred levels, of which each of these takes up to four.
pub const DEEPEST: u32 = 16;

/// One value of unknown meaning. It may hold identifiers, so `Debug` prints
/// its kind only.
#[derive(Clone, PartialEq)]
pub enum Opaque {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A number that a float holds exactly enough.
    Number(f64),
    /// Text, and numbers that a float would change.
    Text(String),
    /// Values in order.
    List(Vec<Opaque>),
    /// Named values in order.
    Object(Vec<(String, Opaque)>),
}

impl fmt::Debug for Opaque {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "Null",
            Self::Bool(_) => "Bool(<redacted>)",
            Self::Number(_) => "Number(<redacted>)",
            Self::Text(_) => "Text(<redacted>)",
            Self::List(_) => "List(<redacted>)",
            Self::Object(_) => "Object(<redacted>)",
        })
    }
}
