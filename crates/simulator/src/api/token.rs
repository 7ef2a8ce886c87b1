//! The token endpoint and the check of its tokens.
//!
//! Errors of the endpoint have the OAuth shape, not the RFC 7807 one of all
//! other answers. The order of checks is the one that tells a caller most:
//! shape of the request first, then who asks, then what for.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;

use crate::{
    http::{
        oauth::{oauth_error, unstored},
        problem::Problem,
        reply::Reply,
        request::Call,
    },
    world::{provider::Provider, tally::Tally},
};

/// Scopes by the method and the path prefix of the API that they open.
const SCOPES: [(&str, &str, &str); 7] = [
    ("CATALOG_PRODUCTS_READ", "GET", "/ocs/catalog"),
    ("CATALOG_OPTIONS_READ", "GET", "/ocs/catalog"),
    ("INVENTORY_SUBSCRIPTIONS_READ", "GET", "/ocs/inventory"),
    ("SIMS_ESIM_READ", "GET", "/sim-management"),
    ("SEARCH_SIM_READ", "GET", "/sim-search"),
    ("CONNECTIVITY_MANAGEMENT_READ", "GET", "/connectivity-management"),
    (
        "CONNECTIVITY_MANAGEMENT_WRITE",
        "POST",
        "/connectivity-management",
    ),
];

/// Why no token is issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    /// The request is not one: content type, `Authorization` or form.
    Malformed(&'static str),
    GrantType,
    Scope,
    Client,
}

impl Refusal {
    fn into_reply(self) -> Reply {
        let (status, error, description) = match self {
            Self::Malformed(what) => (StatusCode::BAD_REQUEST, "invalid_request", what),
            Self::GrantType => (
                StatusCode::BAD_REQUEST,
                "unsupported_grant_type",
                "Unsupported grant type",
            ),
            Self::Scope => (
                StatusCode::BAD_REQUEST,
                "invalid_scope",
                "The scope is not granted to this client",
            ),
            Self::Client => (StatusCode::UNAUTHORIZED, "invalid_client", "Bad credentials"),
        };
        let reply = oauth_error(status, error, description);
        if status == StatusCode::UNAUTHORIZED {
            return reply.with(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic"));
        }
        reply
    }
}

/// `POST /authentication/api/token`.
pub(crate) fn issue_token(provider: &Provider, call: &Call) -> Reply {
    let settings = provider.settings.load();
    let granted = granted_scopes(provider);
    match requested_scopes(provider, call, &granted) {
        Ok(scopes) => {
            let token = provider
                .tokens
                .issue(&provider.identity.client_id, &scopes, settings.token_lifetime);
            Tally::bump(&provider.tally.tokens_issued);
            unstored(Reply::json(
                StatusCode::OK,
                &json!({
                    "access_token": token,
                    "token_type": "Bearer",
                    "expires_in": settings.token_lifetime.as_secs(),
                    "scope": scopes.join(" "),
                }),
            ))
        }
        Err(refusal) => {
            Tally::bump(&provider.tally.tokens_refused);
            refusal.into_reply()
        }
    }
}

/// The scopes of this account, as the settings leave them.
fn granted_scopes(provider: &Provider) -> Vec<&'static str> {
    let settings = provider.settings.load();
    SCOPES
        .iter()
        .filter(|(_, method, prefix)| settings.permits(method, prefix, ""))
        .map(|(scope, ..)| *scope)
        .collect()
}

/// The scopes that the token shall have, when the request is good and its client may have them.
fn requested_scopes<'a>(
    provider: &Provider,
    call: &Call,
    granted: &[&'a str],
) -> Result<Vec<&'a str>, Refusal> {
    let form_type = call
        .header(header::CONTENT_TYPE)
        .and_then(|value| value.split(';').next());
    if !form_type.is_some_and(|value| {
        value
            .trim()
            .eq_ignore_ascii_case("application/x-www-form-urlencoded")
    }) {
        return Err(Refusal::Malformed(
            "Content-Type must be application/x-www-form-urlencoded",
        ));
    }
    let (client_id, client_secret) = basic_credentials(call)?;
    let form: Vec<(String, String)> = url::form_urlencoded::parse(&call.body).into_owned().collect();
    let member = |name: &str| {
        form.iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    };
    let grant_type = member("grant_type").ok_or(Refusal::Malformed("Missing grant type"))?;
    let options = &provider.identity;
    let known = client_id == options.client_id && client_secret == options.client_secret;
    if !known || provider.settings.load().credentials_refused {
        return Err(Refusal::Client);
    }
    if grant_type != "client_credentials" {
        return Err(Refusal::GrantType);
    }
    match member("scope").map(str::trim).filter(|scope| !scope.is_empty()) {
        None => Ok(granted.to_vec()),
        Some(wanted) => wanted
            .split_ascii_whitespace()
            .map(|wanted| {
                granted
                    .iter()
                    .copied()
                    .find(|granted| *granted == wanted)
                    .ok_or(Refusal::Scope)
            })
            .collect(),
    }
}

fn basic_credentials(call: &Call) -> Result<(String, String), Refusal> {
    const MALFORMED: Refusal = Refusal::Malformed("Malformed Authorization header");
    let Some(value) = call.headers.get(header::AUTHORIZATION) else {
        return Err(Refusal::Client);
    };
    let (scheme, encoded) = value
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .ok_or(MALFORMED)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(MALFORMED);
    }
    let decoded = STANDARD.decode(encoded.trim()).map_err(|_| MALFORMED)?;
    let text = String::from_utf8(decoded).map_err(|_| MALFORMED)?;
    let (client_id, client_secret) = text.split_once(':').ok_or(MALFORMED)?;
    Ok((client_id.to_owned(), client_secret.to_owned()))
}

/// Lets a request pass that carries a token of ours that is still good.
pub(crate) fn require_token(provider: &Provider, call: &Call) -> Result<(), Problem> {
    let good = call
        .header(header::AUTHORIZATION)
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .is_some_and(|(_, token)| provider.tokens.is_good(token));
    if good {
        return Ok(());
    }
    Tally::bump(&provider.tally.unauthorized);
    Err(Problem::unauthorized())
}
