//! Control of events and their delivery.

use bytes::Bytes;
use serde_json::Value;
use uuid::Uuid;

use crate::{
    control::handle::Control,
    webhooks::{
        delivery::Delivery, disturbance::Disturbance, event::Event, queue::EventOrder, receiver::Webhook,
        status::WebhookStatus,
    },
    world::impossible::Impossible,
};

impl Control {
    /// Sends events to this receiver from now on, also those that wait, each when it is due; or to nobody: then
    /// those are lost, unless events are held. A suspended stream goes on.
    ///
    /// # Errors
    ///
    /// When the address is not a plain HTTP one.
    pub fn set_webhook(&self, webhook: Option<Webhook>) -> Result<(), Impossible> {
        if webhook.as_ref().is_some_and(|webhook| webhook.uri().is_none()) {
            return Err(Impossible::Receiver);
        }
        let provider = &self.provider;
        provider.catch_up();
        self.outbox.set_webhook(webhook);
        if self.outbox.is_wanted() {
            provider.tell_from_now_on();
        }
        Ok(())
    }

    /// How the stream of events stands.
    pub fn webhook_status(&self) -> WebhookStatus {
        self.outbox.status()
    }

    /// Lets a stream go on that was suspended. What was lost stays lost.
    pub fn resume_webhook(&self) {
        self.outbox.resume();
    }

    /// Spoils the next events on their way, one disturbance each.
    pub fn disturb_events(&self, disturbances: impl IntoIterator<Item = Disturbance>) {
        self.outbox.disturb(None, disturbances);
    }

    /// Spoils the next events of one SIM on their way, one disturbance each. These come before the ones for all
    /// events.
    ///
    /// # Errors
    ///
    /// When there is no such SIM.
    pub fn disturb_events_of(
        &self,
        key: &str,
        disturbances: impl IntoIterator<Item = Disturbance>,
    ) -> Result<(), Impossible> {
        let number = self.on(key, |sim, _| sim.number)?;
        self.outbox.disturb(Some(number), disturbances);
        Ok(())
    }

    /// Sends no event until [`Control::release_events`]. What happens meanwhile is kept, also while there is no
    /// receiver: so events can wait for one that starts again, at another address too.
    pub fn hold_events(&self) {
        let provider = &self.provider;
        provider.catch_up();
        let wanted_before = self.outbox.is_wanted();
        self.outbox.hold();
        if !wanted_before {
            provider.tell_from_now_on();
        }
    }

    /// Sends what was held back, by [`Control::hold_events`] or [`Disturbance::Hold`], and says how many messages
    /// those are. What is due later is sent then. Without a receiver what was held is lost.
    pub fn release_events(&self, order: EventOrder) -> usize {
        let provider = &self.provider;
        provider.catch_up();
        let settings = provider.settings.load();
        self.outbox
            .release(order, provider.clock.now(), settings.webhooks.capacity)
    }

    /// Drops the disturbances that have not hit an event.
    pub fn clear_disturbances(&self) {
        self.outbox.clear_disturbances();
    }

    /// Sends an event that nothing has caused, and gives its id. The type may be any text.
    pub fn send_event(&self, event_type: &str, body: Value) -> Uuid {
        let provider = &self.provider;
        let event = Event {
            id: Uuid::new_v4(),
            sim: None,
            event_type: event_type.to_owned(),
            at: provider.clock.now(),
            body,
        };
        let (id, at) = (event.id, event.at);
        self.outbox
            .publish(vec![event], at, &provider.settings.load().webhooks);
        id
    }

    /// Posts these bytes as if they were an event, with a good signature.
    pub fn send_raw_event(&self, body: impl Into<Bytes>) {
        let provider = &self.provider;
        self.outbox
            .publish_raw(body.into(), provider.clock.now(), self.capacity());
    }

    /// Sends everything now that waits, and returns when each of these events was tried once more. What fails again
    /// waits again. Does nothing while events are held. Cancel-safe.
    pub async fn flush_events(&self) {
        let provider = &self.provider;
        provider.catch_up();
        self.outbox.flush(provider.clock.now(), self.capacity()).await;
    }

    /// Returns when no event waits and none is on its way. Does not return while a receiver refuses one, and not
    /// while one is held back by [`Disturbance::Reorder`]. Cancel-safe.
    pub async fn until_events_sent(&self) {
        self.provider.catch_up();
        self.outbox.until_empty().await;
    }

    /// The last attempts to deliver an event, in the order in which they ended.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.outbox.deliveries()
    }

    /// Forgets the last attempts.
    pub fn clear_deliveries(&self) {
        self.outbox.clear_deliveries();
    }

    fn capacity(&self) -> usize {
        self.provider.settings.load().webhooks.capacity
    }
}
