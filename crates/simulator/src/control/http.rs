//! The HTTP control API under `/__sandbox/`: [`Control`] for everyone outside the process.
//!
//! No credentials, never counted, never hit by faults. `GET /__sandbox/` lists
//! every call, fault and disturbance; `docs/simulator.md` explains them.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    control::{
        body::{Body, Empty, Unreadable},
        endpoint::{Endpoint, delete, get, post},
        handle::Control,
        http_inventory, http_operations, http_sims, http_webhooks,
    },
    duration_text,
    faults::script::Script,
    http::{counters::Snapshot, journal::Recorded, server::Availability},
    world::clock::iso,
};

/// A call that cuts connections cuts its own too; its answer gets this long to leave.
const ANSWER_LEAVES: Duration = Duration::from_millis(20);

/// Every call but the help page.
pub(crate) fn endpoints() -> Vec<Endpoint> {
    let mut endpoints = vec![
        get(
            "/counters",
            "",
            "requests by route, tokens, orders, connections",
            counters,
        ),
        delete("/counters", "", "sets them to 0", reset_counters),
        get(
            "/requests",
            "?path=&method=&limit=",
            "the last requests as sent, oldest first",
            requests,
        ),
        delete("/requests", "", "forgets them", clear_requests),
        get("/faults", "", "the scripts that are not used up", faults),
        post(
            "/faults",
            r#"{"method", "path", "query", "steps": [{"fault", ..., "commit", "repeat", "forever"}]}"#,
            "puts a script at the end of the queue",
            queue,
        ),
        delete("/faults", "", "drops all scripts", clear_faults),
        get("/gates", "", "how many requests wait at each gate", gates),
        post(
            "/gates/{gate}/release",
            "",
            "opens it for those that wait, and says how many; later ones wait again",
            release,
        ),
        get("/clock", "", "the simulator's time", clock),
        post("/clock", r#"{"advance": "31days"}"#, "moves it forward", advance),
        post(
            "/tokens/revoke",
            "",
            "makes every token bad, and says how many were good",
            revoke_tokens,
        ),
        get("/settings", "", "all settings", settings),
        post(
            "/settings",
            "the members that change",
            "changes settings, and gives all of them",
            configure,
        ),
        post(
            "/availability",
            r#"{"availability": "up|refusing|resetting|silent", "for": "5s"}"#,
            "how the simulator meets the network",
            set_availability,
        ),
        post(
            "/connections/reset",
            "",
            "resets every open connection",
            reset_connections,
        ),
        post(
            "/catalog/products/{product}",
            r#"{"price_cents", "withdrawn"}"#,
            "changes a product",
            change_product,
        ),
        post(
            "/catalog/elements",
            "any JSON",
            "adds an element to the product list",
            add_catalog_element,
        ),
    ];
    endpoints.extend(http_sims::endpoints());
    endpoints.extend(http_inventory::endpoints());
    endpoints.extend(http_operations::endpoints());
    endpoints.extend(http_webhooks::endpoints());
    endpoints
}

async fn counters(State(control): State<Control>) -> Json<Snapshot> {
    Json(control.counters())
}

async fn reset_counters(State(control): State<Control>, _: Body<Empty>) -> StatusCode {
    control.reset_counters();
    StatusCode::NO_CONTENT
}

/// Which of the kept requests are wanted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// Beginning of the path.
    #[serde(default)]
    path: String,
    method: Option<String>,
    /// Only the last so many.
    limit: Option<usize>,
}

async fn requests(State(control): State<Control>, Query(wanted): Query<Wanted>) -> Json<Vec<Recorded>> {
    let mut kept = control.requests();
    kept.retain(|recorded| {
        let method_fits = wanted
            .method
            .as_ref()
            .is_none_or(|method| recorded.method.eq_ignore_ascii_case(method));
        method_fits && recorded.path.starts_with(&wanted.path)
    });
    let surplus = wanted.limit.map_or(0, |limit| kept.len().saturating_sub(limit));
    kept.drain(..surplus);
    Json(kept)
}

