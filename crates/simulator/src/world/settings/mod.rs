//! What control calls may change while the simulator runs.

pub(crate) mod follow_ups;
pub(crate) mod operations;
pub(crate) mod webhooks;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use arc_swap::ArcSwap;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::{
    duration_text,
    lock::lock,
    world::{
        settings::{follow_ups::FollowUpSettings, operations::OperationSettings, webhooks::WebhookSettings},
        visibility::InventorySettings,
    },
};

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
    /// How far the `Date` of answers is ahead of the machine's clock; behind when negative.
    #[serde(with = "duration_text::signed")]
    pub date_skew: SignedDuration,
    /// What this account may not use: a path prefix such as `/sim-search`, a whole route template, or a method and
    /// one of them, such as `PATCH /sim-management`. Denied methods are missing in `Allow` and answer `INSUFFICIENT_PERMISSION`.
    pub denied: BTreeSet<String>,
    /// Whether the COS has a catalog; without one, catalog reads answer `CATALOG_NOT_FOUND`.
    pub catalog_published: bool,
    /// Whether `preload` orders are configured on the account; without, they answer 501 "Missing configuration".
    pub preload_configured: bool,
    /// Whether a `subscribe` order activates a Pre-Activated SIM, as the provider's portal does, instead of being
    /// refused with `SUBSCRIBER_STATUS_NOT_ELIGIBLE`. Which of the two the API of this offer does is not proven.
    pub subscribe_activates: bool,
    /// Whether a `subscribe` order that activates a Pre-Activated SIM starts the subscription at once as well. The
    /// provider's documents differ: its pages on this offer say that the subscription waits for its first use.
    pub subscribe_starts: bool,
    /// The member of an order that names the subscription an add-on is added to. The provider does not publish it.
    pub add_on_parent_member: String,
    /// Whether the answer to an order names the new subscription. The provider types it as optional.
    pub answers_name_subscription: bool,
    /// How long SIM Search still shows a SIM's previous status after a change.
    #[serde(with = "duration_text")]
    pub search_lag: Duration,
    /// How the inventory shows what orders place.
    pub inventory: InventorySettings,
    /// Whether connectivity answers an unknown SIM with 400 and a text, as was observed, instead of the
    /// documented 404 `SUBSCRIBER_NOT_FOUND`.
    pub unknown_sim_is_bad_request: bool,
    /// Whether and how orders that follow up on a subscription are taken.
    pub follow_ups: FollowUpSettings,
    /// How connectivity operations go.
    pub operations: OperationSettings,
    /// How events are sent.
    pub webhooks: WebhookSettings,
}

impl Settings {
    pub(crate) fn new(token_lifetime: Duration, connectivity: bool) -> Self {
        let mut denied = BTreeSet::from(["PATCH /sim-management".to_owned()]);
        if !connectivity {
            denied.insert("/connectivity-management".to_owned());
        }
        Self {
            token_lifetime,
            credentials_refused: false,
            latency: Duration::ZERO,
            date_skew: SignedDuration::ZERO,
            denied,
            catalog_published: true,
            preload_configured: true,
            subscribe_activates: true,
            subscribe_starts: false,
            add_on_parent_member: "parentSubscriptionId".to_owned(),
            answers_name_subscription: true,
            search_lag: Duration::ZERO,
            inventory: InventorySettings::default(),
            unknown_sim_is_bad_request: false,
            follow_ups: FollowUpSettings::default(),
            operations: OperationSettings::default(),
            webhooks: WebhookSettings::default(),
        }
    }

    /// Whether the account may use `method` on `path`, whose route has this template.
    pub(crate) fn permits(&self, method: &str, path: &str, template: &str) -> bool {
        let covers = |denied: &str| path.starts_with(denied) || template == denied;
        !self.denied.iter().any(|denied| match denied.split_once(' ') {
            Some((denied_method, denied)) => denied_method == method && covers(denied),
            None => covers(denied),
        })
    }
}

