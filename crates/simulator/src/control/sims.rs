//! Control of SIMs: finding them, using them, and what is true of their subscriptions.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    control::handle::Control,
    world::{
        catalog::{
            destinations::Destination,
            product::{Category, WALLED_GARDEN as WALLED_GARDEN_TAG},
        },
        impossible::Impossible,
        stock::{
            delivery::WALLED_GARDEN,
            ids::SimNumber,
            news::SubscriptionEvent,
            sim::Sim,
            status::{ProfileStatus, SimStatus},
            subscription::{Phase, Subscription},
        },
    },
};

/// SIMs that no delivery has: those with a story, and as many spare ones.
const FIRST_ONES: u32 = 60;
/// SIMs of a delivery.
const DELIVERED: usize = 100;

/// A SIM as it is, whatever the APIs show of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SimView {
    /// Place in the stock, from 1.
    pub number: u32,
    /// 19 digits.
    pub iccid: String,
    /// 15 digits, without `+`.
    pub msisdn: String,
    /// Its status.
    pub status: SimStatus,
    /// Status of its eSIM profile; missing for a physical SIM.
    pub esim_status: Option<ProfileStatus>,
    /// The device that its profile is on or reserved for.
    pub eid: Option<String>,
    /// The group it belongs to.
    pub group: Option<String>,
    /// `externalReference` of the last operation that named one.
    pub external_reference: Option<String>,
    /// Its metadata.
    pub metadata: BTreeMap<String, String>,
    /// The transaction that has not ended.
    pub pending: Option<Uuid>,
    /// ISO 3166 alpha-3 code of the country that it was last seen in.
    pub last_country: Option<String>,
    /// Its subscriptions in the order in which they were added, ended ones too.
    // Scripts that control the simulator know it by this name.
    #[serde(rename = "bundles")]
    pub subscriptions: Vec<SubscriptionView>,
}

/// A subscription as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SubscriptionView {
    /// The provider's id.
    pub subscription_id: Uuid,
    /// ICCID of its SIM.
    pub iccid: String,
    /// MSISDN of its SIM, without `+`.
    pub msisdn: String,
    /// The product.
    pub product_id: String,
    /// The provider's word.
    pub status: String,
    /// Whether it has not ended.
    pub live: bool,
    /// A service of the SIM itself, not bought.
    pub infrastructure: bool,
    /// When it was ordered.
    pub ordered_at: Timestamp,
    /// When it started, if it has.
    pub activated_at: Option<Timestamp>,
    /// The end of its validity once started, else the deadline for its first use.
    pub expires_at: Timestamp,
    /// Whether the inventory shows it by now.
    pub in_inventory: bool,
    /// KB that are left, while it runs.
    pub left_kb: Option<i64>,
    /// The subscription that an add-on was ordered for.
    pub parent: Option<Uuid>,
    /// `transactionReference` of its order.
    pub transaction_reference: Option<String>,
}

impl SimView {
    fn of(sim: &Sim, now: Timestamp) -> Self {
        Self {
            number: sim.number.0,
            iccid: sim.iccid(),
            msisdn: sim.number.msisdn(),
            status: sim.status,
            esim_status: sim.profile.as_ref().map(|profile| profile.status),
            eid: sim.profile.as_ref().and_then(|profile| profile.eid.clone()),
            group: sim.group.clone(),
            external_reference: sim.external_reference.clone(),
            metadata: sim.metadata.clone(),
            pending: sim.pending,
            last_country: sim.last_seen.map(|(_, country)| country.alpha3.to_owned()),
            subscriptions: sim
                .subscriptions
                .iter()
                .map(|subscription| SubscriptionView::of(sim, subscription, now))
                .collect(),
        }
    }

    /// Live subscriptions that were bought.
    pub fn bought(&self) -> impl Iterator<Item = &SubscriptionView> {
        self.subscriptions
            .iter()
            .filter(|subscription| subscription.live && !subscription.infrastructure)
    }
}

impl SubscriptionView {
    fn of(sim: &Sim, subscription: &Subscription, now: Timestamp) -> Self {
        Self {
            subscription_id: subscription.id,
            iccid: sim.iccid(),
            msisdn: sim.number.msisdn(),
            product_id: subscription.product.id.clone(),
            status: subscription.status().to_owned(),
            live: subscription.is_live(),
            infrastructure: subscription.product.tags().any(|tag| tag == WALLED_GARDEN_TAG),
            ordered_at: subscription.ordered_at,
            activated_at: subscription.started().map(|started| started.at),
            expires_at: subscription.expiration(),
            in_inventory: subscription.shown.by(now),
            left_kb: match subscription.phase {
                Phase::Running(started) => Some(started.left_kb),
                Phase::Waiting | Phase::Scheduled(_) | Phase::Ended { .. } => None,
            },
            parent: subscription.parent,
            transaction_reference: subscription.reference.clone(),
        }
    }
}

