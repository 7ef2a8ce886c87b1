//! How a transaction begins and ends.
//!
//! Each is accepted with a transaction and carried out when that ends, on the
//! simulator's clock. Until then the SIM is as it was, and another operation on
//! it is a conflict. Whether the operation is possible is asked twice: when it is
//! accepted, and again when it is carried out.

use jiff::Timestamp;
use uuid::Uuid;

use crate::world::{
    agenda::Due,
    clock::after,
    operations::{
        change::{Change, can_replace},
        transactions::{Stage, Transaction},
    },
    provider::Provider,
    settings::operations::{OperationSettings, Outcome},
    stock::{news::LineEvent, sim::Sim, status::SimStatus},
};

/// Why a transaction does not begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NotBegun {
    UnknownSim,
    /// A swap of a SIM with itself.
    Itself,
    /// Another operation on the same SIM has not ended.
    Pending,
    /// The SIM is not so that it can be done.
    Impossible(String),
}

/// Lets a transaction begin, which ends by itself later.
pub(crate) fn begin(
    provider: &Provider,
    settings: &OperationSettings,
    transaction: Transaction,
) -> Result<(), NotBegun> {
    let number = transaction.sim;
    let begun = match transaction.replacement {
        Some(other) if other == number => return Err(NotBegun::Itself),
        Some(other) => provider.with_sims(number, other, |sim, other, _| {
            accept(provider, settings, transaction, sim, Some(other))
        }),
        None => provider.with_sim(number, |sim, _| {
            accept(provider, settings, transaction, sim, None)
        }),
    };
    begun.unwrap_or(Err(NotBegun::UnknownSim))
}

/// Lets a transaction begin on a SIM that can take it.
fn accept(
    provider: &Provider,
    settings: &OperationSettings,
    mut transaction: Transaction,
    sim: &mut Sim,
    other: Option<&mut Sim>,
) -> Result<(), NotBegun> {
    let blocked = sim.pending.is_some() || other.as_ref().is_some_and(|other| other.pending.is_some());
    if blocked {
        return Err(NotBegun::Pending);
    }
    possible(
        &transaction,
        sim,
        other.as_deref(),
        settings.preactivated_not_ready,
    )
    .map_err(NotBegun::Impossible)?;
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
        Some(other)
            if other
                .subscriptions
                .iter()
                .any(|subscription| subscription.is_live()) =>
        {
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
        sim.group = given(group);
    }
    if let Some(reference) = &request.external_reference {
        sim.external_reference = given(reference);
    }
    if let Some(profile) = &request.service_profile {
        sim.service_profile = Some(profile.clone());
        sim.line_options.clear();
    }
    sim.line_options.extend(request.options());
    let id = Some(transaction.id);
    sim.go_over(status, at, id);
    if status == SimStatus::Terminated {
        sim.end_subscriptions(at);
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

/// A label as a request gives it: an empty one clears it.
fn given(label: &str) -> Option<String> {
    (!label.is_empty()).then(|| label.to_owned())
}
