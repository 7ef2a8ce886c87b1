//! Requests for operations on SIMs.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Violations;
use super::provisioning::{DEFAULT_PAGE, LARGEST_PAGE, LONGEST_NOTE};
use crate::domain::change::{
    LONGEST_GROUP, LONGEST_METADATA_KEY, LONGEST_METADATA_VALUE, LONGEST_PLAN, Labels, MOST_METADATA,
    SimAction, SimTerms,
};
use crate::domain::sim_operation::State;
use crate::domain::write::{LONGEST_REFERENCE, WriteId};
use crate::domain::{Error, Iccid, Requester, Result};
use crate::grpc::page_token::{self, Fingerprint, List};
use crate::pb::connectivity::v1 as pb;
use crate::service::writes::{Key, OperationFilter, Request, Resolution, Terms};

/// The fields that the requests of all operations share.
#[derive(Clone, Copy, Debug)]
pub struct Common<'a> {
    /// `request_id`
    pub request_id: &'a str,
    /// `sim`
    pub sim: Option<&'a pb::SimRef>,
    /// `plan`
    pub plan: &'a str,
}

/// Reads the fields that the requests of all operations share.
macro_rules! common {
    ($request:expr) => {
        $crate::grpc::parse::sim_operations::Common {
            request_id: &$request.request_id,
            sim: $request.sim.as_ref(),
            plan: &$request.plan,
        }
    };
}
pub(in crate::grpc) use common;

/// Parses a request without fields of its own.
///
/// # Errors
/// `INVALID_REQUEST`.
pub fn plain(common: Common<'_>, action: SimAction, by: Requester) -> Result<Request> {
    finish(Violations::default(), common, Some(action), None, by)
}

/// Parses an `UpdateSimRequest`.
///
/// # Errors
/// `INVALID_REQUEST`.
pub fn update(request: &pb::UpdateSimRequest, by: Requester) -> Result<Request> {
    let mut violations = Violations::default();
    for (field, label, longest) in [
        ("group", &request.group, LONGEST_GROUP),
        ("reference", &request.reference, LONGEST_REFERENCE),
    ] {
        violations.text(field, label.as_deref().unwrap_or_default(), longest);
    }
    if request.group.is_none() && request.reference.is_none() && request.metadata.is_empty() {
        violations.add("group", "give at least one of group, reference and metadata");
    }
    let mut metadata = BTreeMap::new();
    let (mut keys_fit, mut values_fit) = (true, true);
    for (key, value) in violations.bounded("metadata", request.metadata.iter(), MOST_METADATA) {
        keys_fit &= (1..=LONGEST_METADATA_KEY).contains(&key.chars().count());
        values_fit &= value.chars().count() <= LONGEST_METADATA_VALUE;
        metadata.insert(key.clone(), value.clone());
    }
    if !keys_fit {
        let rule = format!("keys must have 1 to {LONGEST_METADATA_KEY} characters");
        violations.add("metadata", rule);
    }
    if !values_fit {
        let rule = format!("values must have at most {LONGEST_METADATA_VALUE} characters");
        violations.add("metadata", rule);
    }
    let labels = Labels {
        group: request.group.clone(),
        reference: request.reference.clone(),
        metadata,
    };
    finish(
        violations,
        common!(request),
        Some(SimAction::Update(labels)),
        None,
        by,
    )
}

/// Parses a `SwapSimRequest`.
///
/// # Errors
/// `INVALID_REQUEST`.
pub fn swap(request: &pb::SwapSimRequest, by: Requester) -> Result<Request> {
    let mut violations = Violations::default();
    let new_iccid = violations.iccid("new_iccid", &request.new_iccid);
    let action = new_iccid.map(|new_iccid| SimAction::Swap { new_iccid });
    finish(violations, common!(request), action, None, by)
}

/// Parses a `TerminateSimRequest`.
///
/// # Errors
/// `INVALID_REQUEST`.
pub fn terminate(request: &pb::TerminateSimRequest, by: Requester) -> Result<Request> {
    let mut violations = Violations::default();
    let confirmed = violations.iccid("confirm_iccid", &request.confirm_iccid);
    finish(
        violations,
        common!(request),
        Some(SimAction::Terminate),
        confirmed,
        by,
    )
}

