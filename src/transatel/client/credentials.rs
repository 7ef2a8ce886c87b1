//! The account's credentials. A secret in a file is read again for every token,
//! so that it is replaced without a restart.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::Instant;

use crate::config::{self, secret_in};

/// While tokens are refused, the file is checked this often.
const LOOK_EVERY: Duration = Duration::from_secs(1);

pub(super) struct Credentials {
    client_id: String,
    file: Option<PathBuf>,
    state: Mutex<State>,
}

struct State {
    /// What a token was last requested with.
    secret: SecretString,
    looked_at: Option<Instant>,
}

impl Credentials {
    pub(super) fn new(account: &config::Transatel) -> Self {
        Self {
            client_id: account.client_id.clone(),
            file: account.client_secret_file.clone(),
            state: Mutex::new(State {
                secret: account.client_secret.clone(),
                looked_at: None,
            }),
        }
    }

    /// The header of a request for a token, with the secret as it is now.
    /// `None` when it cannot be sent.
    pub(super) async fn authorization(&self) -> Option<HeaderValue> {
        if let Some(changed) = self.changed().await {
            tracing::info!("transatel.client_secret_file has changed");
            self.state().secret = changed;
        }
        let credentials = format!("{}:{}", self.client_id, self.state().secret.expose_secret());
        let credentials = STANDARD.encode(credentials);
        let mut value = HeaderValue::from_str(&format!("Basic {credentials}")).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Whether the file holds another secret than the one that was refused.
    /// Looks once a second at most.
    pub(super) async fn may_be_better(&self) -> bool {
        let now = Instant::now();
        {
            let mut state = self.state();
            if state.looked_at.is_some_and(|at| now < at + LOOK_EVERY) {
                return false;
            }
            state.looked_at = Some(now);
        }
        self.changed().await.is_some()
    }

    /// The secret in the file, if it is another one. A file that cannot be read
    /// or is empty, as it may be while it is replaced, changes nothing.
    async fn changed(&self) -> Option<SecretString> {
        let path = self.file.as_ref()?;
        let text = match tokio::fs::read_to_string(path).await {
            Ok(text) => text,
            Err(error) => {
                tracing::warn!(%error, "transatel.client_secret_file cannot be read: the last secret is used");
                return None;
            }
        };
        let secret = secret_in(&text);
        let is_new = !secret.is_empty() && secret != self.state().secret.expose_secret();
        is_new.then(|| secret.into())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
