//! The part of the HTTP control API that is about what the inventory shows.

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::post,
};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Control, Impossible};
use crate::sandbox::visibility::{Oddity, Showing};

pub(super) fn router() -> Router<Control> {
    Router::new()
        .route("/sims/{sim}/inventory", post(show_next_order))
        .route("/sims/{sim}/inventory/hold", post(hold))
        .route("/sims/{sim}/inventory/show", post(show))
        .route("/sims/{sim}/inventory/oddity", post(distort))
}

async fn show_next_order(
    State(control): State<Control>,
    Path(key): Path<String>,
    Json(showing): Json<Showing>,
) -> Result<StatusCode, Impossible> {
    control
        .show_next_order(&key, showing)
        .map(|()| StatusCode::NO_CONTENT)
}

async fn hold(State(control): State<Control>, Path(key): Path<String>) -> Result<StatusCode, Impossible> {
    control.hold_inventory(&key).map(|()| StatusCode::NO_CONTENT)
}

async fn show(State(control): State<Control>, Path(key): Path<String>) -> Result<Json<Value>, Impossible> {
    let shown = control.show_inventory(&key)?;
    Ok(Json(json!({ "shown": shown })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Distortion {
    subscription_id: Uuid,
    /// `null` for an element as it should be.
    oddity: Option<Oddity>,
}

async fn distort(
    State(control): State<Control>,
    Path(key): Path<String>,
    Json(distortion): Json<Distortion>,
) -> Result<StatusCode, Impossible> {
    control
        .distort_subscription(&key, distortion.subscription_id, distortion.oddity)
        .map(|()| StatusCode::NO_CONTENT)
}
