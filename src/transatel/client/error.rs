//! How a call to the provider can fail, by phase relative to the send: the
//! phase decides what may be repeated.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use crate::domain::Error;
use crate::domain::ProviderDetail;
use crate::transatel::lenient;

/// Why a call to the provider failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CallError {
    /// Not sent: there is no token.
    #[error("no token: {0}")]
    Token(Arc<CallError>),
    /// Not sent: there is not enough time left for an answer.
    #[error("not sent: the deadline is too near")]
    NoTimeLeft,
    /// Not sent: no connection.
    #[error("not sent: cannot connect: {0}")]
    Connect(String),
    /// Not sent: the circuit breaker of the API is open.
    #[error("not sent: the API fails and is left alone for a while")]
    CircuitOpen {
        /// Until then.
        retry_after: Duration,
    },
    /// Not sent: too many requests to the API are in flight.
    #[error("not sent: too many requests are in flight")]
    Crowded,
    /// Perhaps carried out: no answer in time.
    #[error("no answer in time")]
    Timeout {
        /// The caller's deadline was the bound, not our own.
        by_deadline: bool,
    },
    /// Perhaps carried out: the connection ended before there was an answer.
    #[error("the connection ended before the answer: {0}")]
    Broken(String),
    /// Answered with an error.
    #[error("answered {0}")]
    Refused(Refusal),
    /// Answered with success, but the answer cannot be used.
    #[error("the answer cannot be read: {why}")]
    Unreadable {
        /// What is wrong with it; holds nothing of the answer itself.
        why: String,
        /// The connection ended before the body did: asking again may help.
        truncated: bool,
        /// `X-TSL-Request-Id`.
        request_id: Option<String>,
    },
}

/// An answer that says no.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// The provider's machine-readable code: the only thing to decide by.
    pub title: Option<String>,
    /// The provider's text; may name the SIM, so it is never logged.
    pub detail: Option<String>,
    /// `Retry-After` in whole seconds.
    pub retry_after: Option<Duration>,
    /// `X-TSL-Request-Id`.
    pub request_id: Option<String>,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} {}",
            self.status,
            self.title.as_deref().unwrap_or("without a title")
        )
    }
}

/// Error bodies as they are documented and as they were seen: RFC 7807, an
/// older `errorCode`/`message` pair, and OAuth's `error`.
#[derive(Deserialize, Default)]
#[serde(default)]
struct WireProblem {
    #[serde(deserialize_with = "lenient::text")]
    title: Option<String>,
    #[serde(rename = "errorCode", deserialize_with = "lenient::text")]
    error_code: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    code: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    error: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    detail: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    message: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    error_description: Option<String>,
}

/// Anything longer is not a code.
const LONGEST_CODE: usize = 100;

impl Refusal {
    /// Reads an error answer; with a body that is not JSON it has a status
    /// alone.
    pub fn read(status: u16, body: &[u8], retry_after: Option<Duration>, request_id: Option<String>) -> Self {
        let body: WireProblem = lenient::record(body).unwrap_or_default();
        let title = [body.title, body.error_code, body.code, body.error]
            .into_iter()
            .flatten()
            .map(|title| title.trim().to_owned())
            .find(|title| !title.is_empty() && title.len() <= LONGEST_CODE);
        let detail = body.detail.or(body.message).or(body.error_description);
        Self {
            status,
            title,
            detail,
            retry_after,
            request_id,
        }
    }

    /// Whether the title is this code, in any letter case.
    pub fn is(&self, code: &str) -> bool {
        self.title
            .as_deref()
            .is_some_and(|title| title.eq_ignore_ascii_case(code))
    }

    pub(in crate::transatel) fn provider_detail(&self) -> ProviderDetail {
        ProviderDetail {
            code: self.title.clone(),
            request_id: self.request_id.clone(),
        }
    }
}

/// A longer wait is cut to this: it is added to the clock and passed on to
/// callers.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// `Retry-After` in seconds; the form with a date was never seen here.
pub(in crate::transatel) fn retry_after(text: &str) -> Option<Duration> {
    let asked = text.trim().parse().ok().map(Duration::from_secs)?;
    Some(asked.min(LONGEST_RETRY_AFTER))
}

