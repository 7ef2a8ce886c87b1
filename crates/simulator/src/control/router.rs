//! Routes of the control API.

use axum::{
    Json, Router,
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing,
};
use serde_json::json;

use crate::{
    control::{handle::Control, help, http::endpoints},
    http::routes::CONTROL,
};

/// Everything under [`CONTROL`].
pub(crate) fn router(control: Control) -> Router {
    let api = endpoints().into_iter().fold(Router::new(), |api, endpoint| {
        api.route(endpoint.path, endpoint.handler)
    });
    Router::new()
        .route(CONTROL, routing::get(help::page))
        .route("/__sandbox/", routing::get(help::page))
        .nest(CONTROL, api)
        .fallback(unknown)
        .with_state(control)
}

async fn unknown() -> Response {
    let why = "no such call: GET /__sandbox/ lists them";
    (StatusCode::NOT_FOUND, Json(json!({ "error": why }))).into_response()
}
