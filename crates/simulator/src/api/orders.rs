//! OCS Subscriptions: orders of products.
//!
//! An accepted order adds a subscription and takes its price, both at once and under
//! the SIM's lock. Nothing looks for duplicates: the same order sent twice is two
//! subscriptions, whatever reference they carry. Orders that follow up on a subscription are in
//! [`crate::world::follow_ups`].

use http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    http::{problem::Problem, reply::Reply, request::Call},
    world::{
        clock::iso,
        follow_ups::{Aim, FollowUp, follow},
        provider::Provider,
        purchase::{Ordered, Purchase, buy},
        refusal::{INSUFFICIENT_FUND, Refusal, SUBSCRIBER_NOT_FOUND},
        settings::{Settings, follow_ups::FollowUpSettings},
        stock::ids::is_msisdn,
        tally::Tally,
    },
};

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
    /// What it says of a subscription that is there already; not part of a purchase.
    #[serde(skip)]
    aim: Aim,
    /// The subscription that an add-on is added to.
    #[serde(skip)]
    parent: Option<Uuid>,
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

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::order(refusal.title, refusal.detail)
    }
}

/// What is to be done with the product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Buy(Purchase),
    /// Something with a subscription that is there already.
    Follow(FollowUp),
}

impl Order {
    fn read(call: &Call, settings: &Settings) -> Result<Self, Problem> {
        let wrong = |error: serde_json::Error| Problem::bad_request(error.to_string());
        let mut body: Value = serde_json::from_slice(&call.body).map_err(wrong)?;
        let parent = take_parent(&mut body, &settings.add_on_parent_member)?;
        let aim = take_aim(&mut body, &settings.follow_ups)?;
        let mut order: Self = serde_json::from_value(body).map_err(wrong)?;
        order.aim = aim;
        order.parent = parent;
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
            "preload" => return Ok(Action::Buy(Purchase::Preload)),
            "subscribe" => return Ok(Action::Buy(Purchase::Subscribe)),
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
            "credit" => Err(INSUFFICIENT_FUND.into()),
            other => Err(Problem::bad_request(format!(
                "'payment.provider' cannot be '{other}'"
            ))),
        }
    }
}

/// Takes the parent of an add-on out of a body. One client sends `null` for other products.
fn take_parent(body: &mut Value, member: &str) -> Result<Option<Uuid>, Problem> {
    let value = body.as_object_mut().and_then(|members| members.remove(member));
    match value.filter(|value| !value.is_null()) {
        None => Ok(None),
        Some(value) => value
            .as_str()
            .and_then(|id| Uuid::try_parse(id).ok())
            .map(Some)
            .ok_or_else(|| Problem::bad_request(format!("'{member}' is no UUID"))),
    }
}

/// Reads the aim from a body and takes its members out.
fn take_aim(body: &mut Value, settings: &FollowUpSettings) -> Result<Aim, Problem> {
    let pointers = [
        &settings.subscription_member,
        &settings.balance_member,
        &settings.expiration_member,
    ];
    let [subscription, balance, expiration] =
        pointers.map(|pointer| body.pointer(pointer).filter(|value| !value.is_null()).cloned());
    for pointer in pointers {
        let top = pointer.trim_start_matches('/').split('/').next();
        if let (Some(members), Some(top)) = (body.as_object_mut(), top) {
            members.remove(top);
        }
    }
    let wrong = |pointer: &str| Problem::bad_request(format!("'{pointer}' is wrong"));
    Ok(Aim {
        subscription: subscription
            .map(|value| value.as_str().and_then(|id| Uuid::try_parse(id).ok()))
            .map(|id| id.ok_or_else(|| wrong(&settings.subscription_member)))
            .transpose()?,
        balance: balance
            .map(|value| value.as_i64().filter(|kb| *kb >= 0))
            .map(|kb| kb.ok_or_else(|| wrong(&settings.balance_member)))
            .transpose()?,
        expiration: expiration
            .map(|value| value.as_str().and_then(|at| at.parse().ok()))
            .map(|at| at.ok_or_else(|| wrong(&settings.expiration_member)))
            .transpose()?,
    })
}

/// `POST /orders/products`.
pub(crate) fn order_product(provider: &Provider, call: &Call) -> Result<Reply, Problem> {
    let settings = provider.settings.load();
    let order = Order::read(call, &settings)?;
    let action = order.action(&settings.follow_ups)?;
    // Named first when it is missing, so that something that is no order gets that answer.
    if !matches!(action, Action::Follow(_)) {
        order.product_id()?;
    }
    if order.mvno_ref != provider.identity.mvno_ref {
        return Err(Problem::insufficient_permission(
            "This account may not use this mvnoRef",
        ));
    }
    if action == Action::Buy(Purchase::Preload) && !settings.preload_configured {
        return Ok(Reply::new(
            StatusCode::NOT_IMPLEMENTED,
            Reply::TEXT,
            "Missing configuration",
        ));
    }
    let number = provider
        .stock
        .by_msisdn(&order.bind.msisdn)
        .ok_or(SUBSCRIBER_NOT_FOUND)?;
    let reference = order.transaction_reference.as_ref();
    let (subscription_id, now) = match action {
        Action::Follow(follow_up) => {
            let product_id = order.product.as_ref().map(|product| product.product_id.as_str());
            follow(provider, follow_up, &order.aim, number, product_id, reference)?
        }
        Action::Buy(purchase) => {
            let ordered = Ordered {
                purchase,
                product_id: order.product_id()?,
                parent: order.parent,
                reference,
            };
            buy(provider, &settings, number, ordered)?
        }
    };
    Tally::bump(&provider.tally.orders_accepted);
    Ok(accepted(provider, &settings, order, subscription_id, now))
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
