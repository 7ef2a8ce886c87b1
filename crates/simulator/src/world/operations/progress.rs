//! Connectivity Management: operations that change a subscriber.
//!
//! Each is accepted with a transaction and carried out when that ends, on the
//! simulator's clock. Until then the SIM is as it was, and another operation on
//! it is a conflict. Whether the operation is possible is asked twice: when it is
//! accepted, and again when it is carried out.

use std::time::Duration;

use crate::world::settings::operations::{OperationSettings, Outcome};
use crate::{
    api::connectivity::unknown,
    http::{
        problem::Problem,
        reply::Reply,
        request::{Call, is_sim_serial},
    },
    world::{
        agenda::Due,
        clock::after,
        operations::{
            change::{Change, can_replace},
            request::Request,
            transactions::{Stage, Transaction},
        },
        provider::Provider,
        stock::{news::LineEvent, sim::Sim, status::SimStatus},
    },
};
use http::StatusCode;
use jiff::Timestamp;
use serde_json::json;
use uuid::Uuid;

/// What a control call has decided over the next operation of a SIM: its outcome, and after what time.
pub(crate) type Decided = (Outcome, Duration);

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
    let plan = &provider.options.rate_plan;
    let request = Request::read(call, change, plan, settings.rate_plan_required)?;
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
    let begun = match replacement {
        Some(other) if other == number => {
            return Err(Problem::bad_request("A SIM cannot replace itself"));
        }
        Some(other) => provider.with_sims(number, other, |sim, other, _| {
            accept(provider, settings, transaction, sim, Some(other))
        }),
        None => provider.with_sim(number, |sim, _| {
            accept(provider, settings, transaction, sim, None)
        }),
    };
    begun.unwrap_or_else(|| Err(unknown(provider)))?;
    let mut body = json!({ "transactionId": id, "simSerial": iccid });
    if let Some(members) = body.as_object_mut() {
        members.insert(settings.status_member.clone(), json!("PENDING"));
    }
    Ok(Reply::json(StatusCode::CREATED, &body))
}

/// Lets a transaction begin on a SIM that can take it.
fn accept(
    provider: &Provider,
    settings: &OperationSettings,
    mut transaction: Transaction,
    sim: &mut Sim,
    other: Option<&mut Sim>,
) -> Result<(), Problem> {
    let blocked = sim.pending.is_some() || other.as_ref().is_some_and(|other| other.pending.is_some());
    if blocked {
        return Err(Problem::conflict());
    }
    possible(
        &transaction,
        sim,
        other.as_deref(),
        settings.preactivated_not_ready,
    )
    .map_err(Problem::bad_request)?;
    let (outcome, delay) = sim
        .outcomes
        .pop_front()
        .unwrap_or((settings.outcome, settings.delay));
    let id = transaction.id;
    if outcome == Outcome::Reject {
        transaction.stage = Stage::Rejected;
        provider.transactions.add(transaction);
        return Ok(());
    }
    sim.pending = Some(id);
    if let Some(other) = other {
        other.pending = Some(id);
    }
    let at = after(transaction.begun, delay);
    provider.transactions.add(transaction);
    match outcome {
        Outcome::Finish => provider.agenda.add(at, Due::Transaction(id, true)),
        Outcome::Fail => provider.agenda.add(at, Due::Transaction(id, false)),
        Outcome::Reject | Outcome::Hang => {}
    }
    Ok(())
}

/// The status that a transaction leads to, or why it is not possible as the SIMs are now.
fn possible(
    transaction: &Transaction,
    sim: &Sim,
    other: Option<&Sim>,
    preactivated_not_ready: bool,
) -> Result<SimStatus, String> {
    let status = transaction
        .change
        .leads_from(sim.status, preactivated_not_ready)?;
    transaction.request.metadata_over(&sim.metadata)?;
    match other {
        Some(other) if !can_replace(other.status) => {
            Err(format!("The new SIM card is {}", other.status.as_str()))
        }
        Some(other) if other.subscriptions.iter().any(|bundle| bundle.is_live()) => {
            Err("The new SIM card has products of its own".to_owned())
        }
        _ => Ok(status),
    }
}

/// Ends a transaction at `at`, well if it shall and still can. `false` when it is not pending.
pub(crate) fn end(provider: &Provider, id: Uuid, at: Timestamp, well: bool) -> bool {
    let Some(transaction) = provider.transactions.find(id) else {
        return false;
    };
    let ended = match transaction.replacement {
        Some(other) => provider.with_sims(transaction.sim, other, |sim, other, _| {
            settle(provider, &transaction, sim, Some(other), at, well)
        }),
        None => provider.with_sim(transaction.sim, |sim, _| {
            settle(provider, &transaction, sim, None, at, well)
        }),
    };
    ended.unwrap_or(false)
}

fn settle(
    provider: &Provider,
    transaction: &Transaction,
    sim: &mut Sim,
    mut other: Option<&mut Sim>,
    at: Timestamp,
    well: bool,
) -> bool {
    let id = transaction.id;
    if sim.pending != Some(id) {
        return false;
    }
    sim.pending = None;
    if let Some(other) = &mut other {
        other.pending = None;
    }
    let possible = possible(transaction, sim, other.as_deref(), false);
    let stage = match possible {
        Ok(status) if well => {
            carry_out(provider, transaction, sim, other, status, at);
            Stage::Done(at)
        }
        _ => Stage::Failed(at),
    };
    provider.transactions.set_stage(id, stage);
    true
}

fn carry_out(
    provider: &Provider,
    transaction: &Transaction,
    sim: &mut Sim,
    other: Option<&mut Sim>,
    status: SimStatus,
    at: Timestamp,
) {
    let request = &transaction.request;
    if let Ok(metadata) = request.metadata_over(&sim.metadata) {
        sim.metadata = metadata;
    }
    if let Some(group) = &request.group {
        sim.group = Some(group.clone());
    }
    if let Some(reference) = &request.external_reference {
        sim.external_reference = Some(reference.clone());
    }
    if let Some(profile) = &request.service_profile {
        sim.service_profile = Some(profile.clone());
        sim.line_options.clear();
    }
    sim.line_options.extend(request.options());
    let id = Some(transaction.id);
    sim.go_over(status, at, id);
    if status == SimStatus::Terminated {
        sim.end_bundles(at);
    }
    if let Some(other) = other {
        provider.stock.swap_cards(sim, other);
        sim.note(LineEvent::CardSwapped, status, at, id);
        // The number that the new card had goes out of use without a word.
        other.set_status(SimStatus::Terminated, at);
        other.hush();
    } else if transaction.change == Change::Modify {
        sim.note(LineEvent::Modified, status, at, id);
    }
}

/// `GET /transactions/{transactionId}`.
pub(crate) fn get_transaction(provider: &Provider, call: &Call) -> Result<Reply, Problem> {
    Uuid::try_parse(call.argument(0))
        .ok()
        .and_then(|id| provider.transactions.find(id))
        .map(|transaction| Reply::json(StatusCode::OK, &transaction.render()))
        .ok_or_else(Problem::transaction_not_found)
}
