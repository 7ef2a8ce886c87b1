//! Domain to protobuf.

pub mod capabilities;
pub mod catalog_change;
pub mod esim;
pub mod event;
pub mod order;
pub mod sim_operation;
pub mod spend;
pub mod stock;

use bytes::Bytes;
use prost::Message as _;

use crate::domain::eligibility::{Eligibility, Mode, Verdict};
use crate::domain::product::{
    Allowance, Amount, Category, CountryNetworks, Coverage, Freshness, Grant, ListPrice, Product, Scope,
    Validity, ValidityUnit,
};
use crate::domain::subscription::{Balance, End, Level, Status};
use crate::domain::{Country, Language, Money, SimIds, SimRecord, SimStatus, Subscription};
use crate::pb::connectivity::v1 as pb;
use crate::pb::google::r#type as google;
use crate::service::catalog::{Destination, Offers};
use crate::service::inventory::SimSubscriptions;

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
        coverage: product.coverage.as_ref().map(coverage),
        bestseller: product.bestseller,
        display_priority: product.display_priority,
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
        fair_use: allowance.fair_use,
        validity: allowance.validity.map(validity),
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
    let operator = |operator: &crate::domain::product::Operator| pb::NetworkOperator {
        name: operator.name.clone(),
        technologies: operator.technologies.clone(),
    };
    pb::CountryNetworks {
        country: networks.country.to_string(),
        operators: networks.operators.iter().map(operator).collect(),
    }
}

