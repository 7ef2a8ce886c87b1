//! The OAuth2 token: one, shared by all calls.
//!
//! Kept in the loading cache: one request in flight whatever the number of
//! callers, a shared failure, and a refresh ahead of expiry while the old token
//! is still used. This file decides how far ahead, and how long a failure is
//! held. It drops a refused token only if that is still the current one, and
//! bounds how many are dropped in a row: with an API that refuses every token,
//! every call would cost a token request.
//!
//! Provider's document: "Authentication" of its developer guides. Tokens live
//! an hour, there is no refresh token, and repeated 401s may be flagged by
//! its monitoring.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use serde::Deserialize;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::credentials::Credentials;
use super::endpoint;
use super::error::CallError;
use super::request::Request;
use super::transport::{Attempt, Transport};
use crate::cache::{Bounds, Counts, Load, Loaded, LoadingCache};
use crate::config;
use crate::transatel::lenient;

/// An access token, ready to be sent.
pub struct Token {
    authorization: HeaderValue,
    grant: Grant,
}

/// What came with a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// OAuth scopes; empty when the answer names none.
    pub scopes: Vec<String>,
    /// How long the token lives.
    pub lifetime: Duration,
}

impl Token {
    /// The value of the `Authorization` header.
    pub fn authorization(&self) -> &HeaderValue {
        &self.authorization
    }

    /// What came with it.
    pub fn grant(&self) -> &Grant {
        &self.grant
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(<redacted>)")
    }
}

/// The source of the token that calls are made with.
#[derive(Clone)]
pub struct TokenSource {
    cache: LoadingCache<Loader>,
    credentials: Arc<Credentials>,
    dropped: Arc<Mutex<Option<Dropped>>>,
}

/// The last token that was dropped because an API refused it.
struct Dropped {
    token: Weak<Token>,
    at: Instant,
    /// Tokens that were dropped without a quiet time between them.
    in_a_row: u32,
}

impl Dropped {
    /// No other token is dropped before this: the API would refuse that too.
    fn next_at(&self) -> Instant {
        match self.in_a_row.checked_sub(DROPPED_AT_ONCE) {
            None => self.at,
            Some(more) => self.at + doubling(FIRST_REFUSAL_HOLD, LONGEST_REFUSAL_HOLD, more + 1),
        }
    }
}

/// Refused tokens that are replaced without delay: one that was revoked, and
/// two more, in case the provider's servers accept a new one at different
/// times.
const DROPPED_AT_ONCE: u32 = 3;
/// After those a refused token is kept for this long, doubling while refusals
/// go on.
const FIRST_REFUSAL_HOLD: Duration = Duration::from_secs(10);
const LONGEST_REFUSAL_HOLD: Duration = Duration::from_secs(300);
/// A quiet time after which a refusal is the first one again.
const REFUSALS_FORGOTTEN_AFTER: Duration = Duration::from_secs(600);

impl TokenSource {
    /// Prepares; asks for no token yet.
    pub fn new(
        account: &config::Transatel,
        outbound: &config::Outbound,
        transport: Arc<Transport>,
        tasks: TaskTracker,
    ) -> Self {
        let credentials = Arc::new(Credentials::new(account));
        let loader = Loader {
            transport,
            credentials: Arc::clone(&credentials),
            form: form(&account.scopes),
            timeout: outbound.attempt_timeout,
        };
        // The attempt has a bound of its own; this one only catches defects.
        let bounds = Bounds {
            capacity: 1,
            load_within: outbound.attempt_timeout * 2,
        };
        Self {
            cache: LoadingCache::new(loader, bounds, tasks),
            credentials,
            dropped: Arc::default(),
        }
    }

    /// The token to use now. Cancel-safe.
    ///
    /// # Errors
    /// [`CallError::Token`] with the reason, shared by all who waited, and for
    /// a while by all who come after.
    pub async fn token(&self) -> Result<Arc<Token>, CallError> {
        let mut answer = self.cache.get(&()).await;
        if let Err(CallError::Refused(_)) = answer
            && self.credentials.may_be_better().await
        {
            self.cache.forget_failure(&()).await;
            answer = self.cache.get(&()).await;
        }
        match answer {
            Ok(cached) => Ok(cached.value),
            Err(failure) => Err(CallError::Token(Arc::new(failure))),
        }
    }

