//! The part of the HTTP control API that is about what the inventory shows.

use axum::{Json, http::StatusCode};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use crate::{
    control::{
        body::Empty,
        endpoint::{Endpoint, post_on_sim},
    },
    world::visibility::{Oddity, Showing},
};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        post_on_sim(
            "/sims/{sim}/inventory",
            r#"{"visibility": {"after": "5m"}|"held"|"never", "oddity": "no_id|null_id|number_id|object_id|no_object"}"#,
            "how the inventory shows what its next order places",
            |control, key, showing: Showing| {
                control.show_next_order(key, showing)?;
                Ok(StatusCode::NO_CONTENT)
            },
        ),
        post_on_sim(
            "/sims/{sim}/inventory/hold",
            "",
            "shows nothing new of it",
            |control, key, _: Empty| {
                control.hold_inventory(key)?;
                Ok(StatusCode::NO_CONTENT)
            },
        ),
        post_on_sim(
            "/sims/{sim}/inventory/show",
            "",
            "shows what was held or late, and says how many",
            |control, key, _: Empty| {
                let shown = control.show_inventory(key)?;
                Ok(Json(json!({ "shown": shown })))
            },
        ),
        post_on_sim(
            "/sims/{sim}/inventory/oddity",
            r#"{"subscription_id", "oddity"}"#,
            "what is wrong with one element of its inventory",
            |control,
             key,
             Distortion {
                 subscription_id,
                 oddity,
             }| {
                control.distort_subscription(key, subscription_id, oddity)?;
                Ok(StatusCode::NO_CONTENT)
            },
        ),
    ]
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Distortion {
    subscription_id: Uuid,
    /// `null` for an element as it should be.
    oddity: Option<Oddity>,
}
