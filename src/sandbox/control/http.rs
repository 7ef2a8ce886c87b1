//! The HTTP control API under `/__sandbox/`: [`Control`] for everyone outside the process.
//!
//! No credentials, never counted, never hit by faults. Bodies are JSON, with
//! durations as text (`300ms`, `2h`, `180days`).
//!
//! | Call | Body or query | Answer |
//! |---|---|---|
//! | `GET`, `DELETE /counters` | | requests by route, tokens, orders, connections; set to 0 |
//! | `GET`, `DELETE /requests` | `?path=&method=&limit=` | the last requests as sent; forget them |
//! | `POST /faults` | `{"method", "path", "steps": [{"fault", …, "commit", "repeat", "forever"}]}` | 204 |
//! | `GET`, `DELETE /faults` | | scripts that are not used up; drop them |
//! | `GET /gates`, `POST /gates/{gate}/release` | | who waits at each gate; let them go on |
//! | `GET`, `POST /clock` | `{"advance": "31days"}` | the simulator's time |
//! | `POST /tokens/revoke` | | how many were good |
//! | `GET`, `POST /settings` | the members that change | all settings |
//! | `POST /availability` | `{"availability": "up\|refusing\|resetting\|silent", "for": "5s"}` | 202 |
//! | `POST /connections/reset` | | 202; every open connection is reset |
//! | `POST /catalog/products/{id}` | `{"price_cents", "withdrawn"}` | 204 |
//! | `POST /catalog/elements` | any JSON | 204; an element more in the product list |
//! | `GET /sims` | `?status=&esim_status=&physical=&bundles=&limit=` | the first SIMs that are so |
//! | `GET /sims/{sim}` | number, ICCID or MSISDN | the SIM with all its bundles |
//! | `POST /sims/{sim}/attach` | `{"country": "FR"}` | the SIM; 409 when it cannot attach |
//! | `POST /sims/{sim}/use` | `{"bytes"}` | what no bundle covered |
//! | `POST /sims/{sim}/expire` | `{"subscription_id"}` or `{}` for all that run | how many ended |
//! | `POST /sims/{sim}/status` | `{"status", "esim_status"}` | the SIM |
//! | `POST /sims/{sim}/inventory` | `{"visibility": {"after": "5m"}\|"held"\|"never", "oddity"}` | 204; how the inventory shows what its next order places |
//! | `POST /sims/{sim}/inventory/hold`, `…/show` | | 204; nothing new shows; how many show now that did not |
//! | `POST /sims/{sim}/inventory/oddity` | `{"subscription_id", "oddity"}` | 204; what is wrong with one of its elements |
//! | `POST /sims/{sim}/bundles` | `{"product_id"}` | the id of a bundle that nobody ordered |
//! | `GET /subscriptions` | `?reference=` | what was bought under a `transactionReference` |
//! | `POST /sims/{sim}/outcomes` | `{"outcome": "finish\|fail\|reject\|hang", "delay": "5s"}` | 204; how its next operation goes |
//! | `GET /transactions` | `?sim=` | connectivity transactions, oldest first |
//! | `POST /transactions/{id}` | `{"outcome": "finish\|fail"}` | ends one that is pending |
//! | `GET`, `POST`, `DELETE /webhook` | `{"url", "secret", "events"}` | where events go and how that stands; send them there; to nobody |
//! | `POST /webhook/resume` | | 204; a suspended stream goes on |
//! | `POST /webhook/disturbances` | `{"disturbances": [{"disturbance", …}]}` | 204; one for each of the next events; `DELETE` drops them |
//! | `POST /webhook/flush`, `/webhook/wait` | `{"for": "10s"}` | how it stands once everything was tried again; once nothing waits |
//! | `POST /webhook/events` | `{"event_type", "body"}` or `{"raw"}` | an event that nothing has caused |
//! | `GET`, `DELETE /webhook/deliveries` | | the last attempts, with body, signature and answer; forget them |
//! | `GET`, `POST /account` | `{"balance_cents"}` | balance, orders accepted |
//!
//! Faults are `pass`, `delay` (`for`), `once_gone` (`for`), `after_events`, `hold` (`gate`), `status` (`status`,
//! `title`, `body`, `headers`), `rate_limited` (`retry_after`), `unauthorized`,
//! `reset`, `close`, `hang`, `garbage`, `truncated`, `stalled`, `html`, `oversize`
//! (`bytes`). With `"commit": true` the request is carried out first.
//!
//! Disturbances are `pass`, `duplicate` (`times`), `again` (`for`), `reorder`, `delay` (`for`), `hold`,
//! `lose`, `wrong_signature`, `no_signature`, `no_event_id`, `garbage`.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Control, http_inventory, http_operations, http_sims, http_webhooks};
use crate::sandbox::{
    clock::iso, counters::Snapshot, duration_text, faults::Script, journal::Recorded, server::Availability,
};

