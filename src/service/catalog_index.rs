//! The catalog, indexed once per refresh.
//!
//! For every order there is a permutation of the products, and for every
//! country, tag, category and parent a bitmap over that permutation. A query
//! intersects bitmaps (20 machine words for 1,200 products) and reads one page
//! off the result: it never visits products that are not in the answer. Words
//! of the texts have posting lists, so that a text query costs its matches.
//! Bounds on data, validity and price are ranges of an order, and radio
//! technologies have bitmaps; only a query with such a filter pays for it.
//!
//! Add-ons are found only by a query that asks for them: nobody can buy one
//! alone, so they would make prices look lower than they are.

mod destinations;
mod order;
mod ranges;
mod technologies;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;

use bytes::Bytes;
use fixedbitset::FixedBitSet;
use foldhash::{HashMap, HashMapExt as _};

use crate::domain::catalog_change::Prices;
use crate::domain::digest::Digest;
use crate::domain::product::{Category, Product};
use crate::domain::{Country, Language, Money};
use order::sort_key;
use technologies::Technologies;

pub use destinations::{Destination, Offers};
pub use order::{Key, Order};

/// Prepares the message of a product: made once per refresh, copied into every
/// answer. Opaque to the service.
pub type Prepare = fn(&Product) -> Bytes;

/// A filter; an empty member does not filter.
#[derive(Clone, Debug, Default, Hash)]
pub struct Query {
    /// Covers all of them.
    pub countries: Vec<Country>,
    /// Is one of them. Add-ons are found only with `AddOn` among them, or by
    /// `parent`.
    pub categories: Vec<Category>,
    /// Is an add-on of this product.
    pub parent: Option<String>,
    /// Has a word that starts with each word of this text.
    pub text: String,
    /// Carries all of them.
    pub tags: Vec<String>,
    /// Includes products that are not on sale.
    pub include_unavailable: bool,
    /// Grants at least as many bytes of data, or unlimited data.
    pub min_data_bytes: Option<i64>,
    /// Lasts at least as many days; a month counts as 30.
    pub min_days: Option<i64>,
    /// Has a list price in this currency of at most this.
    pub max_price: Option<Money>,
    /// Has unlimited data, or has not.
    pub unlimited: Option<bool>,
    /// Has one of them, in each of the countries if there are any.
    pub technologies: Vec<String>,
    /// The order.
    pub order: Order,
}

/// A product of the index.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The product.
    pub product: Arc<Product>,
    /// The message that `grpc` prepared for it.
    pub prepared: Bytes,
}

/// A property of a product that a query can filter by.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Facet {
    Country(Country),
    Category(Category),
    Parent(String),
    /// In lowercase.
    Tag(String),
    Unlimited,
    /// On sale.
    Available,
    /// Not an add-on.
    Plan,
    /// Both: where nearly every query begins.
    PlanOnSale,
}

/// The products with each facet.
type Postings = HashMap<Facet, Vec<usize>>;

/// The products in one of the orders.
struct Ranking {
    /// Rank → product.
    products: Vec<usize>,
    /// Product → rank.
    ranks: Vec<usize>,
    facets: HashMap<Facet, FixedBitSet>,
}

/// A catalog that can be queried.
pub struct Index {
    entries: Vec<Entry>,
    by_id: HashMap<String, usize>,
    rankings: HashMap<Order, Ranking>,
    /// Word in lowercase → products.
    words: BTreeMap<String, Vec<usize>>,
    technologies: Technologies,
    destinations: Arc<[Destination]>,
    snapshot: u64,
    /// The snapshot as callers see it.
    version: Arc<str>,
    language: Option<Language>,
}

