//! An answer before it meets the wire.

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde_json::Value;

/// Status, headers and the whole body. Faults may still replace, cut or withhold it.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");
    pub(crate) const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");
    pub(crate) const TEXT: HeaderValue = HeaderValue::from_static("text/plain");
    pub(crate) const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

    pub(crate) fn new(status: StatusCode, content_type: HeaderValue, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            headers: vec![(header::CONTENT_TYPE, content_type)],
            body: body.into(),
        }
    }

    pub(crate) fn json(status: StatusCode, body: &Value) -> Self {
        Self::new(status, Self::JSON, body.to_string())
    }

    /// A 200 whose JSON text exists already.
    pub(crate) fn rendered(body: impl Into<Bytes>) -> Self {
        Self::new(StatusCode::OK, Self::JSON, body)
    }

    pub(crate) fn empty(status: StatusCode) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The response with `body` in place of its own, for faults that send something else.
    pub(crate) fn into_response_with(self, body: Body) -> Response<Body> {
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        response.headers_mut().extend(self.headers);
        response
    }

    pub(crate) fn into_response(self) -> Response<Body> {
        let body = Body::from(self.body.clone());
        self.into_response_with(body)
    }
}
