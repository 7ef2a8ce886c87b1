//! A change of a SIM as callers see it: how the states of a write map to its
//! states.

use std::time::Duration;

use jiff::Timestamp;

use super::change::SimChange;
use super::write::{self, Write};

/// An operation on a SIM.
#[derive(Clone, Debug, PartialEq)]
pub struct SimOperation {
    /// The write in the ledger.
    pub write: Write<SimChange>,
    /// Its state.
    pub state: State,
}

/// The state of an operation on a SIM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Being sent, or accepted and being carried out.
    Pending,
    /// The SIM is as requested.
    Succeeded,
    /// Not carried out, and will not be.
    Failed,
    /// Sent, and its outcome is not known.
    Unknown,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Succeeded, Self::Failed, Self::Unknown];

    /// The state of a write. An accepted one counts as being carried out for
    /// `give_up_after`.
    pub fn of<K>(write: &Write<K>, give_up_after: Duration, now: Timestamp) -> Self {
        match write.state {
            write::State::Submitting => Self::Pending,
            write::State::Unknown => {
                let given_up = now >= write.updated_at + give_up_after;
                match write.provider_reference {
                    Some(_) if !given_up => Self::Pending,
                    Some(_) | None => Self::Unknown,
                }
            }
            write::State::Done => Self::Succeeded,
            write::State::Rejected | write::State::NotDone => Self::Failed,
            write::State::NeedsOperator => Self::Unknown,
        }
    }

    /// Its name in error metadata.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }
}

impl SimOperation {
    /// The operation of a write; see [`State::of`].
    pub fn of(write: Write<SimChange>, give_up_after: Duration, now: Timestamp) -> Self {
        let state = State::of(&write, give_up_after, now);
        Self { write, state }
    }

    /// Whether only an operator can determine its outcome.
    pub fn needs_operator(&self) -> bool {
        self.write.state == write::State::NeedsOperator
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::change::{SimAction, SimTerms};
    use crate::domain::write::{RequestId, WriteId};
    use crate::domain::{Iccid, Msisdn};

    fn write(state: write::State, transaction: Option<&str>) -> Write<SimChange> {
        let at = Timestamp::UNIX_EPOCH;
        Write {
            id: WriteId::new(),
            request_id: RequestId(uuid::Uuid::new_v4()),
            caller: None,
            state,
            kind: SimChange {
                msisdn: Msisdn::parse("882470000000001").unwrap(),
                iccid: Iccid::parse("8988247000000000019").unwrap(),
                terms: SimTerms {
                    action: SimAction::Suspend,
                    plan: None,
                },
            },
            provider_reference: transaction.map(str::to_owned),
            failure: None,
            created_at: at,
            updated_at: at,
            next_check_at: None,
            note: None,
        }
    }

    #[test]
    fn every_state_of_a_write_is_one_of_an_operation() {
        use State::{Failed, Pending, Succeeded, Unknown};
        let give_up_after = Duration::from_secs(300);
        // Without a transaction and with one; before and after it is given up.
        for (state, without, with) in [
            (write::State::Submitting, [Pending; 2], [Pending; 2]),
            (write::State::Done, [Succeeded; 2], [Succeeded; 2]),
            (write::State::Rejected, [Failed; 2], [Failed; 2]),
            (write::State::Unknown, [Unknown; 2], [Pending, Unknown]),
            (write::State::NotDone, [Failed; 2], [Failed; 2]),
            (write::State::NeedsOperator, [Unknown; 2], [Unknown; 2]),
        ] {
            for (transaction, expected) in [(None, without), (Some("T"), with)] {
                for (seconds, expected) in [299, 300].into_iter().zip(expected) {
                    let now = Timestamp::UNIX_EPOCH + Duration::from_secs(seconds);
                    let operation = SimOperation::of(write(state, transaction), give_up_after, now);
                    assert_eq!(
                        operation.state, expected,
                        "{state:?} {transaction:?} at {seconds} s"
                    );
                    assert_eq!(operation.needs_operator(), state == write::State::NeedsOperator);
                }
            }
        }
    }
}
