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
        #[cfg(test)]
        const KNOWN: &[&str] = &[$(stringify!($read),)* $(stringify!($write),)*];
    };
}

repeatable! {
    // Reads, and resolutions: a repeated one returns the order as it is.
    always:
        ListProductsRequest GetProductRequest ListDestinationsRequest CheckEligibilityRequest
        ListEligibleProductsRequest
        GetEsimRequest GetInstallationRequest
        StreamEventsRequest ListEventsRequest
        GetInventoryRequest GetSubscriptionRequest BatchGetInventoryRequest GetSimRequest ListSimsRequest
        GetOrderRequest ListOrdersRequest GetSimOperationRequest ListSimOperationsRequest
        ResolveOrderRequest ResolveSimOperationRequest;
    with_a_request_id:
        CreateOrderRequest CancelRenewalRequest TerminateSubscriptionRequest
        ActivateSimRequest SuspendSimRequest ReactivateSimRequest UpdateSimRequest SwapSimRequest
        TerminateSimRequest;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_of_the_contract_is_known() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../proto/connectivity/v1");
        let mut requests = Vec::new();
        for file in std::fs::read_dir(folder).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            let methods = text.lines().filter_map(|line| line.strip_prefix("  rpc "));
            requests.extend(methods.map(|method| {
                let (_, rest) = method.split_once('(').unwrap();
                rest.split_once(')').unwrap().0.to_owned()
            }));
        }
        let mut known = KNOWN.to_vec();
        known.sort_unstable();
        requests.sort_unstable();
        assert_eq!(requests, known);
    }

    #[test]
    fn a_write_without_a_request_id_is_not_repeated() {
        let mut order = api::CreateOrderRequest::default();
        assert!(!order.is_repeatable());
        order.request_id = crate::request_id::random();
        assert!(order.is_repeatable());
        assert!(api::GetOrderRequest::default().is_repeatable());
    }
}
