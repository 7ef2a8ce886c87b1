//! OCS Subscriptions: orders of products.
//!
//! An accepted order adds a bundle and takes its price, both at once and under
//! the SIM's lock. Nothing looks for duplicates: the same order sent twice is two
//! bundles, whatever reference they carry. Orders that follow up on a bundle are in
//! [`crate::world::follow_ups`].

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
    sync::Mutex,
};

use crate::{
    http::{
        counters::Counters,
        problem::Problem,
        reply::Reply,
        request::{Call, is_msisdn},
    },
    lock::lock,
    world::{
        catalog::{
            eligibility,
            eligibility::{Eligibility, Mode},
            product::{Category, Product},
        },
        clock::iso,
        follow_ups::{Aim, FollowUp, FollowUpSettings},
        provider::Provider,
        settings::Settings,
        stock::{ids::SimNumber, sim::Sim, status::SimStatus, subscription::Phase},
    },
};
use http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

/// The body of a product order. Members that the contract does not know are refused: in a test they are mistakes.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Order {
    bind: Bind,
    source: String,
    order_type: String,
    mvno_ref: String,
    product: Option<ProductRef>,
    payment: Option<Payment>,
    transaction_reference: Option<String>,
    /// What it says of a bundle that is there already; not part of a purchase.
    #[serde(skip)]
    aim: Aim,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bind {
    msisdn: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ProductRef {
    product_id: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Payment {
    provider: String,
}

/// What is to be done with the product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Preload,
    Subscribe,
    /// Something with a bundle that is there already.
    Follow(FollowUp),
}

impl Order {
    fn read(call: &Call, settings: &FollowUpSettings) -> Result<Self, Problem> {
        let wrong = |error: serde_json::Error| Problem::bad_request(error.to_string());
        let mut body: Value = serde_json::from_slice(&call.body).map_err(wrong)?;
        let aim = Aim::take(&mut body, settings)?;
        let mut order: Self = serde_json::from_value(body).map_err(wrong)?;
        order.aim = aim;
        if !is_msisdn(&order.bind.msisdn) {
            return Err(Problem::bad_request("'bind.msisdn' must match [0-9]{6,15}"));
        }
        if order.source.trim().is_empty() {
            return Err(Problem::bad_request("'source' must not be empty"));
        }
        if order
            .transaction_reference
            .as_ref()
            .is_some_and(|reference| reference.chars().count() > 255)
        {
            return Err(Problem::bad_request("'transactionReference' is longer than 255"));
        }
        Ok(order)
    }

    fn action(&self, settings: &FollowUpSettings) -> Result<Action, Problem> {
        let follow_up = match self.order_type.as_str() {
            "preload" => return Ok(Action::Preload),
            "subscribe" => return Ok(Action::Subscribe),
            "cancelRenewal" => FollowUp::CancelRenewal,
            "modify" => FollowUp::Modify,
            "terminate" => FollowUp::Terminate,
            other => return Err(Problem::bad_request(format!("'orderType' cannot be '{other}'"))),
        };
        if settings.enabled {
            return Ok(Action::Follow(follow_up));
        }
        Err(Problem::new(
            StatusCode::NOT_IMPLEMENTED,
            "NOT_IMPLEMENTED",
            "This order type is not enabled for the account",
        ))
    }

    /// The product's id, once it is clear that the account pays for it.
    fn product_id(&self) -> Result<&str, Problem> {
        let product = self
            .product
            .as_ref()
            .ok_or_else(|| Problem::bad_request("'product' is missing"))?;
        let payment = self
            .payment
            .as_ref()
            .ok_or_else(|| Problem::bad_request("'payment' is missing"))?;
        match payment.provider.as_str() {
            "customer" => Ok(&product.product_id),
            // A SIM of this offer has no credit of its own.
            "credit" => Err(INSUFFICIENT_FUND.problem()),
            other => Err(Problem::bad_request(format!(
                "'payment.provider' cannot be '{other}'"
            ))),
        }
    }
}

/// A refusal of business.
struct Refusal {
    title: &'static str,
    detail: &'static str,
}

impl Refusal {
    fn problem(&self) -> Problem {
        Problem::order(self.title, self.detail)
    }
}

const SUBSCRIBER_NOT_FOUND: Refusal = Refusal {
    title: "SUBSCRIBER_NOT_FOUND",
    detail: "Order failed - Subscriber is unknown",
};
const PRODUCT_NOT_FOUND: Refusal = Refusal {
    title: "PRODUCT_NOT_FOUND",
    detail: "Order failed - Product is unknown for the subscriber",
};
const STATUS_NOT_ELIGIBLE: Refusal = Refusal {
    title: "SUBSCRIBER_STATUS_NOT_ELIGIBLE",
    detail: "Order failed - Subscriber's status is not compatible with the order",
};
const INSUFFICIENT_FUND: Refusal = Refusal {
    title: "INSUFFICIENT_FUND",
    detail: "Order failed - The balance does not cover the price",
};

/// `POST /orders/products`.
pub(crate) fn order_product(provider: &Provider, call: &Call) -> Result<Reply, Problem> {
    let settings = provider.settings.load();
    let order = Order::read(call, &settings.follow_ups)?;
    let action = order.action(&settings.follow_ups)?;
    // Named first when it is missing, so that an order that is not one is told so.
    if !matches!(action, Action::Follow(_)) {
        order.product_id()?;
    }
    if order.mvno_ref != provider.options.mvno_ref {
        return Err(Problem::insufficient_permission(
            "This account may not use this mvnoRef",
        ));
    }
    if action == Action::Preload && !settings.preload_configured {
        return Ok(Reply::new(
            StatusCode::NOT_IMPLEMENTED,
            Reply::TEXT,
            "Missing configuration",
        ));
    }
    let number = provider
        .stock
        .by_msisdn(&order.bind.msisdn)
        .ok_or_else(|| SUBSCRIBER_NOT_FOUND.problem())?;
    let (subscription_id, now) = match action {
        Action::Follow(follow_up) => follow(provider, &order, follow_up, number)?,
        Action::Preload | Action::Subscribe => buy(provider, &order, action, &settings, number)?,
    };
    Counters::bump(&provider.counters.orders_accepted);
    Ok(accepted(provider, &settings, order, subscription_id, now))
}

/// Adds a bundle to the SIM and takes its price.
fn buy(
    provider: &Provider,
    order: &Order,
    action: Action,
    settings: &Settings,
    number: SimNumber,
) -> Result<(Uuid, Timestamp), Problem> {
    let product_id = order.product_id()?;
    let product = provider
        .catalog
        .product(product_id)
        .ok_or_else(|| PRODUCT_NOT_FOUND.problem())?;
    let placed = provider.with_sim(number, |sim, now| {
        let mode = check(&product, sim, action, settings, now)?;
        if !provider.account.pay(product.price_cents) {
            return Err(INSUFFICIENT_FUND.problem());
        }
        if sim.status == SimStatus::PreActivated && action == Action::Subscribe {
            sim.set_status(SimStatus::Active, now);
        }
        let phase = first_phase(&product, sim, mode, now);
        let (shown, oddity) = sim.next_showing(&settings.inventory, now);
        let id = sim.add(std::sync::Arc::clone(&product), now, |subscription| {
            subscription.reference.clone_from(&order.transaction_reference);
            subscription.shown = shown;
            subscription.oddity = oddity;
            match phase {
                Some(phase) => subscription.phase = phase,
                None => subscription.start(now),
            }
        });
        Ok((id, now))
    });
    let (subscription_id, now) = placed.unwrap_or_else(|| Err(SUBSCRIBER_NOT_FOUND.problem()))?;
    if let Some(reference) = &order.transaction_reference {
        provider.references.add(reference, number, subscription_id);
    }
    Ok((subscription_id, now))
}

/// Does something with a bundle of the SIM.
fn follow(
    provider: &Provider,
    order: &Order,
    follow_up: FollowUp,
    number: SimNumber,
) -> Result<(Uuid, Timestamp), Problem> {
    let product_id = order.product.as_ref().map(|product| product.product_id.as_str());
    let followed = provider.with_sim(number, |sim, now| {
        if !sim.status.takes_orders() {
            return Err(STATUS_NOT_ELIGIBLE.problem());
        }
        let bundle = order.aim.find(sim, product_id)?;
        follow_up.apply(bundle, &order.aim, now)?;
        if let Some(reference) = &order.transaction_reference {
            bundle.attribute_news(reference);
        }
        Ok((bundle.id, now))
    });
    followed.unwrap_or_else(|| Err(SUBSCRIBER_NOT_FOUND.problem()))
}

/// The answer to an order that was carried out.
fn accepted(
    provider: &Provider,
    settings: &Settings,
    order: Order,
    subscription_id: Uuid,
    now: Timestamp,
) -> Reply {
    let order_id = provider.next_request_id();
    let mut body = json!({
        "id": order_id,
        "orderReference": format!("TSL-{:012X}", order_id.as_u64_pair().1 & 0xffff_ffff_ffff),
        "status": "done",
        "submissionDate": iso(now),
        "bind": { "msisdn": order.bind.msisdn },
        "source": order.source,
        "mvnoRef": order.mvno_ref,
    });
    if let Some(body) = body.as_object_mut() {
        if settings.answers_name_subscription {
            body.insert("subscriptionId".to_owned(), json!(subscription_id));
        }
        if let Some(reference) = order.transaction_reference {
            body.insert("transactionReference".to_owned(), json!(reference));
        }
    }
    Reply::json(StatusCode::CREATED, &body)
}

/// Whether this SIM may have this product by this action.
fn check(
    product: &Product,
    sim: &Sim,
    action: Action,
    settings: &Settings,
    now: Timestamp,
) -> Result<Mode, Problem> {
    let fits = match (action, sim.status) {
        (Action::Preload, SimStatus::PreActivated) | (Action::Subscribe, SimStatus::Active) => true,
        (Action::Subscribe, SimStatus::PreActivated) => settings.subscribe_activates,
        _ => false,
    };
    if !fits {
        return Err(STATUS_NOT_ELIGIBLE.problem());
    }
    match eligibility::of(product, &sim.standing(), now) {
        Eligibility::Allowed(mode) => Ok(mode),
        Eligibility::Unasked => Ok(Mode::Add),
        Eligibility::Refused { key, message } => Err(Problem::order(key, message)),
    }
}

/// How a new bundle begins; `None` when it starts at once.
fn first_phase(product: &Product, sim: &mut Sim, mode: Mode, now: jiff::Timestamp) -> Option<Phase> {
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

/// Bundles by `transactionReference`, in the order in which they were accepted.
type ByReference = HashMap<String, Vec<(SimNumber, Uuid)>>;

/// Which bundles were ordered under which `transactionReference`. In parts, so that orders do not queue here.
#[derive(Debug, Default)]
pub(crate) struct References {
    parts: [Mutex<ByReference>; 16],
    hasher: RandomState,
}

impl References {
    fn part(&self, reference: &str) -> Option<&Mutex<ByReference>> {
        let position = self.hasher.hash_one(reference) % self.parts.len() as u64;
        usize::try_from(position)
            .ok()
            .and_then(|position| self.parts.get(position))
    }

    fn add(&self, reference: &str, number: SimNumber, subscription: Uuid) {
        if let Some(part) = self.part(reference) {
            lock(part)
                .entry(reference.to_owned())
                .or_default()
                .push((number, subscription));
        }
    }

    /// Every bundle that was ordered under this reference, in the order in which they were accepted.
    pub(crate) fn find(&self, reference: &str) -> Vec<(SimNumber, Uuid)> {
        self.part(reference)
            .and_then(|part| lock(part).get(reference).cloned())
            .unwrap_or_default()
    }
}