    /// Drops a token that an API refused, unless a newer one took its place.
    /// `false` when it is kept, because another one was dropped a short while
    /// ago: then a new token would be refused like this one.
    pub async fn refuse(&self, token: &Arc<Token>) -> bool {
        let current = self.cache.peek(&()).await;
        if current.is_none_or(|current| !Arc::ptr_eq(&current, token)) {
            return true;
        }
        if !self.may_drop(token) {
            return false;
        }
        self.cache.invalidate(&(), token).await;
        true
    }

    /// Decides once for everybody who was refused the same token.
    fn may_drop(&self, token: &Arc<Token>) -> bool {
        let mut dropped = self.dropped.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let in_a_row = match &*dropped {
            Some(last) if std::ptr::eq(last.token.as_ptr(), Arc::as_ptr(token)) => return true,
            Some(last) if now < last.next_at() => return false,
            Some(last) if now < last.next_at() + REFUSALS_FORGOTTEN_AFTER => last.in_a_row.saturating_add(1),
            Some(_) | None => 1,
        };
        if in_a_row > 1 {
            tracing::warn!(in_a_row, "an API refuses one token after the other");
        }
        *dropped = Some(Dropped {
            token: Arc::downgrade(token),
            at: now,
            in_a_row,
        });
        true
    }

    /// What the token's cache did.
    pub fn counts(&self) -> Arc<Counts> {
        self.cache.counts()
    }
}

struct Loader {
    transport: Arc<Transport>,
    credentials: Arc<Credentials>,
    form: Bytes,
    timeout: Duration,
}

#[derive(Deserialize)]
pub(in crate::transatel) struct Granted {
    access_token: String,
    #[serde(default, deserialize_with = "lenient::integer")]
    expires_in: Option<i64>,
    #[serde(default)]
    scope: serde_json::Value,
}

/// Scopes as one text with spaces, as documented, or as a list, as in the
/// token's own claims.
fn scopes(scope: &serde_json::Value) -> Vec<String> {
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect();
    match scope {
        serde_json::Value::String(text) => words(text),
        serde_json::Value::Array(items) => items
            .iter()
            .filter_map(|item| item.as_str())
            .map(str::to_owned)
            .collect(),
        _ => Vec::new(),
    }
}

/// A longer lifetime is cut to this: it is added to the clock.
const LONGEST_LIFETIME: Duration = Duration::from_secs(86_400);

impl Granted {
    /// The token and how long it is used; `None` when it cannot be sent.
    pub(in crate::transatel) fn token(self) -> Option<Loaded<Token>> {
        if self.access_token.trim().is_empty() {
            return None;
        }
        let mut authorization = HeaderValue::from_str(&format!("Bearer {}", self.access_token)).ok()?;
        authorization.set_sensitive(true);
        let lifetime = self
            .expires_in
            .and_then(|seconds| u64::try_from(seconds).ok())
            .map_or(DEFAULT_LIFETIME, Duration::from_secs)
            .min(LONGEST_LIFETIME);
        let grant = Grant {
            scopes: scopes(&self.scope),
            lifetime,
        };
        Some(Loaded {
            value: Token { authorization, grant },
            fresh_for: lifetime.saturating_sub(lead(lifetime).mul_f64(0.75 + 0.25 * fastrand::f64())),
            usable_for: lifetime.saturating_sub(margin(lifetime)),
        })
    }
}

/// Assumed when the answer does not say: half of what is documented.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(1800);

impl Load for Loader {
    type Key = ();
    type Value = Token;
    type Error = CallError;
    const NAME: &'static str = "token";

