//! The catalog: whether it can be read, and what it shows of things that only
//! the account's own catalog can confirm. The gateway works whatever those are,
//! so none of them is required.

use std::collections::BTreeSet;

use super::Doctor;
use super::report::{Check, Report, Verdict};
use crate::domain::product::Product;
use crate::transatel::client::endpoint;

/// The resource of an unlimited product's fair-use volume, as integrators have
/// seen it.
const FAIR_USE: &str = "DATA_BUNDLE_FUP";

impl Doctor<'_> {
    /// Reads the whole catalog; returns a product of it.
    pub(super) async fn catalog(&self, report: &mut Report) -> Option<String> {
        let check = Check::named("catalog content", &endpoint::CATALOG);
        let language = &self.config.catalog.default_language;
        let listing = match self.provider.products(language).await {
            Ok(listing) => listing,
            Err(failure) => {
                let mut check = check.failed(&failure);
                if failure.is_refused_as("CATALOG_NOT_FOUND") {
                    check.note.push_str(": see transatel.cos");
                }
                report.add(check);
                return None;
            }
        };
        let (products, dropped) = (listing.products, listing.dropped.len());
        let verdict = match products.is_empty() {
            true => Verdict::Differs,
            false => Verdict::Ok,
        };
        let note = format!("{} products, {dropped} dropped", products.len());
        report.add(check.is(verdict, note));
        if products.is_empty() {
            return None;
        }
        for check in [list_price(&products), unlimited(&products), add_ons(&products)] {
            report.add(check);
        }
        products.into_iter().next().map(|product| product.id)
    }
}

/// One price, to be compared with the contract: whether it is the retail price
/// is for a person to find out.
fn list_price(products: &[Product]) -> Check {
    let check = Check::optional("list price", &endpoint::CATALOG);
    let sold = |product: &&Product| product.available && !product.is_infrastructure();
    let priced = products
        .iter()
        .filter(sold)
        .find_map(|product| product.price.map(|price| (&product.id, price)));
    match priced {
        Some((id, price)) => {
            let note = format!("{id}: {price}; compare it with the price list of your contract");
            check.is(Verdict::Ok, note)
        }
        None => check.is(Verdict::Differs, "no product on sale has a price"),
    }
}

fn unlimited(products: &[Product]) -> Check {
    let check = Check::optional("unlimited products", &endpoint::CATALOG);
    let unlimited: Vec<&Product> = products.iter().filter(|product| product.unlimited).collect();
    let resources: BTreeSet<&str> = unlimited
        .iter()
        .flat_map(|product| &product.allowances)
        .map(|allowance| allowance.resource.as_str())
        .collect();
    if unlimited.is_empty() {
        return check.is(Verdict::Ok, "none");
    }
    let names = Vec::from_iter(resources).join(", ");
    let verdict = if names == FAIR_USE {
        Verdict::Ok
    } else {
        Verdict::Differs
    };
    check.is(verdict, format!("{}, with allowances {names}", unlimited.len()))
}

fn add_ons(products: &[Product]) -> Check {
    let check = Check::optional("add-ons", &endpoint::CATALOG);
    let add_ons = products.iter().filter(|product| product.is_add_on());
    let (with_parents, without): (Vec<_>, Vec<_>) =
        add_ons.partition(|product| !product.parent_ids.is_empty());
    match (with_parents.len(), without.len()) {
        (0, 0) => check.is(Verdict::Ok, "none"),
        (all, 0) => check.is(Verdict::Ok, format!("{all}, all with parentProductIds")),
        (_, without) => check.is(
            Verdict::Differs,
            format!("{without} without parentProductIds: they cannot be ordered"),
        ),
    }
}
