//! The first SIMs of the stock, each with one story. See the list in [the crate](crate).

use std::time::Duration;

use crate::world::{
    catalog::product::KB_PER_GB,
    clock::{after, days},
    stock::{
        delivery::{Delivery, WALLED_GARDEN, left},
        profile::Material,
        sim::{Listing, Sim},
        status::{ProfileStatus, SimStatus},
        subscription::{BalanceShape, Phase},
    },
};

const FRANCE: &str = "WW_901O_STACK_ONEOFF_FRANCE_1GB_7D";
const FRANCE_LARGE: &str = "WW_901O_STACK_ONEOFF_FRANCE_5GB_30D";
const FRANCE_UNLIMITED: &str = "WW_901O_STACK_ONEOFF_FRANCE_UNLIMITED_7D_FUP2";
const FRANCE_MONTHLY: &str = "WW_901O_STACK_RECURRING_FRANCE_5GB_1M";
const FRANCE_ADD_ON: &str = "WW_901O_STACK_ADDON_FRANCE_1GB_30D";
const EUROPE: &str = "WW_901O_STACK_ONEOFF_EUROPE_10GB_30D";

/// How many SIMs have a story.
#[cfg(test)]
pub(crate) const COUNT: u32 = 40;

/// The SIM with this number, if it has a story.
pub(crate) fn sim(number: u32, delivery: &mut Delivery<'_>) -> Option<Sim> {
    let made = match number {
        1 => delivery.fresh(),
        2 => {
            let mut sim = active_with(delivery, FRANCE_LARGE, 3, BalanceShape::Usual);
            delivery.waiting(&mut sim, EUROPE, days(2));
            sim
        }
        3 => {
            let mut sim = delivery.physical(SimStatus::Active);
            delivery.attached(&mut sim, "FR", Duration::from_secs(3600));
            delivery.running(&mut sim, FRANCE, days(1), |subscription| {
                left(subscription, KB_PER_GB / 2)
            });
            sim
        }
        4 => {
            let mut sim = delivery.fresh();
            delivery.waiting(&mut sim, FRANCE, days(1));
            sim
        }
        5 => delivery.esim(SimStatus::PreActivated, ProfileStatus::Available),
        6 => delivery.esim(SimStatus::PreActivated, ProfileStatus::Allocated),
        7 => delivery.esim(SimStatus::PreActivated, ProfileStatus::Downloaded),
        8 => delivery.esim(SimStatus::Active, ProfileStatus::Installed),
        9 => delivery.esim(SimStatus::Active, ProfileStatus::Disabled),
        10 => delivery.esim(SimStatus::Active, ProfileStatus::Deleted),
        11 => {
            let mut sim = delivery.fresh();
            let eid = sim.card.eid();
            with_profile(&mut sim, |profile| profile.eid = Some(eid));
            sim
        }
        12 => {
            let mut sim = active_with(delivery, FRANCE_LARGE, 2, BalanceShape::Usual);
            sim.set_status(SimStatus::Suspended, delivery.ago(days(1)));
            sim
        }
        13 => {
            let mut sim = delivery.esim(SimStatus::Terminated, ProfileStatus::Deleted);
            delivery.ended(&mut sim, FRANCE, days(20), None);
            sim
        }
        14 => delivery.esim(SimStatus::Loaded, ProfileStatus::Available),
        15 => delivery.esim(SimStatus::Available, ProfileStatus::Available),
        16 => delivery.esim(SimStatus::TestMode, ProfileStatus::Enabled),
        17 => delivery.esim(SimStatus::OperatorBarred, ProfileStatus::Enabled),
        18 => delivery.esim(SimStatus::TariffHoliday, ProfileStatus::Enabled),
        19 => {
            let mut sim = active_with(delivery, FRANCE, 1, BalanceShape::Usual);
            delivery.waiting(&mut sim, FRANCE, days(1));
            delivery.waiting(&mut sim, FRANCE, Duration::from_secs(3600));
            sim
        }
        20 => active_with(delivery, FRANCE_UNLIMITED, 2, BalanceShape::MinusOne),
        21 => active_with(delivery, FRANCE, 1, BalanceShape::NoStartValue),
        22 => active_with(delivery, FRANCE, 1, BalanceShape::ZeroStartValue),
        23 => active_with(delivery, FRANCE, 1, BalanceShape::SeveralRows),
        24 => active_with(delivery, FRANCE, 1, BalanceShape::Empty),
        25 => active_with(delivery, FRANCE, 1, BalanceShape::OddNumbers),
        26 => {
            let mut sim = active_with(delivery, FRANCE_MONTHLY, 10, BalanceShape::Usual);
            delivery.running(&mut sim, FRANCE_ADD_ON, days(3), |_| {});
            sim
        }
        27 => every_status(delivery),
        28 => {
            let mut sim = delivery.in_use();
            delivery.running(&mut sim, FRANCE, days(1), |subscription| {
                subscription.word = Some("quarantined")
            });
            sim
        }
        29 => fresh_with(delivery, Material::QrOnly),
        30 => fresh_with(delivery, Material::CodeWithLpa),
        31 => fresh_with(delivery, Material::PartsOnly),
        32 => {
            let mut sim = delivery.fresh();
            with_profile(&mut sim, |profile| profile.capitalised = true);
            sim
        }
        33 => fresh_but(delivery, |sim| sim.listing = Listing::Shouted),
        34 => fresh_but(delivery, |sim| sim.listing = Listing::SerialOnly),
        35 => {
            let mut sim = delivery.in_use();
            delivery.running(&mut sim, FRANCE, days(1), |subscription| left(subscription, 0));
            sim
        }
        36 => {
            let mut sim = delivery.in_use();
            let almost_a_week = days(7).saturating_sub(Duration::from_secs(3600));
            delivery.running(&mut sim, FRANCE, almost_a_week, |subscription| {
                left(subscription, 1024)
            });
            sim
        }
        37 => {
            let mut sim = delivery.fresh();
            // Six months are 181 days at the least, so the deadline is one to four days away.
            delivery.waiting(&mut sim, FRANCE, days(180));
            sim
        }
        38 => delivery.in_use(),
        39 => fresh_but(delivery, |sim| sim.group = Some("fleet-a".to_owned())),
        40 => delivery.physical(SimStatus::PreActivated),
        _ => return None,
    };
    Some(made)
}

