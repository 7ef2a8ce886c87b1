//! What control calls may change while the simulator runs.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};

use super::{duration_text, lock::lock};

/// Behaviour of the simulated account and provider. The control API shows and takes it as JSON, with durations as
/// text (`30s`); a change there names only the members that change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// How long the tokens live that are issued from now on. Sent as whole seconds.
    #[serde(with = "duration_text")]
    pub token_lifetime: Duration,
    /// Whether the token endpoint answers `invalid_client` to the right credentials too.
    pub credentials_refused: bool,
    /// How long every request waits before it is carried out, as a provider far away would.
    #[serde(with = "duration_text")]
    pub latency: Duration,
    /// What this account may not use: a path prefix such as `/sim-search`, or a method and one, such as
    /// `PATCH /sim-management`. Denied methods are missing in `Allow` and answer `INSUFFICIENT_PERMISSION`.
    pub denied: BTreeSet<String>,
    /// Whether the COS has a catalog; without one, catalog reads answer `CATALOG_NOT_FOUND`.
    pub catalog_published: bool,
}

impl Settings {
    pub(super) fn new(token_lifetime: Duration, connectivity: bool) -> Self {
        let mut denied = BTreeSet::from(["PATCH /sim-management".to_owned()]);
        if !connectivity {
            denied.insert("/connectivity-management".to_owned());
        }
        Self {
            token_lifetime,
            credentials_refused: false,
            latency: Duration::ZERO,
            denied,
            catalog_published: true,
        }
    }

    /// Whether the account may use `method` on `path`.
    pub(super) fn permits(&self, method: &str, path: &str) -> bool {
        !self.denied.iter().any(|denied| match denied.split_once(' ') {
            Some((denied_method, prefix)) => denied_method == method && path.starts_with(prefix),
            None => path.starts_with(denied.as_str()),
        })
    }
}

/// The settings in force. Reading takes no lock.
#[derive(Debug)]
pub(super) struct InForce {
    current: ArcSwap<Settings>,
    /// Held while a change is worked out, so that none is lost.
    changing: Mutex<()>,
}

impl InForce {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            current: ArcSwap::from_pointee(settings),
            changing: Mutex::default(),
        }
    }

    pub(super) fn load(&self) -> Arc<Settings> {
        self.current.load_full()
    }

    pub(super) fn update(&self, change: impl FnOnce(&mut Settings)) {
        let _changing = lock(&self.changing);
        let mut settings = Settings::clone(&self.current.load());
        change(&mut settings);
        self.current.store(Arc::new(settings));
    }

    /// Takes the named members from a JSON object, or changes nothing and says what is wrong with it.
    pub(super) fn merge(&self, changes: serde_json::Value) -> Result<(), String> {
        let serde_json::Value::Object(changes) = changes else {
            return Err("settings must be a JSON object".to_owned());
        };
        let _changing = lock(&self.changing);
        let mut merged = serde_json::to_value(self.load().as_ref()).map_err(|error| error.to_string())?;
        if let Some(members) = merged.as_object_mut() {
            members.extend(changes);
        }
        let settings = serde_json::from_value(merged).map_err(|error| error.to_string())?;
        self.current.store(Arc::new(settings));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn in_force() -> InForce {
        InForce::new(Settings::new(Duration::from_secs(3600), true))
    }

    #[test]
    fn a_merge_changes_only_what_it_names() {
        let settings = in_force();
        settings
            .merge(json!({ "token_lifetime": "90s", "denied": ["/sim-search"] }))
            .unwrap();
        let now = settings.load();
        assert_eq!(now.token_lifetime, Duration::from_secs(90));
        assert!(now.catalog_published);
        assert!(!now.permits("GET", "/sim-search/api/sim/search"));
        assert!(now.permits("PATCH", "/sim-management/sims/api/esims/sim-serial/1"));
    }

    #[test]
    fn a_wrong_merge_changes_nothing() {
        let settings = in_force();
        let before = settings.load();
        for wrong in [
            json!({ "token_lifetme": "90s" }),
            json!({ "latency": 5 }),
            json!([]),
        ] {
            settings.merge(wrong).unwrap_err();
        }
        assert_eq!(*settings.load(), *before);
    }

    #[test]
    fn a_denial_can_name_a_method() {
        let settings = in_force().load();
        assert!(!settings.permits("PATCH", "/sim-management/sims/api/esims/sim-serial/1"));
        assert!(settings.permits("GET", "/sim-management/sims/api/esims/sim-serial/1"));
    }
}
