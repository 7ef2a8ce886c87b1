//! Events that wait to be sent, and what became of the others.
//!
//! Bounded: what does not fit is lost and counted, as is what waits when the
//! stream is suspended. Nothing in here waits but for a short lock.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::watch;

pub(super) use super::message::Message;
use super::{Webhook, WebhookSettings, delivery::Delivery, disturbance::Disturbance, event::Event};
use crate::sandbox::{clock::after, lock::lock};

/// How the stream of events stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct WebhookStatus {
    /// Where events are sent, without the secret; missing when they are not.
    pub url: Option<String>,
    /// Whether it was suspended after failing for too long.
    pub suspended: bool,
    /// Events that wait for their time, or to be sent again.
    pub waiting: usize,
    /// Events that are being sent.
    pub in_flight: usize,
    /// Events that somebody wanted since the start. One that is sent twice counts once.
    pub published: u64,
    /// Messages that were answered with 204.
    pub delivered: u64,
    /// Events that will never be sent.
    pub lost: u64,
}

/// What the sender is to do next.
#[derive(Debug)]
pub(super) enum Next {
    Send(u64, Message, Arc<Webhook>),
    WaitUntil(Timestamp),
    Wait,
}

#[derive(Debug, Default)]
struct State {
    webhook: Option<Arc<Webhook>>,
    status: WebhookStatus,
    /// By the time at which they are due, and then in the order in which they came.
    waiting: BTreeMap<(Timestamp, u64), Message>,
    in_flight: BTreeSet<u64>,
    /// Messages that go after the next one.
    held: Vec<Message>,
    /// Numbers of messages that a flush waits for.
    flushing: BTreeSet<u64>,
    disturbances: VecDeque<Disturbance>,
    /// Number of the last message.
    last: u64,
    ended: u64,
    deliveries: VecDeque<Delivery>,
}

impl State {
    fn put(&mut self, message: Message, due: Timestamp, capacity: usize) {
        if self.waiting.len() >= capacity {
            self.status.lost += 1;
            return;
        }
        self.last += 1;
        self.waiting.insert((due, self.last), message);
    }

    fn publish(&mut self, event: &Event, now: Timestamp, capacity: usize) {
        self.status.published += 1;
        if self.status.suspended {
            self.status.lost += 1;
            return;
        }
        let disturbance = self.disturbances.pop_front();
        let message = Message::new(event, disturbance);
        match disturbance {
            Some(Disturbance::Lose) => {
                self.status.lost += 1;
                return;
            }
            Some(Disturbance::Reorder) => {
                self.held.push(message);
                return;
            }
            Some(Disturbance::Delay { duration }) => self.put(message, after(now, duration), capacity),
            Some(Disturbance::Duplicate { times }) => {
                for _ in 0..=times {
                    self.put(message.clone(), now, capacity);
                }
            }
            _ => self.put(message, now, capacity),
        }
        for held in std::mem::take(&mut self.held) {
            self.put(held, now, capacity);
        }
    }

    fn suspend(&mut self) {
        self.status.suspended = true;
        self.lose_all();
    }

    fn lose_all(&mut self) {
        let lost = self.waiting.len() + self.held.len();
        self.status.lost += u64::try_from(lost).unwrap_or(u64::MAX);
        self.waiting.clear();
        self.held.clear();
        self.flushing.clear();
    }

    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.held.is_empty() && self.in_flight.is_empty()
    }
}

/// The queue between what happens and who sends it.
#[derive(Debug)]
pub(in crate::sandbox) struct Outbox {
    wanted: AtomicBool,
    state: Mutex<State>,
    changed: watch::Sender<()>,
    /// How many deliveries are kept.
    kept: usize,
}

impl Outbox {
    pub(in crate::sandbox) fn new(webhook: Option<Webhook>, kept: usize) -> Self {
        let outbox = Self {
            wanted: AtomicBool::new(false),
            state: Mutex::default(),
            changed: watch::Sender::new(()),
            kept,
        };
        outbox.set_webhook(webhook);
        outbox
    }

