//! Domain to protobuf.

pub mod esim;

use bytes::Bytes;
use prost::Message as _;

use crate::domain::eligibility::{Eligibility, Mode, Verdict};
use crate::domain::product::{
    Allowance, Amount, Category, CountryNetworks, Freshness, Grant, Product, Validity, ValidityUnit,
};
use crate::domain::{Country, Money};
use crate::pb::connectivity::v1 as pb;
use crate::pb::google::r#type as google;
use crate::service::catalog::Destination;

/// Encodes a product once, for every answer that will carry it.
pub fn prepare_product(product: &Product) -> Bytes {
    self::product(product).encode_to_vec().into()
}

fn product(product: &Product) -> pb::Product {
    pb::Product {
        product_id: product.id.clone(),
        name: product.name.clone(),
        description: product.description.clone(),
        category: category(product.category).into(),
        countries: product.countries.iter().map(Country::to_string).collect(),
        tags: product.tags.clone(),
        allowances: product.allowances.iter().map(allowance).collect(),
        unlimited: product.unlimited,
        validity: product.validity.map(validity),
        activation_window: product.activation_window.map(validity),
        max_periods: product.max_periods,
        price: product.price.map(money),
        renewal_price: product.renewal_price.map(money),
        available: product.available,
        available_from: product.available_from.map(timestamp),
        available_until: product.available_until.map(timestamp),
        parent_product_ids: product.parent_ids.clone(),
        networks: product.networks.iter().map(networks).collect(),
    }
}

fn category(category: Option<Category>) -> pb::ProductCategory {
    match category {
        None => pb::ProductCategory::Unspecified,
        Some(Category::OneOff) => pb::ProductCategory::OneOff,
        Some(Category::Recurring) => pb::ProductCategory::Recurring,
        Some(Category::AddOn) => pb::ProductCategory::AddOn,
    }
}

fn allowance(allowance: &Allowance) -> pb::Allowance {
    let (amount, unlimited) = match allowance.grant {
        Grant::Limited(granted) => (Some(amount(granted)), false),
        Grant::Unlimited => (None, true),
        Grant::Unknown => (None, false),
    };
    pb::Allowance {
        resource: allowance.resource.clone(),
        amount,
        unlimited,
    }
}

fn amount(amount: Amount) -> pb::Amount {
    let kind = match amount {
        Amount::DataBytes(bytes) => pb::amount::Kind::DataBytes(bytes),
        Amount::Voice(voice) => pb::amount::Kind::Voice(prost_types::Duration {
            seconds: i64::try_from(voice.as_secs()).unwrap_or(i64::MAX),
            nanos: 0,
        }),
        Amount::Messages(messages) => pb::amount::Kind::Messages(messages),
        Amount::Units(units) => pb::amount::Kind::Units(units),
    };
    pb::Amount { kind: Some(kind) }
}

fn validity(validity: Validity) -> pb::Validity {
    let unit = match validity.unit {
        ValidityUnit::Days => pb::ValidityUnit::Days,
        ValidityUnit::Months => pb::ValidityUnit::Months,
    };
    pb::Validity {
        count: validity.count,
        unit: unit.into(),
    }
}

fn networks(networks: &CountryNetworks) -> pb::CountryNetworks {
    let operator = |operator: &crate::domain::product::Operator| pb::Operator {
        name: operator.name.clone(),
        technologies: operator.technologies.clone(),
    };
    pb::CountryNetworks {
        country: networks.country.to_string(),
        operators: networks.operators.iter().map(operator).collect(),
    }
}

/// An amount of money.
pub fn money(money: Money) -> google::Money {
    google::Money {
        currency_code: money.currency().code().to_owned(),
        units: money.units(),
        nanos: money.nanos(),
    }
}

/// A moment.
pub fn timestamp(moment: jiff::Timestamp) -> prost_types::Timestamp {
    // The wire form has whole seconds rounded down and a positive rest.
    let (seconds, nanos) = (moment.as_second(), moment.subsec_nanosecond());
    if nanos < 0 {
        return prost_types::Timestamp {
            seconds: seconds - 1,
            nanos: nanos + 1_000_000_000,
        };
    }
    prost_types::Timestamp { seconds, nanos }
}

/// Age of a cached answer.
pub fn freshness(freshness: Freshness) -> pb::Freshness {
    pb::Freshness {
        as_of: Some(freshness.as_of.into()),
        stale: freshness.stale,
    }
}

/// A country on a shop's first page.
pub fn destination(destination: &Destination) -> pb::Destination {
    pb::Destination {
        country: destination.country.to_string(),
        product_count: i32::try_from(destination.products).unwrap_or(i32::MAX),
        lowest_price: destination.lowest_price.map(money),
    }
}

/// The provider's word on one product.
pub fn eligibility(eligibility: Eligibility) -> pb::EligibilityResult {
    let (eligible, mode, reason_code, reason_message) = match eligibility.verdict {
        Verdict::Eligible { mode } => {
            let mode = match mode {
                None => pb::EligibilityMode::Unspecified,
                Some(Mode::Add) => pb::EligibilityMode::Add,
                Some(Mode::ScheduledSwitch) => pb::EligibilityMode::ScheduledSwitch,
            };
            (true, mode, String::new(), String::new())
        }
        Verdict::NotEligible { code, message } => (false, pb::EligibilityMode::Unspecified, code, message),
    };
    pb::EligibilityResult {
        product_id: eligibility.product_id,
        eligible,
        mode: mode.into(),
        reason_code,
        reason_message,
    }
}
