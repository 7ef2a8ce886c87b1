//! Domain to protobuf: operations on SIMs.

use super::{order, sim_ids, timestamp};
use crate::domain::SimOperation;
use crate::domain::act::SimAct;
use crate::domain::order::{Failure, Reason};
use crate::domain::sim_operation::State;
use crate::pb::connectivity::v1 as pb;

/// An operation on a SIM.
pub fn sim_operation(operation: SimOperation) -> pb::SimOperation {
    let (kind, new_card) = kind(&operation.act);
    pb::SimOperation {
        operation_id: operation.id.to_string(),
        request_id: operation.request_id.to_string(),
        sim: Some(sim_ids(operation.sim)),
        kind: kind.into(),
        state: state(operation.state).into(),
        failure: operation.failure.map(failure),
        provider_reference: operation.provider_reference.unwrap_or_default(),
        created_at: Some(timestamp(operation.created_at)),
        updated_at: Some(timestamp(operation.updated_at)),
        next_check_at: operation.next_check_at.map(timestamp),
        caller: operation.caller.unwrap_or_default(),
        new_iccid: new_card.unwrap_or_default(),
        needs_operator: operation.needs_operator,
    }
}

fn kind(act: &SimAct) -> (pb::SimOperationKind, Option<String>) {
    use pb::SimOperationKind as Kind;
    match act {
        SimAct::Activate => (Kind::Activate, None),
        SimAct::Suspend => (Kind::Suspend, None),
        SimAct::Reactivate => (Kind::Reactivate, None),
        SimAct::Terminate => (Kind::Terminate, None),
        SimAct::Update(_) => (Kind::Update, None),
        SimAct::Swap { new_iccid } => (Kind::Swap, Some(new_iccid.as_str().to_owned())),
    }
}

fn state(state: State) -> pb::SimOperationState {
    match state {
        State::Pending => pb::SimOperationState::Pending,
        State::Succeeded => pb::SimOperationState::Succeeded,
        State::Failed => pb::SimOperationState::Failed,
        State::Unknown => pb::SimOperationState::Unknown,
    }
}

fn failure(failure: Failure) -> pb::SimOperationFailure {
    pb::SimOperationFailure {
        reason: reason(failure.reason).into(),
        message: failure.message(),
    }
}

/// What callers are told.
pub fn reason(reason: Reason) -> pb::ErrorReason {
    match reason {
        Reason::InProgress => pb::ErrorReason::SimOperationInProgress,
        other => order::reason(other),
    }
}
