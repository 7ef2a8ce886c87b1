//! What changes from one version of the catalog to the next, for a caller that
//! keeps its own copy: which products are on sale, and at which list prices.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;

use super::Money;

/// The list prices of a product; `None` where none is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prices {
    /// Of an order.
    pub order: Option<Money>,
    /// Of each further period.
    pub renewal: Option<Money>,
}

/// A product that is or was on sale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownProduct {
    /// Its prices while it was last on sale.
    pub prices: Prices,
    /// Whether it is.
    pub on_sale: bool,
}

/// Every product that has been on sale, by its id.
pub type KnownProducts = BTreeMap<String, KnownProduct>;

/// As many are known. Beyond that products that are not on sale are forgotten:
/// should one return, it counts as new.
const MOST_KNOWN: usize = 20_000;

/// What happened to a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// On sale for the first time.
    New,
    /// On sale at another price.
    PriceChanged,
    /// No longer on sale.
    Withdrawn,
    /// On sale again.
    Returned,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::New, Self::PriceChanged, Self::Withdrawn, Self::Returned];
}

/// A change of one product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The product.
    pub product_id: String,
    /// What happened.
    pub kind: Kind,
    /// The prices when it was last on sale; none for a new product.
    pub before: Prices,
    /// The prices now; none for one that is withdrawn.
    pub now: Prices,
}

/// A version of the catalog in which something changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionChange {
    /// The change.
    pub change: Change,
    /// The version that it came with.
    pub version: String,
    /// When the gateway read that version.
    pub seen_at: Timestamp,
}

/// What a list of changes begins after.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Since {
    /// This version, when it was last current.
    Version(String),
    /// This time.
    Time(Timestamp),
}

/// What changed for the products on sale, in the order of their ids, and what is
/// known from now on.
pub fn between(before: &KnownProducts, on_sale: &[(String, Prices)]) -> (Vec<Change>, KnownProducts) {
    let mut changes = Vec::new();
    let mut known = before.clone();
    let current: HashSet<&str> = on_sale.iter().map(|(id, _)| id.as_str()).collect();
    for (id, product) in &mut known {
        if product.on_sale && !current.contains(id.as_str()) {
            product.on_sale = false;
            changes.push(Change {
                product_id: id.clone(),
                kind: Kind::Withdrawn,
                before: product.prices,
                now: Prices::default(),
            });
        }
    }
    for (id, prices) in on_sale {
        let product = KnownProduct {
            prices: *prices,
            on_sale: true,
        };
        let last = known.insert(id.clone(), product);
        let kind = match last {
            None => Kind::New,
            Some(last) if !last.on_sale => Kind::Returned,
            Some(last) if last.prices != *prices => Kind::PriceChanged,
            Some(_) => continue,
        };
        changes.push(Change {
            product_id: id.clone(),
            kind,
            before: last.map(|last| last.prices).unwrap_or_default(),
            now: *prices,
        });
    }
    changes.sort_by(|a, b| a.product_id.cmp(&b.product_id));
    if known.len() > MOST_KNOWN {
        known.retain(|_, product| product.on_sale);
    }
    (changes, known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::money::Currency;

    fn cents(cents: i64) -> Prices {
        Prices {
            order: Some(Money::from_cents(Currency::parse("EUR").unwrap(), cents)),
            renewal: None,
        }
    }

    fn on_sale(products: &[(&str, Prices)]) -> Vec<(String, Prices)> {
        let owned = |(id, prices): &(&str, Prices)| ((*id).to_owned(), *prices);
        products.iter().map(owned).collect()
    }

    #[test]
    fn a_product_is_new_once_and_returns_after_it_was_withdrawn() {
        let none = Prices::default();
        let renewed = Prices {
            renewal: cents(90).order,
            ..cents(100)
        };
        type Step<'a> = (&'a [(&'a str, Prices)], &'a [(&'a str, Kind, Prices, Prices)]);
        let steps: [Step<'_>; 7] = [
            (
                &[("A", cents(100)), ("B", none)],
                &[("A", Kind::New, none, cents(100)), ("B", Kind::New, none, none)],
            ),
            (&[("A", cents(100)), ("B", none)], &[]),
            (
                &[("A", cents(200)), ("B", cents(5))],
                &[
                    ("A", Kind::PriceChanged, cents(100), cents(200)),
                    ("B", Kind::PriceChanged, none, cents(5)),
                ],
            ),
            (&[("B", cents(5))], &[("A", Kind::Withdrawn, cents(200), none)]),
            (&[("B", cents(5)), ("C", none)], &[("C", Kind::New, none, none)]),
            (
                &[("A", cents(100)), ("C", none)],
                &[
                    ("A", Kind::Returned, cents(200), cents(100)),
                    ("B", Kind::Withdrawn, cents(5), none),
                ],
            ),
            (
                &[("A", renewed), ("C", none)],
                &[("A", Kind::PriceChanged, cents(100), renewed)],
            ),
        ];
        let mut known = KnownProducts::new();
        for (products, expected) in steps {
            let (changes, next) = between(&known, &on_sale(products));
            let expected: Vec<Change> = expected
                .iter()
                .map(|(id, kind, before, now)| Change {
                    product_id: (*id).to_owned(),
                    kind: *kind,
                    before: *before,
                    now: *now,
                })
                .collect();
            assert_eq!(changes, expected);
            known = next;
        }
    }

    #[test]
    fn products_that_are_gone_are_forgotten_when_there_are_too_many() {
        let many: Vec<(String, Prices)> = (0..=MOST_KNOWN)
            .map(|number| (format!("{number:06}"), Prices::default()))
            .collect();
        let (_, known) = between(&KnownProducts::new(), &many);
        assert_eq!(known.len(), MOST_KNOWN + 1, "what is on sale stays");
        let (changes, known) = between(&known, &many[..5]);
        assert_eq!((changes.len(), known.len()), (MOST_KNOWN - 4, 5));
    }
}
