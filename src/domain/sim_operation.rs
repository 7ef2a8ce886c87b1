//! A change of a SIM as callers see it. It is kept as an order is, and what
//! an order's states mean for it is said here.

use std::time::Duration;

use jiff::Timestamp;

use super::SimIds;
use super::act::{SimAct, SimChange};
use super::order::{self, Failure, Order, OrderId, RequestId};

/// An operation on a SIM.
#[derive(Clone, Debug, PartialEq)]
pub struct SimOperation {
    /// The gateway's id.
    pub id: OrderId,
    /// The caller's id.
    pub request_id: RequestId,
    /// The SIM, as resolved; both identifiers are there.
    pub sim: SimIds,
    /// What was asked for.
    pub act: SimAct,
    /// Where it stands.
    pub state: State,
    /// Nothing is found out any more without an operator.
    pub needs_operator: bool,
    /// Why it was refused, or why an operator has to look.
    pub failure: Option<Failure>,
    /// The provider's transaction.
    pub provider_reference: Option<String>,
    /// Who asked, when that is known.
    pub caller: Option<String>,
    /// When it was first asked for.
    pub created_at: Timestamp,
    /// When its state last changed.
    pub updated_at: Timestamp,
    /// When the gateway looks again what became of it.
    pub next_check_at: Option<Timestamp>,
}

/// Where an operation on a SIM stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// On its way, or accepted and being carried out.
    Pending,
    /// The SIM is as it was wished.
    Succeeded,
    /// Not carried out, and will not be.
    Failed,
    /// Sent, and nobody knows what becomes of it.
    Unknown,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Succeeded, Self::Failed, Self::Unknown];

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
    /// The operation that an order is; `None` when it changes no SIM. What
    /// was accepted is taken for being carried out for `give_up_after`.
    pub fn of(order: Order, give_up_after: Duration, now: Timestamp) -> Option<Self> {
        let SimChange { act, .. } = order.wish.act.on_sim()?.clone();
        let state = match order.state {
            order::State::Submitting => State::Pending,
            order::State::Unknown => {
                let given_up = now >= order.updated_at + give_up_after;
                match order.provider_reference {
                    Some(_) if !given_up => State::Pending,
                    Some(_) | None => State::Unknown,
                }
            }
            order::State::Placed => State::Succeeded,
            order::State::Rejected | order::State::NotPlaced => State::Failed,
            order::State::NeedsOperator => State::Unknown,
        };
        Some(Self {
            id: order.id,
            request_id: order.request_id,
            sim: order.sim,
            act,
            state,
            needs_operator: order.state == order::State::NeedsOperator,
            failure: order.failure,
            provider_reference: order.provider_reference,
            caller: order.caller,
            created_at: order.created_at,
            updated_at: order.updated_at,
            next_check_at: order.next_check_at,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::act::Act;
    use crate::domain::order::Wish;

    fn order(act: Act, state: order::State, transaction: Option<&str>) -> Order {
        let at = Timestamp::UNIX_EPOCH;
        Order {
            id: OrderId::new(),
            request_id: RequestId(uuid::Uuid::new_v4()),
            sim: SimIds::default(),
            wish: Wish::to(act),
            caller: None,
            state,
            subscription_id: None,
            provider_reference: transaction.map(str::to_owned),
            failure: None,
            created_at: at,
            updated_at: at,
            next_check_at: None,
        }
    }

    #[test]
    fn every_state_of_an_order_is_one_of_an_operation() {
        use State::{Failed, Pending, Succeeded, Unknown};
        let give_up_after = Duration::from_secs(300);
        // Without a transaction and with one; before and after it is given up.
        for (state, without, with) in [
            (order::State::Submitting, [Pending; 2], [Pending; 2]),
            (order::State::Placed, [Succeeded; 2], [Succeeded; 2]),
            (order::State::Rejected, [Failed; 2], [Failed; 2]),
            (order::State::Unknown, [Unknown; 2], [Pending, Unknown]),
            (order::State::NotPlaced, [Failed; 2], [Failed; 2]),
            (order::State::NeedsOperator, [Unknown; 2], [Unknown; 2]),
        ] {
            for (transaction, expected) in [(None, without), (Some("T"), with)] {
                for (seconds, expected) in [299, 300].into_iter().zip(expected) {
                    let change = SimChange {
                        act: SimAct::Suspend,
                        rate_plan: None,
                    };
                    let now = Timestamp::UNIX_EPOCH + Duration::from_secs(seconds);
                    let order = order(Act::Sim(change), state, transaction);
                    let operation = SimOperation::of(order, give_up_after, now).unwrap();
                    assert_eq!(
                        operation.state, expected,
                        "{state:?} {transaction:?} at {seconds} s"
                    );
                    assert_eq!(operation.needs_operator, state == order::State::NeedsOperator);
                }
            }
        }
    }

    #[test]
    fn an_order_is_no_operation() {
        let order = order(Act::Buy, order::State::Placed, None);
        assert_eq!(
            SimOperation::of(order, Duration::ZERO, Timestamp::UNIX_EPOCH),
            None
        );
    }
}
