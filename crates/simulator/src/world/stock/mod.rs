//! The account's SIMs.
//!
//! A SIM comes into being when it is first looked at, from the seed and its
//! number alone; from then on it is state behind a lock of its own. So a stock
//! of any size costs nothing at the start, and requests for different SIMs do
//! not wait for each other.

pub(crate) mod delivery;
pub(crate) mod ids;
pub(crate) mod news;
pub(crate) mod profile;
pub(crate) mod sim;
pub(crate) mod status;
pub(crate) mod subscription;
pub(crate) mod well_known;

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, OnceLock, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use rand::RngExt as _;
use uuid::Uuid;

use crate::{
    lock::{lock, read, write},
    world::{
        catalog::Catalog,
        clock::days,
        stock::{
            delivery::{Delivery, WALLED_GARDEN, left},
            ids::{SimNumber, SubscriptionIds},
            sim::Sim,
            status::{ProfileStatus, SimStatus},
        },
    },
};

/// Products that SIMs without a story of their own have.
const USUAL: [&str; 6] = [
    "WW_901O_STACK_ONEOFF_FRANCE_3GB_30D",
    "WW_901O_STACK_ONEOFF_SPAIN_5GB_30D",
    "WW_901O_STACK_ONEOFF_UNITED_STATES_10GB_30D",
    "WW_901O_STACK_ONEOFF_EUROPE_5GB_30D",
    "WW_901O_STACK_ONEOFF_ASIA_10GB_30D",
    "WW_901O_STACK_ONEOFF_WORLDWIDE_5GB_30D",
];

#[derive(Debug)]
pub(crate) struct Stock {
    seed: u64,
    /// Ids of subscriptions that are added after the delivery. They differ between starts, so that a ledger that
    /// outlives the simulator never meets an id of an earlier start again.
    added: SubscriptionIds,
    /// When the SIMs were delivered.
    origin: Timestamp,
    sims: Box<[OnceLock<Box<Mutex<Sim>>>]>,
    /// Whether any card was ever swapped; most stocks never ask for more.
    swapped: AtomicBool,
    /// The line of each card that is not in its own.
    lines: RwLock<HashMap<SimNumber, SimNumber>>,
}

impl Stock {
    /// The same seed gives the same SIMs; `start` is a number that no other start of the simulator has.
    pub(crate) fn new(seed: u64, start: u64, count: u32, origin: Timestamp) -> Self {
        Self {
            seed,
            added: SubscriptionIds::new(start),
            origin,
            sims: (0..count).map(|_| OnceLock::new()).collect(),
            swapped: AtomicBool::new(false),
            lines: RwLock::default(),
        }
    }

