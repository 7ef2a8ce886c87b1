//! The catalog of a Service Provider Connect account, from a seed.
//!
//! Which products there are does not depend on the seed, their prices, networks
//! and display do. So tests can name products, and still meet other figures
//! when they choose another seed.

use jiff::Timestamp;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::world::{
    catalog::{
        destinations::{DESTINATIONS, Destination, Region},
        oddities::Oddity,
        product::{Availability, Category, KB_PER_GB, Networks, Place, Product, Validity, Written},
    },
    clock::{after, before, days},
};

/// Countries with more plans than the usual four.
const POPULAR: [&str; 50] = [
    "FR", "DE", "ES", "IT", "GB", "PT", "GR", "TR", "US", "CA", "MX", "JP", "KR", "TH", "VN", "ID", "SG",
    "MY", "CN", "HK", "IN", "AU", "NZ", "AE", "SA", "EG", "MA", "TN", "ZA", "KE", "BR", "AR", "CO", "CL",
    "PE", "CH", "NL", "BE", "AT", "IE", "SE", "NO", "DK", "FI", "PL", "CZ", "HU", "HR", "IL", "QA",
];

/// Gigabytes and days of the plans that every country has.
const COUNTRY_PLANS: [(i64, u32); 4] = [(1, 7), (3, 30), (5, 30), (10, 30)];
const REGION_PLANS: [(i64, u32); 6] = [(1, 7), (3, 30), (5, 30), (10, 30), (20, 30), (50, 90)];
const WORLD_PLANS: [(i64, u32); 6] = [(1, 7), (3, 15), (5, 30), (10, 30), (20, 60), (50, 180)];

/// Every product, the odd ones last.
pub(crate) fn products(seed: u64, origin: Timestamp) -> Vec<Product> {
    let mut generator = Generator {
        random: ChaCha8Rng::seed_from_u64(seed),
        origin,
        products: Vec::new(),
    };
    for country in DESTINATIONS {
        generator.country(country);
    }
    for region in Region::ALL {
        let plans = REGION_PLANS;
        generator.place(Place::Region(region), &plans);
    }
    generator.place(Place::World, &WORLD_PLANS);
    generator.withdrawn();
    generator.infrastructure();
    generator.odd();
    generator.products
}

struct Generator {
    random: ChaCha8Rng,
    origin: Timestamp,
    products: Vec<Product>,
}

impl Generator {
    fn country(&mut self, country: &'static Destination) {
        let place = Place::Country(country);
        let popular = POPULAR.contains(&country.alpha2);
        self.one_offs(place, &COUNTRY_PLANS);
        if popular {
            self.one_offs(place, &[(20, 30)]);
            let monthly = self.recurring(place, 5);
            let more = self.recurring(place, 10);
            self.add_on(place, vec![monthly, more]);
        }
        // A few countries have plans without a volume limit.
        if POPULAR.iter().take(12).any(|code| *code == country.alpha2) {
            for count in [7, 15] {
                let gigabytes = 2;
                let mut product = self.one_off(place, gigabytes, count);
                product.id = format!(
                    "WW_901O_STACK_ONEOFF_{}_UNLIMITED_{count}D_FUP{gigabytes}",
                    id_part(place.english())
                );
                product.unlimited = true;
                product.price_cents *= 4;
                self.products.push(product);
            }
        }
    }

    /// The plans of a region or of the world.
    fn place(&mut self, place: Place, plans: &[(i64, u32)]) {
        self.one_offs(place, plans);
        let monthly = self.recurring(place, 5);
        let more = self.recurring(place, 20);
        self.add_on(place, vec![monthly, more]);
    }

    fn one_offs(&mut self, place: Place, plans: &[(i64, u32)]) {
        for (gigabytes, count) in plans {
            let product = self.one_off(place, *gigabytes, *count);
            self.products.push(product);
        }
    }

