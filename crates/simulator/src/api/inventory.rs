//! OCS Inventory: the subscriptions of a subscriber.

use http::{StatusCode, header};
use serde::Serialize;
use serde_json::{Value, json, value::RawValue};
use uuid::Uuid;

use crate::{
    api::catalog::render,
    http::{problem::Problem, reply::Reply, request::Call},
    world::{
        clock::iso,
        provider::Provider,
        stock::{
            sim::Sim,
            subscription::{BalanceShape, Phase, Started, Subscription},
        },
    },
};

/// Status words that may be asked for. The last three are only in integrators' types.
const STATUSES: [&str; 9] = [
    "pending",
    "scheduled",
    "readyForUse",
    "pendingForFirstUse",
    "active",
    "terminated",
    "canceled",
    "expired",
    "suspended",
];

/// `GET /subscriptions/products?msisdn=`.
pub(crate) fn list_subscriptions(provider: &Provider, call: &Call) -> Result<Reply, Problem> {
    let msisdn = call
        .msisdn()?
        .ok_or_else(|| Problem::bad_request("'msisdn' is missing"))?;
    let statuses: Vec<&str> = call.all("statuses").collect();
    // One value per parameter: a comma list is no status either.
    if let Some(unknown) = statuses.iter().find(|status| !STATUSES.contains(status)) {
        return Err(Problem::bad_request(format!("'statuses' cannot be '{unknown}'")));
    }
    let with_balances = call.flag("withBalances")?;
    let only = call.one("subscriptionId")?.map(parse_id).transpose()?;
    provider
        .with_subscriber(msisdn, |sim, now| {
            let wanted = |subscription: &&Subscription| {
                let status_fits = if statuses.is_empty() {
                    subscription.is_live()
                } else {
                    statuses.contains(&subscription.status())
                };
                subscription.shown.by(now) && status_fits && only.is_none_or(|id| id == subscription.id)
            };
            reply(call, sim.subscriptions.iter().filter(wanted), with_balances)
        })
        .ok_or_else(Problem::subscriber_not_found)?
}

/// `GET /subscriptions/products/{subscriptionId}`: the same wrapper with one element.
pub(crate) fn get_subscription(provider: &Provider, call: &Call) -> Result<Reply, Problem> {
    let with_balances = call.flag("withBalances")?;
    let id = parse_id(call.argument(0))?;
    let number = provider.stock.by_subscription(id);
    let found = number.and_then(|number| {
        let render = |sim: &mut Sim, now| {
            sim.subscription(id)
                .filter(|found| found.shown.by(now))
                .map(|found| reply(call, std::iter::once(found), with_balances))
        };
        provider.with_sim(number, render).flatten()
    });
    found.unwrap_or_else(|| {
        Err(Problem::new(
            StatusCode::NOT_FOUND,
            "SUBSCRIPTION_NOT_FOUND",
            "Unknown product subscription",
        ))
    })
}

/// `GET /subscriptions/options?msisdn=`: the offer has none.
pub(crate) fn list_options(provider: &Provider, call: &Call) -> Result<Reply, Problem> {
    require_subscriber(provider, call)?;
    Ok(Reply::json(StatusCode::OK, &json!({ "options": {} })))
}

/// `GET /subscriptions/options/{option}?msisdn=`.
pub(crate) fn get_option(provider: &Provider, call: &Call) -> Result<Reply, Problem> {
    require_subscriber(provider, call)?;
    match call.argument(0) {
        "dataSafeguard" | "overspendSafeguard" | "paymentSafeguard" => Err(Problem::option_not_found()),
        _ => Err(Problem::not_found()),
    }
}

fn require_subscriber(provider: &Provider, call: &Call) -> Result<(), Problem> {
    let msisdn = call
        .msisdn()?
        .ok_or_else(|| Problem::bad_request("'msisdn' is missing"))?;
    provider
        .with_subscriber(msisdn, |_, _| ())
        .ok_or_else(Problem::subscriber_not_found)
}

fn parse_id(text: &str) -> Result<Uuid, Problem> {
    Uuid::try_parse(text).map_err(|_| Problem::bad_request("'subscriptionId' is no UUID"))
}

