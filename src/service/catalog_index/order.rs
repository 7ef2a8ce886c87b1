//! The orders of a list, and the keys that products are sorted by.

use crate::domain::Money;
use crate::domain::product::Product;

/// The order of a list. Ties are sorted by id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Order {
    /// By id.
    #[default]
    Id,
    /// Cheapest first; without a price last.
    Price,
    /// Most expensive first; without a price last.
    PriceDescending,
    /// Most data first, unlimited before all others.
    Data,
    /// Longest first.
    Validity,
}

impl Order {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Id,
        Self::Price,
        Self::PriceDescending,
        Self::Data,
        Self::Validity,
    ];
}

/// Sorts ascending: missing values go last; for a descending order the sign is
/// reversed.
pub(super) fn sort_key(product: &Product, order: Order) -> SortKey {
    match order {
        Order::Id => (false, None, 0),
        Order::Price => product.price.map_or(MISSING, price_key),
        Order::PriceDescending => product.price.map_or(MISSING, |price| {
            let (present, currency, amount) = price_key(price);
            (present, currency, -amount)
        }),
        Order::Data if product.has_unlimited_data() => (false, None, i128::MIN),
        Order::Data => product.data_bytes().map_or(MISSING, largest_first),
        Order::Validity => {
            let days = product.validity.map(|validity| validity.approximate_days());
            days.map_or(MISSING, largest_first)
        }
    }
}

/// Whether the value is missing, its currency, and its amount.
pub(super) type SortKey = (bool, Option<[u8; 3]>, i128);

const MISSING: SortKey = (true, None, 0);

/// The largest amount first.
pub(super) fn largest_first(amount: i64) -> SortKey {
    (false, None, -i128::from(amount))
}

/// The lowest price of a currency first.
pub(super) fn price_key(price: Money) -> SortKey {
    let (currency, units, nanos) = price.sort_key();
    let amount = i128::from(units) * 1_000_000_000 + i128::from(nanos);
    (
        false,
        <[u8; 3]>::try_from(currency.code().as_bytes()).ok(),
        amount,
    )
}