/// The settings in force. Reading takes no lock.
#[derive(Debug)]
pub(crate) struct InForce {
    current: ArcSwap<Settings>,
    /// Held while a change is worked out, so that none is lost.
    changing: Mutex<()>,
}

impl InForce {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            current: ArcSwap::from_pointee(settings),
            changing: Mutex::default(),
        }
    }

    pub(crate) fn load(&self) -> Arc<Settings> {
        self.current.load_full()
    }

    pub(crate) fn update(&self, change: impl FnOnce(&mut Settings)) {
        let _changing = lock(&self.changing);
        let mut settings = Settings::clone(&self.current.load());
        change(&mut settings);
        self.current.store(Arc::new(settings));
    }

    /// Takes the named members from a JSON object, or changes nothing and says what is wrong with it.
    pub(crate) fn merge(&self, changes: serde_json::Value) -> Result<(), String> {
        let serde_json::Value::Object(changes) = changes else {
            return Err("settings must be a JSON object".to_owned());
        };
        let _changing = lock(&self.changing);
        let mut merged = serde_json::to_value(self.load().as_ref()).map_err(|error| error.to_string())?;
        overlay(&mut merged, serde_json::Value::Object(changes));
        let settings = serde_json::from_value(merged).map_err(|error| error.to_string())?;
        self.current.store(Arc::new(settings));
        Ok(())
    }
}

/// Puts `changes` over `value`: objects member by member, everything else whole.
fn overlay(value: &mut serde_json::Value, changes: serde_json::Value) {
    match (value, changes) {
        (serde_json::Value::Object(members), serde_json::Value::Object(changes)) => {
            for (name, change) in changes {
                overlay(members.entry(name).or_insert(serde_json::Value::Null), change);
            }
        }
        (value, change) => *value = change,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ESIM: &str = "/sim-management/sims/api/esims/sim-serial/1";

    fn in_force() -> InForce {
        InForce::new(Settings::new(Duration::from_secs(3600), true))
    }

    #[test]
    fn a_merge_changes_only_what_it_names() {
        let settings = in_force();
        settings
            .merge(json!({ "token_lifetime": "90s", "denied": ["/sim-search"], "operations": { "outcome": "hang" } }))
            .unwrap();
        let now = settings.load();
        assert_eq!(now.token_lifetime, Duration::from_secs(90));
        assert!(now.catalog_published);
        assert_eq!(now.operations.outcome, crate::Outcome::Hang);
        assert_eq!(now.operations.delay, Duration::from_secs(1));
        assert!(!now.permits("GET", "/sim-search/api/sim/search", ""));
        assert!(now.permits("PATCH", ESIM, ""));
    }

    #[test]
    fn a_wrong_merge_changes_nothing() {
        let settings = in_force();
        let before = settings.load();
        for wrong in [
            json!({ "token_lifetme": "90s" }),
            json!({ "latency": 5 }),
            json!({ "operations": { "dely": "1s" } }),
            json!([]),
        ] {
            settings.merge(wrong).unwrap_err();
        }
        assert_eq!(*settings.load(), *before);
    }

    #[test]
    fn a_denial_can_name_one_route() {
        let settings = in_force();
        settings.update(|settings| {
            settings.denied.insert("POST /sims/{sim}/suspend".to_owned());
        });
        let now = settings.load();
        assert!(!now.permits("POST", "/sims/1/suspend", "/sims/{sim}/suspend"));
        assert!(now.permits("GET", "/sims/1/suspend", "/sims/{sim}/suspend"));
        assert!(now.permits("POST", "/sims/1/activate", "/sims/{sim}/activate"));
    }

    #[test]
    fn a_denial_can_name_a_method() {
        let settings = in_force().load();
        assert!(!settings.permits("PATCH", ESIM, ""));
        assert!(settings.permits("GET", ESIM, ""));
    }
}