/// The wait that callers are advised when the provider does not say.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(1);

/// Whether the gateway can work for an account that lacks an API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// It cannot: something is wrong with the credentials.
    Required,
    /// It can.
    Optional,
}

impl CallError {
    /// `Refused` with this title.
    pub fn is_refused_as(&self, code: &str) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.is(code))
    }

    /// What the provider said, for error metadata.
    pub fn provider_detail(&self) -> ProviderDetail {
        match self {
            Self::Refused(refusal) => refusal.provider_detail(),
            Self::Unreadable { request_id, .. } => ProviderDetail {
                code: None,
                request_id: request_id.clone(),
            },
            _ => ProviderDetail::default(),
        }
    }

    /// Its `outcome` in metrics and logs. Answers that say that the API does not
    /// work now are apart from those that decide about the request, as for the
    /// breaker.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Token(_) => "token",
            Self::NoTimeLeft => "no_time_left",
            Self::CircuitOpen { .. } => "circuit_open",
            Self::Crowded => "crowded",
            Self::Connect(_) => "connect",
            Self::Timeout { .. } => "timeout",
            Self::Broken(_) => "broken",
            Self::Refused(refusal) => match refusal.status {
                429 => "rate_limited",
                501 => "refused",
                500.. => "server_error",
                _ => "refused",
            },
            Self::Unreadable { .. } => "unreadable",
        }
    }

    /// `error.type`, as OpenTelemetry's conventions define it for HTTP: the
    /// status if that is the error, else a word.
    pub fn error_type(&self) -> Cow<'static, str> {
        match self {
            Self::Refused(refusal) => refusal.status.to_string().into(),
            other => other.kind().into(),
        }
    }

    /// The contract's error for a failure without a special meaning in the use
    /// case. The title decides; the status only where the title is unknown.
    pub fn into_error(self, need: Need) -> Error {
        let unavailable = |provider| Error::ProviderUnavailable {
            retry_after: DEFAULT_RETRY_AFTER,
            provider,
        };
        match self {
            Self::Token(inner) => inner.token_error(),
            Self::NoTimeLeft | Self::Timeout { by_deadline: true } => Error::DeadlineExceeded,
            Self::Connect(_) | Self::Timeout { by_deadline: false } | Self::Broken(_) => {
                unavailable(ProviderDetail::default())
            }
            Self::CircuitOpen { retry_after } => Error::ProviderCircuitOpen { retry_after },
            Self::Crowded => Error::Overloaded {
                retry_after: DEFAULT_RETRY_AFTER,
            },
            Self::Unreadable { request_id, .. } => Error::ProviderProtocol {
                provider: ProviderDetail {
                    code: None,
                    request_id,
                },
            },
            Self::Refused(refusal) => refusal.into_error(need),
        }
    }

    fn token_error(&self) -> Error {
        match self {
            // OAuth answers refused credentials with 400 or 401.
            Self::Refused(refusal) if matches!(refusal.status, 400 | 401 | 403) => {
                Error::ProviderCredentialsRejected {
                    provider: refusal.provider_detail(),
                }
            }
            // The deadline of a token request is not the caller's.
            Self::Timeout { .. } | Self::NoTimeLeft => Error::ProviderUnavailable {
                retry_after: DEFAULT_RETRY_AFTER,
                provider: ProviderDetail::default(),
            },
            other => other.clone().into_error(Need::Required),
        }
    }
}

