//! What was ordered, summed by list price.

use std::collections::BTreeMap;

use super::{Writes, unavailable};
use crate::domain::money::Currency;
use crate::domain::spend::{Days, Sum};
use crate::domain::{Country, Result, Scope};

/// What is summed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpendQuery {
    /// Of orders that were sent on these days.
    pub days: Days,
    /// By what, besides the currency.
    pub by: Groups,
}

/// What has sums of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Groups {
    /// Each caller.
    pub caller: bool,
    /// Each product.
    pub product: bool,
    /// All products that work in the same countries.
    pub countries: bool,
}

/// The orders of a sum. What is not grouped by is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    /// Who ordered; also empty when that is not known.
    pub caller: String,
    /// What was ordered.
    pub product_id: String,
    /// Where it works, by today's catalog; also empty when that has no such
    /// product.
    pub countries: Vec<Country>,
    /// The currency of the list prices; `None` for orders without one.
    pub currency: Option<Currency>,
}

/// What was bought, and what may have been.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Orders that are placed.
    pub placed: Sum,
    /// Orders in flight.
    pub open: Sum,
}

impl Writes {
    /// Sums of list prices of the orders in the scope by group, in the order of
    /// the groups.
    ///
    /// Cancel-safe.
    ///
    /// # Errors
    /// `LEDGER_UNAVAILABLE`; by countries also the provider's errors when no
    /// catalog is cached.
    pub async fn spend(&self, query: &SpendQuery, scope: &Scope) -> Result<BTreeMap<Group, Sums>> {
        let by = query.by;
        let catalog = match by.countries {
            true => Some(self.inner.catalog.products().await?),
            false => None,
        };
        let spent = self.inner.ledger.spend(query.days, scope.only()).await;
        let spent = spent.map_err(unavailable)?;
        let mut groups: BTreeMap<Group, Sums> = BTreeMap::new();
        for part in spent {
            let entry = catalog
                .as_ref()
                .and_then(|catalog| catalog.entry(&part.product_id));
            let group = Group {
                caller: part.caller.filter(|_| by.caller).unwrap_or_default(),
                countries: entry.map_or_else(Vec::new, |entry| entry.product.countries.clone()),
                product_id: match by.product {
                    true => part.product_id,
                    false => String::new(),
                },
                currency: part.currency,
            };
            let sums = groups.entry(group).or_default();
            match part.is_placed {
                true => sums.placed.add(part.sum),
                false => sums.open.add(part.sum),
            }
        }
        Ok(groups)
    }
}
