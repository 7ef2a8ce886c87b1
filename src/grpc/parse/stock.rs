//! Requests about the stock.

use std::time::Duration;

use super::Violations;
use super::provisioning::{DEFAULT_PAGE, LARGEST_PAGE};
use crate::domain::pool::{LONGEST_POOL, Pool};
use crate::domain::stock::{Delivered, StockState};
use crate::domain::write::{LONGEST_REFERENCE, RequestId};
use crate::domain::{Error, Iccid, Requester, Result, Scope};
use crate::grpc::page_token::{self, Fingerprint, List};
use crate::pb::connectivity::v1 as pb;
use crate::service::stock::{Request, StockFilter};

/// SIMs of one request.
const MOST_SIMS: usize = 1000;
const SHORTEST_TTL: Duration = Duration::from_secs(1);
const LONGEST_TTL: Duration = Duration::from_secs(7 * 24 * 3600);

impl Violations {
    /// A required pool.
    pub(super) fn pool(&mut self, field: &str, name: &str) -> Option<Pool> {
        if name.is_empty() {
            self.add(field, "is required");
            return None;
        }
        let pool = Pool::parse(name);
        if pool.is_none() {
            let rule = format!(
                "must have at most {LONGEST_POOL} letters, digits, points, underscores and hyphens, and begin with a letter or digit"
            );
            self.add(field, rule);
        }
        pool
    }

    fn optional_pool(&mut self, field: &str, name: &str) -> Option<Pool> {
        match name {
            "" => None,
            name => self.pool(field, name),
        }
    }
}

/// Parses a `ReserveSimRequest`.
///
/// # Errors
/// `INVALID_REQUEST`.
pub fn reserve_sim(request: &pb::ReserveSimRequest, by: Requester) -> Result<Request> {
    let mut violations = Violations::default();
    let request_id = violations.request_id("request_id", &request.request_id);
    let pool = violations.pool("pool", &request.pool);
    violations.text("reference", &request.reference, LONGEST_REFERENCE);
    let ttl = request.ttl.map(|ttl| {
        let ttl = Duration::try_from(ttl).unwrap_or_default();
        if !(SHORTEST_TTL..=LONGEST_TTL).contains(&ttl) {
            violations.add("ttl", "must be at least 1 s and at most 7 days");
        }
        ttl
    });
    let parsed = request_id.zip(pool).map(|(request_id, pool)| Request {
        request_id,
        pool,
        reference: request.reference.clone(),
        by,
        ttl,
    });
    violations.into_result(parsed)
}

/// Parses a `ReleaseSimRequest`.
///
/// # Errors
/// `INVALID_REQUEST`.
pub fn release_sim(request: &pb::ReleaseSimRequest) -> Result<RequestId> {
    let mut violations = Violations::default();
    let id = violations.request_id("reservation_id", &request.reservation_id);
    violations.into_result(id)
}

/// Parses a `GetStockRequest`: the pool, or all of them.
///
/// # Errors
/// `INVALID_REQUEST`.
pub fn get_stock(request: &pb::GetStockRequest) -> Result<Option<Pool>> {
    let mut violations = Violations::default();
    let pool = violations.optional_pool("pool", &request.pool);
    violations.into_result(Some(pool))
}

/// A parsed `ListStockRequest`.
#[derive(Debug)]
pub struct ListStock {
    /// Which SIMs, from the token on.
    pub filter: StockFilter,
    /// SIMs per page.
    pub page_size: u32,
    /// What a token for the next page is bound to.
    pub fingerprint: Fingerprint,
}

/// Parses; the token last, because it is bound to all the rest.
///
/// # Errors
/// `INVALID_REQUEST`, or `PAGE_TOKEN_INVALID` when only the token is wrong.
pub fn list_stock(request: &pb::ListStockRequest, scope: Scope) -> Result<ListStock> {
    let mut violations = Violations::default();
    let pool = violations.optional_pool("pool", &request.pool);
    let state = match pb::StockState::try_from(request.state) {
        Ok(pb::StockState::Unspecified) => None,
        Ok(pb::StockState::Available) => Some(StockState::Available),
        Ok(pb::StockState::Reserved) => Some(StockState::Reserved),
        Ok(pb::StockState::Sold) => Some(StockState::Sold),
        Ok(pb::StockState::SetAside) => Some(StockState::SetAside),
        Err(_) => {
            violations.add("state", "is not one of the documented values");
            None
        }
    };
    let page_size = violations.page_size(request.page_size, DEFAULT_PAGE, LARGEST_PAGE);
    violations.into_result(Some(()))?;
    let fingerprint = Fingerprint::of(&(&request.pool, request.state));
    let after =
        page_token::decode(List::Stock, fingerprint, &request.page_token).map_err(Error::PageTokenInvalid)?;
    Ok(ListStock {
        filter: StockFilter {
            pool,
            state,
            after,
            scope,
        },
        page_size,
        fingerprint,
    })
}

/// A parsed `ImportStockRequest`.
#[derive(Debug)]
pub struct Import {
    /// To which pool.
    pub pool: Pool,
    /// The SIMs.
    pub sims: Vec<Delivered>,
}

/// Parses an `ImportStockRequest`.
///
/// # Errors
/// `INVALID_REQUEST`.
pub fn import_stock(request: &pb::ImportStockRequest) -> Result<Import> {
    let mut violations = Violations::default();
    let pool = violations.pool("pool", &request.pool);
    if request.sims.is_empty() {
        violations.add("sims", "is required");
    }
    let mut sims = Vec::new();
    let mut cards = std::collections::HashSet::new();
    for (place, sim) in violations
        .bounded("sims", request.sims.iter(), MOST_SIMS)
        .enumerate()
    {
        let iccid = violations.iccid(&format!("sims[{place}].iccid"), &sim.iccid);
        let msisdn = match sim.msisdn.as_str() {
            "" => None,
            text => violations.msisdn(&format!("sims[{place}].msisdn"), text),
        };
        let Some(iccid) = iccid else { continue };
        if !cards.insert(iccid.clone()) {
            violations.add(format!("sims[{place}].iccid"), "is in the request before");
        }
        sims.push(Delivered { iccid, msisdn });
    }
    violations.into_result(pool.map(|pool| Import { pool, sims }))
}

/// Parses a `MoveStockRequest`: the cards and where they belong then.
///
/// # Errors
/// `INVALID_REQUEST`.
pub fn move_stock(request: &pb::MoveStockRequest) -> Result<(Vec<Iccid>, Pool)> {
    let mut violations = Violations::default();
    if request.iccids.is_empty() {
        violations.add("iccids", "is required");
    }
    let mut cards = Vec::new();
    for (place, text) in violations
        .bounded("iccids", request.iccids.iter(), MOST_SIMS)
        .enumerate()
    {
        cards.extend(violations.iccid(&format!("iccids[{place}]"), text));
    }
    let pool = violations.pool("pool", &request.pool);
    violations.into_result(pool.map(|pool| (cards, pool)))
}

/// Parses a `WithdrawSimRequest`.
///
/// # Errors
/// `INVALID_REQUEST`.
pub fn withdraw_sim(request: &pb::WithdrawSimRequest) -> Result<Iccid> {
    let mut violations = Violations::default();
    let card = violations.iccid("iccid", &request.iccid);
    violations.into_result(card)
}