fn finish(
    mut violations: Violations,
    common: Common<'_>,
    action: Option<SimAction>,
    confirmed: Option<Iccid>,
    by: Requester,
) -> Result<Request> {
    let request_id = violations.request_id("request_id", common.request_id);
    let sim = violations.sim("sim", common.sim);
    violations.text("plan", common.plan, LONGEST_PLAN);
    let plan = (!common.plan.is_empty()).then(|| common.plan.to_owned());
    let parsed = request_id.zip(sim).zip(action);
    violations.into_result(parsed.map(|((request_id, sim), action)| Request {
        request_id,
        by,
        sim,
        terms: Terms::Sim {
            terms: SimTerms { action, plan },
            confirmed,
        },
        require_unused: false,
    }))
}

/// Parses a `GetSimOperationRequest` into the key and the wait.
///
/// # Errors
/// `INVALID_REQUEST`.
pub fn get(request: &pb::GetSimOperationRequest) -> Result<(Key, Duration)> {
    use pb::get_sim_operation_request::Key as Given;
    let mut violations = Violations::default();
    let key = match &request.key {
        None => {
            violations.add("key", "is required: give operation_id or request_id");
            None
        }
        Some(Given::OperationId(id)) => violations.order_id("operation_id", id).map(Key::Write),
        Some(Given::RequestId(id)) => violations.request_id("request_id", id).map(Key::Request),
    };
    let wait = violations.wait(request.wait.as_ref());
    violations.into_result(key.zip(wait))
}

/// A parsed `ListSimOperationsRequest`.
#[derive(Debug)]
pub struct ListSimOperations {
    /// The filter.
    pub filter: OperationFilter,
    /// The last operation of the previous page.
    pub after: Option<WriteId>,
    /// Operations per page.
    pub page_size: u32,
    /// What a token for the next page is bound to.
    pub fingerprint: Fingerprint,
}

/// Parses; the token last, because it is bound to all the rest.
///
/// # Errors
/// `INVALID_REQUEST`, or `PAGE_TOKEN_INVALID` when only the token is wrong.
pub fn list(request: &pb::ListSimOperationsRequest) -> Result<ListSimOperations> {
    let mut violations = Violations::default();
    let given = request.sim.as_ref();
    let sim = given.and_then(|sim| violations.sim("sim", Some(sim)));
    let states = violations.states(&request.states, state);
    let created_from = violations.moment("created_after", request.created_after.as_ref());
    let created_until = violations.moment("created_before", request.created_before.as_ref());
    let page_size = violations.page_size(request.page_size, DEFAULT_PAGE, LARGEST_PAGE);
    violations.into_result(Some(()))?;
    let needs_operator = request.needs_operator;
    let fingerprint = Fingerprint::of(&(&sim, &states, needs_operator, created_from, created_until));
    let after = page_token::decode(List::SimOperations, fingerprint, &request.page_token)
        .map_err(Error::PageTokenInvalid)?;
    Ok(ListSimOperations {
        filter: OperationFilter {
            sim,
            states,
            needs_operator,
            created_from,
            created_until,
            ..OperationFilter::default()
        },
        after,
        page_size,
        fingerprint,
    })
}

fn state(number: i32) -> Option<State> {
    match pb::SimOperationState::try_from(number).ok()? {
        pb::SimOperationState::Unspecified => None,
        pb::SimOperationState::Pending => Some(State::Pending),
        pb::SimOperationState::Succeeded => Some(State::Succeeded),
        pb::SimOperationState::Failed => Some(State::Failed),
        pb::SimOperationState::Unknown => Some(State::Unknown),
    }
}

/// Parses a `ResolveSimOperationRequest` into the operation, the resolution,
/// and the note.
///
/// # Errors
/// `INVALID_REQUEST`.
pub fn resolve(request: &pb::ResolveSimOperationRequest) -> Result<(WriteId, Resolution, String)> {
    let mut violations = Violations::default();
    let id = violations.order_id("operation_id", &request.operation_id);
    let resolution = match pb::OperatorResolution::try_from(request.resolution) {
        Ok(pb::OperatorResolution::Placed) => Some(Resolution::Done),
        Ok(pb::OperatorResolution::NotPlaced) => Some(Resolution::NotDone),
        Ok(pb::OperatorResolution::Unspecified) | Err(_) => {
            violations.resolution("resolution");
            None
        }
    };
    violations.text("note", &request.note, LONGEST_NOTE);
    let parsed = id.zip(resolution);
    violations.into_result(parsed.map(|(id, resolution)| (id, resolution, request.note.clone())))
}
