//! A product on a SIM and what is left of it.

use jiff::Timestamp;

use super::product::{Amount, Category};
use super::{Country, Language};

/// A product on a SIM.
#[derive(Clone, Debug, PartialEq)]
pub struct Subscription {
    /// The provider's id, opaque.
    pub id: String,
    /// Its product; empty when the provider does not say.
    pub product_id: String,
    /// The product's category; `None` when the provider does not say.
    pub category: Option<Category>,
    /// Its status; `None` when the provider's value is not known.
    pub status: Option<Status>,
    /// The status as the provider gives it.
    pub raw_status: String,
    /// When it was ordered.
    pub ordered_at: Option<Timestamp>,
    /// When it was first used.
    pub activated_at: Option<Timestamp>,
    /// Until when it can wait for its first use, or when it ends.
    pub end: Option<End>,
    /// What is left, as the provider counts it.
    pub balances: Vec<Balance>,
    /// Where it works: sorted, unique.
    pub countries: Vec<Country>,
    /// The provider's infrastructure, not a customer's.
    pub infrastructure: bool,
    /// Its data is not limited, as far as is known.
    pub unlimited: bool,
}

impl Subscription {
    /// Records that its data is not limited: amounts of data only say how much
    /// of it has full speed.
    pub fn set_unlimited(&mut self) {
        self.unlimited = true;
        for balance in &mut self.balances {
            balance.fair_use |= balance.level.is_limited_data();
        }
    }

    /// Whether it can be used now.
    pub fn is_usable(&self) -> bool {
        matches!(self.status, Some(Status::Active | Status::Canceled))
    }

    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        matches!(self.status, Some(Status::Expired | Status::Terminated))
    }
}

/// The subscriptions of a SIM, for decisions about money.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Holdings {
    /// Every subscription that could be read, over or not, in the provider's
    /// order.
    pub subscriptions: Vec<Subscription>,
    /// Number of elements of the answer that could not be read, or have no id:
    /// each may be any subscription.
    pub unreadable: usize,
    /// The language of labels, where the provider says it.
    pub language: Option<Language>,
}

impl Holdings {
    /// The subscription of this id.
    pub fn find(&self, id: &str) -> Option<&Subscription> {
        self.subscriptions
            .iter()
            .find(|subscription| subscription.id == id)
    }
}

/// What the provider's single expiration date means. It depends on whether the
/// subscription has started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It has to be used for the first time before this moment.
    ActivationDeadline(Timestamp),
    /// Its validity ends then.
    Expiry(Timestamp),
}

/// The status of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// The order is being processed.
    Pending,
    /// Replaces another one at that one's renewal.
    Scheduled,
    /// Starts with the first use.
    WaitingForFirstUse,
    /// Can be used.
    Active,
    /// Switched off temporarily.
    Suspended,
    /// Can be used, will not renew.
    Canceled,
    /// Ended by its validity.
    Expired,
    /// Ended otherwise.
    Terminated,
}

/// What is left of one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balance {
    /// The provider's name of the resource, opaque.
    pub resource: String,
    /// Text to show; may be empty.
    pub label: String,
    /// How much.
    pub level: Level,
    /// Only how much of an unlimited subscription has full speed.
    pub fair_use: bool,
    /// Start of the period.
    pub period_start: Option<Timestamp>,
    /// End of the period.
    pub period_end: Option<Timestamp>,
}

/// How much of a resource there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Not limited.
    Unlimited,
    /// Limited; what is not known is absent.
    Limited {
        /// What is left.
        remaining: Option<Amount>,
        /// What there was.
        initial: Option<Amount>,
    },
}

impl Level {
    /// Whether it is an amount of data.
    fn is_limited_data(self) -> bool {
        match self {
            Self::Limited { remaining, initial } => {
                matches!(remaining.or(initial), Some(Amount::DataBytes(_)))
            }
            Self::Unlimited => false,
        }
    }

    /// What was used; `None` when that is not known.
    pub fn used(self) -> Option<Amount> {
        match self {
            Self::Limited {
                remaining: Some(remaining),
                initial: Some(initial),
            } => initial.less(remaining),
            Self::Unlimited | Self::Limited { .. } => None,
        }
    }
}

