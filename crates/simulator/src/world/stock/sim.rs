//! One SIM with all that hangs on it, and what can happen to it.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::{
    catalog::{destinations::Destination, eligibility::Standing, product::Product},
    impossible::Impossible,
    settings::operations::Decided,
    stock::{
        ids::{SimNumber, SubscriptionIds},
        news::{LineEvent, LineNews, News, SubscriptionEvent},
        profile::Profile,
        status::{ProfileStatus, SimStatus},
        subscription::{Phase, Subscription},
    },
    visibility::{InventorySettings, Oddity, Showing, Shown, Visibility},
};

/// How SIM Search tells of a SIM, when it is not the usual way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Listing {
    #[default]
    Usual,
    /// Only the one member that is never missing.
    SerialOnly,
    /// The status in capitals without a hyphen.
    Shouted,
}

#[derive(Clone, Debug)]
pub(crate) struct Sim {
    /// The line: decides over the MSISDN and the ids of the subscriptions.
    pub(crate) number: SimNumber,
    /// The card: decides over ICCID, IMSI and EID. Another one's after a swap.
    pub(crate) card: SimNumber,
    pub(crate) status: SimStatus,
    pub(crate) status_since: Timestamp,
    /// The status before this one. SIM Search may still show it.
    pub(crate) status_before: SimStatus,
    pub(crate) group: Option<String>,
    /// `externalReference` of the last operation that named one.
    pub(crate) external_reference: Option<String>,
    pub(crate) metadata: BTreeMap<String, String>,
    /// Options of the line by name, `on` or `off`.
    pub(crate) line_options: BTreeMap<String, &'static str>,
    /// Given in place of options.
    pub(crate) service_profile: Option<String>,
    /// The transaction that has to end before another may begin.
    pub(crate) pending: Option<Uuid>,
    /// What becomes of the next operations.
    pub(crate) outcomes: VecDeque<Decided>,
    /// What has happened to the line and was not reported yet.
    news: Vec<LineNews>,
    /// When somebody will look at the SIM by themselves.
    pub(crate) wakes_at: Option<Timestamp>,
    pub(crate) activated_at: Option<Timestamp>,
    pub(crate) last_seen: Option<(Timestamp, &'static Destination)>,
    /// `None` for a physical SIM.
    pub(crate) profile: Option<Profile>,
    /// In the order in which they were added.
    pub(crate) subscriptions: Vec<Subscription>,
    pub(crate) listing: Listing,
    /// How the inventory shows what the next orders place.
    pub(crate) showings: VecDeque<Showing>,
    /// Whether the inventory shows nothing new of this SIM.
    inventory_held: bool,
    /// Of the subscriptions to come.
    pub(crate) ids: SubscriptionIds,
}

impl Sim {
    pub(crate) fn new(number: SimNumber, status: SimStatus, since: Timestamp, ids: SubscriptionIds) -> Self {
        Self {
            number,
            card: number,
            status,
            status_since: since,
            status_before: status,
            group: None,
            external_reference: None,
            metadata: BTreeMap::new(),
            line_options: BTreeMap::from([("DATA_ROAMING".to_owned(), "on")]),
            service_profile: None,
            pending: None,
            outcomes: VecDeque::new(),
            news: Vec::new(),
            wakes_at: None,
            activated_at: None,
            last_seen: None,
            profile: None,
            subscriptions: Vec::new(),
            listing: Listing::Usual,
            showings: VecDeque::new(),
            inventory_held: false,
            ids,
        }
    }

    /// Of its card.
    pub(crate) fn iccid(&self) -> String {
        self.card.iccid()
    }

    /// Ends every subscription before its time.
    pub(crate) fn end_subscriptions(&mut self, at: Timestamp) {
        for subscription in &mut self.subscriptions {
            subscription.end(at, SubscriptionEvent::Terminated);
        }
    }

    /// Does what time has brought since the last look.
    pub(crate) fn settle(&mut self, now: Timestamp) {
        for subscription in &mut self.subscriptions {
            subscription.settle(now);
        }
        self.end_add_ons();
    }

