//! A product as the simulated provider holds it, before it becomes JSON.

use std::{fmt, sync::OnceLock};

use jiff::Timestamp;
use serde_json::{Value, value::RawValue};

use crate::world::catalog::{
    destinations::{Destination, Region},
    oddities::Oddity,
};

/// Bytes are sold in units of 1,048,576 KB.
pub(crate) const KB_PER_GB: i64 = 1_048_576;

/// What kind of purchase a product is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Category {
    OneOff,
    Recurring,
    AddOn,
}

impl Category {
    /// Reads the provider's spelling, which is exact.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::OneOff, Self::Recurring, Self::AddOn]
            .into_iter()
            .find(|category| category.as_str() == text)
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::OneOff => "One-off",
            Self::Recurring => "Recurring",
            Self::AddOn => "Add-on",
        }
    }
}

/// What a product covers, for its texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Country(&'static Destination),
    Region(Region),
    World,
}

impl Place {
    pub(crate) fn english(self) -> &'static str {
        match self {
            Self::Country(destination) => destination.english,
            Self::Region(region) => region.english(),
            Self::World => "Worldwide",
        }
    }

    pub(crate) fn french(self) -> &'static str {
        match self {
            Self::Country(destination) => destination.french,
            Self::Region(region) => region.french(),
            Self::World => "Monde entier",
        }
    }

    /// `coverage.type` in the catalog.
    pub(crate) fn coverage(self) -> &'static str {
        match self {
            Self::Country(_) => "local",
            Self::Region(_) => "regional",
            Self::World => "global",
        }
    }
}

/// How long a subscription lasts once it has started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Validity {
    Days(u32),
    Months(u32),
}

impl Validity {
    pub(crate) fn count(self) -> u32 {
        match self {
            Self::Days(count) | Self::Months(count) => count,
        }
    }

    pub(crate) fn unit(self) -> &'static str {
        match self {
            Self::Days(_) => "days",
            Self::Months(_) => "months",
        }
    }

    /// When a subscription ends that starts at `at`.
    pub(crate) fn end(self, at: Timestamp) -> Timestamp {
        match self {
            Self::Days(count) => crate::world::clock::after(at, crate::world::clock::days(count.into())),
            Self::Months(count) => crate::world::clock::months_after(at, count),
        }
    }
}

/// Whether a product can be bought, and from when to when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Availability {
    /// The product was taken out of sale, whatever the dates say.
    pub(crate) withdrawn: bool,
    pub(crate) from: Option<Timestamp>,
    pub(crate) until: Option<Timestamp>,
}

impl Availability {
    pub(crate) fn at(self, now: Timestamp) -> bool {
        !self.withdrawn
            && self.from.is_none_or(|from| from <= now)
            && self.until.is_none_or(|until| now < until)
    }
}

/// Networks of one country that a product may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Networks {
    pub(crate) country: &'static Destination,
    pub(crate) operators: Vec<(String, &'static [&'static str])>,
}

/// Something that can be bought for a SIM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Product {
    pub(crate) id: String,
    pub(crate) category: Category,
    pub(crate) place: Place,
    pub(crate) countries: Vec<&'static Destination>,
    pub(crate) data_kb: i64,
    /// Then `data_kb` only says after how much the speed drops.
    pub(crate) unlimited: bool,
    pub(crate) validity: Validity,
    pub(crate) price_cents: i64,
    /// Recurring products: the price of each further period, and how many periods there are at most.
    pub(crate) renewal_cents: Option<i64>,
    pub(crate) max_periods: Option<u32>,
    /// Add-ons: the products that one of which the SIM must have.
    pub(crate) parents: Vec<String>,
    /// A service of the SIM itself, not for sale.
    pub(crate) infrastructure: bool,
    pub(crate) availability: Availability,
    pub(crate) priority: Option<u32>,
    pub(crate) bestseller: bool,
    pub(crate) networks: Vec<Networks>,
    /// What is odd about its JSON.
    pub(crate) oddity: Option<Oddity>,
    pub(crate) written: Written,
}

/// The product's definition as the inventory tells it, written when first asked for. A copy, which may be about to
/// change, starts without.
#[derive(Default)]
pub(crate) struct Written(OnceLock<Box<RawValue>>);

impl Written {
    /// The definition, which `write` makes when it is first asked for.
    pub(crate) fn get_or_write(&self, write: impl FnOnce() -> Value) -> &RawValue {
        self.0.get_or_init(|| {
            // An object of texts and numbers always has a text; `null` stands in for the impossible.
            RawValue::from_string(write().to_string()).unwrap_or_else(|_| RawValue::NULL.to_owned())
        })
    }
}

impl Clone for Written {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for Written {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Written {}

impl fmt::Debug for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Written")
    }
}

/// Tag of products that are not for sale.
pub(crate) const WALLED_GARDEN: &str = "WALLED_GARDEN";

impl Product {
    /// The name of the data resource: products of one country, of several, the fair-use volume of unlimited ones, and
    /// infrastructure count apart.
    pub(crate) fn resource_name(&self) -> &'static str {
        if self.infrastructure {
            "DATA"
        } else if self.unlimited {
            "DATA_BUNDLE_FUP"
        } else if self.countries.len() == 1 {
            "DATA_BUNDLE_COUNTRY"
        } else {
            "DATA_BUNDLE"
        }
    }

    /// How many months a subscription may wait for its first use. Add-ons start at once.
    pub(crate) fn months_to_first_use(&self) -> Option<u32> {
        (self.category != Category::AddOn && !self.infrastructure).then_some(6)
    }

    pub(crate) fn tags(&self) -> impl Iterator<Item = &'static str> {
        let technical = self.infrastructure.then_some(WALLED_GARDEN);
        self.countries
            .iter()
            .map(|country| country.alpha2)
            .chain(technical)
    }

    pub(crate) fn covers(&self, country: &'static Destination) -> bool {
        self.countries.contains(&country)
    }
}