/// Sums balances per resource, in the order in which resources first occur,
/// fair-use volumes apart. One unlimited row makes the resource unlimited; one
/// unknown row makes the sum unknown.
pub fn totals<'a>(balances: impl Iterator<Item = &'a Balance>) -> Vec<Balance> {
    let mut totals: Vec<Balance> = Vec::new();
    for balance in balances {
        let same = |total: &&mut Balance| {
            total.resource == balance.resource
                && total.fair_use == balance.fair_use
                && total.level.is_counted_like(balance.level)
        };
        match totals.iter_mut().find(same) {
            None => totals.push(Balance {
                period_start: None,
                period_end: None,
                ..balance.clone()
            }),
            Some(total) => total.level = total.level.plus(balance.level),
        }
    }
    totals
}

impl Level {
    /// Whether the two can be added: rows without a name may be of different
    /// kinds.
    fn is_counted_like(self, other: Self) -> bool {
        let counted = |level: Self| match level {
            Self::Limited { remaining, initial } => remaining.or(initial),
            Self::Unlimited => None,
        };
        match (counted(self), counted(other)) {
            (Some(one), Some(other)) => std::mem::discriminant(&one) == std::mem::discriminant(&other),
            _ => true,
        }
    }

    fn plus(self, other: Self) -> Self {
        let sum = |a: Option<Amount>, b: Option<Amount>| a?.plus(b?);
        match (self, other) {
            (Self::Unlimited, _) | (_, Self::Unlimited) => Self::Unlimited,
            (
                Self::Limited { remaining, initial },
                Self::Limited {
                    remaining: more_remaining,
                    initial: more_initial,
                },
            ) => Self::Limited {
                remaining: sum(remaining, more_remaining),
                initial: sum(initial, more_initial),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn balance(resource: &str, remaining: Option<i64>, initial: Option<i64>) -> Balance {
        let level = Level::Limited {
            remaining: remaining.map(Amount::DataBytes),
            initial: initial.map(Amount::DataBytes),
        };
        Balance {
            resource: resource.into(),
            label: "L".into(),
            level,
            fair_use: false,
            period_start: None,
            period_end: None,
        }
    }

    #[test]
    fn fair_use_is_summed_apart() {
        let mut unlimited = Subscription {
            id: "S".into(),
            product_id: "P".into(),
            category: None,
            status: None,
            raw_status: String::new(),
            ordered_at: None,
            activated_at: None,
            end: None,
            balances: vec![balance("R", Some(0), Some(5)), balance("R", None, None)],
            countries: Vec::new(),
            infrastructure: false,
            unlimited: false,
        };
        unlimited.set_unlimited();
        let fair_use: Vec<bool> = unlimited.balances.iter().map(|row| row.fair_use).collect();
        assert_eq!((unlimited.unlimited, fair_use), (true, vec![true, false]));
        let rows = [balance("R", Some(7), Some(9)), unlimited.balances.remove(0)];
        let totals = totals(rows.iter());
        let remaining: Vec<(bool, Level)> =
            totals.iter().map(|total| (total.fair_use, total.level)).collect();
        let limited = |remaining, initial| balance("", remaining, initial).level;
        assert_eq!(
            remaining,
            [
                (false, limited(Some(7), Some(9))),
                (true, limited(Some(0), Some(5)))
            ]
        );
    }

    #[test]
    fn used_is_what_is_missing_and_never_negative() {
        for (remaining, initial, used) in [
            (Some(1), Some(5), Some(4)),
            (Some(5), Some(5), Some(0)),
            // More than there was: nothing has been used.
            (Some(6), Some(5), Some(0)),
            (Some(0), Some(5), Some(5)),
            (None, Some(5), None),
            (Some(1), None, None),
        ] {
            let level = balance("R", remaining, initial).level;
            assert_eq!(
                level.used(),
                used.map(Amount::DataBytes),
                "{remaining:?} of {initial:?}"
            );
        }
        assert_eq!(Level::Unlimited.used(), None);
    }

    #[test]
    fn totals_are_per_resource_and_unknown_where_a_row_is() {
        let unlimited = Balance {
            level: Level::Unlimited,
            ..balance("U", None, None)
        };
        let rows = [
            balance("A", Some(1), Some(2)),
            balance("B", Some(7), None),
            balance("A", Some(10), Some(20)),
            balance("U", Some(1), Some(1)),
            unlimited,
        ];
        let totals = totals(rows.iter());
        let levels: Vec<(&str, Level)> = totals
            .iter()
            .map(|total| (total.resource.as_str(), total.level))
            .collect();
        let limited = |remaining, initial| balance("", remaining, initial).level;
        assert_eq!(
            levels,
            [
                ("A", limited(Some(11), Some(22))),
                ("B", limited(Some(7), None)),
                ("U", Level::Unlimited)
            ]
        );
    }
}