/// Which SIMs are wanted. Everything that is missing is allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Criteria {
    /// The SIM's status.
    pub status: Option<SimStatus>,
    /// The eSIM profile's status.
    pub esim_status: Option<ProfileStatus>,
    /// Whether it is a physical SIM.
    pub physical: Option<bool>,
    /// Whether it has a live subscription that was bought.
    #[serde(rename = "bundles")]
    pub subscriptions: Option<bool>,
}

impl Criteria {
    /// SIMs that are ready to be sold: Pre-Activated, profile released, nothing bought.
    pub const FRESH: Self = Self {
        status: Some(SimStatus::PreActivated),
        esim_status: Some(ProfileStatus::Released),
        physical: Some(false),
        subscriptions: Some(false),
    };

    /// SIMs in use on a device: Active, profile enabled.
    pub const IN_USE: Self = Self {
        status: Some(SimStatus::Active),
        esim_status: Some(ProfileStatus::Enabled),
        physical: Some(false),
        subscriptions: None,
    };

    fn admit(self, sim: &Sim) -> bool {
        let profile = sim.profile.as_ref().map(|profile| profile.status);
        let bought = || {
            sim.subscriptions
                .iter()
                .any(|s| s.is_live() && !s.product.infrastructure)
        };
        self.status.is_none_or(|status| status == sim.status)
            && self.esim_status.is_none_or(|status| Some(status) == profile)
            && self.physical.is_none_or(|physical| physical == profile.is_none())
            && self
                .subscriptions
                .is_none_or(|subscriptions| subscriptions == bought())
    }
}

/// SIMs are named by their number in the stock (`"1"`), their MSISDN with or without `+`, or their ICCID.
impl Control {
    /// A SIM as it is.
    pub fn sim(&self, key: &str) -> Option<SimView> {
        self.on(key, |sim, now| SimView::of(sim, now)).ok()
    }

    /// The first `count` SIMs of the stock that meet the criteria.
    pub fn find_sims(&self, criteria: Criteria, count: usize) -> Vec<SimView> {
        let provider = &self.provider;
        provider.catch_up();
        let view = |number| {
            provider
                .with_sim(number, |sim, now| {
                    criteria.admit(sim).then(|| SimView::of(sim, now))
                })
                .flatten()
        };
        provider.stock.numbers().filter_map(view).take(count).collect()
    }

    /// A delivery of SIMs that can be sold: fresh, reserved for no device, and none of the first ones, which documentation
    /// and examples use for other things.
    pub fn delivery(&self) -> Vec<SimView> {
        let fresh = self.find_sims(Criteria::FRESH, DELIVERED + FIRST_ONES as usize);
        fresh
            .into_iter()
            .filter(|sim| sim.number > FIRST_ONES && sim.eid.is_none())
            .take(DELIVERED)
            .collect()
    }

    /// The delivery as a file, with the columns of a real one: without a number in any line.
    pub fn delivery_file(&self) -> String {
        let line = |sim: SimView| format!("{};;1;{};Available;0000;00000000\r\n", sim.number, sim.iccid);
        let lines = self.delivery().into_iter().map(line);
        let header = "TransatelId;Msisdn;Release;IccId;HLRStatus;Pin1;Puk1\r\n".to_owned();
        std::iter::once(header).chain(lines).collect()
    }

    /// Attaches a SIM to a network of a country, by alpha-2 or alpha-3 code. On the first attach the profile comes
    /// into use and the SIM becomes Active; every time, subscriptions that wait for this country start.
    ///
    /// # Errors
    ///
    /// Unless the SIM is Pre-Activated or Active and its profile, if any, can be used.
    pub fn attach(&self, key: &str, country: &str) -> Result<SimView, Impossible> {
        let country = Destination::find(&country.to_ascii_uppercase()).ok_or(Impossible::UnknownCountry)?;
        let walled_garden = self.provider.catalog.product(WALLED_GARDEN);
        self.on(key, |sim, now| {
            sim.attach(country, walled_garden, now)
                .map(|()| SimView::of(sim, now))
        })?
    }