impl Index {
    /// Indexes products with texts in this language; infrastructure products are not listed.
    pub fn new(products: Vec<Product>, language: Option<Language>, prepare: Prepare) -> Self {
        let mut entries: Vec<Entry> = products
            .into_iter()
            .filter(|product| !product.is_infrastructure())
            .map(|product| Entry {
                prepared: prepare(&product),
                product: Arc::new(product),
            })
            .collect();
        entries.sort_by(|a, b| a.product.id.cmp(&b.product.id));
        let by_id = entries
            .iter()
            .enumerate()
            .map(|(at, entry)| (entry.product.id.clone(), at))
            .collect();
        let postings = postings(&entries);
        let rankings: HashMap<Order, Ranking> = Order::all()
            .map(|order| (order, Ranking::new(&entries, &postings, order)))
            .collect();
        let snapshot = snapshot(&entries);
        let mut index = Self {
            words: words(&entries),
            technologies: Technologies::of(&entries),
            snapshot,
            version: format!("{snapshot:016x}").into(),
            destinations: Arc::new([]),
            entries,
            by_id,
            rankings,
            language,
        };
        index.destinations = index.list_destinations();
        index
    }

    /// Identifies the content: equal catalogs have equal snapshots, also in
    /// another replica of the same build.
    pub fn snapshot(&self) -> u64 {
        self.snapshot
    }

    /// The same for callers: in hexadecimal.
    pub fn version(&self) -> Arc<str> {
        Arc::clone(&self.version)
    }

    /// The language of its texts, where the provider says it.
    pub fn language(&self) -> Option<Language> {
        self.language.clone()
    }

    /// Products in it.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// A product by its id.
    pub fn entry(&self, id: &str) -> Option<&Entry> {
        self.entries.get(*self.by_id.get(id)?)
    }

    /// The products on sale and their prices, sorted by id.
    pub fn on_sale(&self) -> Vec<(String, Prices)> {
        let products = self.entries.iter().map(|entry| &entry.product);
        let on_sale = products.filter(|product| product.available);
        on_sale
            .map(|product| {
                let prices = Prices {
                    order: product.price,
                    renewal: product.renewal_price,
                };
                (product.id.clone(), prices)
            })
            .collect()
    }

    /// Countries in which something on sale works, sorted.
    pub fn destinations(&self) -> Arc<[Destination]> {
        Arc::clone(&self.destinations)
    }

    /// The matches from `offset` on, at most `limit`, and how many there are
    /// in all.
    pub fn select(&self, query: &Query, offset: usize, limit: usize) -> (Vec<&Entry>, usize) {
        let Some(ranking) = self.rankings.get(&query.order) else {
            return (Vec::new(), 0);
        };
        let Some(matches) = self.matches(query, ranking) else {
            return (Vec::new(), 0);
        };
        let entry = |rank: usize| self.entries.get(*ranking.products.get(rank)?);
        let total = matches.count_ones(..);
        let page = matches
            .ones()
            .skip(offset)
            .take(limit)
            .filter_map(entry)
            .collect();
        (page, total)
    }

    /// Ranks of the matches; `None` when a requested facet or word does not
    /// exist.
    fn matches(&self, query: &Query, ranking: &Ranking) -> Option<FixedBitSet> {
        let with_add_ons = query.parent.is_some() || query.categories.contains(&Category::AddOn);
        let mut matches = match (query.include_unavailable, with_add_ons) {
            (true, true) => full(self.len()),
            (true, false) => ranking.facets.get(&Facet::Plan)?.clone(),
            (false, true) => ranking.facets.get(&Facet::Available)?.clone(),
            (false, false) => ranking.facets.get(&Facet::PlanOnSale)?.clone(),
        };
        let wanted = query
            .countries
            .iter()
            .map(|country| Facet::Country(*country))
            .chain(query.tags.iter().map(|tag| Facet::Tag(tag.to_lowercase())))
            .chain(query.parent.iter().cloned().map(Facet::Parent));
        for facet in wanted {
            matches.intersect_with(ranking.facets.get(&facet)?);
        }
        if !query.categories.is_empty() {
            let mut any = FixedBitSet::with_capacity(self.len());
            for category in &query.categories {
                if let Some(ranks) = ranking.facets.get(&Facet::Category(*category)) {
                    any.union_with(ranks);
                }
            }
            matches.intersect_with(&any);
        }
        for word in split(&query.text) {
            matches.intersect_with(&self.ranks_of_word(&word, ranking));
        }
        match (query.unlimited, ranking.facets.get(&Facet::Unlimited)) {
            (None, _) | (Some(false), None) => {}
            (Some(false), Some(unlimited)) => matches.difference_with(unlimited),
            (Some(true), unlimited) => matches.intersect_with(unlimited?),
        }
        for products in self.within_bounds(query) {
            matches.intersect_with(&self.ranks_of(products.iter().copied(), ranking));
        }
        if !query.technologies.is_empty() {
            let products = self.technologies.select(&query.technologies, &query.countries);
            matches.intersect_with(&self.ranks_of(products?.ones(), ranking));
        }
        Some(matches)
    }