    /// Whether anybody is told of events. Takes no lock.
    pub(in crate::sandbox) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Acquire)
    }

    /// Sends events there from now on, also what waits. Without a receiver what waits is lost.
    pub(in crate::sandbox) fn set_webhook(&self, webhook: Option<Webhook>) {
        self.wanted.store(webhook.is_some(), Ordering::Release);
        self.change(|state| {
            if webhook.is_none() {
                state.lose_all();
            }
            state.status.suspended = false;
            state.webhook = webhook.map(Arc::new);
        });
    }

    pub(in crate::sandbox) fn publish(&self, events: Vec<Event>, now: Timestamp, capacity: usize) {
        self.change(|state| {
            let Some(webhook) = state.webhook.clone() else {
                return;
            };
            for event in events.iter().filter(|event| webhook.wants(&event.event_type)) {
                state.publish(event, now, capacity);
            }
        });
    }

    /// Sends these bytes, whatever they are, signed as an event is.
    pub(in crate::sandbox) fn publish_raw(&self, body: Bytes, now: Timestamp, capacity: usize) {
        self.change(|state| {
            if state.webhook.is_some() && !state.status.suspended {
                state.put(Message::raw(body), now, capacity);
            }
        });
    }

    pub(in crate::sandbox) fn disturb(&self, disturbances: impl IntoIterator<Item = Disturbance>) {
        self.change(|state| state.disturbances.extend(disturbances));
    }

    pub(in crate::sandbox) fn clear_disturbances(&self) {
        self.change(|state| state.disturbances.clear());
    }

    /// Lets a suspended stream go on with what happens from now on.
    pub(in crate::sandbox) fn resume(&self) {
        self.change(|state| state.status.suspended = false);
    }

    pub(in crate::sandbox) fn status(&self) -> WebhookStatus {
        let state = lock(&self.state);
        WebhookStatus {
            url: state.webhook.as_ref().map(|webhook| webhook.url.clone()),
            waiting: state.waiting.len() + state.held.len(),
            in_flight: state.in_flight.len(),
            ..state.status.clone()
        }
    }

    pub(in crate::sandbox) fn deliveries(&self) -> Vec<Delivery> {
        lock(&self.state).deliveries.iter().cloned().collect()
    }

    pub(in crate::sandbox) fn clear_deliveries(&self) {
        lock(&self.state).deliveries.clear();
    }

    /// Makes everything due that waits, and returns when each of these messages was sent once. Cancel-safe.
    pub(in crate::sandbox) async fn flush(&self, now: Timestamp, capacity: usize) {
        self.change(|state| {
            if state.webhook.is_none() || state.status.suspended {
                return;
            }
            for held in std::mem::take(&mut state.held) {
                state.put(held, now, capacity);
            }
            state.waiting = std::mem::take(&mut state.waiting)
                .into_iter()
                .map(|((due, number), message)| ((due.min(now), number), message))
                .collect();
            state.flushing = state.waiting.keys().map(|(_, number)| *number).collect();
            state.flushing.extend(&state.in_flight);
        });
        self.until(|state| state.flushing.is_empty()).await;
    }

    /// Returns when nothing waits and nothing is on its way. Cancel-safe.
    pub(in crate::sandbox) async fn until_empty(&self) {
        self.until(State::is_empty).await;
    }

    /// Told of every change of the queue.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    pub(super) fn next(&self, now: Timestamp, at_a_time: usize) -> Next {
        let mut state = lock(&self.state);
        let Some(webhook) = state.webhook.clone() else {
            return Next::Wait;
        };
        if state.in_flight.len() >= at_a_time.max(1) {
            return Next::Wait;
        }
        match state.waiting.first_key_value().map(|((due, _), _)| *due) {
            None => Next::Wait,
            Some(due) if due > now => Next::WaitUntil(due),
            Some(_) => match state.waiting.pop_first() {
                Some(((_, number), message)) => {
                    state.in_flight.insert(number);
                    Next::Send(number, message, webhook)
                }
                None => Next::Wait,
            },
        }
    }

    /// Notes how an attempt has ended, and sees to the next one when it has failed.
    pub(super) fn ended(
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
            if state.webhook.is_none() || state.status.suspended {
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

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut lock(&self.state));
        self.changed.send_replace(());
    }

    async fn until(&self, reached: impl Fn(&State) -> bool) {
        let mut changes = self.changes();
        loop {
            changes.borrow_and_update();
            if reached(&lock(&self.state)) || changes.changed().await.is_err() {
                return;
            }
        }
    }
}
