//! OCS Inventory: the bundles of a subscriber.

use http::{StatusCode, header};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    catalog::render::{Locale, resource_name, summary},
    clock::iso,
    problem::Problem,
    provider::Provider,
    reply::Reply,
    request::Call,
    stock::subscription::{BalanceShape, Phase, Started, Subscription},
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
pub(super) fn list_subscriptions(provider: &Provider, call: &Call) -> Result<Reply, Problem> {
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
    let subscriptions: Vec<Value> = provider.with_subscriber(msisdn, |sim, _| {
        let wanted = |subscription: &&Subscription| {
            let status_fits = if statuses.is_empty() {
                subscription.is_live()
            } else {
                statuses.contains(&subscription.status())
            };
            status_fits && only.is_none_or(|id| id == subscription.id)
        };
        sim.subscriptions
            .iter()
            .filter(wanted)
            .map(|subscription| render(subscription, with_balances))
            .collect()
    })?;
    let body = json!({ "currentLocale": locale(call), "productSubscriptions": subscriptions });
    Ok(Reply::json(StatusCode::OK, &body))
}

/// `GET /subscriptions/products/{subscriptionId}`: the same wrapper with one element.
pub(super) fn get_subscription(provider: &Provider, call: &Call) -> Result<Reply, Problem> {
    let with_balances = call.flag("withBalances")?;
    let id = parse_id(call.argument(0))?;
    let number = provider.stock.by_subscription(id);
    let rendered = number.and_then(|number| {
        provider.with_sim(number, |sim, _| {
            sim.subscription(id).map(|found| render(found, with_balances))
        })
    });
    let subscription = rendered.flatten().ok_or_else(|| {
        Problem::new(
            StatusCode::NOT_FOUND,
            "SUBSCRIPTION_NOT_FOUND",
            "Unknown product subscription",
        )
    })?;
    let body = json!({ "currentLocale": locale(call), "productSubscriptions": [subscription] });
    Ok(Reply::json(StatusCode::OK, &body))
}

/// `GET /subscriptions/options?msisdn=`: the offer has none.
pub(super) fn list_options(provider: &Provider, call: &Call) -> Result<Reply, Problem> {
    require_subscriber(provider, call)?;
    Ok(Reply::json(StatusCode::OK, &json!({ "options": {} })))
}

/// `GET /subscriptions/options/{option}?msisdn=`.
pub(super) fn get_option(provider: &Provider, call: &Call) -> Result<Reply, Problem> {
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
    provider.with_subscriber(msisdn, |_, _| ())
}

fn parse_id(text: &str) -> Result<Uuid, Problem> {
    Uuid::try_parse(text).map_err(|_| Problem::bad_request("'subscriptionId' is no UUID"))
}

/// As the inventory spells it, which is not as the catalog does.
fn locale(call: &Call) -> Option<String> {
    call.headers
        .contains_key(header::ACCEPT_LANGUAGE)
        .then(|| Locale::of(call).tag().replace('-', "_"))
}

fn render(subscription: &Subscription, with_balances: bool) -> Value {
    let mut rendered = json!({
        "subscriptionId": subscription.id,
        "status": subscription.status(),
        "subscriptionDate": iso(subscription.ordered_at),
        "expirationDate": iso(subscription.expiration()),
        "productDefinition": summary(&subscription.product),
    });
    let Some(members) = rendered.as_object_mut() else {
        return rendered;
    };
    if let Some(started) = subscription.started() {
        members.insert("activationDate".to_owned(), json!(iso(started.at)));
    }
    if with_balances {
        match subscription.phase {
            Phase::Running(_) if subscription.shape == BalanceShape::Empty => {
                members.insert("balances".to_owned(), json!({}));
            }
            Phase::Running(started) => {
                members.insert(
                    "balances".to_owned(),
                    json!({ "data": balances(subscription, started) }),
                );
            }
            // Before the start balances are missing or empty; both are seen.
            Phase::Waiting if !subscription.preloaded => {
                members.insert("balances".to_owned(), json!({}));
            }
            Phase::Waiting | Phase::Scheduled(_) | Phase::Ended { .. } => {}
        }
    }
    rendered
}

fn balances(subscription: &Subscription, started: Started) -> Vec<Value> {
    let product = &subscription.product;
    let name = resource_name(product);
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
    if product.unlimited {
        return vec![row(name, json!(-1), Some(json!(-1)))];
    }
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
        BalanceShape::Empty => Vec::new(),
    }
}
