//! Which products have which radio technology, anywhere and in each country.

use fixedbitset::FixedBitSet;
use foldhash::{HashMap, HashMapExt as _};

use super::Entry;
use crate::domain::Country;

/// Technology in lowercase → products.
type ByName = HashMap<String, FixedBitSet>;

/// The radio technologies of a catalog.
pub(super) struct Technologies {
    anywhere: ByName,
    by_country: HashMap<Country, ByName>,
}

impl Technologies {
    pub(super) fn of(entries: &[Entry]) -> Self {
        let mut all = Self {
            anywhere: HashMap::new(),
            by_country: HashMap::new(),
        };
        for (at, entry) in entries.iter().enumerate() {
            for network in &entry.product.networks {
                let in_country = all.by_country.entry(network.country).or_default();
                let names = network
                    .operators
                    .iter()
                    .flat_map(|operator| &operator.technologies);
                for name in names.map(|name| name.to_lowercase()) {
                    for by_name in [&mut all.anywhere, &mut *in_country] {
                        match by_name.get_mut(&name) {
                            Some(products) => products.insert(at),
                            None => {
                                let mut products = FixedBitSet::with_capacity(entries.len());
                                products.insert(at);
                                by_name.insert(name.clone(), products);
                            }
                        }
                    }
                }
            }
        }
        all
    }

    /// Products with one of the technologies in each of the countries, or
    /// anywhere without countries. `None` when there is none.
    pub(super) fn select(&self, names: &[String], countries: &[Country]) -> Option<FixedBitSet> {
        let names: Vec<String> = names.iter().map(|name| name.to_lowercase()).collect();
        let any = |by_name: &ByName| {
            let found = names.iter().filter_map(|name| by_name.get(name));
            found.cloned().reduce(|all, more| &all | &more)
        };
        let Some((first, rest)) = countries.split_first() else {
            return any(&self.anywhere);
        };
        let mut products = any(self.by_country.get(first)?)?;
        for country in rest {
            products.intersect_with(&any(self.by_country.get(country)?)?);
        }
        Some(products)
    }
}
