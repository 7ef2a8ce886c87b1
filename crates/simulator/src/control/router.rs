//! Routes of the control API.

use axum::{
    Json, Router,
    extract::Request,
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing,
};
use serde_json::json;

use crate::{
    control::{body::Unreadable, handle::Control, help, http::endpoints},
    http::routes::CONTROL,
};

/// Everything under [`CONTROL`].
pub(crate) fn router(control: Control) -> Router {
    let api = endpoints().into_iter().fold(Router::new(), |api, endpoint| {
        let handler = if endpoint.takes.starts_with('?') {
            endpoint.handler
        } else {
            endpoint.handler.layer(middleware::from_fn(without_query))
        };
        api.route(endpoint.path, handler)
    });
    Router::new()
        .route(CONTROL, routing::get(help::page))
        .route("/__sandbox/", routing::get(help::page))
        .nest(CONTROL, api)
        .fallback(unknown)
        .with_state(control)
}

/// Refuses a query where it would be ignored.
async fn without_query(request: Request, next: Next) -> Response {
    match request.uri().query() {
        None | Some("") => next.run(request).await,
        Some(query) => Unreadable(format!("unknown query `{query}`: this call takes none")).into_response(),
    }
}

async fn unknown() -> Response {
    let why = "no such call: GET /__sandbox/ lists them";
    (StatusCode::NOT_FOUND, Json(json!({ "error": why }))).into_response()
}
