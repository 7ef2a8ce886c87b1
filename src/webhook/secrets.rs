//! The secrets of the signatures, read again when their files change: a secret
//! is rotated without a restart.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use secrecy::{ExposeSecret as _, SecretString};

use super::signature::{Keys, key};
use crate::config::{Trust, secret_in};

/// Files are checked this often; the provider repeats what was refused
/// meanwhile.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The keys that signatures are checked with.
pub(super) struct Secrets {
    files: Vec<File>,
    keys: ArcSwap<Keys>,
}

struct File {
    path: PathBuf,
    /// Its content when it was last read.
    last: std::sync::Mutex<Option<SecretString>>,
}

impl Secrets {
    /// `None` when events are not to be accepted.
    pub(super) async fn of(trust: &Trust) -> Option<Self> {
        let (files, keys) = match trust {
            Trust::Off => return None,
            Trust::Unsigned => {
                tracing::warn!(
                    "events are accepted without a signature: anyone who can reach the webhook can forge them"
                );
                (Vec::new(), Keys::Unchecked)
            }
            Trust::Secret(secret) => {
                let secret = secret.expose_secret();
                (Vec::new(), Keys::Any(vec![key(secret.as_bytes())]))
            }
            Trust::Files(paths) => {
                let file = |path: &PathBuf| File {
                    path: path.clone(),
                    last: std::sync::Mutex::default(),
                };
                (paths.iter().map(file).collect(), Keys::Any(Vec::new()))
            }
        };
        let secrets = Self {
            files,
            keys: ArcSwap::from_pointee(keys),
        };
        secrets.reload().await;
        Some(secrets)
    }

    /// The active keys.
    pub(super) fn keys(&self) -> Arc<Keys> {
        self.keys.load_full()
    }

    /// Watches the files; never returns.
    pub(super) async fn keep_current(&self) {
        if self.files.is_empty() {
            return;
        }
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            self.reload().await;
        }
    }

    /// Applies changes. A file that cannot be read or is empty, as it may be
    /// for a moment while it is replaced, leaves its last secret active.
    async fn reload(&self) {
        let mut changed = false;
        for file in &self.files {
            let now = match tokio::fs::read_to_string(&file.path).await {
                Ok(text) => SecretString::from(secret_in(&text)),
                Err(error) => {
                    tracing::warn!(%error, file = %file.path.display(), "a secret of the webhook cannot be read");
                    continue;
                }
            };
            if now.expose_secret().is_empty() {
                tracing::warn!(file = %file.path.display(), "a secret of the webhook is empty");
                continue;
            }
            let mut last = file
                .last
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            let same = last
                .as_ref()
                .is_some_and(|last| last.expose_secret() == now.expose_secret());
            if !same {
                if last.is_some() {
                    tracing::info!(file = %file.path.display(), "a secret of the webhook has changed");
                }
                *last = Some(now);
                changed = true;
            }
        }
        if changed {
            let secrets = self.files.iter().filter_map(|file| {
                let last = file
                    .last
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner);
                last.as_ref().map(|secret| key(secret.expose_secret().as_bytes()))
            });
            self.keys.store(Arc::new(Keys::Any(secrets.collect())));
        }
    }
}
