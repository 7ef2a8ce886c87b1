//! What can be bought.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;

use super::{Country, Language, Money};

/// Longest product id that is accepted from a caller, in bytes.
pub const LONGEST_ID: usize = 100;

/// A product of the provider's catalog, in the contract's units.
#[derive(Clone, Debug, PartialEq)]
pub struct Product {
    /// The provider's id, opaque.
    pub id: String,
    /// Short text; the id when there is none.
    pub name: String,
    /// Long text; may be empty.
    pub description: String,
    /// Category; `None` when the provider's value is not known.
    pub category: Option<Category>,
    /// Where it works: sorted, unique.
    pub countries: Vec<Country>,
    /// Tags that are not countries, in the provider's order.
    pub tags: Vec<String>,
    /// What it grants, one entry per resource.
    pub allowances: Vec<Allowance>,
    /// Sold as unlimited: amounts of data are fair-use volumes.
    pub unlimited: bool,
    /// How long it lasts once started.
    pub validity: Option<Validity>,
    /// How long it may wait for first use.
    pub activation_window: Option<Validity>,
    /// Periods of a recurring product.
    pub max_periods: Option<i32>,
    /// The provider's retail list price of an order; `None` when not given in a
    /// known unit. What the account is charged is not known.
    pub price: Option<Money>,
    /// List price of each further period.
    pub renewal_price: Option<Money>,
    /// Whether the provider sells it now.
    pub available: bool,
    /// Sold from.
    pub available_from: Option<Timestamp>,
    /// Sold until.
    pub available_until: Option<Timestamp>,
    /// For an add-on: what it can be added to.
    pub parent_ids: Vec<String>,
    /// Operators per country.
    pub networks: Vec<CountryNetworks>,
    /// The provider's own name of the area.
    pub coverage: Option<Coverage>,
    /// The provider marks it as one that sells well.
    pub bestseller: bool,
    /// The provider's priority for display.
    pub display_priority: Option<i32>,
}

/// Whether a product with this tag is the provider's own infrastructure, which
/// is not sold.
pub fn is_infrastructure_tag(tag: &str) -> bool {
    tag.eq_ignore_ascii_case("WALLED_GARDEN")
}

/// Whether a product with this id is infrastructure. Catalog and inventory give
/// the tags too, an event may give only the id: it must not be shown as a
/// customer's when the subscription is not.
pub fn is_infrastructure_id(id: &str) -> bool {
    let letters: String = id.chars().filter(char::is_ascii_alphanumeric).collect();
    letters.to_ascii_uppercase().contains("WALLEDGARDEN")
}

impl Product {
    /// Whether it is only sold on top of a subscription of another product.
    pub fn is_add_on(&self) -> bool {
        self.category == Some(Category::AddOn) || !self.parent_ids.is_empty()
    }

    /// Whether this is the provider's infrastructure and not for sale.
    pub fn is_infrastructure(&self) -> bool {
        is_infrastructure_id(&self.id) || self.tags.iter().any(|tag| is_infrastructure_tag(tag))
    }

    /// Its list price, in a catalog of this age.
    pub fn list_price(&self, freshness: &Freshness) -> Option<ListPrice> {
        let as_of = Timestamp::try_from(freshness.as_of).ok()?;
        Some(ListPrice {
            price: self.price?,
            // As the ledger keeps it.
            as_of: Timestamp::from_microsecond(as_of.as_microsecond()).ok()?,
            version: freshness.version.as_ref().to_owned(),
        })
    }

    /// Total bytes of data it grants; `None` when it grants no data with a
    /// known amount.
    pub fn data_bytes(&self) -> Option<i64> {
        self.allowances
            .iter()
            .filter_map(|allowance| match allowance.grant {
                Grant::Limited(Amount::DataBytes(bytes)) => Some(bytes),
                Grant::Limited(_) | Grant::Unlimited | Grant::Unknown => None,
            })
            .reduce(i64::saturating_add)
    }

    /// Whether its data has no limit.
    pub fn has_unlimited_data(&self) -> bool {
        self.unlimited
            || self
                .allowances
                .iter()
                .any(|allowance| allowance.grant == Grant::Unlimited)
    }
}