    fn ranks_of_word(&self, prefix: &str, ranking: &Ranking) -> FixedBitSet {
        let begin_with = self
            .words
            .range(prefix.to_owned()..)
            .take_while(|(word, _)| word.starts_with(prefix));
        self.ranks_of(begin_with.flat_map(|(_, products)| products).copied(), ranking)
    }

    fn ranks_of(&self, products: impl Iterator<Item = usize>, ranking: &Ranking) -> FixedBitSet {
        let mut ranks = FixedBitSet::with_capacity(self.len());
        for rank in products.filter_map(|product| ranking.ranks.get(product)) {
            ranks.insert(*rank);
        }
        ranks
    }
}

impl Ranking {
    fn new(entries: &[Entry], postings: &Postings, order: Order) -> Self {
        let mut products: Vec<usize> = (0..entries.len()).collect();
        // Entries are sorted by id and the sort is stable.
        match (order.key, order.descending) {
            (Key::Id, true) => products.reverse(),
            _ => products
                .sort_by_cached_key(|at| entries.get(*at).map(|entry| sort_key(&entry.product, order))),
        }
        let mut ranks = vec![0; entries.len()];
        for (rank, product) in products.iter().enumerate() {
            if let Some(own) = ranks.get_mut(*product) {
                *own = rank;
            }
        }
        let set = |with: &Vec<usize>| {
            let mut set = FixedBitSet::with_capacity(entries.len());
            set.extend(with.iter().filter_map(|product| ranks.get(*product)).copied());
            set
        };
        let facets = postings
            .iter()
            .map(|(facet, with)| (facet.clone(), set(with)))
            .collect();
        Self {
            products,
            ranks,
            facets,
        }
    }
}

fn postings(entries: &[Entry]) -> Postings {
    let mut postings = Postings::new();
    for (at, entry) in entries.iter().enumerate() {
        for facet in facets(&entry.product) {
            postings.entry(facet).or_default().push(at);
        }
    }
    postings
}

fn facets(product: &Product) -> impl Iterator<Item = Facet> {
    let countries = product.countries.iter().map(|country| Facet::Country(*country));
    let tags = product.tags.iter().map(|tag| Facet::Tag(tag.to_lowercase()));
    let parents = product.parent_ids.iter().cloned().map(Facet::Parent);
    let category = product.category.map(Facet::Category);
    let unlimited = product.has_unlimited_data().then_some(Facet::Unlimited);
    let is_plan = !product.is_add_on();
    let available = product.available.then_some(Facet::Available);
    let plan = is_plan.then_some(Facet::Plan);
    let plan_on_sale = (is_plan && product.available).then_some(Facet::PlanOnSale);
    countries
        .chain(tags)
        .chain(parents)
        .chain(category)
        .chain(unlimited)
        .chain(available)
        .chain(plan)
        .chain(plan_on_sale)
}

fn words(entries: &[Entry]) -> BTreeMap<String, Vec<usize>> {
    let mut words: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, entry) in entries.iter().enumerate() {
        let product = &entry.product;
        let texts = [&product.id, &product.name, &product.description];
        let unique: BTreeSet<String> = texts.into_iter().flat_map(|text| split(text)).collect();
        for word in unique {
            words.entry(word).or_default().push(at);
        }
    }
    words
}

/// Words in lowercase: runs of letters and digits. A query is split the same
/// way, so that a pasted product id finds its product.
fn split(text: &str) -> impl Iterator<Item = String> {
    text.split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
}

fn full(length: usize) -> FixedBitSet {
    let mut all = FixedBitSet::with_capacity(length);
    all.insert_range(..);
    all
}

fn snapshot(entries: &[Entry]) -> u64 {
    let mut hasher = Digest::default();
    for entry in entries {
        entry.prepared.hash(&mut hasher);
    }
    hasher.finish()
}

#[cfg(test)]
#[path = "catalog_index_tests.rs"]
mod tests;
