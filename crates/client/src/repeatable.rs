//! Which requests may be sent again.

use crate::connectivity::v1 as api;

/// A request of the contract. Whether it may be sent again when nobody knows
/// what became of it is a property of the request, not of the error: every
/// read may, and a write that names its `request_id`.
pub trait Repeatable: Clone + sealed::Sealed {
    /// Whether sending it twice does no more than sending it once.
    fn is_repeatable(&self) -> bool;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! repeatable {
    (always: $($read:ident)*; with_a_request_id: $($write:ident)*;) => {
        $(
            impl sealed::Sealed for api::$read {}
            impl Repeatable for api::$read {
                fn is_repeatable(&self) -> bool { true }
            }
        )*
        $(
            impl sealed::Sealed for api::$write {}
            impl Repeatable for api::$write {
                fn is_repeatable(&self) -> bool { !self.request_id.is_empty() }
            }
        )*
    };
}

// Made by build.rs of the `idempotency_level` of each method.
include!(concat!(env!("OUT_DIR"), "/repeatable.rs"));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_without_a_request_id_is_not_repeated() {
        let mut order = api::CreateOrderRequest::default();
        assert!(!order.is_repeatable());
        order.request_id = crate::request_id::random();
        assert!(order.is_repeatable());
        assert!(api::GetOrderRequest::default().is_repeatable());
        assert!(api::ResolveOrderRequest::default().is_repeatable());
    }
}