    async fn load(&self, _key: &()) -> Result<Loaded<Token>, CallError> {
        let malformed = || CallError::Unreadable {
            why: "the token is not a valid header value".into(),
            truncated: false,
            request_id: None,
        };
        let request = Request {
            body: Some(("application/x-www-form-urlencoded", self.form.clone())),
            ..Request::new(&endpoint::TOKEN, &[])
        };
        let authorization = self.credentials.authorization().await;
        let authorization = authorization.as_ref().ok_or_else(malformed)?;
        let answer = self
            .transport
            .exchange(Attempt {
                request: &request,
                authorization,
                timeout: self.timeout,
                deadline: None,
                lease: None,
                resend: 0,
            })
            .await;
        let granted: Granted = answer.and_then(|answer| answer.json()).inspect_err(|failure| {
            tracing::warn!(%failure, "no token from the provider");
            self.transport.metrics.no_token(&failure.error_type());
        })?;
        let token = granted.token().ok_or_else(|| {
            let failure = malformed();
            self.transport.metrics.no_token(&failure.error_type());
            failure
        })?;
        self.transport.metrics.token(token.value.grant.lifetime);
        Ok(token)
    }

    fn hold(&self, failure: &CallError, failures: u32) -> Duration {
        hold(failure, failures)
    }

    fn timed_out(&self) -> CallError {
        CallError::Timeout { by_deadline: false }
    }

    fn resident(&self) -> Option<()> {
        Some(())
    }
}

/// The longest time before expiry at which a refresh begins: a fifth of the
/// lifetime or a minute, whichever is less. Replicas begin at random within the
/// first quarter of it.
fn lead(lifetime: Duration) -> Duration {
    (lifetime / 5).min(Duration::from_secs(60))
}

/// A token is not used this close to its expiry: it must still be valid when
/// the request arrives.
fn margin(lifetime: Duration) -> Duration {
    (lifetime / 20).min(Duration::from_secs(5))
}

/// Refused credentials do not become valid by themselves, and repeating them
/// may get the account flagged: 10 s, doubling, up to 5 min. Everything else is
/// expected to pass: 1 s, doubling, up to 30 s.
fn hold(failure: &CallError, failures: u32) -> Duration {
    let refused = matches!(failure, CallError::Refused(refusal) if (400..500).contains(&refusal.status) && refusal.status != 429);
    let (first, longest) = if refused { (10, 300) } else { (1, 30) };
    let asked = match failure {
        CallError::Refused(refusal) => refusal.retry_after.unwrap_or_default(),
        _ => Duration::ZERO,
    };
    doubling(Duration::from_secs(first), Duration::from_secs(longest), failures).max(asked)
}

/// The wait after this many in a row (1 is the first).
fn doubling(first: Duration, longest: Duration, in_a_row: u32) -> Duration {
    let doubled = first.saturating_mul(1 << in_a_row.saturating_sub(1).min(16));
    doubled.min(longest)
}

/// The body of a token request.
fn form(scopes: &[String]) -> Bytes {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "client_credentials");
    if !scopes.is_empty() {
        form.append_pair("scope", &scopes.join(" "));
    }
    Bytes::from(form.finish())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::transatel::client::error::Refusal;

    proptest! {
        #[test]
        fn a_refresh_begins_while_the_token_is_still_usable(seconds in 2..86_400_u64) {
            let lifetime = Duration::from_secs(seconds);
            prop_assert!(margin(lifetime) < lead(lifetime).mul_f64(0.75));
            prop_assert!(lead(lifetime) < lifetime);
        }
    }

    #[test]
    fn refused_credentials_are_held_longer_than_an_outage() {
        let refused = CallError::Refused(Refusal {
            status: 401,
            ..Refusal::default()
        });
        let outage = CallError::Connect(String::new());
        let holds = |failure, counts: [u32; 3]| counts.map(|count| hold(failure, count).as_secs());
        assert_eq!(holds(&refused, [1, 2, 40]), [10, 20, 300]);
        assert_eq!(holds(&outage, [1, 2, 40]), [1, 2, 30]);
        let limited = Refusal {
            status: 429,
            retry_after: Some(Duration::from_secs(7)),
            ..Refusal::default()
        };
        assert_eq!(hold(&CallError::Refused(limited), 1).as_secs(), 7);
    }
}