async fn clear_requests(State(control): State<Control>, _: Body<Empty>) -> StatusCode {
    control.clear_requests();
    StatusCode::NO_CONTENT
}

async fn faults(State(control): State<Control>) -> Json<Vec<Script>> {
    Json(control.faults())
}

async fn queue(State(control): State<Control>, Body(script): Body<Script>) -> StatusCode {
    control.queue(script);
    StatusCode::NO_CONTENT
}

async fn clear_faults(State(control): State<Control>, _: Body<Empty>) -> StatusCode {
    control.clear_faults();
    StatusCode::NO_CONTENT
}

async fn gates(State(control): State<Control>) -> Json<Value> {
    Json(json!(control.gates()))
}

async fn release(State(control): State<Control>, Path(gate): Path<String>, _: Body<Empty>) -> Json<Value> {
    Json(json!({ "released": control.release(&gate) }))
}

async fn clock(State(control): State<Control>) -> Json<Value> {
    Json(json!({ "now": iso(control.now()) }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    #[serde(with = "duration_text")]
    advance: Duration,
}

async fn advance(State(control): State<Control>, Body(Advance { advance }): Body<Advance>) -> Json<Value> {
    control.advance(advance);
    Json(json!({ "now": iso(control.now()) }))
}

async fn revoke_tokens(State(control): State<Control>, _: Body<Empty>) -> Json<Value> {
    Json(json!({ "revoked": control.revoke_tokens() }))
}

async fn settings(State(control): State<Control>) -> Json<Value> {
    Json(json!(control.settings()))
}

async fn configure(
    State(control): State<Control>,
    Body(changes): Body<Value>,
) -> Result<Json<Value>, Unreadable> {
    control.provider.settings.merge(changes).map_err(Unreadable)?;
    Ok(Json(json!(control.settings())))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Unavailability {
    availability: Availability,
    /// After this time the simulator is up again. Without it, `refusing` and `resetting` would lock this API out.
    #[serde(default, with = "duration_text::optional", rename = "for")]
    duration: Option<Duration>,
}

async fn set_availability(State(control): State<Control>, Body(wanted): Body<Unavailability>) -> Response {
    let locks_out = matches!(
        wanted.availability,
        Availability::Refusing | Availability::Resetting
    );
    if locks_out && wanted.duration.is_none() {
        let why = "name a time with \"for\": nothing reaches this API meanwhile";
        return Unreadable(why.to_owned()).into_response();
    }
    // In a task of its own: this answer's connection is among those that are reset.
    let server = Arc::clone(&control.server);
    control.tasks.spawn(async move {
        tokio::time::sleep(ANSWER_LEAVES).await;
        let _ = server.set_availability(wanted.availability).await;
        if let Some(duration) = wanted.duration {
            tokio::time::sleep(duration).await;
            // When the port is gone there is nobody to tell; the next request shows it.
            let _ = server.set_availability(Availability::Up).await;
        }
    });
    StatusCode::ACCEPTED.into_response()
}

async fn reset_connections(State(control): State<Control>, _: Body<Empty>) -> StatusCode {
    let server = Arc::clone(&control.server);
    control.tasks.spawn(async move {
        tokio::time::sleep(ANSWER_LEAVES).await;
        server.reset_connections();
    });
    StatusCode::ACCEPTED
}

async fn add_catalog_element(State(control): State<Control>, Body(element): Body<Value>) -> StatusCode {
    control.add_catalog_element(&element);
    StatusCode::NO_CONTENT
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProductChange {
    price_cents: Option<i64>,
    withdrawn: Option<bool>,
}

async fn change_product(
    State(control): State<Control>,
    Path(product_id): Path<String>,
    Body(change): Body<ProductChange>,
) -> StatusCode {
    let priced = change
        .price_cents
        .is_none_or(|cents| control.set_price(&product_id, cents));
    let moved = change
        .withdrawn
        .is_none_or(|withdrawn| control.set_withdrawn(&product_id, withdrawn));
    if priced && moved {
        StatusCode::NO_CONTENT
    } else {
        StatusCode::NOT_FOUND
    }
}
