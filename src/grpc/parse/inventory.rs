//! Requests of the Inventory service.

use super::Violations;
use crate::domain::{Error, EsimStatus, Result, SimRef, SimStatus};
use crate::grpc::page_token::{self, Fingerprint, List};
use crate::pb::connectivity::v1 as pb;
use crate::service::inventory::Wanted;
use crate::service::sims::Position;

const LONGEST_SUBSCRIPTION_ID: usize = 255;
const LONGEST_GROUP: usize = 100;
const LARGEST_BATCH: usize = 1000;
const DEFAULT_PAGE: u32 = 50;
const LARGEST_PAGE: u32 = 1000;
/// Each of its SIMs is read.
const LARGEST_UNUSED_PAGE: u32 = 50;
const MOST_STATUSES: usize = 20;

/// Parses a `GetInventoryRequest`.
///
/// # Errors
/// `INVALID_REQUEST`.
pub fn get_inventory(request: &pb::GetInventoryRequest) -> Result<(SimRef, Wanted)> {
    let mut violations = Violations::default();
    let sim = violations.sim("sim", request.sim.as_ref());
    let wanted = Wanted {
        ended: request.include_ended,
        infrastructure: request.include_infrastructure,
        language: violations.language("language_code", &request.language_code),
    };
    violations.into_result(sim.map(|sim| (sim, wanted)))
}

/// Parses the SIM of a `GetSubscriptionRequest`.
///
/// # Errors
/// `INVALID_REQUEST`.
pub fn get_subscription(request: &pb::GetSubscriptionRequest) -> Result<SimRef> {
    let mut violations = Violations::default();
    let sim = violations.sim("sim", request.sim.as_ref());
    if request.subscription_id.is_empty() {
        violations.add("subscription_id", "is required");
    }
    violations.text(
        "subscription_id",
        &request.subscription_id,
        LONGEST_SUBSCRIPTION_ID,
    );
    violations.into_result(sim)
}

/// Parses a `BatchGetInventoryRequest`.
///
/// # Errors
/// `INVALID_REQUEST`.
pub fn batch_get_inventory(request: &pb::BatchGetInventoryRequest) -> Result<(Vec<SimRef>, Wanted)> {
    let mut violations = Violations::default();
    if request.sims.is_empty() {
        violations.add("sims", "must have at least 1 element");
    }
    let given = violations.bounded("sims", request.sims.iter(), LARGEST_BATCH);
    let sims = given
        .enumerate()
        .filter_map(|(at, sim)| violations.sim(&format!("sims[{at}]"), Some(sim)))
        .collect();
    let wanted = Wanted {
        ended: request.include_ended,
        infrastructure: request.include_infrastructure,
        language: violations.language("language_code", &request.language_code),
    };
    violations.into_result(Some((sims, wanted)))
}

/// Parses the SIM of a `GetSimRequest`.
///
/// # Errors
/// `INVALID_REQUEST`.
pub fn get_sim(request: &pb::GetSimRequest) -> Result<SimRef> {
    let mut violations = Violations::default();
    let sim = violations.sim("sim", request.sim.as_ref());
    violations.into_result(sim)
}

/// A parsed `ListSimsRequest`.
#[derive(Debug)]
pub struct ListSims {
    /// In one of these states; empty for all.
    pub statuses: Vec<SimStatus>,
    /// With an eSIM in one of these states; empty for all.
    pub esim_statuses: Vec<EsimStatus>,
    /// That nothing uses yet.
    pub unused: bool,
    /// Of this group.
    pub group: Option<String>,
    /// SIMs per page.
    pub page_size: u32,
    /// The start of the page.
    pub start: Position,
    /// What a token for the next page is bound to.
    pub fingerprint: Fingerprint,
}

/// Parses; the token last, because it is bound to all the rest.
///
/// # Errors
/// `INVALID_REQUEST`, or `PAGE_TOKEN_INVALID` when only the token is wrong.
pub fn list_sims(request: &pb::ListSimsRequest) -> Result<ListSims> {
    let mut violations = Violations::default();
    let mut statuses = Vec::new();
    let numbers = violations.bounded("statuses", request.statuses.iter(), MOST_STATUSES);
    for (at, number) in numbers.enumerate() {
        match status(*number) {
            Some(status) if !statuses.contains(&status) => statuses.push(status),
            Some(_) => {}
            None => violations.add(format!("statuses[{at}]"), "must be a known status"),
        }
    }
    let mut esim_statuses = Vec::new();
    let numbers = violations.bounded("esim_statuses", request.esim_statuses.iter(), MOST_STATUSES);
    for (at, number) in numbers.enumerate() {
        match esim_status(*number) {
            Some(status) if !esim_statuses.contains(&status) => esim_statuses.push(status),
            Some(_) => {}
            None => violations.add(format!("esim_statuses[{at}]"), "must be a known status"),
        }
    }
    violations.text("group", &request.group, LONGEST_GROUP);
    let largest = if request.unused {
        LARGEST_UNUSED_PAGE
    } else {
        LARGEST_PAGE
    };
    let page_size = violations.page_size(request.page_size, DEFAULT_PAGE, largest);
    violations.into_result(Some(()))?;
    let older = (&statuses, &request.group);
    // Without the later fields, tokens of the former release stay valid.
    let fingerprint = match (esim_statuses.as_slice(), request.unused) {
        ([], false) => Fingerprint::of(&older),
        later => Fingerprint::of(&(older, later)),
    };
    let start = page_token::decode(List::Sims, fingerprint, &request.page_token)
        .map_err(Error::PageTokenInvalid)?
        .map_or(
            Position { status: 0, offset: 0 },
            |position: page_token::Position| Position {
                status: u32::try_from(position.within).unwrap_or(u32::MAX),
                offset: position.offset,
            },
        );
    let group = Some(request.group.clone()).filter(|group| !group.is_empty());
    Ok(ListSims {
        statuses,
        esim_statuses,
        unused: request.unused,
        group,
        page_size,
        start,
        fingerprint,
    })
}

fn esim_status(number: i32) -> Option<EsimStatus> {
    match pb::EsimStatus::try_from(number).ok()? {
        pb::EsimStatus::Unspecified => None,
        pb::EsimStatus::Available => Some(EsimStatus::Available),
        pb::EsimStatus::Allocated => Some(EsimStatus::Allocated),
        pb::EsimStatus::Released => Some(EsimStatus::Released),
        pb::EsimStatus::Downloaded => Some(EsimStatus::Downloaded),
        pb::EsimStatus::Installed => Some(EsimStatus::Installed),
        pb::EsimStatus::Enabled => Some(EsimStatus::Enabled),
        pb::EsimStatus::Disabled => Some(EsimStatus::Disabled),
        pb::EsimStatus::Deleted => Some(EsimStatus::Deleted),
    }
}

fn status(number: i32) -> Option<SimStatus> {
    match pb::SimStatus::try_from(number).ok()? {
        pb::SimStatus::Unspecified => None,
        pb::SimStatus::Preactivated => Some(SimStatus::Preactivated),
        pb::SimStatus::Active => Some(SimStatus::Active),
        pb::SimStatus::Suspended => Some(SimStatus::Suspended),
        pb::SimStatus::Barred => Some(SimStatus::Barred),
        pb::SimStatus::Test => Some(SimStatus::Test),
        pb::SimStatus::OnHold => Some(SimStatus::OnHold),
        pb::SimStatus::Terminated => Some(SimStatus::Terminated),
        pb::SimStatus::Available => Some(SimStatus::Available),
    }
}
