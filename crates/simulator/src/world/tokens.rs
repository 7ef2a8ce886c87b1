//! Access tokens that have been issued and are still good.

use std::{collections::HashMap, sync::RwLock, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::json;
use tokio::time::Instant;
use uuid::Uuid;

use crate::lock::{read, write};

/// Tokens and the moment each ends.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    live: RwLock<HashMap<String, Instant>>,
}

impl Tokens {
    /// A new token, good for `lifetime`. It looks like a JWT, as the provider's do, but is checked by looking it
    /// up: nothing is known from it without asking.
    pub(crate) fn issue(&self, client_id: &str, scope: &[&str], lifetime: Duration) -> String {
        let header = json!({ "alg": "ES256", "typ": "JWT" });
        let claims = json!({
            "client_id": client_id,
            "scope": scope,
            "business_entities": ["SANDBOX"],
            "authorities": ["ROLE_EXTERNAL_SYSTEM"],
            "jti": Uuid::new_v4(),
        });
        let token = format!(
            "{}.{}.{}",
            URL_SAFE_NO_PAD.encode(header.to_string()),
            URL_SAFE_NO_PAD.encode(claims.to_string()),
            URL_SAFE_NO_PAD.encode([*Uuid::new_v4().as_bytes(), *Uuid::new_v4().as_bytes()].concat()),
        );
        let now = Instant::now();
        // A lifetime past the end of time is as good as a century.
        let end = now
            .checked_add(lifetime)
            .unwrap_or_else(|| now + Duration::from_secs(3_155_760_000));
        let mut live = write(&self.live);
        live.retain(|_, end| *end > now);
        live.insert(token.clone(), end);
        token
    }

    pub(crate) fn is_good(&self, token: &str) -> bool {
        read(&self.live)
            .get(token)
            .is_some_and(|end| *end > Instant::now())
    }

    /// Makes every token bad and says how many were good.
    pub(crate) fn revoke_all(&self) -> usize {
        let now = Instant::now();
        let revoked = std::mem::take(&mut *write(&self.live));
        revoked.values().filter(|end| **end > now).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_token_is_good_until_its_lifetime_ends() {
        let tokens = Tokens::default();
        let token = tokens.issue("client", &[], Duration::from_secs(60));
        tokio::time::advance(Duration::from_secs(59)).await;
        assert!(tokens.is_good(&token));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(!tokens.is_good(&token));
    }

    #[tokio::test]
    async fn revoking_ends_every_token_but_not_later_ones() {
        let tokens = Tokens::default();
        let first = tokens.issue("client", &[], Duration::MAX);
        assert_eq!(tokens.revoke_all(), 1);
        let second = tokens.issue("client", &[], Duration::MAX);
        assert!(!tokens.is_good(&first));
        assert!(tokens.is_good(&second));
    }
}
