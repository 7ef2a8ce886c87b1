//! Add-ons: what one can be added to, and whether the request names that.
//!
//! The provider sells an add-on only on top of a subscription that the SIM has,
//! and does not document how an order names it. So nothing is sent unless that
//! is configured and the request names a subscription that fits.

use crate::domain::error::Violation;
use crate::domain::product::Product;
use crate::domain::subscription::{Holdings, Subscription};
use crate::domain::{Error, Result};

/// Only an add-on is added to a subscription.
///
/// # Errors
/// `INVALID_REQUEST`.
pub(super) fn ensure_takes_parent(product: &Product, parent: Option<&str>) -> Result<()> {
    if parent.is_none() || product.is_add_on() {
        return Ok(());
    }
    Err(Error::InvalidRequest(vec![Violation {
        field: "parent_subscription_id".to_owned(),
        description: "must be empty: the product is not an add-on".to_owned(),
    }]))
}

/// An add-on is added to a subscription that is on the SIM, has not ended, and
/// is of one of its parent products.
///
/// # Errors
/// `OPERATION_NOT_ENABLED` unless `enabled`, `PARENT_SUBSCRIPTION_REQUIRED`.
pub(super) fn ensure_parent(
    product: &Product,
    parent: Option<&str>,
    enabled: bool,
    holdings: &Holdings,
) -> Result<()> {
    if !product.is_add_on() {
        return Ok(());
    }
    let fits = |subscription: &&Subscription| {
        !subscription.is_over() && product.parent_ids.contains(&subscription.product_id)
    };
    let candidates = holdings.subscriptions.iter().filter(fits);
    let parents: Vec<String> = candidates.map(|subscription| subscription.id.clone()).collect();
    if !enabled {
        return Err(Error::AddOnNotEnabled { parents });
    }
    match parent {
        Some(parent) if parents.iter().any(|id| id == parent) => Ok(()),
        _ => Err(Error::ParentSubscriptionRequired { parents }),
    }
}
