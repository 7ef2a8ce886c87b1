//! The part of the HTTP control API that is about what the inventory shows.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    control::{
        body::{Body, Empty},
        endpoint::{Endpoint, post},
        handle::Control,
    },
    world::{
        impossible::Impossible,
        visibility::{Oddity, Showing},
    },
};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        post(
            "/sims/{sim}/inventory",
            r#"{"visibility": {"after": "5m"}|"held"|"never", "oddity": "no_id|null_id|number_id|object_id|no_object"}"#,
            "how the inventory shows what its next order places",
            show_next_order,
        ),
        post("/sims/{sim}/inventory/hold", "", "shows nothing new of it", hold),
        post(
            "/sims/{sim}/inventory/show",
            "",
            "shows what was held or late, and says how many",
            show,
        ),
        post(
            "/sims/{sim}/inventory/oddity",
            r#"{"subscription_id", "oddity"}"#,
            "what is wrong with one element of its inventory",
            distort,
        ),
    ]
}

async fn show_next_order(
    State(control): State<Control>,
    Path(key): Path<String>,
    Body(showing): Body<Showing>,
) -> Result<StatusCode, Impossible> {
    control
        .show_next_order(&key, showing)
        .map(|()| StatusCode::NO_CONTENT)
}

async fn hold(
    State(control): State<Control>,
    Path(key): Path<String>,
    _: Body<Empty>,
) -> Result<StatusCode, Impossible> {
    control.hold_inventory(&key).map(|()| StatusCode::NO_CONTENT)
}

async fn show(
    State(control): State<Control>,
    Path(key): Path<String>,
    _: Body<Empty>,
) -> Result<Json<Value>, Impossible> {
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
    Body(distortion): Body<Distortion>,
) -> Result<StatusCode, Impossible> {
    control
        .distort_subscription(&key, distortion.subscription_id, distortion.oddity)
        .map(|()| StatusCode::NO_CONTENT)
}
