//! Which event is sent when: the state of the outbox, without its lock.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::Arc,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    webhooks::{
        delivery::Delivery, disturbance::Disturbance, event::Event, message::Message, receiver::Webhook,
        status::WebhookStatus,
    },
    world::{
        clock::after,
        settings::webhooks::WebhookSettings,
        stock::ids::{SimNumber, mix},
    },
};

/// In which order events are sent that were held back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventOrder {
    /// As they happened.
    #[default]
    AsHappened,
    /// The last first.
    Reversed,
    /// In an order that this number decides: the same number gives the same order.
    Shuffled(u64),
}

/// When a message is due, and its place among those that are due at the same time.
pub(crate) type Place = (Timestamp, u64);

#[derive(Debug, Default)]
pub(crate) struct Queue {
    pub(crate) webhook: Option<Arc<Webhook>>,
    pub(crate) status: WebhookStatus,
    /// By the time at which they are due, and then in the order in which they came.
    pub(crate) waiting: BTreeMap<Place, Message>,
    /// Places of the messages that are being sent, with the numbers of their events.
    pub(crate) in_flight: BTreeMap<u64, u64>,
    /// Messages that go after the next one.
    behind_next: Vec<Message>,
    /// Messages that wait for a release.
    held: Vec<Message>,
    /// Whether nothing is sent until a release, and what happens is kept even without a receiver.
    pub(crate) holding: bool,
    /// Places of messages that a flush waits for.
    pub(crate) flushing: BTreeSet<u64>,
    disturbances: VecDeque<Disturbance>,
    disturbances_by_sim: HashMap<SimNumber, VecDeque<Disturbance>>,
    last_place: u64,
    pub(crate) last_event: u64,
    pub(crate) ended: u64,
    pub(crate) deliveries: VecDeque<Delivery>,
}

impl Queue {
    /// Whether events have a receiver, now or later.
    pub(crate) fn is_wanted(&self) -> bool {
        self.webhook.is_some() || self.holding
    }

    /// How many messages are not sent and not lost.
    pub(crate) fn kept(&self) -> usize {
        self.waiting.len() + self.held.len() + self.behind_next.len()
    }

    fn put(&mut self, message: Message, due: Timestamp, capacity: usize) {
        if self.kept() >= capacity {
            self.status.lost += 1;
            return;
        }
        self.last_place += 1;
        self.waiting.insert((due, self.last_place), message);
    }

    pub(crate) fn publish(&mut self, event: &Event, now: Timestamp, settings: &WebhookSettings) {
        let unwanted = |webhook: &Arc<Webhook>| !webhook.wants(&event.event_type);
        if !self.is_wanted() || self.webhook.as_ref().is_some_and(unwanted) {
            return;
        }
        self.status.published += 1;
        self.last_event += 1;
        if self.status.suspended {
            self.status.lost += 1;
            return;
        }
        let disturbance = self.take_disturbance(event.sim);
        let message = Message::new(event, self.last_event, disturbance);
        let capacity = settings.capacity;
        let due = after(now, settings.delay(&event.event_type));
        match disturbance {
            Some(Disturbance::Lose) => {
                self.status.lost += 1;
                return;
            }
            Some(Disturbance::Reorder) => {
                self.behind_next.push(message);
                return;
            }
            Some(Disturbance::Hold) if self.kept() < capacity => self.held.push(message),
            Some(Disturbance::Hold) => self.status.lost += 1,
            Some(Disturbance::Delay { duration }) => self.put(message, after(due, duration), capacity),
            Some(Disturbance::Again { duration }) => {
                self.put(message.clone(), due, capacity);
                self.put(message, after(due, duration), capacity);
            }
            Some(Disturbance::Duplicate { times }) => {
                for _ in 0..=times {
                    self.put(message.clone(), due, capacity);
                }
            }
            _ => self.put(message, due, capacity),
        }
        for message in std::mem::take(&mut self.behind_next) {
            self.put(message, due, capacity);
        }
    }

    /// Puts a message that is no event of the simulator's.
    pub(crate) fn publish_raw(&mut self, body: bytes::Bytes, now: Timestamp, capacity: usize) {
        if self.is_wanted() && !self.status.suspended {
            self.last_event += 1;
            self.put(Message::raw(body, self.last_event), now, capacity);
        }
    }

