//! A version of the catalog as a row. Changes and products are JSON: lists in
//! which a price is `[currency, units, nanos]` or null. What is stored is read
//! by later releases, so that its layout only grows.

use serde::{Deserialize, Serialize};

use super::{Newest, Recorded};
use crate::domain::Money;
use crate::domain::catalog_change::{Change, Kind, KnownProduct, KnownProducts, Prices};
use crate::domain::money::Currency;
use crate::store::row::{self as cells, Cells};

/// A price: its currency, units and nanos.
type StoredPrice = Option<(String, i64, i32)>;

#[derive(Serialize, Deserialize)]
struct StoredChange {
    id: String,
    kind: String,
    /// Of an order and of its renewal, before.
    before: (StoredPrice, StoredPrice),
    /// The same now.
    now: (StoredPrice, StoredPrice),
}

/// Id, whether it is on sale, its price and that of its renewal.
type StoredProduct = (String, bool, StoredPrice, StoredPrice);

pub(super) fn newest(row: &impl Cells) -> sqlx::Result<Newest> {
    Ok(Newest {
        sequence: count(cells::number(row, "sequence")?)?,
        seen_at: cells::time(row, "seen_at")?.ok_or_else(|| cells::unusable("seen_at"))?,
        known: read_known(&cells::text(row, "known")?)?,
        is_recorded: cells::number(row, "recorded")? > 0,
    })
}

pub(super) fn recorded(row: &impl Cells) -> sqlx::Result<Recorded> {
    Ok(Recorded {
        sequence: count(cells::number(row, "sequence")?)?,
        version: cells::text(row, "version")?,
        seen_at: cells::time(row, "seen_at")?.ok_or_else(|| cells::unusable("seen_at"))?,
        changes: read_changes(&cells::text(row, "changes")?)?,
    })
}

pub(super) fn changes_json(changes: &[Change]) -> sqlx::Result<String> {
    let stored = |change: &Change| StoredChange {
        id: change.product_id.clone(),
        kind: kind_name(change.kind).to_owned(),
        before: store_prices(change.before),
        now: store_prices(change.now),
    };
    json(&changes.iter().map(stored).collect::<Vec<_>>())
}

pub(super) fn known_json(known: &KnownProducts) -> sqlx::Result<String> {
    let stored = |(id, product): (&String, &KnownProduct)| -> StoredProduct {
        let (order, renewal) = store_prices(product.prices);
        (id.clone(), product.on_sale, order, renewal)
    };
    json(&known.iter().map(stored).collect::<Vec<_>>())
}

/// A place in the history as it is stored.
pub(super) fn number(sequence: u64) -> sqlx::Result<i64> {
    i64::try_from(sequence).map_err(|_| cells::unusable("sequence"))
}

/// A stored place in the history.
pub(super) fn count(number: i64) -> sqlx::Result<u64> {
    u64::try_from(number).map_err(|_| cells::unusable("sequence"))
}

fn read_changes(json: &str) -> sqlx::Result<Vec<Change>> {
    let unusable = || cells::unusable("changes");
    let stored: Vec<StoredChange> = serde_json::from_str(json).map_err(|_| unusable())?;
    let change = |stored: StoredChange| {
        Some(Change {
            kind: Kind::ALL
                .into_iter()
                .find(|kind| kind_name(*kind) == stored.kind)?,
            before: read_prices(stored.before)?,
            now: read_prices(stored.now)?,
            product_id: stored.id,
        })
    };
    let changes: Option<Vec<Change>> = stored.into_iter().map(change).collect();
    changes.ok_or_else(unusable)
}

fn read_known(json: &str) -> sqlx::Result<KnownProducts> {
    let unusable = || cells::unusable("known");
    let stored: Vec<StoredProduct> = serde_json::from_str(json).map_err(|_| unusable())?;
    let product = |(id, on_sale, order, renewal): StoredProduct| {
        let prices = read_prices((order, renewal))?;
        Some((id, KnownProduct { prices, on_sale }))
    };
    let known: Option<KnownProducts> = stored.into_iter().map(product).collect();
    known.ok_or_else(unusable)
}

fn store_prices(prices: Prices) -> (StoredPrice, StoredPrice) {
    let stored = |money: Money| (money.currency().code().to_owned(), money.units(), money.nanos());
    (prices.order.map(stored), prices.renewal.map(stored))
}

/// `None` when there is a price that cannot be read.
fn read_prices((order, renewal): (StoredPrice, StoredPrice)) -> Option<Prices> {
    let read = |stored: StoredPrice| match stored {
        None => Some(None),
        Some((currency, units, nanos)) => Money::new(Currency::parse(&currency)?, units, nanos).map(Some),
    };
    Some(Prices {
        order: read(order)?,
        renewal: read(renewal)?,
    })
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::New => "new",
        Kind::PriceChanged => "price_changed",
        Kind::Withdrawn => "withdrawn",
        Kind::Returned => "returned",
    }
}

fn json(value: &impl Serialize) -> sqlx::Result<String> {
    serde_json::to_string(value).map_err(|error| sqlx::Error::Encode(error.into()))
}
