//! Passes on what happens to a SIM.

use std::fmt::Debug;

use jiff::Timestamp;

use crate::world::{
    identity::Identity,
    settings::webhooks::WebhookSettings,
    stock::{news::News, sim::Sim},
};

/// Receives everything that happens to a SIM. Called while the SIM is locked, so it must not ask the provider for one.
pub(crate) trait Listener: Debug + Send + Sync {
    /// Whether anybody wants to know. Cheap.
    fn is_wanted(&self) -> bool;

    /// Takes what has happened to `sim`.
    fn report(&self, account: &Identity, settings: &WebhookSettings, sim: &Sim, news: &News, now: Timestamp);
}
