//! Domain to protobuf: operations on SIMs.

use super::{order, sim_ids, timestamp};
use crate::domain::change::SimAction;
use crate::domain::failure::{Failure, Reason};
use crate::domain::sim_operation::State;
use crate::domain::{SimIds, SimOperation};
use crate::pb::connectivity::v1 as pb;

/// An operation on a SIM.
pub fn sim_operation(operation: SimOperation) -> pb::SimOperation {
    let needs_operator = operation.needs_operator();
    let SimOperation { write, state: now } = operation;
    let change = write.kind;
    let action = change.terms.action;
    let new_iccid = action.new_iccid().map(|iccid| iccid.as_str().to_owned());
    let sim = SimIds {
        iccid: Some(change.iccid),
        msisdn: Some(change.msisdn),
    };
    pb::SimOperation {
        operation_id: write.id.to_string(),
        request_id: write.request_id.to_string(),
        sim: Some(sim_ids(sim)),
        kind: kind(&action).into(),
        state: state(now).into(),
        failure: write.failure.map(failure),
        provider_reference: write.provider_reference.unwrap_or_default(),
        created_at: Some(timestamp(write.created_at)),
        updated_at: Some(timestamp(write.updated_at)),
        next_check_at: write.next_check_at.map(timestamp),
        caller: write.caller.unwrap_or_default(),
        new_iccid: new_iccid.unwrap_or_default(),
        needs_operator,
        operator_decision: write.note.map(order::operator_decision),
    }
}

fn kind(action: &SimAction) -> pb::SimOperationKind {
    use pb::SimOperationKind as Kind;
    match action {
        SimAction::Activate => Kind::Activate,
        SimAction::Suspend => Kind::Suspend,
        SimAction::Reactivate => Kind::Reactivate,
        SimAction::Terminate => Kind::Terminate,
        SimAction::Update(_) => Kind::Update,
        SimAction::Swap { .. } => Kind::Swap,
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

/// The reason in the contract.
pub fn reason(reason: Reason) -> pb::ErrorReason {
    match reason {
        Reason::InProgress => pb::ErrorReason::SimOperationInProgress,
        other => order::reason(other),
    }
}