/// As the inventory spells it, which is not as the catalog does.
fn locale(call: &Call) -> Option<String> {
    call.headers
        .contains_key(header::ACCEPT_LANGUAGE)
        .then(|| render::locale(call).tag().replace('-', "_"))
}

/// One element of `productSubscriptions`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Rendered<'a> {
    subscription_id: Uuid,
    status: &'static str,
    subscription_date: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    activation_date: Option<String>,
    expiration_date: String,
    product_definition: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    balances: Option<Value>,
}

impl<'a> Rendered<'a> {
    fn of(subscription: &'a Subscription, with_balances: bool) -> Self {
        let balances = with_balances
            .then_some(subscription.phase)
            .and_then(|phase| match phase {
                Phase::Running(_) if subscription.shape == BalanceShape::Empty => Some(json!({})),
                Phase::Running(started) => Some(json!({ "data": balances(subscription, started) })),
                // Before the start balances are missing or empty; both are seen.
                Phase::Waiting if !subscription.preloaded => Some(json!({})),
                Phase::Waiting | Phase::Scheduled(_) | Phase::Ended { .. } => None,
            });
        Self {
            subscription_id: subscription.id,
            status: subscription.status(),
            subscription_date: iso(subscription.ordered_at),
            activation_date: subscription.started().map(|started| iso(started.at)),
            expiration_date: iso(subscription.expiration()),
            product_definition: render::written(&subscription.product),
            balances,
        }
    }
}

/// The wrapper of both answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Wrapper<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    current_locale: Option<String>,
    product_subscriptions: Vec<Element<'a>>,
}

/// One element, as it should be or not.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Element<'a> {
    Usual(Rendered<'a>),
    Odd(Value),
}

impl<'a> Element<'a> {
    fn of(subscription: &'a Subscription, with_balances: bool) -> Result<Self, serde_json::Error> {
        let usual = Rendered::of(subscription, with_balances);
        match subscription.oddity {
            Some(oddity) => serde_json::to_value(usual).map(|element| Self::Odd(oddity.distort(element))),
            None => Ok(Self::Usual(usual)),
        }
    }
}

fn reply<'a>(
    call: &Call,
    subscriptions: impl Iterator<Item = &'a Subscription>,
    with_balances: bool,
) -> Result<Reply, Problem> {
    subscriptions
        .map(|found| Element::of(found, with_balances))
        .collect::<Result<_, _>>()
        .and_then(|product_subscriptions| {
            serde_json::to_vec(&Wrapper {
                current_locale: locale(call),
                product_subscriptions,
            })
        })
        .map(Reply::rendered)
        .map_err(|error| Problem::internal(error.to_string()))
}

fn balances(subscription: &Subscription, started: Started) -> Vec<Value> {
    let product = &subscription.product;
    let name = product.resource_name();
    let row = |name: &str, value: Value, start_value: Option<Value>| {
        let mut row = json!({
            "resourceName": name,
            "resourceLabel": format!("Data {}", product.place.english()),
            "resourceUnit": "KB",
            "resourceValue": value,
            "resourceStartDate": iso(started.from),
            "resourceEndDate": iso(started.until),
        });
        if let (Some(start_value), Some(row)) = (start_value, row.as_object_mut()) {
            row.insert("resourceStartValue".to_owned(), start_value);
        }
        row
    };
    let (value, start) = (started.left_kb, product.data_kb);
    match subscription.shape {
        BalanceShape::Usual => vec![row(name, json!(value), Some(json!(start)))],
        BalanceShape::NoStartValue => vec![row(name, json!(value), None)],
        BalanceShape::ZeroStartValue => vec![row(name, json!(value), Some(json!(0)))],
        BalanceShape::SeveralRows => vec![
            row(name, json!(value), Some(json!(start))),
            row(name, json!(524_288), Some(json!(1_048_576))),
            row("DATA_BONUS", json!(102_400), Some(json!(102_400))),
        ],
        BalanceShape::OddNumbers => {
            vec![row(
                name,
                json!(value.to_string()),
                Some(Value::from(f64::from(1_048_576_u32))),
            )]
        }
        BalanceShape::MinusOne => vec![row(name, json!(-1), Some(json!(-1)))],
        BalanceShape::Empty => Vec::new(),
    }
}
