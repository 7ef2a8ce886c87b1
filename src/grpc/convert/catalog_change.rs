//! Changes of the catalog.

use super::{money, timestamp};
use crate::domain::catalog_change::{Kind, VersionChange};
use crate::pb::connectivity::v1 as pb;

/// A change, with when it was seen.
pub fn catalog_change(seen: VersionChange) -> pb::CatalogChange {
    let change = seen.change;
    let kind = match change.kind {
        Kind::New => pb::CatalogChangeKind::New,
        Kind::PriceChanged => pb::CatalogChangeKind::PriceChanged,
        Kind::Withdrawn => pb::CatalogChangeKind::Withdrawn,
        Kind::Returned => pb::CatalogChangeKind::Returned,
    };
    pb::CatalogChange {
        product_id: change.product_id,
        kind: kind.into(),
        previous_price: change.before.order.map(money),
        price: change.now.order.map(money),
        previous_renewal_price: change.before.renewal.map(money),
        renewal_price: change.now.renewal.map(money),
        seen_at: Some(timestamp(seen.seen_at)),
        version: seen.version,
    }
}
