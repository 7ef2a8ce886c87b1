//! The list price of an order, in columns of its own.

use super::{Cells, Value, money, text, time, unusable, values};
use crate::domain::money::Currency;
use crate::domain::product::ListPrice;
use crate::domain::write::Kind;

/// The columns of an attempt, in the order of `statements::INSERT` and
/// `statements::REPEAT`.
pub(in crate::store) fn columns(kind: &Kind) -> Vec<Value> {
    let list_price = match kind {
        Kind::Purchase(purchase) => purchase.list_price.as_ref(),
        Kind::Subscription(_) | Kind::Sim(_) => None,
    };
    let price = list_price.map(|list_price| list_price.price);
    let currency = price.map(|price| price.currency());
    values![
        currency.as_ref().map(Currency::code),
        price.map(|price| price.units()),
        price.map(|price| i64::from(price.nanos())),
        list_price.map(|list_price| list_price.as_of),
        list_price.map(|list_price| list_price.version.as_str()),
    ]
}

/// Reads the columns; all are empty when it is not known.
pub(super) fn read(row: &impl Cells) -> sqlx::Result<Option<ListPrice>> {
    const AS_OF: &str = "list_price_as_of";
    let columns = ["list_price_currency", "list_price_units", "list_price_nanos"];
    let Some(price) = money(row, columns)? else {
        return Ok(None);
    };
    Ok(Some(ListPrice {
        price,
        as_of: time(row, AS_OF)?.ok_or_else(|| unusable(AS_OF))?,
        version: text(row, "list_price_version")?,
    }))
}