    pub(crate) fn disturb(
        &mut self,
        sim: Option<SimNumber>,
        disturbances: impl IntoIterator<Item = Disturbance>,
    ) {
        match sim {
            Some(sim) => self
                .disturbances_by_sim
                .entry(sim)
                .or_default()
                .extend(disturbances),
            None => self.disturbances.extend(disturbances),
        }
    }

    pub(crate) fn clear_disturbances(&mut self) {
        self.disturbances.clear();
        self.disturbances_by_sim.clear();
    }

    /// Those of the event's SIM come before those of all events.
    fn take_disturbance(&mut self, sim: Option<SimNumber>) -> Option<Disturbance> {
        sim.and_then(|sim| self.disturbances_by_sim.get_mut(&sim)?.pop_front())
            .or_else(|| self.disturbances.pop_front())
    }

    /// Sends events there from now on, also what waits and is wanted there. Without a receiver what waits is lost,
    /// unless events are held back.
    pub(crate) fn set_webhook(&mut self, webhook: Option<Webhook>) {
        self.status.suspended = false;
        self.webhook = webhook.map(Arc::new);
        match self.webhook.clone() {
            Some(webhook) => {
                let before = self.kept();
                let wanted =
                    |message: &Message| message.event_type.is_empty() || webhook.wants(&message.event_type);
                self.waiting.retain(|_, message| wanted(message));
                self.held.retain(wanted);
                self.behind_next.retain(wanted);
                self.count_lost(before - self.kept());
            }
            None if self.holding => {}
            None => self.lose_all(),
        }
    }

    /// Ends the holding back, makes everything due that was held, and says how many messages those are. Without a
    /// receiver they are lost.
    pub(crate) fn release(&mut self, order: EventOrder, now: Timestamp, capacity: usize) -> usize {
        self.holding = false;
        if self.webhook.is_none() {
            self.lose_all();
            return 0;
        }
        let late = self.waiting.split_off(&(now, u64::MAX));
        let mut released: Vec<_> = std::mem::replace(&mut self.waiting, late).into_values().collect();
        released.append(&mut self.held);
        released.append(&mut self.behind_next);
        released.sort_by_key(|message| message.number);
        match order {
            EventOrder::AsHappened => {}
            EventOrder::Reversed => released.reverse(),
            EventOrder::Shuffled(seed) => released.sort_by_key(|message| mix(seed ^ mix(message.number))),
        }
        let count = released.len();
        for message in released {
            self.put(message, now, capacity);
        }
        count
    }

    /// Makes everything due that waits, and remembers which messages those are.
    pub(crate) fn flush(&mut self, now: Timestamp, capacity: usize) {
        if self.webhook.is_none() || self.status.suspended || self.holding {
            return;
        }
        let held = std::mem::take(&mut self.held);
        for message in held.into_iter().chain(std::mem::take(&mut self.behind_next)) {
            self.put(message, now, capacity);
        }
        self.waiting = std::mem::take(&mut self.waiting)
            .into_iter()
            .map(|((due, place), message)| ((due.min(now), place), message))
            .collect();
        self.flushing = self.waiting.keys().map(|(_, place)| *place).collect();
        self.flushing.extend(self.in_flight.keys());
    }

    pub(crate) fn suspend(&mut self) {
        self.status.suspended = true;
        self.lose_all();
    }

    fn lose_all(&mut self) {
        self.count_lost(self.kept());
        self.waiting.clear();
        self.held.clear();
        self.behind_next.clear();
        self.flushing.clear();
    }

    fn count_lost(&mut self, messages: usize) {
        self.status.lost += u64::try_from(messages).unwrap_or(u64::MAX);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.kept() == 0 && self.in_flight.is_empty()
    }

    /// Whether no message is left of the events with these numbers.
    pub(crate) fn is_done_with(&self, events: &std::ops::RangeInclusive<u64>) -> bool {
        let kept = self.waiting.values().chain(&self.held).chain(&self.behind_next);
        let in_flight = self.in_flight.values().copied();
        !kept
            .map(|message| message.number)
            .chain(in_flight)
            .any(|number| events.contains(&number))
    }
}
