//! The orders of a list, and the keys that products are sorted by.

use crate::domain::Money;
use crate::domain::product::Product;

/// What a list is sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Key {
    /// The id.
    #[default]
    Id,
    /// The list price; prices of one currency are together, and currencies
    /// always in alphabetical order.
    Price,
    /// The data that is granted; unlimited data is the most.
    Data,
    /// How long it lasts; a month counts as 30 days.
    Validity,
    /// Until when it is sold.
    AvailableUntil,
}

impl Key {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Id,
        Self::Price,
        Self::Data,
        Self::Validity,
        Self::AvailableUntil,
    ];
}

/// The order of a list. Products without the value come last in both
/// directions, and ties are sorted by id, ascending.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Order {
    /// What it is sorted by.
    pub key: Key,
    /// Whether the largest come first.
    pub descending: bool,
}

impl Order {
    /// The smallest first.
    pub const fn ascending(key: Key) -> Self {
        Self {
            key,
            descending: false,
        }
    }

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        let both = |key| [false, true].map(|descending| Self { key, descending });
        Key::ALL.into_iter().flat_map(both)
    }
}

/// Whether the value is missing, its currency, and its amount, negative in a
/// descending order.
pub(super) type SortKey = (bool, Option<[u8; 3]>, i128);

const MISSING: SortKey = (true, None, 0);

/// Sorts as the order does; the same for all products when that is by id.
pub(super) fn sort_key(product: &Product, order: Order) -> SortKey {
    let value = match order.key {
        Key::Id => None,
        Key::Price => product.price.map(price_key),
        Key::Data if product.has_unlimited_data() => Some(amount_key(i64::MAX)),
        Key::Data => product.data_bytes().map(amount_key),
        Key::Validity => product
            .validity
            .map(|validity| amount_key(validity.approximate_days())),
        Key::AvailableUntil => product
            .available_until
            .map(|until| (false, None, until.as_nanosecond())),
    };
    match value {
        None => MISSING,
        Some((present, currency, amount)) if order.descending => (present, currency, -amount),
        Some(key) => key,
    }
}

/// The key of an amount.
pub(super) fn amount_key(amount: i64) -> SortKey {
    (false, None, amount.into())
}

/// The key of a price.
pub(super) fn price_key(price: Money) -> SortKey {
    let (currency, units, nanos) = price.sort_key();
    let amount = i128::from(units) * 1_000_000_000 + i128::from(nanos);
    (
        false,
        <[u8; 3]>::try_from(currency.code().as_bytes()).ok(),
        amount,
    )
}
