//! How full a pool of the stock is, beside what the settings call low.

use std::collections::BTreeMap;

use super::pool::Pool;

/// Below how many available SIMs a pool is low.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Thresholds {
    /// Of the pools that have one of their own.
    pub named: BTreeMap<Pool, u32>,
    /// Of each other pool.
    pub others: u32,
}

impl Thresholds {
    /// The threshold of a pool; with 0 it is never low.
    pub fn of(&self, pool: &Pool) -> u32 {
        self.named.get(pool).copied().unwrap_or(self.others)
    }
}

/// How full a pool is, or was when that was reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StockLevel {
    /// The pool.
    pub pool: Pool,
    /// How many SIMs were available.
    pub available: u64,
    /// Fewer than this are low.
    pub threshold: u64,
}

/// What was last reported of a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reported {
    /// That it is low.
    pub is_low: bool,
    /// By this threshold.
    pub threshold: u64,
}

impl StockLevel {
    /// Whether fewer are available than should be.
    pub fn is_low(&self) -> bool {
        self.available < self.threshold
    }

    /// Whether this is to be reported after that. While replicas have different
    /// settings, they agree on what was reported: one that is low by a lower
    /// threshold too is reported again, and one is filled again only by both.
    pub fn is_new(&self, reported: Reported) -> bool {
        match (self.is_low(), reported.is_low) {
            (true, true) => self.threshold < reported.threshold,
            (true, false) => true,
            (false, true) => self.available >= reported.threshold,
            (false, false) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_crossing_is_reported_once_whatever_the_replicas_settings_are() {
        let level = |available, threshold| StockLevel {
            pool: Pool::parse("shop").unwrap(),
            available,
            threshold,
        };
        let low = |threshold| Reported {
            is_low: true,
            threshold,
        };
        let filled = Reported {
            is_low: false,
            threshold: 50,
        };
        for (available, threshold, reported, is_new) in [
            (50, 50, filled, false),
            (49, 50, filled, true),
            (49, 50, Reported::default(), true),
            (0, 0, filled, false),
            (49, 50, low(50), false),
            (50, 50, low(50), true),
            // Another replica's threshold is higher: it would report the opposite.
            (30, 20, low(50), false),
            (19, 20, low(50), true),
            (19, 50, low(20), false),
            (30, 50, low(20), false),
        ] {
            let level = level(available, threshold);
            assert_eq!(level.is_new(reported), is_new, "{level:?} {reported:?}");
        }
    }

    #[test]
    fn a_pool_without_a_threshold_of_its_own_has_that_of_the_others() {
        let shop = Pool::parse("shop").unwrap();
        let thresholds = Thresholds {
            named: [(shop.clone(), 50)].into(),
            others: 20,
        };
        assert_eq!(thresholds.of(&shop), 50);
        assert_eq!(thresholds.of(&Pool::parse("other").unwrap()), 20);
    }
}
