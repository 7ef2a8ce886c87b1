//! One request, from its headers to its answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use jiff::Timestamp;

use super::arrival;
use super::secrets::Secrets;
use super::signature::{HEADER, Received};
use crate::service::Events;
use crate::telemetry::Metrics;

/// Answers requests to the webhook.
pub(super) struct Endpoint {
    pub(super) path: String,
    pub(super) max_body_bytes: usize,
    pub(super) read_timeout: Duration,
    pub(super) commit_timeout: Duration,
    pub(super) secrets: Arc<Secrets>,
    pub(super) events: Events,
    pub(super) metrics: Arc<Metrics>,
}

impl Endpoint {
    /// Answers. `whole` is called once the whole request was received: from
    /// then on its connection must not be closed.
    pub(super) async fn answer(
        &self,
        request: Request<Incoming>,
        whole: impl FnOnce(),
    ) -> Response<Empty<Bytes>> {
        let status = match self.take(request, whole).await {
            Ok(()) => StatusCode::NO_CONTENT,
            Err(status) => status,
        };
        let mut response = Response::new(Empty::new());
        *response.status_mut() = status;
        if status != StatusCode::NO_CONTENT && status != StatusCode::SERVICE_UNAVAILABLE {
            // The rest of its body is not read.
            let close = header::HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        response
    }

    async fn take(&self, request: Request<Incoming>, whole: impl FnOnce()) -> Result<(), StatusCode> {
        if request.uri().path() != self.path {
            return Err(StatusCode::NOT_FOUND);
        }
        if request.method() != Method::POST {
            return Err(StatusCode::METHOD_NOT_ALLOWED);
        }
        let (head, body) = request.into_parts();
        let body = self.read(body).await?;
        whole();
        let mut signatures = head.headers.get_all(HEADER).iter();
        let signature = signatures.next().filter(|_| signatures.next().is_none());
        let received = Received::new(body, signature.map(header::HeaderValue::as_bytes));
        let verified = received.verify(&self.secrets.keys()).map_err(|_| {
            self.metrics.event("wrong_signature");
            tracing::warn!("something was posted to the webhook without a valid signature");
            StatusCode::UNAUTHORIZED
        })?;
        let arrival = arrival::read(verified, Timestamp::now());
        match tokio::time::timeout(self.commit_timeout, self.events.receive(arrival)).await {
            Ok(Ok(_)) => Ok(()),
            // The provider sends it again.
            Ok(Err(_)) | Err(_) => Err(StatusCode::SERVICE_UNAVAILABLE),
        }
    }

    async fn read(&self, body: Incoming) -> Result<Bytes, StatusCode> {
        let too_large = || {
            self.metrics.event("too_large");
            tracing::warn!("something larger than webhook.max_body_bytes was posted to the webhook");
            StatusCode::PAYLOAD_TOO_LARGE
        };
        if body.size_hint().lower() > self.max_body_bytes as u64 {
            return Err(too_large());
        }
        let limited = Limited::new(body, self.max_body_bytes).collect();
        match tokio::time::timeout(self.read_timeout, limited).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
            Ok(Err(_)) => Err(StatusCode::BAD_REQUEST),
            Err(_) => {
                self.metrics.event("too_slow");
                Err(StatusCode::REQUEST_TIMEOUT)
            }
        }
    }
}