fn coverage(coverage: &Coverage) -> pb::ProductCoverage {
    let scope = match coverage.scope {
        None => pb::CoverageScope::Unspecified,
        Some(Scope::Local) => pb::CoverageScope::Local,
        Some(Scope::Regional) => pb::CoverageScope::Regional,
        Some(Scope::Global) => pb::CoverageScope::Global,
    };
    pb::ProductCoverage {
        scope: scope.into(),
        raw_scope: coverage.raw_scope.clone(),
        zone: coverage.zone.clone(),
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

/// A point in time.
pub fn timestamp(moment: jiff::Timestamp) -> prost_types::Timestamp {
    // The wire form has seconds rounded down and positive nanos.
    let (seconds, nanos) = (moment.as_second(), moment.subsec_nanosecond());
    if nanos < 0 {
        return prost_types::Timestamp {
            seconds: seconds - 1,
            nanos: nanos + 1_000_000_000,
        };
    }
    prost_types::Timestamp { seconds, nanos }
}

fn language_code(language: Option<&Language>) -> String {
    language.map_or_else(String::new, |language| language.as_str().to_owned())
}

/// How old a cached answer is.
pub fn freshness(freshness: Freshness) -> pb::Freshness {
    pb::Freshness {
        as_of: Some(freshness.as_of.into()),
        stale: freshness.stale,
        version: freshness.version.as_ref().into(),
        language_code: language_code(freshness.language.as_ref()),
    }
}

/// The list price of what was ordered.
pub fn list_price(list_price: ListPrice) -> pb::ListPrice {
    pb::ListPrice {
        price: Some(money(list_price.price)),
        as_of: Some(timestamp(list_price.as_of)),
        catalog_version: list_price.version,
    }
}

/// A country in which something on sale works.
pub fn destination(destination: &Destination) -> pb::Destination {
    let number = |count| i32::try_from(count).unwrap_or(i32::MAX);
    let of_category = |(own, offers): &(Option<Category>, Offers)| pb::CategoryOffers {
        category: category(*own).into(),
        product_count: number(offers.products),
        lowest_price: offers.lowest_price.map(money),
    };
    pb::Destination {
        country: destination.country.to_string(),
        product_count: number(destination.offers.products),
        lowest_price: destination.offers.lowest_price.map(money),
        categories: destination.by_category.iter().map(of_category).collect(),
        single_country_product_count: number(destination.only_there),
    }
}

/// What the provider says about one product.
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

/// Both identifiers of a SIM.
pub fn sim_ids(ids: SimIds) -> pb::SimIds {
    pb::SimIds {
        iccid: ids
            .iccid
            .map(|iccid| iccid.as_str().to_owned())
            .unwrap_or_default(),
        msisdn: ids
            .msisdn
            .map(|msisdn| msisdn.as_str().to_owned())
            .unwrap_or_default(),
    }
}

/// The subscriptions on a SIM.
pub fn inventory(found: SimSubscriptions) -> pb::GetInventoryResponse {
    pb::GetInventoryResponse {
        sim: Some(sim_ids(found.sim)),
        subscriptions: found.subscriptions.into_iter().map(subscription).collect(),
        totals: found.totals.into_iter().map(balance).collect(),
        language_code: language_code(found.language.as_ref()),
    }
}

/// One subscription.
pub fn subscription(subscription: Subscription) -> pb::Subscription {
    let (activation_deadline, expires_at) = match subscription.end {
        None => (None, None),
        Some(End::ActivationDeadline(at)) => (Some(timestamp(at)), None),
        Some(End::Expiry(at)) => (None, Some(timestamp(at))),
    };
    pb::Subscription {
        subscription_id: subscription.id,
        product_id: subscription.product_id,
        status: subscription_status(subscription.status).into(),
        raw_status: subscription.raw_status,
        ordered_at: subscription.ordered_at.map(timestamp),
        activated_at: subscription.activated_at.map(timestamp),
        activation_deadline,
        expires_at,
        balances: subscription.balances.into_iter().map(balance).collect(),
        countries: subscription.countries.iter().map(Country::to_string).collect(),
        infrastructure: subscription.infrastructure,
        unlimited: subscription.unlimited,
    }
}

fn subscription_status(status: Option<Status>) -> pb::SubscriptionStatus {
    match status {
        None => pb::SubscriptionStatus::Unspecified,
        Some(Status::Pending) => pb::SubscriptionStatus::Pending,
        Some(Status::Scheduled) => pb::SubscriptionStatus::Scheduled,
        Some(Status::WaitingForFirstUse) => pb::SubscriptionStatus::WaitingForFirstUse,
        Some(Status::Active) => pb::SubscriptionStatus::Active,
        Some(Status::Suspended) => pb::SubscriptionStatus::Suspended,
        Some(Status::Canceled) => pb::SubscriptionStatus::Canceled,
        Some(Status::Expired) => pb::SubscriptionStatus::Expired,
        Some(Status::Terminated) => pb::SubscriptionStatus::Terminated,
    }
}

fn balance(balance: Balance) -> pb::Balance {
    let used = balance.level.used().map(amount);
    let (remaining, initial, unlimited) = match balance.level {
        Level::Unlimited => (None, None, true),
        Level::Limited { remaining, initial } => (remaining.map(amount), initial.map(amount), false),
    };
    pb::Balance {
        resource: balance.resource,
        label: balance.label,
        remaining,
        initial,
        used,
        unlimited,
        period_start: balance.period_start.map(timestamp),
        period_end: balance.period_end.map(timestamp),
        fair_use: balance.fair_use,
    }
}

/// The state of a SIM.
pub fn sim(record: SimRecord) -> pb::Sim {
    pb::Sim {
        ids: Some(sim_ids(record.ids)),
        status: sim_status(record.status).into(),
        raw_status: record.raw_status,
        plan: record.plan,
        group: record.group,
        reference: record.reference.unwrap_or_default(),
        metadata: record.metadata.unwrap_or_default().into_iter().collect(),
        activated_at: record.activated_at.map(timestamp),
        last_seen_at: record.last_seen_at.map(timestamp),
        last_country: record
            .last_country
            .map(|country| country.to_string())
            .unwrap_or_default(),
        esim_status: esim::status(record.esim_status).into(),
        as_of: Some(record.as_of.into()),
    }
}

fn sim_status(status: Option<SimStatus>) -> pb::SimStatus {
    match status {
        None => pb::SimStatus::Unspecified,
        Some(SimStatus::Preactivated) => pb::SimStatus::Preactivated,
        Some(SimStatus::Active) => pb::SimStatus::Active,
        Some(SimStatus::Suspended) => pb::SimStatus::Suspended,
        Some(SimStatus::Barred) => pb::SimStatus::Barred,
        Some(SimStatus::Test) => pb::SimStatus::Test,
        Some(SimStatus::OnHold) => pb::SimStatus::OnHold,
        Some(SimStatus::Terminated) => pb::SimStatus::Terminated,
        Some(SimStatus::Available) => pb::SimStatus::Available,
    }
}
