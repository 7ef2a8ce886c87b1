//! What an error says of a write that keeps another one from being sent.

use super::{Inner, Key, Slot};
use crate::domain::Scope;
use crate::domain::error::Error;
use crate::domain::in_the_way::{InTheWay, Occupant};
use crate::domain::sim_operation::{self, SimOperation};
use crate::domain::write::{State, Write, WriteId};

impl Inner {
    /// The error of a slot that this write occupies, which says of it what may be
    /// seen.
    pub(super) async fn busy(&self, slot: &Slot, other: WriteId, scope: &Scope) -> Error {
        // Without more of it where that cannot be read: nothing was sent anyway.
        match self.ledger.find(Key::Write(other)).await.ok().flatten() {
            Some(record) => self.occupied(slot, record.write, scope).await,
            None => in_the_way(slot, (*scope == Scope::All).then_some(other), None),
        }
    }

    /// [`busy`](Self::busy) with a write that was read.
    pub(super) async fn occupied(&self, slot: &Slot, other: Write, scope: &Scope) -> Error {
        match scope.admits(other.caller.as_deref()) {
            true => in_the_way(slot, Some(other.id), Some(self.occupant(other).await)),
            false => in_the_way(slot, None, None),
        }
    }

    /// The error of an order that is in its own way: it changed while it was to be
    /// sent again.
    pub(super) async fn changed_meanwhile(&self, write: &Write) -> Error {
        Error::OrderInProgress(InTheWay {
            id: Some(write.id),
            is_own: true,
            known: Some(Box::new(self.occupant(write.clone()).await)),
        })
    }

    async fn occupant(&self, write: Write) -> Occupant {
        let needs_operator = write.state == State::NeedsOperator;
        let (request_id, caller, order_state) = (write.request_id, write.caller.clone(), write.state_name());
        let state = match write.into_sim_change() {
            None => order_state,
            Some(_) if needs_operator => State::NeedsOperator.name(),
            Some(change) => match self.ledger.now().await {
                Ok(now) => SimOperation::of(change, self.config.give_up_after, now)
                    .state
                    .name(),
                Err(_) => sim_operation::State::Unknown.name(),
            },
        };
        Occupant {
            state,
            needs_operator,
            request_id,
            caller,
        }
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