pub(in crate::sandbox) const PREFIX: &str = "/__sandbox";
/// A call that cuts connections cuts its own too; its answer gets this long to leave.
const ANSWER_LEAVES: Duration = Duration::from_millis(20);

pub(in crate::sandbox) fn router(control: Control) -> Router {
    let api = Router::new()
        .route("/counters", get(counters).delete(reset_counters))
        .route("/requests", get(requests).delete(clear_requests))
        .route("/faults", get(faults).post(queue).delete(clear_faults))
        .route("/gates", get(gates))
        .route("/gates/{gate}/release", post(release))
        .route("/clock", get(clock).post(advance))
        .route("/tokens/revoke", post(revoke_tokens))
        .route("/settings", get(settings).post(configure))
        .route("/availability", post(set_availability))
        .route("/connections/reset", post(reset_connections))
        .route("/catalog/elements", post(add_catalog_element))
        .route("/catalog/products/{product_id}", post(change_product));
    Router::new()
        .nest(
            PREFIX,
            api.merge(http_sims::router())
                .merge(http_inventory::router())
                .merge(http_operations::router())
                .merge(http_webhooks::router()),
        )
        .with_state(control)
}

async fn counters(State(control): State<Control>) -> Json<Snapshot> {
    Json(control.counters())
}

async fn reset_counters(State(control): State<Control>) -> StatusCode {
    control.reset_counters();
    StatusCode::NO_CONTENT
}

/// Which of the kept requests are wanted.
#[derive(Debug, Deserialize)]
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

async fn clear_requests(State(control): State<Control>) -> StatusCode {
    control.clear_requests();
    StatusCode::NO_CONTENT
}

async fn faults(State(control): State<Control>) -> Json<Vec<Script>> {
    Json(control.faults())
}

async fn queue(State(control): State<Control>, Json(script): Json<Script>) -> StatusCode {
    control.queue(script);
    StatusCode::NO_CONTENT
}

async fn clear_faults(State(control): State<Control>) -> StatusCode {
    control.clear_faults();
    StatusCode::NO_CONTENT
}

async fn gates(State(control): State<Control>) -> Json<Value> {
    Json(json!(control.gates()))
}

async fn release(State(control): State<Control>, Path(gate): Path<String>) -> Json<Value> {
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

async fn advance(State(control): State<Control>, Json(Advance { advance }): Json<Advance>) -> Json<Value> {
    control.advance(advance);
    Json(json!({ "now": iso(control.now()) }))
}

async fn revoke_tokens(State(control): State<Control>) -> Json<Value> {
    Json(json!({ "revoked": control.revoke_tokens() }))
}

async fn settings(State(control): State<Control>) -> Json<Value> {
    Json(json!(control.settings()))
}

async fn configure(State(control): State<Control>, Json(changes): Json<Value>) -> Response {
    match control.server.provider.settings.merge(changes) {
        Ok(()) => Json(json!(control.settings())).into_response(),
        Err(error) => (StatusCode::UNPROCESSABLE_ENTITY, error).into_response(),
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Unavailability {
    availability: Availability,
    /// After this time the simulator is up again. Without it, `refusing` and `resetting` would lock this API out.
    #[serde(default, with = "duration_text::optional", rename = "for")]
    duration: Option<Duration>,
}

async fn set_availability(State(control): State<Control>, Json(wanted): Json<Unavailability>) -> Response {
    let locks_out = matches!(
        wanted.availability,
        Availability::Refusing | Availability::Resetting
    );
    if locks_out && wanted.duration.is_none() {
        let why = "name a time with \"for\": nothing reaches this API meanwhile";
        return (StatusCode::UNPROCESSABLE_ENTITY, why).into_response();
    }
    // In a task of its own: this answer's connection is among those that are reset.
    let server = Arc::clone(&control.server);
    control.server.spawn(async move {
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

async fn reset_connections(State(control): State<Control>) -> StatusCode {
    let server = Arc::clone(&control.server);
    control.server.spawn(async move {
        tokio::time::sleep(ANSWER_LEAVES).await;
        server.reset_connections();
    });
    StatusCode::ACCEPTED
}

async fn add_catalog_element(State(control): State<Control>, Json(element): Json<Value>) -> StatusCode {
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
    Json(change): Json<ProductChange>,
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
