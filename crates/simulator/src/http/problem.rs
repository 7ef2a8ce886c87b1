//! Refusals, as RFC 7807 objects with the provider's machine codes in `title`.
//!
//! Every code the simulator can say is a constructor here, so that none is
//! misspelt and each has the status that the contract gives it.

use std::borrow::Cow;

use http::StatusCode;
use serde_json::json;

use crate::http::reply::Reply;

/// Why a request is refused. Turned into a [`Reply`] once the path is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) title: Cow<'static, str>,
    pub(crate) detail: String,
}

impl Problem {
    pub(crate) fn new(
        status: StatusCode,
        title: impl Into<Cow<'static, str>>,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            status,
            title: title.into(),
            detail: detail.into(),
        }
    }

    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", detail)
    }

    pub(crate) fn unauthorized() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "UNAUTHORIZED",
            "Invalid or expired access token",
        )
    }

    pub(crate) fn insufficient_permission(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "INSUFFICIENT_PERMISSION", detail)
    }

    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "NOT_FOUND", "No such resource")
    }

    pub(crate) fn method_not_allowed(method: &http::Method) -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "METHOD_NOT_ALLOWED",
            format!("{method} is not supported here"),
        )
    }

    pub(crate) fn not_acceptable() -> Self {
        Self::new(
            StatusCode::NOT_ACCEPTABLE,
            "NOT_ACCEPTABLE",
            "Only application/json is produced",
        )
    }

    pub(crate) fn unsupported_media_type() -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "UNSUPPORTED_MEDIA_TYPE",
            "Only application/json is consumed",
        )
    }

    pub(crate) fn payload_too_large() -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "PAYLOAD_TOO_LARGE",
            "The request body is too large",
        )
    }

    pub(crate) fn catalog_not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "CATALOG_NOT_FOUND",
            "No catalog is published for this COS",
        )
    }

    pub(crate) fn product_not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "PRODUCT_NOT_FOUND", "Unknown product")
    }

    pub(crate) fn option_not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "OPTION_NOT_FOUND",
            "The option is not configured for this COS",
        )
    }

    /// An unknown subscriber on a read. Orders say it with another status.
    pub(crate) fn subscriber_not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "SUBSCRIBER_NOT_FOUND",
            "Subscriber is unknown",
        )
    }

    pub(crate) fn internal(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR", detail)
    }

    pub(crate) fn esim_not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "ESIM_NOT_FOUND", "Unknown eSIM")
    }

    pub(crate) fn transaction_not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "TRANSACTION_ID_NOT_FOUND",
            "Unknown transaction",
        )
    }

    /// Another operation on the same SIM has not ended.
    pub(crate) fn conflict() -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "CONFLICT",
            "Another request is pending for this subscriber",
        )
    }

    /// An order that is refused for a reason of business. The contract gives 400 for an unknown subscriber and for
    /// a status; for the other codes it leaves the status open, and 400 is taken for all.
    pub(crate) fn order(title: &'static str, detail: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, title, detail)
    }

    /// The answer, naming the documentation page of the API that `path` belongs to.
    pub(crate) fn into_reply(self, path: &str) -> Reply {
        let body = json!({
            "type": documentation(path, &self.title),
            "title": self.title,
            "status": self.status.as_u16(),
            "detail": self.detail,
            "path": path,
        });
        Reply::new(self.status, Reply::PROBLEM, body.to_string())
    }
}

/// The page of the provider's documentation that explains a code: each API has its own, under the path prefix
/// that stands before `/api/`.
pub(crate) fn documentation(path: &str, title: &str) -> String {
    let domain = path.split_once("/api").map_or("", |(domain, _)| domain);
    format!("https://api.transatel.com{domain}/docs#errors/{title}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_names_its_api_and_path() {
        let reply = Problem::product_not_found().into_reply("/ocs/catalog/api/cos/X/products/Y");
        assert_eq!(reply.status, StatusCode::NOT_FOUND);
        let body: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(
            body,
            json!({
                "type": "https://api.transatel.com/ocs/catalog/docs#errors/PRODUCT_NOT_FOUND",
                "title": "PRODUCT_NOT_FOUND",
                "status": 404,
                "detail": "Unknown product",
                "path": "/ocs/catalog/api/cos/X/products/Y",
            })
        );
    }

    #[test]
    fn a_path_outside_every_api_still_has_a_page() {
        assert_eq!(
            documentation("/nothing", "NOT_FOUND"),
            "https://api.transatel.com/docs#errors/NOT_FOUND"
        );
    }
}
