//! `[stock]`: SIMs that are reserved and sold one by one.

use std::time::Duration;

use super::reader::{Reader, SECOND};
use crate::domain::Pool;
use crate::domain::stock_level::Thresholds;

/// SIMs that are reserved and sold one by one.
#[derive(Clone, Debug)]
pub struct Stock {
    /// For how long a SIM is reserved when the request does not say.
    pub reserve_for: Duration,
    /// Below how many available SIMs a pool is low.
    pub low: Thresholds,
    /// `[stock.search]`; `None`: nothing is added without a request.
    pub search: Option<Search>,
}

/// SIMs that are added because SIM Search shows them.
#[derive(Clone, Debug)]
pub struct Search {
    /// Time between two.
    pub interval: Duration,
    /// Where they are added.
    pub pool: Pool,
    /// Only those of this group.
    pub group: Option<String>,
}

const LOW: &str = "stock.low";
const INTERVAL: &str = "stock.search.interval";
const POOL: &str = "stock.search.pool";
/// Stands for each pool that is not named.
const OTHERS: &str = "*";

const NOT_A_POOL: &str =
    "is not a name of 1 to 64 letters, digits, \".\", \"_\" and \"-\", beginning with a letter or digit";

impl Stock {
    pub(super) fn read(reader: &mut Reader) -> Self {
        Self {
            reserve_for: reader.duration("stock.reserve_for", SECOND),
            low: thresholds(reader),
            search: Search::read(reader),
        }
    }
}

fn thresholds(reader: &mut Reader) -> Thresholds {
    let mut thresholds = Thresholds::default();
    for (name, threshold) in reader.numbers(LOW) {
        if name == OTHERS {
            thresholds.others = threshold;
        } else if let Some(pool) = Pool::parse(&name) {
            thresholds.named.insert(pool, threshold);
        } else {
            reader.problem(LOW, format!("{name:?} {NOT_A_POOL}, nor \"{OTHERS}\""));
        }
    }
    thresholds
}

impl Search {
    fn read(reader: &mut Reader) -> Option<Self> {
        let is_on = reader.optional_text(INTERVAL).is_some();
        let interval = is_on.then(|| reader.duration(INTERVAL, SECOND));
        let name = reader.text(POOL);
        let pool = Pool::parse(&name);
        if pool.is_none() {
            reader.problem(POOL, format!("{name:?} {NOT_A_POOL}"));
        }
        let group = reader.optional_text("stock.search.group");
        Some(Self {
            interval: interval?,
            pool: pool?,
            group,
        })
    }
}
