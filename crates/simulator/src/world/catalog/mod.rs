//! The products of the account's COS.
//!
//! They are generated at the start and may be changed by control calls. What the
//! API writes once per language is kept with them.

pub(crate) mod destinations;
pub(crate) mod eligibility;
pub(crate) mod generate;
pub(crate) mod locale;
pub(crate) mod oddities;
pub(crate) mod product;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, OnceLock, RwLock},
};

use jiff::Timestamp;
use serde_json::Value;

use crate::{
    lock::{read, write},
    world::catalog::{locale::Locale, product::Product},
};

/// Everything that the COS sells, and some that it does not.
#[derive(Debug)]
pub(crate) struct Catalog {
    shelf: RwLock<Shelf>,
}

#[derive(Debug, Default)]
struct Shelf {
    entries: Vec<Entry>,
    positions: HashMap<String, usize>,
}

/// One element of the list answer.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    Product {
        product: Arc<Product>,
        has_add_ons: bool,
        unchanging: [OnceLock<Arc<str>>; Locale::COUNT],
    },
    /// JSON that is sent as it is; nothing can be ordered by it.
    Raw(Arc<str>),
}

impl Entry {
    fn product(product: Product, has_add_ons: bool) -> Self {
        Self::Product {
            product: Arc::new(product),
            has_add_ons,
            unchanging: Default::default(),
        }
    }
}

impl Catalog {
    pub(crate) fn generate(seed: u64, origin: Timestamp) -> Self {
        let products = generate::products(seed, origin);
        let parents: HashSet<String> = products
            .iter()
            .flat_map(|product| product.parents.iter().cloned())
            .collect();
        let mut shelf = Shelf::default();
        for product in products {
            let has_add_ons = parents.contains(&product.id);
            shelf.positions.insert(product.id.clone(), shelf.entries.len());
            shelf.entries.push(Entry::product(product, has_add_ons));
        }
        shelf.entries.extend(
            oddities::broken()
                .iter()
                .map(|value| Entry::Raw(value.to_string().into())),
        );
        Self {
            shelf: RwLock::new(shelf),
        }
    }

    /// The product with this id.
    pub(crate) fn product(&self, id: &str) -> Option<Arc<Product>> {
        let shelf = read(&self.shelf);
        match shelf
            .positions
            .get(id)
            .and_then(|position| shelf.entries.get(*position))?
        {
            Entry::Product { product, .. } => Some(Arc::clone(product)),
            Entry::Raw(_) => None,
        }
    }

    /// Changes a product for all requests to come. `false` when there is none with this id.
    pub(crate) fn change(&self, id: &str, change: impl FnOnce(&mut Product)) -> bool {
        let mut shelf = write(&self.shelf);
        let Some(position) = shelf.positions.get(id).copied() else {
            return false;
        };
        let Some(entry) = shelf.entries.get_mut(position) else {
            return false;
        };
        let Entry::Product {
            product, has_add_ons, ..
        } = entry
        else {
            return false;
        };
        let mut changed = Product::clone(product);
        change(&mut changed);
        *entry = Entry::product(changed, *has_add_ons);
        true
    }

    /// Adds an element to the end of the list answer, whatever it is.
    pub(crate) fn add_raw(&self, element: &Value) {
        write(&self.shelf)
            .entries
            .push(Entry::Raw(element.to_string().into()));
    }

    /// How many elements the unfiltered list of all products has.
    pub(crate) fn len(&self) -> usize {
        read(&self.shelf).entries.len()
    }

    /// Hands every entry to `visit` in the order of the list, under a read lock.
    pub(crate) fn each(&self, mut visit: impl FnMut(&Entry)) {
        read(&self.shelf).entries.iter().for_each(&mut visit);
    }
}
