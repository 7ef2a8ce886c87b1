//! `GET /`: what a person looks at first. Is it us, is it them, is money stuck.
//!
//! A page without scripts and without other resources, rendered by a pure function
//! from plain facts. Who gathers them sees to it that they come in bounded time.
//! Read-only: no other method is answered.

mod facts;
mod parts;
mod provider;
mod render;
#[cfg(test)]
mod tests;
mod times;
mod verdict;

use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub use facts::*;

/// Where the page's facts come from.
#[async_trait]
pub trait Source: Send + Sync + 'static {
    /// What is so now, in bounded time. Cancel-safe.
    async fn facts(&self) -> Facts;
}

/// The page's source, shared.
pub type Page = Arc<dyn Source>;

/// Nothing may be loaded, and no style but the page's own is applied.
static POLICY: LazyLock<Option<HeaderValue>> = LazyLock::new(|| {
    let hash = ring::digest::digest(&ring::digest::SHA256, render::STYLE.as_bytes());
    let hash = STANDARD.encode(hash);
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    HeaderValue::try_from(policy).ok()
});

const CLOSED: &str = "There is no page: admin.page is \"closed\". /readyz and /metrics are answered.\n";

/// The page, unless it is closed.
pub(super) async fn answer(page: Option<Page>) -> Response {
    // Base64 fits into a header.
    let (Some(page), Some(policy)) = (page, POLICY.clone()) else {
        return (StatusCode::NOT_FOUND, CLOSED).into_response();
    };
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (CONTENT_SECURITY_POLICY, policy),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (headers, render::page(&page.facts().await)).into_response()
}
