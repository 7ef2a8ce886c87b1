//! One request, from its headers to its answer.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use jiff::Timestamp;

use super::arrival;
use super::diagnosis::Diagnosis;
use super::secrets::Secrets;
use super::signature::{HEADER, Received, Unverified};
use crate::config::AddressRange;
use crate::listener::{self, BodyError, Connection, read_body};
use crate::service::Events;
use crate::telemetry::Metrics;

/// What balancers and their operators ask to see whether the port answers.
const HEALTH: [&str; 2] = ["/", "/healthz"];

/// Answers requests to the webhook.
pub(super) struct Endpoint {
    pub(super) path: String,
    /// Empty: everyone may connect.
    pub(super) allowed_addresses: Vec<AddressRange>,
    pub(super) max_body_bytes: usize,
    pub(super) read_timeout: Duration,
    pub(super) commit_timeout: Duration,
    pub(super) secrets: Arc<Secrets>,
    pub(super) diagnosis: Diagnosis,
    pub(super) events: Events,
    pub(super) metrics: Arc<Metrics>,
}

impl listener::Endpoint for Endpoint {
    type Body = Full<Bytes>;

    fn admits(&self, peer: IpAddr) -> bool {
        let allowed = &self.allowed_addresses;
        let admits = allowed.is_empty() || allowed.iter().any(|range| range.contains(peer));
        if !admits {
            tracing::warn!(address = %peer, "an address that is not allowed connected to the webhook");
        }
        admits
    }

    async fn answer(&self, request: Request<Incoming>, connection: &Connection) -> Response<Full<Bytes>> {
        if is_health_check(&request) {
            return Response::new(Full::from("ok\n"));
        }
        let status = match self.take(request, connection).await {
            Ok(()) => StatusCode::NO_CONTENT,
            Err(status) => status,
        };
        let mut response = Response::new(Full::default());
        *response.status_mut() = status;
        if status != StatusCode::NO_CONTENT && status != StatusCode::SERVICE_UNAVAILABLE {
            // The rest of its body is not read.
            let close = header::HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        response
    }
}

/// Whether the request only checks that the port answers. 200 says that it is
/// served, not that an event could be stored: that is decided for each event.
fn is_health_check(request: &Request<Incoming>) -> bool {
    let reads = request.method() == Method::GET || request.method() == Method::HEAD;
    reads && HEALTH.contains(&request.uri().path())
}

impl Endpoint {
    async fn take(&self, request: Request<Incoming>, connection: &Connection) -> Result<(), StatusCode> {
        if request.uri().path() != self.path {
            return Err(StatusCode::NOT_FOUND);
        }
        if request.method() != Method::POST {
            return Err(StatusCode::METHOD_NOT_ALLOWED);
        }
        let (head, body) = request.into_parts();
        let body = read_body(body, self.max_body_bytes, self.read_timeout).await;
        let body = body.map_err(|error| self.unread(error))?;
        connection.request_is_complete();
        let mut signatures = head.headers.get_all(HEADER).iter();
        let signature = signatures.next().filter(|_| signatures.next().is_none());
        let received = Received::new(body, signature.map(header::HeaderValue::as_bytes));
        let verified = received.verify(&self.secrets.keys());
        let verified = verified.map_err(|unverified| self.unsigned(&unverified))?;
        let arrival = arrival::read(verified, Timestamp::now());
        match tokio::time::timeout(self.commit_timeout, self.events.receive(arrival)).await {
            Ok(Ok(_)) => Ok(()),
            // The provider sends it again.
            Ok(Err(_)) | Err(_) => Err(StatusCode::SERVICE_UNAVAILABLE),
        }
    }

    fn unread(&self, error: BodyError) -> StatusCode {
        match error {
            BodyError::TooLarge => {
                self.metrics.event("too_large");
                tracing::warn!("something larger than webhook.max_body_bytes was posted to the webhook");
            }
            BodyError::TooSlow => self.metrics.event("too_slow"),
            BodyError::Broken => {}
        }
        error.status()
    }

    fn unsigned(&self, unverified: &Unverified) -> StatusCode {
        self.metrics.event("wrong_signature");
        if let Some(unlogged) = self.diagnosis.is_due() {
            let reason = unverified.reason(&self.secrets.all());
            tracing::warn!(
                reason,
                unlogged,
                "something was posted to the webhook without a valid signature"
            );
        }
        StatusCode::UNAUTHORIZED
    }
}