    fn one_off(&mut self, place: Place, gigabytes: i64, count: u32) -> Product {
        let id = format!(
            "WW_901O_STACK_ONEOFF_{}_{gigabytes}GB_{count}D",
            id_part(place.english())
        );
        let price_cents = self.price(place, gigabytes);
        let started = self.random.random_range(30..900);
        Product {
            id,
            category: Category::OneOff,
            place,
            countries: covered(place),
            data_kb: gigabytes * KB_PER_GB,
            unlimited: false,
            validity: Validity::Days(count),
            price_cents,
            renewal_cents: None,
            max_periods: None,
            parents: Vec::new(),
            infrastructure: false,
            availability: Availability {
                from: self
                    .random
                    .random_bool(0.7)
                    .then(|| before(self.origin, days(started))),
                ..Availability::default()
            },
            priority: self
                .random
                .random_bool(0.5)
                .then(|| self.random.random_range(1..100)),
            bestseller: self.random.random_bool(0.05),
            networks: self.networks(place),
            oddity: None,
            written: Written::default(),
        }
    }

    /// Adds a monthly product and gives its id.
    fn recurring(&mut self, place: Place, gigabytes: i64) -> String {
        let mut product = self.one_off(place, gigabytes, 30);
        product.id = format!(
            "WW_901O_STACK_RECURRING_{}_{gigabytes}GB_1M",
            id_part(place.english())
        );
        product.category = Category::Recurring;
        product.validity = Validity::Months(1);
        product.renewal_cents = Some(product.price_cents * 9 / 10);
        product.max_periods = self.random.random_bool(0.5).then_some(12);
        let id = product.id.clone();
        self.products.push(product);
        id
    }

    fn add_on(&mut self, place: Place, parents: Vec<String>) {
        let mut product = self.one_off(place, 1, 30);
        product.id = format!("WW_901O_STACK_ADDON_{}_1GB_30D", id_part(place.english()));
        product.category = Category::AddOn;
        product.parents = parents;
        self.products.push(product);
    }

    /// Products that only `availabilityStatus=ALL` shows, and one that leaves the sale while the simulator runs.
    fn withdrawn(&mut self) {
        let last_year = Availability {
            until: Some(before(self.origin, days(40))),
            ..Availability::default()
        };
        let next_month = Availability {
            from: Some(after(self.origin, days(30))),
            ..Availability::default()
        };
        let withdrawn = Availability {
            withdrawn: true,
            ..Availability::default()
        };
        for (code, availability) in POPULAR
            .iter()
            .zip([last_year, next_month, withdrawn].into_iter().cycle())
            .take(12)
        {
            let Some(country) = Destination::find(code) else {
                continue;
            };
            let product = self.one_off(Place::Country(country), 2, 10);
            self.products.push(Product {
                availability,
                ..product
            });
        }
        let mut leaving = self.one_off(Place::Region(Region::Europe), 2, 10);
        leaving.availability = Availability {
            until: Some(after(self.origin, days(30))),
            ..Availability::default()
        };
        self.products.push(leaving);
    }

    /// What a SIM needs to show a page without a subscription. Not for sale.
    fn infrastructure(&mut self) {
        for (gigabytes, name) in [(1, "PORTAL"), (1, "APP"), (2, "SUPPORT")] {
            let mut product = self.one_off(Place::World, gigabytes, 365);
            product.id = format!("WW_901O_WALLEDGARDEN_{name}");
            product.infrastructure = true;
            product.price_cents = 0;
            product.priority = None;
            product.networks = Vec::new();
            self.products.push(product);
        }
    }

    fn odd(&mut self) {
        for oddity in Oddity::ALL {
            let Some(country) = Destination::find("BE") else {
                continue;
            };
            let mut product = self.one_off(Place::Country(country), 1, 7);
            product.id = format!("WW_901O_STACK_ONEOFF_ODD_{}_1GB_7D", oddity.name());
            product.oddity = Some(oddity);
            self.products.push(product);
        }
    }

