//! Whether a SIM may have a product. The catalog shows it, orders obey it.

use std::sync::Arc;

use jiff::Timestamp;

use crate::world::{
    catalog::product::{Category, Product},
    stock::status::SimStatus,
};

/// What `canSubscribe` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Eligibility {
    /// Nobody asked for a subscriber.
    Unasked,
    Allowed(Mode),
    Refused {
        key: &'static str,
        message: &'static str,
    },
}

/// How a product would be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Add,
    /// Takes the place of the recurring product at its next renewal.
    ScheduledSwitch,
}

const STATUS_NOT_ELIGIBLE: Eligibility = Eligibility::Refused {
    key: "SUBSCRIBER_STATUS_NOT_ELIGIBLE",
    message: "The subscriber's status is not compatible with the order",
};

const PRODUCT_NOT_ELIGIBLE: Eligibility = Eligibility::Refused {
    key: "PRODUCT_NOT_ELIGIBLE",
    message: "The product is not eligible for this subscriber",
};

/// A SIM as eligibility rules see it.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub(crate) status: SimStatus,
    /// Products of live subscriptions.
    pub(crate) held: Vec<Arc<Product>>,
    /// A recurring subscription runs and will renew.
    pub(crate) renewing: bool,
}

impl Standing {
    pub(crate) fn holds(&self, product_id: &str) -> bool {
        self.held.iter().any(|held| held.id == product_id)
    }

    /// Whether an add-on's parent is there.
    pub(crate) fn has_parent_of(&self, product: &Product) -> bool {
        product.category != Category::AddOn || product.parents.iter().any(|parent| self.holds(parent))
    }
}

/// The decision for a SIM.
pub(crate) fn of(product: &Product, sim: &Standing, now: Timestamp) -> Eligibility {
    if !sim.status.takes_orders() {
        STATUS_NOT_ELIGIBLE
    } else if product.infrastructure || !product.availability.at(now) || !sim.has_parent_of(product) {
        PRODUCT_NOT_ELIGIBLE
    } else if product.category == Category::Recurring && sim.renewing {
        Eligibility::Allowed(Mode::ScheduledSwitch)
    } else {
        Eligibility::Allowed(Mode::Add)
    }
}
