//! JSON that a call of the control API brings.

use axum::{
    Json,
    extract::{FromRequest, Request},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;

/// The body of a call, whatever its content type says; an empty one is `{}`. Members that the call does not know are
/// refused by name, as is everything else that cannot be read.
#[derive(Debug)]
pub(super) struct Body<T>(pub(super) T);

/// A body without members.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Empty {}

/// 400 with the reason.
#[derive(Debug)]
pub(super) struct Unreadable(pub(super) String);

impl IntoResponse for Unreadable {
    fn into_response(self) -> Response {
        let body = Json(json!({ "error": self.0 }));
        (StatusCode::BAD_REQUEST, body).into_response()
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Unreadable;

    async fn from_request(request: Request, state: &S) -> Result<Self, Unreadable> {
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| Unreadable(rejection.to_string()))?;
        let text: &[u8] = if bytes.trim_ascii().is_empty() {
            b"{}"
        } else {
            &bytes
        };
        serde_json::from_slice(text)
            .map(Self)
            .map_err(|error| Unreadable(error.to_string()))
    }
}
