//! Connectivity Management: subscribers as they are.

use crate::{
    http::{
        problem::Problem,
        reply::Reply,
        request::{Call, is_msisdn, is_sim_serial},
    },
    world::{
        clock::iso,
        provider::Provider,
        stock::{ids::SimNumber, sim::Sim},
    },
};
use http::StatusCode;
use serde_json::{Value, json};

/// `GET /subscribers/sim-serial/{simSerial}`.
pub(crate) fn get_by_serial(provider: &Provider, call: &Call) -> Result<Reply, Problem> {
    let serial = call.argument(0);
    if !is_sim_serial(serial) {
        return Err(Problem::bad_request("'simSerial' must match [0-9]{13,20}"));
    }
    answer(provider, provider.stock.by_iccid(serial))
}

/// `GET /subscribers/msisdn/{msisdn}`.
pub(crate) fn get_by_msisdn(provider: &Provider, call: &Call) -> Result<Reply, Problem> {
    let msisdn = call.argument(0);
    if !is_msisdn(msisdn) {
        return Err(Problem::bad_request("'msisdn' must match [0-9]{6,15}"));
    }
    answer(provider, provider.stock.by_msisdn(msisdn))
}

fn answer(provider: &Provider, number: Option<SimNumber>) -> Result<Reply, Problem> {
    let body = number.and_then(|number| provider.with_sim(number, |sim, _| render(provider, sim)));
    body.map(|body| Reply::json(StatusCode::OK, &body))
        .ok_or_else(|| unknown(provider))
}

/// The refusal of an ICCID or MSISDN that is not the account's.
pub(crate) fn unknown(provider: &Provider) -> Problem {
    if provider.settings.load().unknown_sim_is_bad_request {
        Problem::bad_request("Invalid SIM serial / SIM card doesn't belong to customer")
    } else {
        Problem::subscriber_not_found()
    }
}

fn render(provider: &Provider, sim: &Sim) -> Value {
    let mut subscriber = json!({
        "msisdn": sim.number.msisdn(),
        "simSerial": sim.iccid(),
        "primaryImsi": sim.card.imsi(),
        "ratePlan": provider.options.rate_plan,
        "status": sim.status.as_str(),
        "lastModifiedDate": iso(sim.status_since),
        "options": options(sim),
        "metadata": sim.metadata,
    });
    let Some(members) = subscriber.as_object_mut() else {
        return subscriber;
    };
    if let Some(group) = &sim.group {
        members.insert("group".to_owned(), json!(group));
    }
    if let Some(profile) = &sim.service_profile {
        members.insert("serviceProfile".to_owned(), json!(profile));
    }
    if let Some(at) = sim.activated_at {
        members.insert("activationDate".to_owned(), json!(iso(at)));
    }
    subscriber
}

/// The options of a line, as `{name, value}`.
pub(crate) fn options(sim: &Sim) -> Vec<Value> {
    sim.line_options
        .iter()
        .map(|(name, value)| json!({ "name": name, "value": value }))
        .collect()
}