impl Refusal {
    fn into_error(self, need: Need) -> Error {
        let provider = self.provider_detail();
        let retry_after = self.retry_after.unwrap_or(DEFAULT_RETRY_AFTER);
        match self.status {
            401 => Error::ProviderCredentialsRejected { provider },
            403 if need == Need::Optional => Error::OperationNotEnabled { provider },
            403 => Error::ProviderCredentialsRejected { provider },
            429 => Error::ProviderRateLimited {
                retry_after,
                provider,
            },
            501 => Error::OperationNotEnabled { provider },
            500.. => Error::ProviderUnavailable {
                retry_after,
                provider,
            },
            _ if self.is("SUBSCRIBER_NOT_FOUND") => Error::SimNotFound { provider },
            // The request was malformed, and we made it.
            _ if MALFORMED_REQUEST_TITLES.iter().any(|title| self.is(title)) => {
                Error::ProviderProtocol { provider }
            }
            400..500 if self.title.is_some() => Error::ProviderRejected { provider },
            _ => Error::ProviderProtocol { provider },
        }
    }
}

/// Titles by which the provider says that the URL, method, headers or
/// parameters of a request are wrong.
pub(in crate::transatel) const MALFORMED_REQUEST_TITLES: [&str; 4] =
    ["NOT_FOUND", "METHOD_NOT_ALLOWED", "NOT_ACCEPTABLE", "BAD_REQUEST"];

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, body: &str) -> Refusal {
        Refusal::read(status, body.as_bytes(), None, None)
    }

    #[test]
    fn every_known_error_shape_gives_its_code() {
        for (body, code, detail) in [
            (
                r#"{"title":"CATALOG_NOT_FOUND","detail":"d","status":404}"#,
                Some("CATALOG_NOT_FOUND"),
                Some("d"),
            ),
            (
                r#"{"errorCode":"CONFLICT","message":"m"}"#,
                Some("CONFLICT"),
                Some("m"),
            ),
            (
                r#"{"error":"invalid_client","error_description":"e"}"#,
                Some("invalid_client"),
                Some("e"),
            ),
            (r#"{"title":null,"code":"X"}"#, Some("X"), None),
            (r#"{"title":7,"detail":"only"}"#, None, Some("only")),
            ("<html>oops</html>", None, None),
            ("", None, None),
            ("[1]", None, None),
        ] {
            let refusal = refusal(404, body);
            assert_eq!(refusal.title.as_deref(), code, "{body}");
            assert_eq!(refusal.detail.as_deref(), detail, "{body}");
        }
    }

    #[test]
    fn a_refusal_is_classified_by_title_before_status() {
        let reason = |status, title: &str, need| {
            let error = refusal(status, &format!(r#"{{"title":"{title}"}}"#)).into_error(need);
            format!("{error:?}")
                .split([' ', '{'])
                .next()
                .unwrap_or_default()
                .to_owned()
        };
        for (status, title, need, expected) in [
            (400, "SUBSCRIBER_NOT_FOUND", Need::Required, "SimNotFound"),
            (404, "SUBSCRIBER_NOT_FOUND", Need::Required, "SimNotFound"),
            (404, "NOT_FOUND", Need::Required, "ProviderProtocol"),
            (404, "CATALOG_NOT_FOUND", Need::Required, "ProviderRejected"),
            (400, "BAD_REQUEST", Need::Required, "ProviderProtocol"),
            (405, "METHOD_NOT_ALLOWED", Need::Required, "ProviderProtocol"),
            (415, "", Need::Required, "ProviderProtocol"),
            (400, "SOMETHING_NEW", Need::Required, "ProviderRejected"),
            (401, "UNAUTHORIZED", Need::Optional, "ProviderCredentialsRejected"),
            (
                403,
                "INSUFFICIENT_PERMISSION",
                Need::Required,
                "ProviderCredentialsRejected",
            ),
            (
                403,
                "INSUFFICIENT_PERMISSION",
                Need::Optional,
                "OperationNotEnabled",
            ),
            (429, "TOO_MANY_REQUESTS", Need::Required, "ProviderRateLimited"),
            (500, "INTERNAL_ERROR", Need::Required, "ProviderUnavailable"),
            (501, "NOT_IMPLEMENTED", Need::Required, "OperationNotEnabled"),
            (503, "SERVICE_UNAVAILABLE", Need::Required, "ProviderUnavailable"),
            (302, "", Need::Required, "ProviderProtocol"),
        ] {
            assert_eq!(reason(status, title, need), expected, "{status} {title}");
        }
    }
}
