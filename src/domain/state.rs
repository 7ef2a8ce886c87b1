//! The states of a write, and which may follow each other.
//!
//! ```text
//! SUBMITTING ─▶ DONE | REJECTED | UNKNOWN
//! UNKNOWN    ─▶ DONE | REJECTED | NOT_DONE | NEEDS_OPERATOR
//! NOT_DONE   ─▶ DONE | NEEDS_OPERATOR
//! any        ─▶ DONE
//! ```
//!
//! `DONE` rests on what the provider says and is accepted in every state,
//! however late. `NOT_DONE` is the gateway's conclusion: nothing has shown so
//! far. An operator turns `NEEDS_OPERATOR` into `DONE` or `NOT_DONE`; a repeat
//! turns a `NOT_DONE` order into `SUBMITTING`. Nothing is sent from any other
//! state. Callers see `DONE` as `PLACED` for orders and `SUCCEEDED` for
//! operations.

/// The state of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Being sent, or was when its process died.
    Submitting,
    /// Carried out.
    Done,
    /// Refused: nothing was changed.
    Rejected,
    /// Sent, and it is not known yet whether it was carried out.
    Unknown,
    /// Sent, and nothing of it has shown for as long as it should take. Later
    /// proof from the provider still changes it.
    NotDone,
    /// The gateway cannot determine the outcome: an operator has to.
    NeedsOperator,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 6] = [
        Self::Submitting,
        Self::Done,
        Self::Rejected,
        Self::Unknown,
        Self::NotDone,
        Self::NeedsOperator,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Submitting => "submitting",
            Self::Done => "done",
            Self::Rejected => "rejected",
            Self::Unknown => "unknown",
            Self::NotDone => "not_done",
            Self::NeedsOperator => "needs_operator",
        }
    }

    /// Its name for an order, and for every kind in the ledger.
    pub fn order_name(self) -> &'static str {
        match self {
            Self::Done => "placed",
            Self::NotDone => "not_placed",
            other => other.name(),
        }
    }

    /// The state that an order has by this name.
    pub fn named_for_order(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.order_name() == name)
    }

    /// Whether another write in the same slot has to wait for it.
    pub fn is_in_flight(self) -> bool {
        matches!(self, Self::Submitting | Self::Unknown | Self::NeedsOperator)
    }

    /// Whether its outcome is still to come, without an operator.
    pub fn is_unsettled(self) -> bool {
        matches!(self, Self::Submitting | Self::Unknown)
    }

    /// Whether `next` may follow.
    pub fn may_become(self, next: Self) -> bool {
        matches!(
            (self, next),
            (Self::Submitting, Self::Rejected | Self::Unknown)
                | (
                    Self::Unknown,
                    // A definite refusal may arrive after another process took
                    // the write over.
                    Self::Rejected | Self::NotDone | Self::NeedsOperator
                )
                | (Self::NotDone, Self::NeedsOperator | Self::Submitting)
                | (Self::NeedsOperator, Self::NotDone)
        ) || next == Self::Done && self != Self::Done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_drawn_transitions_exist() {
        use State::*;
        let drawn = [
            (Submitting, Done),
            (Submitting, Rejected),
            (Submitting, Unknown),
            (Unknown, Done),
            (Unknown, Rejected),
            (Unknown, NotDone),
            (Unknown, NeedsOperator),
            (NotDone, Done),
            (NotDone, NeedsOperator),
            (NotDone, Submitting),
            (NeedsOperator, Done),
            (NeedsOperator, NotDone),
            (Rejected, Done),
        ];
        for from in State::ALL {
            for to in State::ALL {
                assert_eq!(
                    from.may_become(to),
                    drawn.contains(&(from, to)),
                    "{from:?} {to:?}"
                );
            }
        }
    }

    #[test]
    fn every_state_reads_back_by_its_name() {
        for state in State::ALL {
            assert_eq!(State::named_for_order(state.order_name()), Some(state));
        }
    }
}