    /// Larger plans cost less per gigabyte, far places more.
    fn price(&mut self, place: Place, gigabytes: i64) -> i64 {
        let region = match place {
            Place::World => None,
            Place::Country(country) => Some(country.region),
            Place::Region(region) => Some(region),
        };
        let base = match region {
            Some(Region::Europe) => 250,
            Some(Region::NorthAmerica) => 350,
            Some(Region::Asia) => 400,
            Some(Region::MiddleEast) => 500,
            Some(Region::Oceania | Region::LatinAmerica) => 550,
            Some(Region::Africa) => 700,
            Some(Region::Caribbean) => 900,
            None => 1200,
        };
        let percent = match gigabytes {
            ..=1 => 100,
            2 => 180,
            3 => 240,
            4..=5 => 350,
            6..=10 => 600,
            11..=20 => 1000,
            _ => 2000,
        };
        let varied = base + self.random.random_range(0..20_i64) * 10;
        // Shop prices end in 0 or 5.
        varied * percent / 100 / 5 * 5
    }

    fn networks(&mut self, place: Place) -> Vec<Networks> {
        const GENERATIONS: [&[&str]; 3] = [&["3G", "4G"], &["4G", "LTE"], &["3G", "4G", "LTE", "5G"]];
        let Place::Country(country) = place else {
            return Vec::new();
        };
        let count = self.random.random_range(1..=3_usize);
        let operators = ["Telecom", "Mobile", "Wireless"]
            .into_iter()
            .take(count)
            .map(|suffix| {
                let generations = GENERATIONS.get(self.random.random_range(0..3_usize)).copied();
                (
                    format!("{} {suffix}", country.english),
                    generations.unwrap_or(&["4G"]),
                )
            })
            .collect();
        vec![Networks { country, operators }]
    }
}

fn covered(place: Place) -> Vec<&'static Destination> {
    DESTINATIONS
        .iter()
        .filter(|destination| match place {
            Place::Country(country) => *destination == country,
            Place::Region(region) => destination.region == region,
            Place::World => true,
        })
        .collect()
}

/// A name as product ids spell it: capitals, everything else an underscore.
fn id_part(name: &str) -> String {
    name.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_uppercase()
            } else {
                '_'
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn generated(seed: u64) -> Vec<Product> {
        products(seed, "2026-01-01T00:00:00Z".parse().unwrap())
    }

    #[test]
    fn the_catalog_is_as_large_as_a_real_one_and_has_every_kind() {
        let products = generated(1);
        assert!((1150..1300).contains(&products.len()), "{}", products.len());
        let ids: BTreeSet<_> = products.iter().map(|product| &product.id).collect();
        assert_eq!(ids.len(), products.len());
        for category in [Category::OneOff, Category::Recurring, Category::AddOn] {
            assert!(
                products
                    .iter()
                    .filter(|product| product.category == category)
                    .count()
                    > 20
            );
        }
        assert!(products.iter().filter(|product| product.unlimited).count() > 10);
        assert!(
            products
                .iter()
                .all(|product| product.id.len() <= 100 && product.price_cents >= 0)
        );
    }

    #[test]
    fn the_product_that_documentation_names_can_be_bought() {
        let products = generated(7);
        let france = products
            .iter()
            .find(|product| product.id == "WW_901O_STACK_ONEOFF_FRANCE_1GB_7D")
            .unwrap();
        assert!(france.availability.at("2026-01-01T00:00:00Z".parse().unwrap()));
        assert_eq!(france.data_kb, 1_048_576);
        assert!(france.price_cents > 0);
    }

    #[test]
    fn the_same_seed_gives_the_same_catalog_and_another_other_prices() {
        assert_eq!(generated(1), generated(1));
        let ids = |seed| {
            generated(seed)
                .into_iter()
                .map(|product| product.id)
                .collect::<Vec<_>>()
        };
        assert_eq!(ids(1), ids(2));
        assert_ne!(generated(1), generated(2));
    }

    #[test]
    fn add_ons_name_parents_that_exist() {
        let products = generated(1);
        let ids: BTreeSet<_> = products.iter().map(|product| product.id.as_str()).collect();
        for add_on in products
            .iter()
            .filter(|product| product.category == Category::AddOn)
        {
            assert!(!add_on.parents.is_empty());
            assert!(add_on.parents.iter().all(|parent| ids.contains(parent.as_str())));
        }
    }
}