    /// Uses data where the SIM was last seen, in whole KB, from the oldest running subscription on. Gives the bytes that
    /// no subscription covered.
    ///
    /// # Errors
    ///
    /// Unless the SIM is Active, has attached, and its profile, if any, is enabled.
    pub fn use_data(&self, key: &str, bytes: u64) -> Result<u64, Impossible> {
        let kb = i64::try_from(bytes.div_ceil(1024)).unwrap_or(i64::MAX);
        let left = self.on(key, |sim, now| sim.use_data(kb, now))??;
        Ok(u64::try_from(left).unwrap_or(0).saturating_mul(1024))
    }

    /// Ends a live subscription now, or all that were bought and have started when none is named, as if their validity
    /// were over. Gives how many ended.
    ///
    /// # Errors
    ///
    /// When the SIM or the named subscription is not there.
    pub fn expire(&self, key: &str, subscription: Option<Uuid>) -> Result<usize, Impossible> {
        self.on(key, |sim, now| {
            let meant = |one: &&mut Subscription| match subscription {
                Some(id) => one.id == id && one.is_live(),
                None => matches!(one.phase, Phase::Running(_)) && !one.product.infrastructure,
            };
            let ended = sim
                .subscriptions
                .iter_mut()
                .filter(meant)
                .map(|subscription| subscription.end(now, SubscriptionEvent::Expired))
                .count();
            if ended == 0 && subscription.is_some() {
                Err(Impossible::UnknownSubscription)
            } else {
                Ok(ended)
            }
        })?
    }

    /// Sets a SIM's status, whatever it was.
    ///
    /// # Errors
    ///
    /// When there is no such SIM.
    pub fn set_sim_status(&self, key: &str, status: SimStatus) -> Result<(), Impossible> {
        self.on(key, |sim, now| sim.set_status(status, now))
    }

    /// Sets the status of a SIM's eSIM profile, whatever it was. From `downloaded` on it is on a device.
    ///
    /// # Errors
    ///
    /// When there is no such SIM, or it is a physical one.
    pub fn set_esim_status(&self, key: &str, status: ProfileStatus) -> Result<(), Impossible> {
        self.on(key, |sim, now| {
            let eid = sim.card.eid();
            let profile = sim.profile.as_mut().ok_or(Impossible::Physical)?;
            if status >= ProfileStatus::Downloaded {
                profile.eid.get_or_insert(eid);
            }
            profile.set(status, now);
            Ok(())
        })?
    }

    /// Adds a subscription as the provider itself would, without an order, a reference or a price. It waits for its first
    /// use. Gives its id.
    ///
    /// # Errors
    ///
    /// When there is no such SIM or product.
    pub fn grant(&self, key: &str, product_id: &str) -> Result<Uuid, Impossible> {
        let product = self
            .provider
            .catalog
            .product(product_id)
            .ok_or(Impossible::UnknownProduct)?;
        self.on(key, |sim, now| {
            sim.add(product, now, |subscription| {
                if subscription.product.category == Category::AddOn {
                    subscription.start(now);
                }
            })
        })
    }

    /// Every subscription that was ordered under this `transactionReference`, in the order of acceptance. This is the
    /// truth that orders are checked against.
    pub fn subscriptions_by_reference(&self, reference: &str) -> Vec<SubscriptionView> {
        let provider = &self.provider;
        let view = |(number, id): (SimNumber, Uuid)| {
            provider.with_sim(number, |sim, now| {
                sim.subscription(id)
                    .map(|found| SubscriptionView::of(sim, found, now))
            })
        };
        provider
            .references
            .find(reference)
            .into_iter()
            .filter_map(view)
            .flatten()
            .collect()
    }

    /// Product orders accepted so far.
    pub fn orders_accepted(&self) -> u64 {
        self.counters().orders_accepted
    }

    /// What is left of the account's balance, in cents.
    pub fn account_balance(&self) -> i64 {
        self.provider.account.balance()
    }

    /// Sets the account's balance, in cents.
    pub fn set_account_balance(&self, cents: i64) {
        self.provider.account.set_balance(cents);
    }

    pub(super) fn on<R>(&self, key: &str, f: impl FnOnce(&mut Sim, Timestamp) -> R) -> Result<R, Impossible> {
        let provider = &self.provider;
        provider.catch_up();
        let number = provider.stock.by_any(key).ok_or(Impossible::UnknownSim)?;
        provider.with_sim(number, f).ok_or(Impossible::UnknownSim)
    }
}
