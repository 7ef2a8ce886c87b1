//! Why orders are refused that can be read.

/// Why an order is refused, in the provider's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) title: &'static str,
    pub(crate) detail: &'static str,
}

impl Refusal {
    /// For an order whose body does not fit the subscriptions that there are.
    pub(crate) const fn bad_request(detail: &'static str) -> Self {
        Self {
            title: "BAD_REQUEST",
            detail,
        }
    }
}

pub(crate) const SUBSCRIBER_NOT_FOUND: Refusal = Refusal {
    title: "SUBSCRIBER_NOT_FOUND",
    detail: "Order failed - Subscriber is unknown",
};
pub(crate) const PRODUCT_NOT_FOUND: Refusal = Refusal {
    title: "PRODUCT_NOT_FOUND",
    detail: "Order failed - Product is unknown for the subscriber",
};
pub(crate) const STATUS_NOT_ELIGIBLE: Refusal = Refusal {
    title: "SUBSCRIBER_STATUS_NOT_ELIGIBLE",
    detail: "Order failed - Subscriber's status is not compatible with the order",
};
/// The documents do not say how the provider refuses it.
pub(crate) const NO_PARENT: Refusal = Refusal {
    title: "PRODUCT_NOT_ELIGIBLE",
    detail: "Order failed - An add-on needs a product subscription that it is added to",
};
pub(crate) const INSUFFICIENT_FUND: Refusal = Refusal {
    title: "INSUFFICIENT_FUND",
    detail: "Order failed - The balance does not cover the price",
};
