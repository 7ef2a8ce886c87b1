//! A product as the simulated provider holds it, before it becomes JSON.

use jiff::Timestamp;

use super::{
    destinations::{Destination, Region},
    oddities::Oddity,
};

/// Bytes are sold in units of 1,048,576 KB.
pub(in crate::sandbox) const KB_PER_GB: i64 = 1_048_576;

/// What kind of purchase a product is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum Category {
    OneOff,
    Recurring,
    AddOn,
}

impl Category {
    /// Reads the provider's spelling, which is exact.
    pub(in crate::sandbox) fn parse(text: &str) -> Option<Self> {
        [Self::OneOff, Self::Recurring, Self::AddOn]
            .into_iter()
            .find(|category| category.as_str() == text)
    }

    pub(in crate::sandbox) fn as_str(self) -> &'static str {
        match self {
            Self::OneOff => "One-off",
            Self::Recurring => "Recurring",
            Self::AddOn => "Add-on",
        }
    }
}

/// What a product covers, for its texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum Place {
    Country(&'static Destination),
    Region(Region),
    World,
}

impl Place {
    pub(in crate::sandbox) fn english(self) -> &'static str {
        match self {
            Self::Country(destination) => destination.english,
            Self::Region(region) => region.english(),
            Self::World => "Worldwide",
        }
    }

    pub(in crate::sandbox) fn french(self) -> &'static str {
        match self {
            Self::Country(destination) => destination.french,
            Self::Region(region) => region.french(),
            Self::World => "Monde entier",
        }
    }

    /// `coverage.type` in the catalog.
    pub(in crate::sandbox) fn coverage(self) -> &'static str {
        match self {
            Self::Country(_) => "local",
            Self::Region(_) => "regional",
            Self::World => "global",
        }
    }
}

/// How long a bundle lasts once it has started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum Validity {
    Days(u32),
    Months(u32),
}

impl Validity {
    pub(in crate::sandbox) fn count(self) -> u32 {
        match self {
            Self::Days(count) | Self::Months(count) => count,
        }
    }

    pub(in crate::sandbox) fn unit(self) -> &'static str {
        match self {
            Self::Days(_) => "days",
            Self::Months(_) => "months",
        }
    }

    /// When a bundle ends that starts at `at`.
    pub(in crate::sandbox) fn end(self, at: Timestamp) -> Timestamp {
        match self {
            Self::Days(count) => crate::sandbox::clock::after(at, crate::sandbox::clock::days(count.into())),
            Self::Months(count) => crate::sandbox::clock::months_after(at, count),
        }
    }
}

/// Whether a product can be bought, and from when to when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::sandbox) struct Availability {
    /// The product was taken out of sale, whatever the dates say.
    pub(in crate::sandbox) withdrawn: bool,
    pub(in crate::sandbox) from: Option<Timestamp>,
    pub(in crate::sandbox) until: Option<Timestamp>,
}

impl Availability {
    pub(in crate::sandbox) fn at(self, now: Timestamp) -> bool {
        !self.withdrawn
            && self.from.is_none_or(|from| from <= now)
            && self.until.is_none_or(|until| now < until)
    }
}

/// Networks of one country that a product may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sandbox) struct Networks {
    pub(in crate::sandbox) country: &'static Destination,
    pub(in crate::sandbox) operators: Vec<(String, &'static [&'static str])>,
}

/// Something that can be bought for a SIM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sandbox) struct Product {
    pub(in crate::sandbox) id: String,
    pub(in crate::sandbox) category: Category,
    pub(in crate::sandbox) place: Place,
    pub(in crate::sandbox) countries: Vec<&'static Destination>,
    pub(in crate::sandbox) data_kb: i64,
    /// Then `data_kb` only says after how much the speed drops.
    pub(in crate::sandbox) unlimited: bool,
    pub(in crate::sandbox) validity: Validity,
    pub(in crate::sandbox) price_cents: i64,
    /// Recurring products: the price of each further period, and how many periods there are at most.
    pub(in crate::sandbox) renewal_cents: Option<i64>,
    pub(in crate::sandbox) max_periods: Option<u32>,
    /// Add-ons: the products that one of which the SIM must have.
    pub(in crate::sandbox) parents: Vec<String>,
    /// A service of the SIM itself, not for sale.
    pub(in crate::sandbox) infrastructure: bool,
    pub(in crate::sandbox) availability: Availability,
    pub(in crate::sandbox) priority: Option<u32>,
    pub(in crate::sandbox) bestseller: bool,
    pub(in crate::sandbox) networks: Vec<Networks>,
    /// What is odd about its JSON.
    pub(in crate::sandbox) oddity: Option<Oddity>,
}

/// Tag of products that are not for sale.
pub(in crate::sandbox) const WALLED_GARDEN: &str = "WALLED_GARDEN";

impl Product {
    /// How many months a bundle may wait for its first use. Add-ons start at once.
    pub(in crate::sandbox) fn months_to_first_use(&self) -> Option<u32> {
        (self.category != Category::AddOn && !self.infrastructure).then_some(6)
    }

    pub(in crate::sandbox) fn tags(&self) -> impl Iterator<Item = &'static str> {
        let technical = self.infrastructure.then_some(WALLED_GARDEN);
        self.countries
            .iter()
            .map(|country| country.alpha2)
            .chain(technical)
    }

    pub(in crate::sandbox) fn covers(&self, country: &Destination) -> bool {
        self.countries.iter().any(|covered| *covered == country)
    }
}
