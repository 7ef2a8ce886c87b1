//! Domain to protobuf: sums.

use std::collections::BTreeMap;

use super::money;
use crate::domain::money::Currency;
use crate::domain::spend::Sum;
use crate::domain::{Country, Money, PriceList};
use crate::pb::connectivity::v1 as pb;
use crate::service::writes::{Group, Sums};

/// The answer, with what products cost by this list.
pub fn spend(groups: BTreeMap<Group, Sums>, prices: &PriceList) -> pb::GetSpendResponse {
    let unpriced = groups.iter().filter(|(group, _)| group.currency.is_none());
    pb::GetSpendResponse {
        orders_without_price: unpriced
            .map(|(_, sums)| sums.placed.orders + sums.open.orders)
            .sum(),
        spend: groups.into_iter().map(|group| entry(group, prices)).collect(),
    }
}

fn entry((group, sums): (Group, Sums), prices: &PriceList) -> pb::Spend {
    // None where it is not summed by product.
    let cost = prices.cost_of(&group.product_id);
    let alpha2 = |country: Country| country.alpha2().to_owned();
    pb::Spend {
        caller: group.caller,
        product_id: group.product_id,
        countries: group.countries.into_iter().map(alpha2).collect(),
        currency_code: group
            .currency
            .map(|currency| currency.code().to_owned())
            .unwrap_or_default(),
        placed: Some(sum(sums.placed, group.currency, cost)),
        open: Some(sum(sums.open, group.currency, cost)),
    }
}

fn sum(sum: Sum, currency: Option<Currency>, cost: Option<Money>) -> pb::SpendSum {
    let amount = currency.and_then(|currency| sum.amount(currency));
    pb::SpendSum {
        orders: sum.orders,
        list_price: amount.map(money),
        cost: cost.and_then(|cost| cost.times(sum.orders)).map(money),
    }
}
