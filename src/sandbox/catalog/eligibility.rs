//! Whether a SIM may have a product. The catalog shows it, orders obey it.

use jiff::Timestamp;

use super::product::Product;
use crate::sandbox::stock::SimStatus;

/// What `canSubscribe` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum Eligibility {
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
pub(in crate::sandbox) enum Mode {
    Add,
    /// Takes the place of the recurring product at its next renewal.
    ScheduledSwitch,
}

pub(in crate::sandbox) const STATUS_NOT_ELIGIBLE: Eligibility = Eligibility::Refused {
    key: "SUBSCRIBER_STATUS_NOT_ELIGIBLE",
    message: "The subscriber's status is not compatible with the order",
};

pub(in crate::sandbox) const PRODUCT_NOT_ELIGIBLE: Eligibility = Eligibility::Refused {
    key: "PRODUCT_NOT_ELIGIBLE",
    message: "The product is not eligible for this subscriber",
};

/// The decision for a SIM with this status.
pub(in crate::sandbox) fn of(product: &Product, status: SimStatus, now: Timestamp) -> Eligibility {
    if !status.takes_orders() {
        STATUS_NOT_ELIGIBLE
    } else if product.infrastructure || !product.availability.at(now) {
        PRODUCT_NOT_ELIGIBLE
    } else {
        Eligibility::Allowed(Mode::Add)
    }
}
