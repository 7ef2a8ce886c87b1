//! How SIMs come into the stock: profiles, subscriptions and histories as of the simulator's start.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::world::{
    catalog::{Catalog, destinations::Destination, product::Product},
    clock::{before, days},
    stock::{
        ids::{SimNumber, SubscriptionIds, mix},
        news::SubscriptionEvent,
        profile::Profile,
        sim::Sim,
        status::{ProfileStatus, SimStatus},
        subscription::{Phase, Started, Subscription},
    },
};

/// Product of the service that every SIM in use has.
pub(crate) const WALLED_GARDEN: &str = "WW_901O_WALLEDGARDEN_PORTAL";

/// Makes one SIM.
#[derive(Debug)]
pub(crate) struct Delivery<'a> {
    catalog: &'a Catalog,
    ids: SubscriptionIds,
    number: SimNumber,
    pub(crate) origin: Timestamp,
    pub(crate) random: ChaCha8Rng,
}

impl<'a> Delivery<'a> {
    pub(crate) fn new(catalog: &'a Catalog, seed: u64, number: SimNumber, origin: Timestamp) -> Self {
        Self {
            catalog,
            ids: SubscriptionIds::new(seed),
            number,
            origin,
            random: ChaCha8Rng::seed_from_u64(mix(seed) ^ u64::from(number.0)),
        }
    }

    /// So long before the simulator's start.
    pub(crate) fn ago(&self, time: Duration) -> Timestamp {
        before(self.origin, time)
    }

    /// An eSIM that is ready to be sold.
    pub(crate) fn fresh(&mut self) -> Sim {
        self.esim(SimStatus::PreActivated, ProfileStatus::Released)
    }

    /// An eSIM in use: active, enabled, seen in France an hour ago, with a walled garden.
    pub(crate) fn in_use(&mut self) -> Sim {
        let mut sim = self.esim(SimStatus::Active, ProfileStatus::Enabled);
        self.attached(&mut sim, "FR", Duration::from_secs(3600));
        self.running(&mut sim, WALLED_GARDEN, days(60), |_| {});
        sim
    }

    pub(crate) fn esim(&mut self, status: SimStatus, profile: ProfileStatus) -> Sim {
        let mut sim = self.physical(status);
        let age = self.random.random_range(2..40);
        let since = self.ago(days(age));
        let matching_id: u128 = self.random.random();
        let mut made = Profile::new(profile, since, format!("{matching_id:032X}"));
        if profile >= ProfileStatus::Downloaded {
            made.eid = Some(self.number.eid());
        }
        sim.profile = Some(made);
        sim
    }

    pub(crate) fn physical(&mut self, status: SimStatus) -> Sim {
        let age = self.random.random_range(60..300);
        let since = self.ago(days(age));
        let mut sim = Sim::new(self.number, status, since, self.ids);
        sim.group = match self.random.random_range(0..3_u8) {
            0 => Some("fleet-a".to_owned()),
            1 => Some("fleet-b".to_owned()),
            _ => None,
        };
        let has_been_used = !matches!(
            status,
            SimStatus::Loaded | SimStatus::Available | SimStatus::PreActivated | SimStatus::TestMode
        );
        if has_been_used {
            sim.activated_at = Some(self.ago(days(60)));
        }
        sim
    }

    pub(crate) fn attached(&self, sim: &mut Sim, alpha2: &str, ago: Duration) {
        sim.last_seen = Destination::find(alpha2).map(|country| (self.ago(ago), country));
    }

    /// Adds a subscription that has started so long ago, and adapts it. What should have ended since has.
    pub(crate) fn running(
        &self,
        sim: &mut Sim,
        product: &str,
        ago: Duration,
        adapt: impl FnOnce(&mut Subscription),
    ) {
        let started = self.ago(ago);
        self.subscription(
            sim,
            product,
            before(started, Duration::from_secs(1800)),
            |subscription| {
                subscription.start(started);
                adapt(subscription);
            },
        );
    }

    /// Adds a subscription that was ordered so long ago and waits for its first use.
    pub(crate) fn waiting(&self, sim: &mut Sim, product: &str, ago: Duration) {
        self.subscription(sim, product, self.ago(ago), |_| {});
    }

    /// Adds a subscription that has ended so long ago.
    pub(crate) fn ended(&self, sim: &mut Sim, product: &str, ago: Duration, word: Option<&'static str>) {
        let ended = self.ago(ago);
        self.subscription(sim, product, before(ended, days(30)), |subscription| {
            subscription.start(before(ended, days(7)));
            subscription.consume(900_000, ended);
            subscription.end(ended, SubscriptionEvent::Expired);
            subscription.word = word;
        });
    }

    pub(crate) fn subscription(
        &self,
        sim: &mut Sim,
        product: &str,
        ordered_at: Timestamp,
        adapt: impl FnOnce(&mut Subscription),
    ) {
        if let Some(product) = self.product(product) {
            sim.add(product, ordered_at, adapt);
        }
    }

    pub(crate) fn product(&self, id: &str) -> Option<Arc<Product>> {
        self.catalog.product(id)
    }
}

/// Leaves so many KB in a subscription that runs.
pub(crate) fn left(subscription: &mut Subscription, left_kb: i64) {
    if let Phase::Running(started) = subscription.phase {
        subscription.phase = Phase::Running(Started { left_kb, ..started });
    }
}
