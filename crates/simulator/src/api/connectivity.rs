//! Connectivity Management: subscribers as they are, and operations that change them.
//!
//! An operation is accepted with a transaction and carried out when that ends.

use http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    http::{problem::Problem, reply::Reply, request::Call},
    world::{
        clock::iso,
        operations::{
            change::Change,
            progress,
            progress::NotBegun,
            request::Request,
            transactions::{Stage, Transaction},
        },
        provider::Provider,
        stock::{
            ids::{SimNumber, is_msisdn, is_sim_serial},
            sim::Sim,
        },
    },
};

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
fn unknown(provider: &Provider) -> Problem {
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
        "ratePlan": provider.identity.rate_plan,
        "status": sim.status.as_str(),
        "lastModifiedDate": iso(sim.status_since),
        "options": sim.options(),
        "metadata": sim.metadata,
    });
    let Some(members) = subscriber.as_object_mut() else {
        return subscriber;
    };
    if let Some(group) = &sim.group {
        members.insert("group".to_owned(), json!(group));
    }
    let shown = provider.settings.load().operations.labels_shown;
    if let Some(reference) = sim.external_reference.as_ref().filter(|_| shown) {
        members.insert("externalReference".to_owned(), json!(reference));
    }
    if let Some(profile) = &sim.service_profile {
        members.insert("serviceProfile".to_owned(), json!(profile));
    }
    if let Some(at) = sim.activated_at {
        members.insert("activationDate".to_owned(), json!(iso(at)));
    }
    subscriber
}

/// `POST /subscribers/sim-serial/{simSerial}/{operation}`.
pub(crate) fn begin(provider: &Provider, call: &Call, change: Change) -> Result<Reply, Problem> {
    let settings = provider.settings.load();
    let settings = &settings.operations;
    if !settings.configured {
        return Err(Problem::new(
            StatusCode::NOT_IMPLEMENTED,
            "NOT_IMPLEMENTED",
            "This operation is not enabled for the account",
        ));
    }
    let serial = call.argument(0);
    if !is_sim_serial(serial) {
        return Err(Problem::bad_request("'simSerial' must match [0-9]{13,20}"));
    }
    let plan = &provider.identity.rate_plan;
    let request =
        Request::read(&call.body, change, plan, settings.rate_plan_required).map_err(Problem::bad_request)?;
    let find = |serial: &str| provider.stock.by_iccid(serial).ok_or_else(|| unknown(provider));
    let number = find(serial)?;
    let replacement = request.new_sim_serial.as_deref().map(find).transpose()?;
    let transaction = Transaction {
        id: provider.next_request_id(),
        number: 0,
        sim: number,
        replacement,
        iccid: request
            .new_sim_serial
            .clone()
            .unwrap_or_else(|| serial.to_owned()),
        change,
        request,
        begun: provider.clock.now(),
        stage: Stage::Pending,
    };
    let (id, iccid) = (transaction.id, transaction.iccid.clone());
    progress::begin(provider, settings, transaction).map_err(|why| match why {
        NotBegun::UnknownSim => unknown(provider),
        NotBegun::Itself => Problem::bad_request("A SIM cannot replace itself"),
        NotBegun::Pending => Problem::conflict(),
        NotBegun::Impossible(why) => Problem::bad_request(why),
    })?;
    let mut body = json!({ "transactionId": id, "simSerial": iccid });
    if let Some(members) = body.as_object_mut() {
        members.insert(settings.status_member.clone(), json!("PENDING"));
    }
    let status = match settings.answers_accepted {
        true => StatusCode::ACCEPTED,
        false => StatusCode::CREATED,
    };
    Ok(Reply::json(status, &body))
}

/// `GET /transactions/{transactionId}`.
pub(crate) fn get_transaction(provider: &Provider, call: &Call) -> Result<Reply, Problem> {
    Uuid::try_parse(call.argument(0))
        .ok()
        .and_then(|id| provider.transactions.find(id))
        .map(|transaction| Reply::json(StatusCode::OK, &render_transaction(&transaction)))
        .ok_or_else(Problem::transaction_not_found)
}

/// The answer to `GET /transactions/{transactionId}`.
fn render_transaction(transaction: &Transaction) -> Value {
    let begun = iso(transaction.begun);
    let ended = match transaction.stage {
        Stage::Pending | Stage::Rejected => begun.clone(),
        Stage::Done(at) | Stage::Failed(at) => iso(at),
    };
    let rejected = transaction.stage == Stage::Rejected;
    let mut body = json!({
        "transactionId": transaction.id,
        "simSerial": transaction.iccid,
        "syncStatus": if rejected { "ERROR" } else { "SUCCESS" },
        "syncStatusDate": begun,
        "asyncStatus": transaction.status(),
        "asyncStatusDate": ended,
        "creationDate": begun,
        "serviceRef": format!("SVC-{:010}", transaction.number),
    });
    if let (Some(reference), Some(members)) = (&transaction.request.external_reference, body.as_object_mut())
    {
        members.insert("externalReference".to_owned(), json!(reference));
    }
    body
}
