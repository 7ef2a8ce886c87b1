//! A write that keeps another one from being sent.

use super::write::{RequestId, WriteId};

/// A write that is in flight where another one was to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InTheWay {
    /// Its id; `None` when the caller may not see it.
    pub id: Option<WriteId>,
    /// It is the one of the same request: a repeat shows what became of it.
    pub is_own: bool,
    /// What else the ledger says of it; `None` when that could not be read, or may
    /// not be seen.
    pub known: Option<Box<Occupant>>,
}

/// What callers have to know of a write that is in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occupant {
    /// The name of its state as callers see it.
    pub state: &'static str,
    /// Whether only an operator can settle it.
    pub needs_operator: bool,
    /// The request that it is of.
    pub request_id: RequestId,
    /// Who requested it, when that is known.
    pub caller: Option<String>,
}

impl InTheWay {
    pub(super) fn name(&self, what: &str) -> String {
        match &self.id {
            Some(id) => format!("{what} {id}"),
            None => format!("another {what}"),
        }
    }

    pub(super) fn condition(&self) -> &'static str {
        match &self.known {
            Some(known) if known.needs_operator => "needs an operator",
            Some(_) | None => "is still in flight",
        }
    }
}
