//! Domain to protobuf: sums.

use std::collections::BTreeMap;

use super::money;
use crate::domain::Country;
use crate::domain::money::Currency;
use crate::domain::spend::Sum;
use crate::pb::connectivity::v1 as pb;
use crate::service::writes::{Group, Sums};

/// The answer.
pub fn spend(groups: BTreeMap<Group, Sums>) -> pb::GetSpendResponse {
    let unpriced = groups.iter().filter(|(group, _)| group.currency.is_none());
    pb::GetSpendResponse {
        orders_without_price: unpriced
            .map(|(_, sums)| sums.placed.orders + sums.open.orders)
            .sum(),
        spend: groups.into_iter().map(entry).collect(),
    }
}

fn entry((group, sums): (Group, Sums)) -> pb::Spend {
    let alpha2 = |country: Country| country.alpha2().to_owned();
    pb::Spend {
        caller: group.caller,
        product_id: group.product_id,
        countries: group.countries.into_iter().map(alpha2).collect(),
        currency_code: group
            .currency
            .map(|currency| currency.code().to_owned())
            .unwrap_or_default(),
        placed: Some(sum(sums.placed, group.currency)),
        open: Some(sum(sums.open, group.currency)),
    }
}

fn sum(sum: Sum, currency: Option<Currency>) -> pb::SpendSum {
    let amount = currency.and_then(|currency| sum.amount(currency));
    pb::SpendSum {
        orders: sum.orders,
        list_price: amount.map(money),
    }
}
