//! Events that wait to be sent, and what became of the others.
//!
//! Bounded: what does not fit is lost and counted, as is what waits when the
//! stream is suspended. Nothing in here waits but for a short lock.

use std::{
    ops::RangeInclusive,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::watch;

use crate::{
    lock::lock,
    webhooks::{
        delivery::Delivery,
        disturbance::Disturbance,
        event::Event,
        message::Message,
        queue::{EventOrder, Queue},
        receiver::Webhook,
        status::WebhookStatus,
    },
    world::{settings::webhooks::WebhookSettings, stock::ids::SimNumber},
};

/// What the sender is to do next.
#[derive(Debug)]
pub(crate) enum Next {
    Send(u64, Message, Arc<Webhook>),
    WaitUntil(Timestamp),
    Wait,
}

/// The queue between what happens and who sends it.
#[derive(Debug)]
pub(crate) struct Outbox {
    wanted: AtomicBool,
    state: Mutex<Queue>,
    changed: watch::Sender<()>,
    /// How many deliveries are kept.
    kept: usize,
}

impl Outbox {
    pub(crate) fn new(webhook: Option<Webhook>, kept: usize) -> Self {
        let outbox = Self {
            wanted: AtomicBool::new(false),
            state: Mutex::default(),
            changed: watch::Sender::new(()),
            kept,
        };
        outbox.set_webhook(webhook);
        outbox
    }

    /// Whether events have a receiver. Takes no lock.
    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Acquire)
    }

    /// Sends events there from now on, also what waits. Without a receiver what waits is lost, unless events are held
    /// back.
    pub(crate) fn set_webhook(&self, webhook: Option<Webhook>) {
        self.change(|queue| queue.set_webhook(webhook));
    }

    /// Sends nothing until a release, and keeps what happens, also without a receiver.
    pub(crate) fn hold(&self) {
        self.change(|queue| queue.holding = true);
    }

    /// Sends what was held back, in this order, and says how many messages those are.
    pub(crate) fn release(&self, order: EventOrder, now: Timestamp, capacity: usize) -> usize {
        self.change(|queue| queue.release(order, now, capacity))
    }

    pub(crate) fn publish(&self, events: Vec<Event>, now: Timestamp, settings: &WebhookSettings) {
        self.change(|queue| {
            for event in &events {
                queue.publish(event, now, settings);
            }
        });
    }

    /// Sends these bytes, whatever they are, signed as an event is.
    pub(crate) fn publish_raw(&self, body: Bytes, now: Timestamp, capacity: usize) {
        self.change(|queue| queue.publish_raw(body, now, capacity));
    }

    /// Disturbs the next events, of one SIM or of all.
    pub(crate) fn disturb(
        &self,
        sim: Option<SimNumber>,
        disturbances: impl IntoIterator<Item = Disturbance>,
    ) {
        self.change(|queue| queue.disturb(sim, disturbances));
    }

    pub(crate) fn clear_disturbances(&self) {
        self.change(Queue::clear_disturbances);
    }

    /// Lets a suspended stream go on with what happens from now on.
    pub(crate) fn resume(&self) {
        self.change(|state| state.status.suspended = false);
    }

    pub(crate) fn status(&self) -> WebhookStatus {
        let state = lock(&self.state);
        WebhookStatus {
            url: state.webhook.as_ref().map(|webhook| webhook.url.clone()),
            waiting: state.kept(),
            in_flight: state.in_flight.len(),
            holding: state.holding,
            ..state.status.clone()
        }
    }

    pub(crate) fn deliveries(&self) -> Vec<Delivery> {
        lock(&self.state).deliveries.iter().cloned().collect()
    }

    pub(crate) fn clear_deliveries(&self) {
        lock(&self.state).deliveries.clear();
    }

    /// Makes everything due that waits, and returns when each of these messages was sent once. Cancel-safe.
    pub(crate) async fn flush(&self, now: Timestamp, capacity: usize) {
        self.change(|queue| queue.flush(now, capacity));
        self.until(|state| state.flushing.is_empty()).await;
    }

    /// Returns when nothing waits and nothing is on its way. Cancel-safe.
    pub(crate) async fn until_empty(&self) {
        self.until(Queue::is_empty).await;
    }

    /// The number of the last event.
    pub(crate) fn last_event(&self) -> u64 {
        lock(&self.state).last_event
    }

    /// Returns when the events with these numbers have arrived or are lost. Cancel-safe.
    pub(crate) async fn until_arrived(&self, events: RangeInclusive<u64>) {
        self.until(|queue| queue.is_done_with(&events)).await;
    }

    /// Told of every change of the queue.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    pub(crate) fn next(&self, now: Timestamp, at_a_time: usize) -> Next {
        let mut state = lock(&self.state);
        let Some(webhook) = state.webhook.clone() else {
            return Next::Wait;
        };
        if state.holding || state.in_flight.len() >= at_a_time.max(1) {
            return Next::Wait;
        }
        match state.waiting.first_key_value().map(|((due, _), _)| *due) {
            None => Next::Wait,
            Some(due) if due > now => Next::WaitUntil(due),
            Some(_) => match state.waiting.pop_first() {
                Some(((_, number), message)) => {
                    state.in_flight.insert(number, message.number);
                    Next::Send(number, message, webhook)
                }
                None => Next::Wait,
            },
        }
    }

    /// Notes how an attempt has ended, and sees to the next one when it has failed.
    pub(crate) fn ended(
        &self,
        number: u64,
        mut message: Message,
        delivery: Delivery,
        now: Timestamp,
        settings: &WebhookSettings,
    ) {
        self.change(|state| {
            state.in_flight.remove(&number);
            state.flushing.remove(&number);
            let arrived = delivery.status == Some(204);
            state.ended += 1;
            if self.kept > 0 {
                if state.deliveries.len() >= self.kept {
                    state.deliveries.pop_front();
                }
                let number = state.ended;
                state.deliveries.push_back(Delivery { number, ..delivery });
            }
            if arrived {
                state.status.delivered += 1;
                return;
            }
            message.failures += 1;
            let since = *message.failing_since.get_or_insert(now);
            let failing = now.duration_since(since).unsigned_abs();
            if !state.is_wanted() || state.status.suspended {
                state.status.lost += 1;
            } else if message.failures > 1 && failing >= settings.give_up_after {
                state.status.lost += 1;
                state.suspend();
            } else {
                let due = settings.next_attempt(message.failures, now);
                state.waiting.insert((due, number), message);
            }
        });
    }

    fn change<R>(&self, change: impl FnOnce(&mut Queue) -> R) -> R {
        let result = {
            let mut queue = lock(&self.state);
            let result = change(&mut queue);
            self.wanted.store(queue.is_wanted(), Ordering::Release);
            result
        };
        self.changed.send_replace(());
        result
    }

    async fn until(&self, reached: impl Fn(&Queue) -> bool) {
        let mut changes = self.changes();
        loop {
            changes.borrow_and_update();
            if reached(&lock(&self.state)) || changes.changed().await.is_err() {
                return;
            }
        }
    }
}
