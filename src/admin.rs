//! The operator's side door: liveness, readiness, metrics. Plain HTTP, never
//! public.

use std::future::Future;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
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
        .with_state(Doors { health, metrics });
    axum::serve(listener, router).with_graceful_shutdown(stop).await
}

async fn ready(State(doors): State<Doors>) -> (StatusCode, &'static str) {
    match doors.health.is_ready() {
        true => (StatusCode::OK, "ready\n"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
    }
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