/// Category of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Category {
    /// Bought once, ends by itself.
    OneOff,
    /// Renews.
    Recurring,
    /// Only together with a parent product.
    AddOn,
}

/// What a product grants of one resource.
#[derive(Clone, Debug, PartialEq)]
pub struct Allowance {
    /// The provider's name of the resource, opaque.
    pub resource: String,
    /// How much.
    pub grant: Grant,
    /// Only how much of an unlimited product has full speed.
    pub fair_use: bool,
    /// How long it can be used, when the provider says that apart.
    pub validity: Option<Validity>,
}

/// How much of a resource is granted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Grant {
    /// This much.
    Limited(Amount),
    /// Without limit.
    Unlimited,
    /// The provider gave no readable number.
    Unknown,
}

/// A quantity of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// Bytes.
    DataBytes(i64),
    /// Voice.
    Voice(Duration),
    /// Text messages.
    Messages(i64),
    /// The provider's number, in an unknown unit.
    Units(i64),
}

impl Amount {
    /// The sum; `None` for different kinds or when it does not fit.
    pub fn plus(self, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::DataBytes(a), Self::DataBytes(b)) => a.checked_add(b).map(Self::DataBytes),
            (Self::Voice(a), Self::Voice(b)) => a.checked_add(b).map(Self::Voice),
            (Self::Messages(a), Self::Messages(b)) => a.checked_add(b).map(Self::Messages),
            (Self::Units(a), Self::Units(b)) => a.checked_add(b).map(Self::Units),
            (Self::DataBytes(_) | Self::Voice(_) | Self::Messages(_) | Self::Units(_), _) => None,
        }
    }

    /// The difference, at least 0; `None` for different kinds.
    pub fn less(self, other: Self) -> Option<Self> {
        let whole = |a: i64, b: i64| a.checked_sub(b).map(|rest| rest.max(0));
        match (self, other) {
            (Self::DataBytes(a), Self::DataBytes(b)) => whole(a, b).map(Self::DataBytes),
            (Self::Voice(a), Self::Voice(b)) => Some(Self::Voice(a.saturating_sub(b))),
            (Self::Messages(a), Self::Messages(b)) => whole(a, b).map(Self::Messages),
            (Self::Units(a), Self::Units(b)) => whole(a, b).map(Self::Units),
            (Self::DataBytes(_) | Self::Voice(_) | Self::Messages(_) | Self::Units(_), _) => None,
        }
    }
}

/// A length of time as it is sold: months are not days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// How many units, at least 1.
    pub count: i32,
    /// What is counted.
    pub unit: ValidityUnit,
}

impl Validity {
    /// For comparisons: a month counts as 30 days.
    pub fn approximate_days(&self) -> i64 {
        let days = match self.unit {
            ValidityUnit::Days => 1,
            ValidityUnit::Months => 30,
        };
        i64::from(self.count) * days
    }
}

/// Unit of a validity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValidityUnit {
    /// Days of 24 hours.
    Days,
    /// Calendar months.
    Months,
}

/// The operators that serve a product in one country.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountryNetworks {
    /// The country.
    pub country: Country,
    /// In the provider's order.
    pub operators: Vec<Operator>,
}

/// The provider's description of the area of a product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// How large it is; `None` when the provider's word is not known.
    pub scope: Option<Scope>,
    /// The provider's word for that; may be empty.
    pub raw_scope: String,
    /// Its name; may be empty.
    pub zone: String,
}

/// How large an area is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One country.
    Local,
    /// Several countries.
    Regional,
    /// Most of the world.
    Global,
}

/// A network operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    /// Commercial name.
    pub name: String,
    /// Radio technologies as the provider names them.
    pub technologies: Vec<String>,
}

/// The list price of a product when an order for it was sent, by the catalog:
/// most probably a retail price, and not what the account is charged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListPrice {
    /// The price.
    pub price: Money,
    /// When the provider gave that catalog, in whole microseconds.
    pub as_of: Timestamp,
    /// Identifies that catalog's content.
    pub version: String,
}

/// How old a cached answer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// When the provider gave the answer.
    pub as_of: SystemTime,
    /// Older than the bound at the time of the answer.
    pub stale: bool,
    /// Identifies the content.
    pub version: Arc<str>,
    /// The language of the texts, where the provider says it.
    pub language: Option<Language>,
}
