//! Domain to protobuf: orders.

use super::{list_price, money, sim_ids, timestamp};
use crate::domain::change::SubscriptionAction;
use crate::domain::failure::{Failure, Reason};
use crate::domain::write::{Activation, FromStock, Line, Note, Order, OrderKind, RequestId, State};
use crate::domain::{PriceList, SimIds};
use crate::pb::connectivity::v1 as pb;

/// An order, with what it costs by this list.
pub fn order(order: Order, prices: &PriceList) -> pb::Order {
    let common = pb::Order {
        order_id: order.id.to_string(),
        request_id: order.request_id.to_string(),
        state: state(order.state).into(),
        provider_reference: order.provider_reference.unwrap_or_default(),
        failure: order.failure.map(failure),
        created_at: Some(timestamp(order.created_at)),
        updated_at: Some(timestamp(order.updated_at)),
        next_check_at: order.next_check_at.map(timestamp),
        caller: order.caller.unwrap_or_default(),
        operator_decision: order.note.map(operator_decision),
        ..Default::default()
    };
    with_kind(order.kind, prices, common)
}

/// What was validated: an order without an id, a state and times.
pub fn validated(
    request_id: RequestId,
    caller: Option<String>,
    kind: OrderKind,
    prices: &PriceList,
) -> pb::Order {
    let common = pb::Order {
        request_id: request_id.to_string(),
        caller: caller.unwrap_or_default(),
        ..Default::default()
    };
    with_kind(kind, prices, common)
}

fn with_kind(kind: OrderKind, prices: &PriceList, common: pb::Order) -> pb::Order {
    match kind {
        OrderKind::Purchase(purchase) => pb::Order {
            kind: pb::OrderKind::Buy.into(),
            sim: Some(sim(purchase.line)),
            cost: prices.cost_of(&purchase.terms.product_id).map(money),
            product_id: purchase.terms.product_id,
            activation: activation(purchase.terms.activation).into(),
            activation_used: activation(purchase.activation_used).into(),
            subscription_id: purchase.subscription_id.unwrap_or_default(),
            reference: purchase.terms.reference,
            parent_subscription_id: purchase.terms.parent.unwrap_or_default(),
            pool: pool(purchase.terms.from_stock.as_ref()),
            reservation_id: reservation(purchase.terms.from_stock.as_ref()),
            list_price: purchase.list_price.map(list_price),
            ..common
        },
        OrderKind::Subscription(change) => pb::Order {
            kind: match change.terms.action {
                SubscriptionAction::CancelRenewal => pb::OrderKind::CancelRenewal,
                SubscriptionAction::Terminate => pb::OrderKind::TerminateSubscription,
            }
            .into(),
            sim: Some(sim(change.line)),
            product_id: change.product_id,
            subscription_id: change.terms.subscription_id,
            ..common
        },
    }
}

fn pool(source: Option<&FromStock>) -> String {
    match source {
        Some(FromStock::Pool(pool)) => pool.to_string(),
        Some(FromStock::Reservation(_)) | None => String::new(),
    }
}

fn reservation(source: Option<&FromStock>) -> String {
    match source {
        Some(FromStock::Reservation(id)) => id.to_string(),
        Some(FromStock::Pool(_)) | None => String::new(),
    }
}

/// What an operator recorded.
pub fn operator_decision(note: Note) -> pb::OperatorDecision {
    pb::OperatorDecision {
        caller: note.by.unwrap_or_default(),
        note: note.text,
    }
}

fn sim(line: Line) -> pb::SimIds {
    sim_ids(SimIds {
        iccid: line.iccid,
        msisdn: Some(line.msisdn),
    })
}

fn activation(activation: Option<Activation>) -> pb::ActivationMode {
    match activation {
        None => pb::ActivationMode::Unspecified,
        Some(Activation::OnFirstUse) => pb::ActivationMode::OnFirstUse,
        Some(Activation::Immediate) => pb::ActivationMode::Immediate,
    }
}

fn state(state: State) -> pb::OrderState {
    match state {
        State::Submitting => pb::OrderState::Submitting,
        State::Done => pb::OrderState::Placed,
        State::Rejected => pb::OrderState::Rejected,
        State::Unknown => pb::OrderState::Unknown,
        State::NotDone => pb::OrderState::NotPlaced,
        State::NeedsOperator => pb::OrderState::NeedsOperator,
    }
}

fn failure(failure: Failure) -> pb::OrderFailure {
    pb::OrderFailure {
        reason: reason(failure.reason).into(),
        message: failure.message(),
    }
}

/// The reason in the contract.
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
