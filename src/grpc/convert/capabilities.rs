//! Domain to protobuf: what a caller may do here.

use super::money;
use crate::domain::limits::CallerLimits;
use crate::pb::connectivity::v1 as pb;
use crate::service::writes::Capabilities;

/// What a caller may do, with these methods.
pub fn response(
    methods: Vec<String>,
    own_requests_only: bool,
    capabilities: &Capabilities,
) -> pb::GetCapabilitiesResponse {
    let limits = capabilities.limits.as_ref().map(|limits| &limits.caller);
    pb::GetCapabilitiesResponse {
        methods,
        add_ons: capabilities.add_ons,
        own_requests_only,
        order_limits: limits.filter(|limits| limits.are_of_orders()).map(order_limits),
    }
}

fn order_limits(limits: &CallerLimits) -> pb::OrderLimits {
    let count = |most: u32| i32::try_from(most).unwrap_or(i32::MAX);
    pb::OrderLimits {
        orders_per_minute: limits.orders_per_minute.map(count),
        orders_per_day: limits.orders_per_day.map(count),
        spend_per_day: limits.spend_per_day.iter().copied().map(money).collect(),
    }
}