    /// Ends each add-on whose parent has ended.
    pub(crate) fn end_add_ons(&mut self) {
        for position in 0..self.subscriptions.len() {
            let parent = self
                .subscriptions
                .get(position)
                .filter(|add_on| add_on.is_live())
                .and_then(|add_on| self.subscription(add_on.parent?));
            if let Some(Phase::Ended { at, .. }) = parent.map(|parent| parent.phase)
                && let Some(add_on) = self.subscriptions.get_mut(position)
            {
                add_on.end(at, SubscriptionEvent::Terminated);
            }
        }
    }

    pub(crate) fn set_status(&mut self, status: SimStatus, now: Timestamp) {
        self.go_over(status, now, None);
    }

    /// Goes over to a status, on behalf of a transaction if there is one.
    pub(crate) fn go_over(&mut self, status: SimStatus, now: Timestamp, transaction: Option<Uuid>) {
        if self.status != status {
            if let Some(event) = LineEvent::of(self.status, status) {
                self.note(event, status, now, transaction);
            }
            self.status_before = self.status;
            self.status = status;
            self.status_since = now;
        }
        if status == SimStatus::Active {
            self.activated_at.get_or_insert(now);
        }
    }

    /// Remembers that something has happened to the line.
    pub(crate) fn note(
        &mut self,
        event: LineEvent,
        status: SimStatus,
        at: Timestamp,
        transaction: Option<Uuid>,
    ) {
        self.news.push(LineNews {
            at,
            event,
            status,
            transaction,
        });
    }

    /// Takes what was not reported yet, oldest first of each kind. `None`, without any work, when there is nothing.
    pub(crate) fn take_news(&mut self) -> Option<News> {
        let unreported = self
            .profile
            .as_ref()
            .is_some_and(|profile| profile.reported < profile.history.len());
        if !unreported
            && self.news.is_empty()
            && self
                .subscriptions
                .iter()
                .all(|subscription| subscription.news.is_empty())
        {
            return None;
        }
        let mut news = News {
            line: std::mem::take(&mut self.news),
            ..News::default()
        };
        if let Some(profile) = &mut self.profile {
            news.profile = profile.history.iter().skip(profile.reported).copied().collect();
            profile.reported = profile.history.len();
        }
        for (position, subscription) in self.subscriptions.iter_mut().enumerate() {
            let unreported = std::mem::take(&mut subscription.news);
            news.subscriptions
                .extend(unreported.into_iter().map(|news| (position, news)));
        }
        news.subscriptions.sort_by_key(|(_, news)| news.at);
        Some(news)
    }

    /// Drops what was not reported about the line.
    pub(crate) fn hush(&mut self) {
        self.news.clear();
    }

    /// When time will next change one of its subscriptions.
    pub(crate) fn next_change(&self) -> Option<Timestamp> {
        self.subscriptions
            .iter()
            .filter_map(Subscription::next_change)
            .min()
    }

    /// Adds a subscription that waits for its first use, unless `begin` does something else with it, and gives its id.
    pub(crate) fn add(
        &mut self,
        product: Arc<Product>,
        now: Timestamp,
        begin: impl FnOnce(&mut Subscription),
    ) -> Uuid {
        // Nothing is ever removed, so the length is a number that no other has.
        let sequence = u32::try_from(self.subscriptions.len()).unwrap_or(u32::MAX);
        let mut subscription = Subscription::new(self.ids.id(self.number, sequence), product, now);
        subscription.preloaded = self.status == SimStatus::PreActivated;
        begin(&mut subscription);
        match subscription.phase {
            Phase::Waiting if subscription.preloaded => subscription.note(now, SubscriptionEvent::Preloaded),
            Phase::Waiting | Phase::Scheduled(_) => subscription.note(now, SubscriptionEvent::Deferred),
            Phase::Running(_) | Phase::Ended { .. } => {}
        }
        let id = subscription.id;
        self.subscriptions.push(subscription);
        id
    }

    /// Whether the inventory shows what an order places now, and what is wrong with it.
    pub(crate) fn next_showing(
        &mut self,
        settings: &InventorySettings,
        now: Timestamp,
    ) -> (Shown, Option<Oddity>) {
        let decided = self.showings.pop_front().unwrap_or_default();
        let visibility = decided.visibility.unwrap_or(Visibility::After(settings.lag));
        let shown = match visibility {
            Visibility::After(_) if self.inventory_held => Shown::OnRelease,
            visibility => Shown::of_order(visibility, now),
        };
        (shown, decided.oddity.or(settings.oddity))
    }

