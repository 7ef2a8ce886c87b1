//! HTTP for operators: a page to look at, liveness, readiness, metrics, build
//! information, and the log level, which is all that can be changed. Never public.

pub mod page;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONNECTION, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

pub use page::Page;

use crate::config;
use crate::grpc::Health;
use crate::listener::{self, Connection, Limits, Listener, read_body};
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
    /// For `/`; `None` when the page is closed.
    pub page: Option<Page>,
}

/// Longer than any sensible list of directives.
const LONGEST_LEVEL: usize = 4096;

/// How long a scraper's connection is kept between two scrapes.
const IDLE: Duration = Duration::from_secs(600);

impl Admin {
    /// Serves until asked to stop; requests that were received by then are
    /// still answered.
    pub async fn serve(self, listener: TcpListener, config: config::Admin, stop: CancellationToken) {
        let router = Router::new()
            .route("/", get(show_page))
            .route("/livez", get(|| async { "ok\n" }))
            .route("/readyz", get(ready))
            .route("/metrics", get(scrape))
            .route("/buildinfo", get(build_info))
            .route("/loglevel", get(show_log_level).put(change_log_level))
            .with_state(self);
        let limits = Limits {
            connections: config.max_connections,
            head: config.read_timeout,
            idle: IDLE,
        };
        let endpoint = Arc::new(Endpoint {
            router,
            read_timeout: config.read_timeout,
        });
        listener::serve(Listener::new(listener, "admin"), limits, endpoint, stop).await;
    }
}

/// The router behind bounds on what is read.
struct Endpoint {
    router: Router,
    read_timeout: Duration,
}

impl listener::Endpoint for Endpoint {
    type Body = Body;

    fn admits(&self, _: IpAddr) -> bool {
        true
    }

    async fn answer(&self, request: axum::http::Request<Incoming>, connection: &Connection) -> Response {
        let (head, body) = request.into_parts();
        let body = match read_body(body, LONGEST_LEVEL, self.read_timeout).await {
            Ok(body) => body,
            Err(error) => {
                // The rest of the body is not read.
                let close = (CONNECTION, HeaderValue::from_static("close"));
                return (error.status(), [close]).into_response();
            }
        };
        connection.request_is_complete();
        let request = Request::from_parts(head, Body::from(body));
        match self.router.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

async fn show_page(State(admin): State<Admin>) -> Response {
    page::answer(admin.page).await
}

/// Ready, or what it waits for.
async fn ready(State(admin): State<Admin>) -> (StatusCode, String) {
    match admin.health.not_ready() {
        None => (StatusCode::OK, "ready\n".to_owned()),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {reason}\n")),
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
