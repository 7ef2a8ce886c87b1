//! HTTP for operators: liveness, readiness, metrics, build information, and
//! the log level, which is all that can be changed. Plain text, never public.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use tokio::net::TcpListener;

use crate::grpc::Health;
use crate::telemetry::{ChangeError, LogLevel, Metrics, REVISION};

/// What operators can see and change.
#[derive(Clone)]
pub struct Admin {
    /// For `/readyz`.
    pub health: Health,
    /// For `/metrics`.
    pub metrics: Arc<Metrics>,
    /// For `/loglevel`; `None` when the process's log is not ours, as in
    /// tests.
    pub log_level: Option<LogLevel>,
}

/// Longer than any sensible list of directives.
const LONGEST_LEVEL: usize = 4096;

impl Admin {
    /// Serves until `stop`.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn serve(
        self,
        listener: TcpListener,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        let router = Router::new()
            .route("/livez", get(|| async { "ok\n" }))
            .route("/readyz", get(ready))
            .route("/metrics", get(scrape))
            .route("/buildinfo", get(build_info))
            .route("/loglevel", get(show_log_level).put(change_log_level))
            .layer(DefaultBodyLimit::max(LONGEST_LEVEL))
            .with_state(self);
        axum::serve(listener, router).with_graceful_shutdown(stop).await
    }
}

async fn ready(State(admin): State<Admin>) -> (StatusCode, &'static str) {
    match admin.health.is_ready() {
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
        ("revision", REVISION),
        ("sandbox", provider),
    ]))
}

/// The process's log is not ours to change.
const NO_LOG: (StatusCode, String) = (StatusCode::NOT_FOUND, String::new());

async fn show_log_level(State(admin): State<Admin>) -> (StatusCode, String) {
    admin.log_level.map_or(NO_LOG, |level| {
        (StatusCode::OK, format!("{}\n", level.directives()))
    })
}

/// Takes the directives as they are, whatever type they are said to have.
async fn change_log_level(State(admin): State<Admin>, directives: String) -> (StatusCode, String) {
    let Some(level) = admin.log_level else {
        return NO_LOG;
    };
    match level.change(&directives) {
        Ok(()) => (StatusCode::OK, format!("{}\n", level.directives())),
        Err(problem @ ChangeError::Directives(_)) => (StatusCode::BAD_REQUEST, format!("{problem}\n")),
        Err(problem @ ChangeError::Log(_)) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{problem}\n")),
    }
}

async fn scrape(State(admin): State<Admin>) -> impl IntoResponse {
    match admin.metrics.render() {
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