    /// Lets the inventory show nothing of this SIM that it does not show by now.
    pub(crate) fn hold_inventory(&mut self, now: Timestamp) {
        self.inventory_held = true;
        for subscription in &mut self.subscriptions {
            subscription.shown.hold(now);
        }
    }

    /// Lets the inventory show what is held back or late, and says how many subscriptions that are.
    pub(crate) fn show_inventory(&mut self, now: Timestamp) -> usize {
        self.inventory_held = false;
        let hidden = self.subscriptions.iter_mut();
        hidden
            .map(|subscription| usize::from(subscription.shown.release(now)))
            .sum()
    }

    /// The running recurring subscription that a new one would take the place of.
    pub(crate) fn renewing(&mut self) -> Option<&mut Subscription> {
        self.subscriptions
            .iter_mut()
            .find(|subscription| subscription.renews())
    }

    pub(crate) fn subscription(&self, id: Uuid) -> Option<&Subscription> {
        self.subscriptions
            .iter()
            .find(|subscription| subscription.id == id)
    }

    /// Attaches to a network of a country: the profile comes into use, the SIM becomes active, and subscriptions that
    /// wait for this country start.
    pub(crate) fn attach(
        &mut self,
        country: &'static Destination,
        walled_garden: Option<Arc<Product>>,
        now: Timestamp,
    ) -> Result<(), Impossible> {
        if !self.status.takes_orders() {
            return Err(Impossible::Status(self.status));
        }
        if let Some(profile) = &mut self.profile {
            if !profile.is_released() || profile.status == ProfileStatus::Deleted {
                return Err(Impossible::Profile(profile.status));
            }
            profile.enable(self.card.eid(), now);
        }
        if self.status == SimStatus::PreActivated {
            self.set_status(SimStatus::Active, now);
            if let Some(product) = walled_garden {
                self.add(product, now, |walled_garden| walled_garden.start(now));
            }
        }
        self.last_seen = Some((now, country));
        for subscription in &mut self.subscriptions {
            if subscription.phase == Phase::Waiting && subscription.product.covers(country) {
                subscription.start(now);
            }
        }
        Ok(())
    }

    /// Uses data where the SIM was last seen, from the oldest subscription on, and says how many KB no subscription
    /// gave. An unlimited one whose fair-use volume is spent gives the rest, after all others.
    pub(crate) fn use_data(&mut self, kb: i64, now: Timestamp) -> Result<i64, Impossible> {
        if self.status != SimStatus::Active {
            return Err(Impossible::Status(self.status));
        }
        if let Some(profile) = self
            .profile
            .as_ref()
            .filter(|profile| profile.status != ProfileStatus::Enabled)
        {
            return Err(Impossible::Profile(profile.status));
        }
        let Some((_, country)) = self.last_seen else {
            return Err(Impossible::NeverAttached);
        };
        let usable = self.subscriptions.iter_mut().filter(|subscription| {
            !subscription.product.infrastructure && subscription.product.covers(country)
        });
        let mut is_unlimited = false;
        let left = usable.fold(kb, |left, subscription| {
            is_unlimited |= subscription.is_unlimited();
            left - subscription.consume(left, now)
        });
        Ok(if is_unlimited { 0 } else { left })
    }

    /// The options of the line, as `{name, value}`.
    pub(crate) fn options(&self) -> Vec<Value> {
        self.line_options
            .iter()
            .map(|(name, value)| json!({ "name": name, "value": value }))
            .collect()
    }

    /// What decides over new products.
    pub(crate) fn standing(&self) -> Standing {
        let live = self
            .subscriptions
            .iter()
            .filter(|subscription| subscription.is_live());
        Standing {
            status: self.status,
            held: live
                .map(|subscription| Arc::clone(&subscription.product))
                .collect(),
            renewing: self.subscriptions.iter().any(Subscription::renews),
        }
    }
}
