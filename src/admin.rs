//! The operator's side door: liveness, readiness, metrics, what runs here. Plain HTTP, never
//! public.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use tokio::net::TcpListener;

use crate::grpc::Health;
use crate::telemetry::Metrics;

#[derive(Clone)]
struct Doors {
    health: Health,
    metrics: Arc<Metrics>,
}

/// Serves until `stop`.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    health: Health,
    metrics: Arc<Metrics>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let router = Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(scrape))
        .route("/buildinfo", get(build_info))
        .with_state(Doors { health, metrics });
    axum::serve(listener, router).with_graceful_shutdown(stop).await
}

async fn ready(State(doors): State<Doors>) -> (StatusCode, &'static str) {
    match doors.health.is_ready() {
        true => (StatusCode::OK, "ready\n"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
    }
}

/// What runs here, for people and for fleet inventories.
async fn build_info() -> Json<BTreeMap<&'static str, &'static str>> {
    let provider = if cfg!(feature = "sandbox") {
        "built in"
    } else {
        "left out"
    };
    Json(BTreeMap::from([
        ("name", env!("CARGO_PKG_NAME")),
        ("version", env!("CARGO_PKG_VERSION")),
        ("sandbox", provider),
    ]))
}

async fn scrape(State(doors): State<Doors>) -> impl IntoResponse {
    match doors.metrics.render() {
        Ok(text) => (
            StatusCode::OK,
            [(CONTENT_TYPE, "text/plain; version=0.0.4")],
            text,
        ),
        Err(error) => {
            tracing::error!(%error, "the metrics cannot be written");
            (
                StatusCode::INTERNAL_SERVER_ERROR,
                [(CONTENT_TYPE, "text/plain")],
                String::new(),
            )
        }
    }
}
