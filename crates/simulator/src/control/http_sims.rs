//! The part of the HTTP control API that is about SIMs and the account.

use axum::{
    Json,
    extract::{Path, Query, State},
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    control::{
        body::Body,
        endpoint::{Endpoint, get, post, post_on_sim},
        handle::Control,
        sims::{Criteria, SimView, SubscriptionView},
    },
    world::{
        impossible::Impossible,
        stock::status::{ProfileStatus, SimStatus},
    },
};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        get(
            "/sims",
            "?status=&esim_status=&physical=&bundles=&limit=",
            "the first SIMs that are so",
            find_sims,
        ),
        get("/sims/{sim}", "", "the SIM with all its subscriptions", sim),
        get(
            "/delivery",
            "",
            "a delivery file of SIMs that can be sold",
            delivery,
        ),
        post_on_sim(
            "/sims/{sim}/attach",
            r#"{"country": "FR"}"#,
            "attaches it to a network",
            |control, key, Attach { country }| control.attach(key, &country).map(Json),
        ),
        post_on_sim(
            "/sims/{sim}/use",
            r#"{"bytes"}"#,
            "uses data, and says what no subscription covered",
            |control, key, Use { bytes }| {
                let uncovered = control.use_data(key, bytes)?;
                Ok(Json(json!({ "uncovered_bytes": uncovered })))
            },
        ),
        post_on_sim(
            "/sims/{sim}/expire",
            r#"{"subscription_id"} or {} for all that run"#,
            "ends subscriptions as if their validity were over",
            |control, key, Expire { subscription_id }| {
                let expired = control.expire(key, subscription_id)?;
                Ok(Json(json!({ "expired": expired })))
            },
        ),
        post_on_sim(
            "/sims/{sim}/status",
            r#"{"status", "esim_status"}"#,
            "sets its status, whatever it was",
            set_status,
        ),
        post_on_sim(
            "/sims/{sim}/bundles",
            r#"{"product_id"}"#,
            "adds a subscription that nobody ordered",
            |control, key, Grant { product_id }| {
                let subscription_id = control.grant(key, &product_id)?;
                Ok(Json(json!({ "subscription_id": subscription_id })))
            },
        ),
        get(
            "/subscriptions",
            "?reference=",
            "what was bought under a transactionReference",
            subscriptions,
        ),
        get(
            "/account",
            "",
            "the account's balance, and orders accepted",
            account,
        ),
        post(
            "/account",
            r#"{"balance_cents"}"#,
            "sets the balance",
            set_account,
        ),
    ]
}

impl IntoResponse for Impossible {
    fn into_response(self) -> Response {
        let status = match self {
            Self::UnknownSim | Self::UnknownSubscription | Self::UnknownTransaction => StatusCode::NOT_FOUND,
            Self::UnknownCountry | Self::UnknownProduct | Self::Receiver => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Status(_) | Self::Profile(_) | Self::Physical | Self::NeverAttached => StatusCode::CONFLICT,
        };
        (status, Json(json!({ "error": self.to_string() }))).into_response()
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Limit {
    limit: Option<usize>,
    status: Option<SimStatus>,
    esim_status: Option<ProfileStatus>,
    physical: Option<bool>,
    #[serde(rename = "bundles")]
    subscriptions: Option<bool>,
}

async fn delivery(State(control): State<Control>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/csv")], control.delivery_file())
}

async fn find_sims(State(control): State<Control>, Query(wanted): Query<Limit>) -> Json<Vec<SimView>> {
    let Limit {
        limit,
        status,
        esim_status,
        physical,
        subscriptions,
    } = wanted;
    Json(control.find_sims(
        Criteria {
            status,
            esim_status,
            physical,
            subscriptions,
        },
        limit.unwrap_or(10),
    ))
}

async fn sim(State(control): State<Control>, Path(key): Path<String>) -> Result<Json<SimView>, Impossible> {
    control.sim(&key).map(Json).ok_or(Impossible::UnknownSim)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Attach {
    /// Alpha-2 or alpha-3 code.
    country: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Use {
    bytes: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expire {
    subscription_id: Option<Uuid>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Statuses {
    status: Option<SimStatus>,
    esim_status: Option<ProfileStatus>,
}

fn set_status(control: &Control, key: &str, statuses: Statuses) -> Result<Json<SimView>, Impossible> {
    if let Some(status) = statuses.status {
        control.set_sim_status(key, status)?;
    }
    if let Some(status) = statuses.esim_status {
        control.set_esim_status(key, status)?;
    }
    control.sim(key).map(Json).ok_or(Impossible::UnknownSim)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Grant {
    product_id: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reference {
    reference: String,
}

async fn subscriptions(
    State(control): State<Control>,
    Query(Reference { reference }): Query<Reference>,
) -> Json<Vec<SubscriptionView>> {
    Json(control.subscriptions_by_reference(&reference))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Balance {
    balance_cents: i64,
}

async fn account(State(control): State<Control>) -> Json<Value> {
    Json(json!({ "balance_cents": control.account_balance(), "orders_accepted": control.orders_accepted() }))
}

async fn set_account(State(control): State<Control>, Body(balance): Body<Balance>) -> Json<Value> {
    control.set_account_balance(balance.balance_cents);
    account(State(control)).await
}
