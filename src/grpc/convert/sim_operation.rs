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
    let (kind, new_card) = kind(&change.terms.action);
    let sim = SimIds {
        iccid: Some(change.iccid),
        msisdn: Some(change.msisdn),
    };
    pb::SimOperation {
        operation_id: write.id.to_string(),
        request_id: write.request_id.to_string(),
        sim: Some(sim_ids(sim)),
        kind: kind.into(),
        state: state(now).into(),
        failure: write.failure.map(failure),
        provider_reference: write.provider_reference.unwrap_or_default(),
        created_at: Some(timestamp(write.created_at)),
        updated_at: Some(timestamp(write.updated_at)),
        next_check_at: write.next_check_at.map(timestamp),
        caller: write.caller.unwrap_or_default(),
        new_iccid: new_card.unwrap_or_default(),
        needs_operator,
    }
}

fn kind(action: &SimAction) -> (pb::SimOperationKind, Option<String>) {
    use pb::SimOperationKind as Kind;
    match action {
        SimAction::Activate => (Kind::Activate, None),
        SimAction::Suspend => (Kind::Suspend, None),
        SimAction::Reactivate => (Kind::Reactivate, None),
        SimAction::Terminate => (Kind::Terminate, None),
        SimAction::Update(_) => (Kind::Update, None),
        SimAction::Swap { new_iccid } => (Kind::Swap, Some(new_iccid.as_str().to_owned())),
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
