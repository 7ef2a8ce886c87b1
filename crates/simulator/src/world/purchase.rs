//! What a purchase does: it adds a subscription to a SIM and takes its price, both at once and under the SIM's lock.

use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use crate::world::{
    catalog::{
        eligibility,
        eligibility::{Eligibility, Mode},
        product::{Category, Product},
    },
    provider::Provider,
    refusal::{
        INSUFFICIENT_FUND, NO_PARENT, PRODUCT_NOT_FOUND, Refusal, STATUS_NOT_ELIGIBLE, SUBSCRIBER_NOT_FOUND,
    },
    settings::Settings,
    stock::{
        ids::SimNumber,
        sim::Sim,
        status::SimStatus,
        subscription::{Phase, Subscription},
    },
};

/// How a product is bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purchase {
    /// For a SIM that has not been used.
    Preload,
    Subscribe,
}

/// What is bought.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ordered<'a> {
    pub(crate) purchase: Purchase,
    pub(crate) product_id: &'a str,
    /// The subscription that an add-on is added to.
    pub(crate) parent: Option<Uuid>,
    pub(crate) reference: Option<&'a String>,
}

/// Buys a product for a SIM, and gives the id of the new subscription.
pub(crate) fn buy(
    provider: &Provider,
    settings: &Settings,
    number: SimNumber,
    ordered: Ordered<'_>,
) -> Result<(Uuid, Timestamp), Refusal> {
    let Ordered {
        purchase,
        product_id,
        parent,
        reference,
    } = ordered;
    let product = provider.catalog.product(product_id).ok_or(PRODUCT_NOT_FOUND)?;
    let placed = provider.with_sim(number, |sim, now| {
        let mode = check(&product, sim, purchase, settings, now)?;
        check_parent(&product, sim, parent)?;
        if !provider.account.pay(product.price_cents) {
            return Err(INSUFFICIENT_FUND);
        }
        let activates = sim.status == SimStatus::PreActivated && purchase == Purchase::Subscribe;
        if activates {
            sim.set_status(SimStatus::Active, now);
        }
        let phase = match activates && settings.subscribe_starts {
            true => None,
            false => first_phase(&product, sim, mode, now),
        };
        let (shown, oddity) = sim.next_showing(&settings.inventory, now);
        let id = sim.add(Arc::clone(&product), now, |subscription| {
            subscription.reference = reference.cloned();
            subscription.parent = parent;
            subscription.shown = shown;
            subscription.oddity = oddity;
            match phase {
                Some(phase) => subscription.phase = phase,
                None => subscription.start(now),
            }
        });
        Ok((id, now))
    });
    let (subscription_id, now) = placed.unwrap_or(Err(SUBSCRIBER_NOT_FOUND))?;
    if let Some(reference) = reference {
        provider.references.add(reference, number, subscription_id);
    }
    Ok((subscription_id, now))
}

/// Whether this SIM may have this product by this kind of purchase.
fn check(
    product: &Product,
    sim: &Sim,
    purchase: Purchase,
    settings: &Settings,
    now: Timestamp,
) -> Result<Mode, Refusal> {
    let fits = match (purchase, sim.status) {
        (Purchase::Preload, SimStatus::PreActivated) | (Purchase::Subscribe, SimStatus::Active) => true,
        (Purchase::Subscribe, SimStatus::PreActivated) => settings.subscribe_activates,
        _ => false,
    };
    if !fits {
        return Err(STATUS_NOT_ELIGIBLE);
    }
    match eligibility::of(product, &sim.standing(), now) {
        Eligibility::Allowed(mode) => Ok(mode),
        Eligibility::Unasked => Ok(Mode::Add),
        Eligibility::Refused { key, message } => Err(Refusal {
            title: key,
            detail: message,
        }),
    }
}

/// An add-on is added to a live subscription of one of its parents, anything else to none.
fn check_parent(product: &Product, sim: &Sim, parent: Option<Uuid>) -> Result<(), Refusal> {
    if product.category != Category::AddOn {
        return match parent {
            None => Ok(()),
            Some(_) => Err(Refusal::bad_request("Only an add-on has a parent subscription")),
        };
    }
    let named = parent.and_then(|id| sim.subscription(id));
    let fits = |named: &Subscription| named.is_live() && product.parents.contains(&named.product.id);
    if named.is_some_and(fits) {
        Ok(())
    } else {
        Err(NO_PARENT)
    }
}

/// How a new subscription begins; `None` when it starts at once.
fn first_phase(product: &Product, sim: &mut Sim, mode: Mode, now: Timestamp) -> Option<Phase> {
    if mode == Mode::ScheduledSwitch
        && let Some(current) = sim.renewing()
    {
        let at = current.expiration().max(now);
        current.cancel_renewal(now);
        return Some(Phase::Scheduled(at));
    }
    let starts_at_once = product.category == Category::AddOn && sim.status == SimStatus::Active;
    (!starts_at_once).then_some(Phase::Waiting)
}
