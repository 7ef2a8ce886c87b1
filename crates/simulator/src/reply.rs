//! An answer before it meets the wire.

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde_json::Value;

/// Status, headers and the whole body. Faults may still replace, cut or withhold it.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: Bytes,
}

impl Reply {
    pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");
    pub(super) const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");
    pub(super) const TEXT: HeaderValue = HeaderValue::from_static("text/plain");
    pub(super) const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

    pub(super) fn new(status: StatusCode, content_type: HeaderValue, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            headers: vec![(header::CONTENT_TYPE, content_type)],
            body: body.into(),
        }
    }

    pub(super) fn json(status: StatusCode, body: &Value) -> Self {
        Self::new(status, Self::JSON, body.to_string())
    }

    /// A 200 whose JSON text exists already.
    pub(super) fn rendered(body: impl Into<Bytes>) -> Self {
        Self::new(StatusCode::OK, Self::JSON, body)
    }

    pub(super) fn empty(status: StatusCode) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    pub(super) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The response with `body` in place of its own, for faults that send something else.
    pub(super) fn into_response_with(self, body: Body) -> Response<Body> {
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        response.headers_mut().extend(self.headers);
        response
    }

    pub(super) fn into_response(self) -> Response<Body> {
        let body = Body::from(self.body.clone());
        self.into_response_with(body)
    }
}
