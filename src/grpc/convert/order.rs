//! Domain to protobuf: the Provisioning service.

use super::{sim_ids, timestamp};
use crate::domain::act::Act;
use crate::domain::order::{Activation, Failure, Order, Reason, State};
use crate::pb::connectivity::v1 as pb;

/// An order.
pub fn order(order: Order) -> pb::Order {
    let activation = match order.wish.activation {
        None => pb::Activation::Unspecified,
        Some(Activation::OnFirstUse) => pb::Activation::OnFirstUse,
        Some(Activation::Immediate) => pb::Activation::Immediate,
    };
    let subscription_id = match order.wish.act.on_subscription() {
        Some(bundle) => bundle.to_owned(),
        None => order.subscription_id.unwrap_or_default(),
    };
    pb::Order {
        kind: kind(&order.wish.act).into(),
        order_id: order.id.to_string(),
        request_id: order.request_id.to_string(),
        sim: Some(sim_ids(order.sim)),
        product_id: order.wish.product_id,
        activation: activation.into(),
        state: state(order.state).into(),
        subscription_id,
        provider_reference: order.provider_reference.unwrap_or_default(),
        reference: order.wish.reference,
        failure: order.failure.map(failure),
        created_at: Some(timestamp(order.created_at)),
        updated_at: Some(timestamp(order.updated_at)),
        next_check_at: order.next_check_at.map(timestamp),
        caller: order.caller.unwrap_or_default(),
    }
}

fn kind(act: &Act) -> pb::OrderKind {
    match act {
        Act::Buy => pb::OrderKind::Buy,
        Act::CancelRenewal { .. } => pb::OrderKind::CancelRenewal,
        Act::TerminateSubscription { .. } => pb::OrderKind::TerminateSubscription,
        // Is shown as an operation.
        Act::Sim(_) => pb::OrderKind::Unspecified,
    }
}

fn state(state: State) -> pb::OrderState {
    match state {
        State::Submitting => pb::OrderState::Submitting,
        State::Placed => pb::OrderState::Placed,
        State::Rejected => pb::OrderState::Rejected,
        State::Unknown => pb::OrderState::Unknown,
        State::NotPlaced => pb::OrderState::NotPlaced,
        State::NeedsOperator => pb::OrderState::NeedsOperator,
    }
}

fn failure(failure: Failure) -> pb::OrderFailure {
    pb::OrderFailure {
        reason: reason(failure.reason).into(),
        message: failure.message(),
    }
}

/// What callers are told.
pub fn reason(reason: Reason) -> pb::ErrorReason {
    match reason {
        Reason::SimNotFound => pb::ErrorReason::SimNotFound,
        Reason::ProductNotFound => pb::ErrorReason::ProductNotFound,
        Reason::SimStatusNotEligible => pb::ErrorReason::SimStatusNotEligible,
        Reason::ProductNotEligible => pb::ErrorReason::ProductNotEligible,
        Reason::InsufficientFunds => pb::ErrorReason::InsufficientFunds,
        Reason::OperationNotEnabled => pb::ErrorReason::OperationNotEnabled,
        Reason::InProgress => pb::ErrorReason::OrderInProgress,
        Reason::CredentialsRejected => pb::ErrorReason::ProviderCredentialsRejected,
        Reason::Protocol => pb::ErrorReason::ProviderProtocol,
        Reason::Rejected => pb::ErrorReason::ProviderRejected,
        Reason::Ambiguous | Reason::Unreadable => pb::ErrorReason::ProviderUnavailable,
    }
}