    /// Every SIM's number, in order.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = SimNumber> + use<> {
        (1..).map(SimNumber).take(self.sims.len())
    }

    /// The SIM of an MSISDN in digits.
    pub(crate) fn by_msisdn(&self, msisdn: &str) -> Option<SimNumber> {
        SimNumber::of_msisdn(msisdn).filter(|number| self.has(*number))
    }

    pub(crate) fn by_iccid(&self, iccid: &str) -> Option<SimNumber> {
        let card = SimNumber::of_iccid(iccid).filter(|number| self.has(*number))?;
        if !self.swapped.load(Ordering::Acquire) {
            return Some(card);
        }
        Some(read(&self.lines).get(&card).copied().unwrap_or(card))
    }

    pub(crate) fn by_subscription(&self, id: Uuid) -> Option<SimNumber> {
        let delivered = || SubscriptionIds::new(self.seed).sim(id);
        self.added
            .sim(id)
            .or_else(delivered)
            .filter(|number| self.has(*number))
    }

    /// The SIM of a number in the stock, an MSISDN with or without `+`, or an ICCID.
    pub(crate) fn by_any(&self, key: &str) -> Option<SimNumber> {
        let digits = key.strip_prefix('+').unwrap_or(key);
        let number = || key.parse().ok().map(SimNumber).filter(|number| self.has(*number));
        self.by_msisdn(digits)
            .or_else(|| self.by_iccid(key))
            .or_else(number)
    }

    fn has(&self, number: SimNumber) -> bool {
        self.cell(number).is_some()
    }

    fn cell(&self, number: SimNumber) -> Option<&OnceLock<Box<Mutex<Sim>>>> {
        let position = usize::try_from(number.0.checked_sub(1)?).ok()?;
        self.sims.get(position)
    }

    /// Looks at or changes a SIM as time has made it. `None` when the stock has no such SIM.
    pub(crate) fn with<R>(
        &self,
        number: SimNumber,
        catalog: &Catalog,
        now: Timestamp,
        f: impl FnOnce(&mut Sim) -> R,
    ) -> Option<R> {
        let mut sim = self.locked(number, catalog, now)?;
        sim.settle(now);
        Some(f(&mut sim))
    }

    /// The same with two different SIMs at once. `None` when one of them is not there.
    pub(crate) fn with_both<R>(
        &self,
        numbers: (SimNumber, SimNumber),
        catalog: &Catalog,
        now: Timestamp,
        f: impl FnOnce(&mut Sim, &mut Sim) -> R,
    ) -> Option<R> {
        let (one, other) = numbers;
        // Always in the same order, so that two calls cannot wait for each other.
        let (mut first, mut second) = if one <= other {
            let first = self.locked(one, catalog, now)?;
            (first, self.locked(other, catalog, now)?)
        } else {
            let second = self.locked(other, catalog, now)?;
            (self.locked(one, catalog, now)?, second)
        };
        first.settle(now);
        second.settle(now);
        Some(f(&mut first, &mut second))
    }

    /// Puts each line's card, with the profile on it, into the other.
    pub(crate) fn swap_cards(&self, one: &mut Sim, other: &mut Sim) {
        std::mem::swap(&mut one.card, &mut other.card);
        std::mem::swap(&mut one.profile, &mut other.profile);
        let mut lines = write(&self.lines);
        lines.insert(one.card, one.number);
        lines.insert(other.card, other.number);
        self.swapped.store(true, Ordering::Release);
    }

    /// Numbers of the SIMs that were looked at.
    pub(crate) fn known(&self) -> impl Iterator<Item = SimNumber> {
        let known = |number: &SimNumber| self.cell(*number).is_some_and(|cell| cell.get().is_some());
        self.numbers().filter(known)
    }

    fn locked(&self, number: SimNumber, catalog: &Catalog, now: Timestamp) -> Option<MutexGuard<'_, Sim>> {
        let sim = self.cell(number)?.get_or_init(|| {
            let mut sim = self.deliver(number, catalog);
            // What was before the first look is no news.
            sim.settle(now);
            sim.take_news();
            Box::new(Mutex::new(sim))
        });
        Some(lock(sim))
    }

    fn deliver(&self, number: SimNumber, catalog: &Catalog) -> Sim {
        let mut delivery = Delivery::new(catalog, self.seed, number, self.origin);
        let mut sim = well_known::sim(number.0, &mut delivery).unwrap_or_else(|| usual(&mut delivery));
        sim.ids = self.added;
        sim
    }
}

/// A SIM without a story: three in five wait to be sold, one in four is in use.
fn usual(delivery: &mut Delivery<'_>) -> Sim {
    match delivery.random.random_range(0..100_u8) {
        0..60 => for_sale(delivery),
        60..86 => in_use(delivery, SimStatus::Active),
        86..91 => in_use(delivery, SimStatus::Suspended),
        91..94 => {
            let mut sim = delivery.esim(SimStatus::Terminated, ProfileStatus::Deleted);
            past(delivery, &mut sim);
            sim
        }
        94..96 => delivery.esim(SimStatus::Loaded, ProfileStatus::Available),
        96 => delivery.esim(SimStatus::Available, ProfileStatus::Allocated),
        97 => delivery.esim(SimStatus::TestMode, ProfileStatus::Enabled),
        98 => in_use(delivery, SimStatus::OperatorBarred),
        _ => in_use(delivery, SimStatus::TariffHoliday),
    }
}

fn for_sale(delivery: &mut Delivery<'_>) -> Sim {
    let mut sim = match delivery.random.random_range(0..50_u8) {
        0 => delivery.esim(SimStatus::PreActivated, ProfileStatus::Available),
        1 => delivery.esim(SimStatus::PreActivated, ProfileStatus::Allocated),
        2 => delivery.esim(SimStatus::PreActivated, ProfileStatus::Downloaded),
        3 => delivery.esim(SimStatus::PreActivated, ProfileStatus::Installed),
        4 => delivery.physical(SimStatus::PreActivated),
        _ => delivery.fresh(),
    };
    if delivery.random.random_bool(0.25) {
        let ordered = days(delivery.random.random_range(0..150));
        let product = any_product(delivery);
        delivery.waiting(&mut sim, product, ordered);
    }
    sim
}