fn with_profile(sim: &mut Sim, change: impl FnOnce(&mut crate::world::stock::profile::Profile)) {
    if let Some(profile) = &mut sim.profile {
        change(profile);
    }
}

/// A SIM in use with a subscription that has run for some days and is used up to a third.
fn active_with(delivery: &mut Delivery<'_>, product: &str, ago: u64, shape: BalanceShape) -> Sim {
    let mut sim = delivery.in_use();
    delivery.running(&mut sim, product, days(ago), |subscription| {
        let used = subscription.product.data_kb / 3;
        subscription.consume(used, subscription.ordered_at);
        subscription.shape = shape;
    });
    sim
}

fn fresh_but(delivery: &mut Delivery<'_>, change: impl FnOnce(&mut Sim)) -> Sim {
    let mut sim = delivery.fresh();
    change(&mut sim);
    sim
}

fn fresh_with(delivery: &mut Delivery<'_>, material: Material) -> Sim {
    let mut sim = delivery.fresh();
    with_profile(&mut sim, |profile| profile.material = material);
    sim
}

/// One subscription in each status that the contract names.
fn every_status(delivery: &mut Delivery<'_>) -> Sim {
    let mut sim = delivery.esim(SimStatus::Active, ProfileStatus::Enabled);
    delivery.attached(&mut sim, "FR", Duration::from_secs(3600));
    delivery.running(&mut sim, WALLED_GARDEN, days(60), |_| {});
    delivery.running(&mut sim, FRANCE, days(1), |_| {});
    delivery.waiting(&mut sim, FRANCE, days(1));
    let word = |word| {
        move |subscription: &mut crate::world::stock::subscription::Subscription| {
            subscription.word = Some(word)
        }
    };
    delivery.subscription(&mut sim, FRANCE, delivery.ago(days(1)), word("readyForUse"));
    delivery.subscription(
        &mut sim,
        FRANCE,
        delivery.ago(Duration::from_secs(5)),
        word("pending"),
    );
    delivery.running(&mut sim, FRANCE, days(2), word("suspended"));
    delivery.running(&mut sim, FRANCE_MONTHLY, days(10), |subscription| {
        subscription.renewal_canceled = true
    });
    let next = after(delivery.origin, days(20));
    delivery.subscription(&mut sim, FRANCE_MONTHLY, delivery.ago(days(1)), |subscription| {
        subscription.phase = Phase::Scheduled(next);
    });
    delivery.ended(&mut sim, FRANCE, days(30), None);
    delivery.ended(&mut sim, FRANCE, days(40), Some("expired"));
    sim
}
