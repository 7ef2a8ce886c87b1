//! Answers of the token endpoint, which have the OAuth shape and must not be stored.

use http::{HeaderValue, StatusCode, header};
use serde_json::json;

use crate::http::reply::Reply;

/// An error of the token endpoint.
pub(crate) fn oauth_error(status: StatusCode, error: &str, description: &str) -> Reply {
    let body = json!({
        "error": error,
        "error_description": description,
        "error_uri": format!("https://api.transatel.com/authentication/docs/index.html#errors/{error}"),
    });
    unstored(Reply::json(status, &body))
}

/// The same reply, not to be stored.
pub(crate) fn unstored(reply: Reply) -> Reply {
    reply
        .with(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))
        .with(header::PRAGMA, HeaderValue::from_static("no-cache"))
}
