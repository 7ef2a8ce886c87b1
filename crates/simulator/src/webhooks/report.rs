//! Turns what happens to a SIM into events.

use jiff::Timestamp;

use crate::{
    webhooks::{event, outbox::Outbox},
    world::{
        identity::Identity,
        listener::Listener,
        settings::webhooks::WebhookSettings,
        stock::{news::News, sim::Sim},
    },
};

impl Listener for Outbox {
    fn is_wanted(&self) -> bool {
        Self::is_wanted(self)
    }

    fn report(&self, account: &Identity, settings: &WebhookSettings, sim: &Sim, news: &News, now: Timestamp) {
        self.publish(event::all(account, settings, sim, news), now, settings);
    }
}
