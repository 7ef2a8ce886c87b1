//! One SIM with all that hangs on it, and what can happen to it.

use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    ids::{SimNumber, SubscriptionIds},
    profile::Profile,
    status::{ProfileStatus, SimStatus},
    subscription::{Phase, Subscription},
};
use crate::sandbox::{
    catalog::{
        destinations::Destination,
        product::{Category, Product},
    },
    control::Impossible,
};

/// How SIM Search tells of a SIM, when it is not the usual way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::sandbox) enum Listing {
    #[default]
    Usual,
    /// Only the one member that is never missing.
    SerialOnly,
    /// The status in capitals without a hyphen.
    Shouted,
}

#[derive(Clone, Debug)]
pub(in crate::sandbox) struct Sim {
    pub(in crate::sandbox) number: SimNumber,
    pub(in crate::sandbox) status: SimStatus,
    pub(in crate::sandbox) status_since: Timestamp,
    /// The status before this one. SIM Search may still show it.
    pub(in crate::sandbox) status_before: SimStatus,
    pub(in crate::sandbox) group: Option<String>,
    pub(in crate::sandbox) activated_at: Option<Timestamp>,
    pub(in crate::sandbox) last_seen: Option<(Timestamp, &'static Destination)>,
    /// `None` for a physical SIM.
    pub(in crate::sandbox) profile: Option<Profile>,
    /// In the order in which they were added.
    pub(in crate::sandbox) subscriptions: Vec<Subscription>,
    pub(in crate::sandbox) listing: Listing,
    ids: SubscriptionIds,
}

impl Sim {
    pub(in crate::sandbox) fn new(
        number: SimNumber,
        status: SimStatus,
        since: Timestamp,
        ids: SubscriptionIds,
    ) -> Self {
        Self {
            number,
            status,
            status_since: since,
            status_before: status,
            group: None,
            activated_at: None,
            last_seen: None,
            profile: None,
            subscriptions: Vec::new(),
            listing: Listing::Usual,
            ids,
        }
    }

    /// Does what time has brought since the last look.
    pub(in crate::sandbox) fn settle(&mut self, now: Timestamp) {
        for subscription in &mut self.subscriptions {
            subscription.settle(now);
        }
    }

    pub(in crate::sandbox) fn set_status(&mut self, status: SimStatus, now: Timestamp) {
        if self.status != status {
            self.status_before = self.status;
            self.status = status;
            self.status_since = now;
        }
        if status == SimStatus::Active {
            self.activated_at.get_or_insert(now);
        }
    }

    /// Adds a bundle that waits for its first use, unless `begin` does something else with it, and gives its id.
    pub(in crate::sandbox) fn add(
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
        let id = subscription.id;
        self.subscriptions.push(subscription);
        id
    }

    /// The running recurring bundle that a new one would take the place of.
    pub(in crate::sandbox) fn renewing(&mut self) -> Option<&mut Subscription> {
        self.subscriptions
            .iter_mut()
            .find(|subscription| subscription.renews())
    }

    pub(in crate::sandbox) fn subscription(&self, id: Uuid) -> Option<&Subscription> {
        self.subscriptions
            .iter()
            .find(|subscription| subscription.id == id)
    }

    /// Attaches to a network of a country: the profile comes into use, the SIM becomes active, and bundles that
    /// wait for this country start.
    pub(in crate::sandbox) fn attach(
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
            profile.enable(self.number.eid(), now);
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

    /// Uses data where the SIM was last seen, from the oldest bundle on, and says how many KB no bundle gave.
    pub(in crate::sandbox) fn use_data(&mut self, kb: i64) -> Result<i64, Impossible> {
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
        Ok(usable.fold(kb, |left, subscription| left - subscription.consume(left)))
    }

    /// What decides over new products.
    pub(in crate::sandbox) fn standing(&self) -> Standing {
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

/// A SIM as eligibility rules see it.
#[derive(Clone, Debug)]
pub(in crate::sandbox) struct Standing {
    pub(in crate::sandbox) status: SimStatus,
    /// Products of live bundles.
    pub(in crate::sandbox) held: Vec<Arc<Product>>,
    /// A recurring bundle runs and will renew.
    pub(in crate::sandbox) renewing: bool,
}

impl Standing {
    pub(in crate::sandbox) fn holds(&self, product_id: &str) -> bool {
        self.held.iter().any(|held| held.id == product_id)
    }

    /// Whether an add-on's parent is there.
    pub(in crate::sandbox) fn has_parent_of(&self, product: &Product) -> bool {
        product.category != Category::AddOn || product.parents.iter().any(|parent| self.holds(parent))
    }
}
