//! What an error says of a write: of that of the same request, and of one that keeps
//! another one from being sent.

use super::{Inner, Key, Record, Slot};
use crate::domain::Scope;
use crate::domain::error::{Error, LedgerState};
use crate::domain::in_the_way::{InTheWay, Occupant};
use crate::domain::sim_operation;
use crate::domain::write::{State, Write, WriteId};

impl Inner {
    /// The error of a slot that this write occupies, which says of it what may be
    /// seen.
    pub(super) async fn busy(&self, slot: &Slot, other: WriteId, scope: &Scope) -> Error {
        // Without more of it where that cannot be read: nothing was sent anyway.
        match self.ledger.find(Key::Write(other)).await.ok().flatten() {
            Some(record) => self.occupied(slot, &record.write, scope),
            None => in_the_way(slot, (*scope == Scope::All).then_some(other), None),
        }
    }

    /// [`busy`](Self::busy) with a write that was read.
    pub(super) fn occupied(&self, slot: &Slot, other: &Write, scope: &Scope) -> Error {
        match scope.admits(other.caller.as_deref()) {
            true => in_the_way(slot, Some(other.id), Some(self.occupant(other))),
            false => in_the_way(slot, None, None),
        }
    }

    /// The error of an order that is in its own way: it changed while it was to be
    /// sent again.
    pub(super) fn changed_meanwhile(&self, write: &Write) -> Error {
        Error::OrderInProgress(InTheWay {
            id: Some(write.id),
            is_own: true,
            known: Some(Box::new(self.occupant(write))),
        })
    }

    fn occupant(&self, write: &Write) -> Occupant {
        Occupant {
            state: self.state_name(write),
            needs_operator: write.state == State::NeedsOperator,
            request_id: write.request_id,
            caller: write.caller.clone(),
        }
    }

    /// What an error says of a write in the ledger.
    pub(super) fn held(&self, record: &Record) -> LedgerState {
        LedgerState::Write(record.write.id, self.state_name(&record.write))
    }

    /// The name that the state of an order or operation has in error metadata.
    pub(super) fn state_name(&self, write: &Write) -> &'static str {
        if write.is_order() || write.state == State::NeedsOperator {
            return write.state.order_name();
        }
        sim_operation::State::of(write, self.config.give_up_after, self.clock.now()).name()
    }
}

fn in_the_way(slot: &Slot, id: Option<WriteId>, known: Option<Occupant>) -> Error {
    let other = InTheWay {
        id,
        is_own: false,
        known: known.map(Box::new),
    };
    match slot {
        Slot::Product { .. } => Error::OrderInProgress(other),
        Slot::Sim { .. } => Error::SimOperationInProgress(other),
    }
}
