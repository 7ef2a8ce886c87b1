//! Bounds of a query on data, validity and price: each is a range of the
//! products in the order of that value.

use super::order::{Key, SortKey, amount_key, price_key, sort_key};
use super::{Index, Order, Query};

/// Beyond every amount, and before the products without one.
const LARGEST: SortKey = (false, None, i128::MAX);

impl Index {
    /// For each bound of the query the products within it.
    pub(super) fn within_bounds(&self, query: &Query) -> impl Iterator<Item = &[usize]> {
        let most = query.max_price.map(price_key);
        let price = most.map(|(present, currency, most)| {
            let from = (present, currency, i128::MIN);
            self.range(Key::Price, from, (present, currency, most))
        });
        let data = query.min_data_bytes.map(amount_key);
        let data = data.map(|least| self.range(Key::Data, least, LARGEST));
        let validity = query.min_days.map(amount_key);
        let validity = validity.map(|least| self.range(Key::Validity, least, LARGEST));
        price.into_iter().chain(data).chain(validity)
    }

    /// The products from one key to another, both included.
    fn range(&self, key: Key, from: SortKey, to: SortKey) -> &[usize] {
        let order = Order::ascending(key);
        let Some(ranking) = self.rankings.get(&order) else {
            return &[];
        };
        let key = |product: &usize| {
            let entry = self.entries.get(*product);
            entry.map(|entry| sort_key(&entry.product, order))
        };
        let products = &ranking.products;
        let start = products.partition_point(|product| key(product) < Some(from));
        let end = products.partition_point(|product| key(product) <= Some(to));
        products.get(start..end).unwrap_or_default()
    }
}
