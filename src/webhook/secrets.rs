//! The secrets of the signatures, read again when their files change: a secret
//! is rotated without a restart.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
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
    /// Not in a file.
    direct: Option<SecretString>,
    files: Vec<File>,
    keys: ArcSwap<Keys>,
}

struct File {
    path: PathBuf,
    /// Its content when it was last read.
    last: Mutex<Option<SecretString>>,
}

impl File {
    fn last(&self) -> Option<SecretString> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, secret: SecretString) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(secret);
    }
}

impl Secrets {
    /// `None` when events are not to be accepted.
    pub(super) async fn of(trust: &Trust) -> Option<Self> {
        let (direct, files, keys) = match trust {
            Trust::Off => return None,
            Trust::Unsigned => {
                tracing::warn!(
                    "events are accepted without a signature: anyone who can reach the webhook can forge them"
                );
                (None, Vec::new(), Keys::Unchecked)
            }
            Trust::Secret(secret) => {
                let keys = vec![key(secret.expose_secret().as_bytes())];
                (Some(secret.clone()), Vec::new(), Keys::Any(keys))
            }
            Trust::Files(paths) => {
                let file = |path: &PathBuf| File {
                    path: path.clone(),
                    last: Mutex::default(),
                };
                (None, paths.iter().map(file).collect(), Keys::Any(Vec::new()))
            }
        };
        let secrets = Self {
            direct,
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

    /// The active secrets themselves, to find out why a signature is not valid.
    pub(super) fn all(&self) -> Vec<SecretString> {
        let files = self.files.iter().filter_map(File::last);
        self.direct.iter().cloned().chain(files).collect()
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
            let last = file.last();
            let same = last
                .as_ref()
                .is_some_and(|last| last.expose_secret() == now.expose_secret());
            if !same {
                if last.is_some() {
                    tracing::info!(file = %file.path.display(), "a secret of the webhook has changed");
                }
                file.set(now);
                changed = true;
            }
        }
        if changed {
            let secrets = self.files.iter().filter_map(File::last);
            let keys = secrets.map(|secret| key(secret.expose_secret().as_bytes()));
            self.keys.store(Arc::new(Keys::Any(keys.collect())));
        }
    }
}