fn in_use(delivery: &mut Delivery<'_>, status: SimStatus) -> Sim {
    let mut sim = match delivery.random.random_range(0..20_u8) {
        0 => delivery.physical(SimStatus::Active),
        1 => delivery.esim(SimStatus::Active, ProfileStatus::Installed),
        2 => delivery.esim(SimStatus::Active, ProfileStatus::Disabled),
        3 => delivery.esim(SimStatus::Active, ProfileStatus::Deleted),
        _ => delivery.esim(SimStatus::Active, ProfileStatus::Enabled),
    };
    let country = ["FR", "ES", "US", "JP", "DE"]
        .get(delivery.random.random_range(0..5_usize))
        .copied();
    let seen = Duration::from_secs(delivery.random.random_range(60..1_000_000));
    delivery.attached(&mut sim, country.unwrap_or("FR"), seen);
    delivery.running(&mut sim, WALLED_GARDEN, days(60), |_| {});
    if delivery.random.random_bool(0.4) {
        past(delivery, &mut sim);
    }
    for _ in 0..delivery.random.random_range(0..3_u8) {
        let started = Duration::from_secs(delivery.random.random_range(60..25 * 86_400));
        let remains = delivery.random.random_range(0..=100_i64);
        let product = any_product(delivery);
        delivery.running(&mut sim, product, started, |subscription| {
            left(subscription, subscription.product.data_kb * remains / 100);
        });
    }
    for _ in 0..delivery.random.random_range(0..2_u8) {
        let ordered = days(delivery.random.random_range(0..50));
        let product = any_product(delivery);
        delivery.waiting(&mut sim, product, ordered);
    }
    sim.set_status(status, delivery.ago(days(5)));
    sim
}

fn past(delivery: &mut Delivery<'_>, sim: &mut Sim) {
    for _ in 0..delivery.random.random_range(1..3_u8) {
        let ended = days(delivery.random.random_range(5..100));
        let product = any_product(delivery);
        delivery.ended(sim, product, ended, None);
    }
}

fn any_product(delivery: &mut Delivery<'_>) -> &'static str {
    let [first, ..] = USUAL;
    USUAL
        .get(delivery.random.random_range(0..USUAL.len()))
        .copied()
        .unwrap_or(first)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn origin() -> Timestamp {
        "2026-03-01T00:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_large_stock_has_every_status_and_profile() {
        let catalog = Catalog::generate(1, origin());
        let stock = Stock::new(1, 2, 5_000, origin());
        let mut statuses = BTreeMap::new();
        let mut profiles = BTreeMap::new();
        for number in stock.numbers() {
            stock.with(number, &catalog, origin(), |sim| {
                *statuses.entry(sim.status.as_str()).or_insert(0) += 1;
                let profile = sim.profile.as_ref().map(|profile| profile.status.as_str());
                *profiles.entry(profile.unwrap_or("physical")).or_insert(0) += 1;
            });
        }
        assert_eq!(statuses.len(), 9, "{statuses:?}");
        assert_eq!(profiles.len(), 9, "{profiles:?}");
        let most = statuses.iter().max_by_key(|(_, count)| **count).unwrap();
        assert_eq!(*most.0, "Pre-Activated");
    }

    #[test]
    fn the_same_seed_gives_the_same_sims_in_whatever_order_they_are_looked_at() {
        let catalog = Catalog::generate(1, origin());
        let look = |stock: &Stock, number| {
            stock
                .with(SimNumber(number), &catalog, origin(), |sim| format!("{sim:?}"))
                .unwrap()
        };
        let (one, other) = (Stock::new(9, 2, 500, origin()), Stock::new(9, 2, 500, origin()));
        let forth: Vec<_> = (1..=500).map(|number| look(&one, number)).collect();
        let mut back: Vec<_> = (1..=500).rev().map(|number| look(&other, number)).collect();
        back.reverse();
        assert_eq!(forth, back);
    }

    #[test]
    fn every_product_that_the_stock_names_is_in_the_catalog() {
        let catalog = Catalog::generate(1, origin());
        for id in USUAL.into_iter().chain([WALLED_GARDEN]) {
            assert!(catalog.product(id).is_some(), "{id}");
        }
        let stock = Stock::new(1, 2, well_known::COUNT, origin());
        let subscriptions = |number| {
            stock
                .with(SimNumber(number), &catalog, origin(), |sim| {
                    sim.subscriptions.len()
                })
                .unwrap()
        };
        assert_eq!(
            (
                subscriptions(2),
                subscriptions(19),
                subscriptions(26),
                subscriptions(27)
            ),
            (3, 4, 3, 10)
        );
    }

    #[test]
    fn sims_outside_the_stock_do_not_exist() {
        let stock = Stock::new(1, 2, 10, origin());
        assert_eq!(stock.by_any("10"), Some(SimNumber(10)));
        assert_eq!(stock.by_any("+882470000000010"), Some(SimNumber(10)));
        assert_eq!(stock.by_any(&SimNumber(10).iccid()), Some(SimNumber(10)));
        for key in ["0", "11", "", "882470000000011", &SimNumber(11).iccid()] {
            assert_eq!(stock.by_any(key), None, "{key}");
        }
    }
}
