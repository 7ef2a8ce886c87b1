//! What is sold for each country, for the first page of a shop.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Index, Key, Order, Query};
use crate::domain::product::{Category, Product};
use crate::domain::{Country, Money};

/// A country in which something on sale works.
#[derive(Clone, Debug, PartialEq)]
pub struct Destination {
    /// The country.
    pub country: Country,
    /// All that is on sale there, without add-ons.
    pub offers: Offers,
    /// The same by category; `None` is of products whose category is not known.
    pub by_category: Vec<(Option<Category>, Offers)>,
    /// How many of them cover no other country.
    pub only_there: u32,
}

/// Products that can be bought.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Offers {
    /// How many.
    pub products: u32,
    /// The lowest price among them.
    pub lowest_price: Option<Money>,
}

impl Offers {
    /// Of products that are sorted by price.
    fn of<'a>(cheapest_first: impl Iterator<Item = &'a Product>) -> Self {
        let mut offers = Self::default();
        for product in cheapest_first {
            offers.lowest_price = offers.lowest_price.or(product.price);
            offers.products = offers.products.saturating_add(1);
        }
        offers
    }
}

const CATEGORIES: [Option<Category>; 3] = [Some(Category::OneOff), Some(Category::Recurring), None];

impl Index {
    /// Sorted by country.
    pub(super) fn list_destinations(&self) -> Arc<[Destination]> {
        let countries: BTreeSet<Country> = self
            .entries
            .iter()
            .flat_map(|entry| &entry.product.countries)
            .copied()
            .collect();
        countries
            .into_iter()
            .filter_map(|country| self.destination(country))
            .collect()
    }

    /// `None` when nothing is on sale there.
    fn destination(&self, country: Country) -> Option<Destination> {
        let cheapest_first = Query {
            countries: vec![country],
            order: Order::ascending(Key::Price),
            ..Query::default()
        };
        let (entries, _) = self.select(&cheapest_first, 0, usize::MAX);
        let products = || entries.iter().map(|entry| &*entry.product);
        let by_category = CATEGORIES.into_iter().filter_map(|category| {
            let own = products().filter(|product| product.category == category);
            let offers = Offers::of(own);
            (offers.products > 0).then_some((category, offers))
        });
        let only_there = products().filter(|product| product.countries == [country]);
        (!entries.is_empty()).then(|| Destination {
            country,
            offers: Offers::of(products()),
            by_category: by_category.collect(),
            only_there: u32::try_from(only_there.count()).unwrap_or(u32::MAX),
        })
    }
}
