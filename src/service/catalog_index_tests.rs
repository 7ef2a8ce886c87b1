use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::*;
use crate::domain::money::Currency;
use crate::domain::product::{Allowance, Amount, CountryNetworks, Grant, Operator, Validity, ValidityUnit};

fn product(id: &str) -> Product {
    Product {
        id: id.into(),
        name: String::new(),
        description: String::new(),
        category: None,
        countries: Vec::new(),
        tags: Vec::new(),
        allowances: Vec::new(),
        unlimited: false,
        validity: None,
        activation_window: None,
        max_periods: None,
        price: None,
        renewal_price: None,
        available: true,
        available_from: None,
        available_until: None,
        parent_ids: Vec::new(),
        networks: Vec::new(),
        coverage: None,
        bestseller: false,
        display_priority: None,
    }
}

fn prepare(product: &Product) -> Bytes {
    Bytes::from(format!("{product:?}"))
}

const CHEAPEST_FIRST: Order = Order::ascending(Key::Price);

fn everything() -> Query {
    Query::default()
}

fn ids(index: &Index, query: &Query) -> Vec<String> {
    let (entries, total) = index.select(query, 0, usize::MAX);
    assert_eq!(entries.len(), total);
    entries
        .into_iter()
        .map(|entry| entry.product.id.clone())
        .collect()
}

fn countries() -> Vec<Country> {
    ["DE", "FR", "US", "JP"]
        .iter()
        .filter_map(|code| Country::parse(code))
        .collect()
}

prop_compose! {
    fn any_product()(
        id in "[A-D]_[0-9]GB_(FRANCE|WORLD)",
        name in "(France|Le Monde|Asia and more|)",
        covered in subsequence(countries(), 0..4),
        tags in subsequence(vec!["STACK", "Promo", "WALLED_GARDEN"], 0..3),
        category in select(vec![None, Some(Category::OneOff), Some(Category::Recurring), Some(Category::AddOn)]),
        cents in proptest::option::of(0..5_i64),
        currency in select(vec!["EUR", "USD"]),
        data in proptest::option::of(-1..4_i64),
        days in proptest::option::of(1..4_i32),
        months: bool,
        available: bool,
        until in proptest::option::of(0..3_i64),
        parents in subsequence(vec!["A", "B"], 0..2),
        unlimited in proptest::bool::weighted(0.2),
        technologies in vec(subsequence(vec!["3G", "4G", "lte", "5G"], 0..3), 0..6),
    ) -> Product {
        let operators = countries().into_iter().cycle().zip(technologies);
        let networks = operators.map(|(country, technologies)| CountryNetworks {
            country,
            operators: vec![Operator {
                name: "Operator".into(),
                technologies: technologies.into_iter().map(str::to_owned).collect(),
            }],
        });
        let grant = |amount| if amount < 0 { Grant::Unlimited } else { Grant::Limited(Amount::DataBytes(amount)) };
        let unit = if months { ValidityUnit::Months } else { ValidityUnit::Days };
        Product {
            name: name.clone(),
            description: name,
            countries: covered,
            tags: tags.into_iter().map(str::to_owned).collect(),
            category,
            price: cents.map(|cents| Money::from_cents(Currency::parse(currency).unwrap(), cents)),
            allowances: data.map(|amount| Allowance {
                resource: "DATA".into(),
                grant: grant(amount),
                fair_use: false,
                validity: None,
            }).into_iter().collect(),
            validity: days.map(|count| Validity { count, unit }),
            available,
            available_until: until.map(|second| jiff::Timestamp::from_second(second).unwrap()),
            parent_ids: parents.into_iter().map(str::to_owned).collect(),
            unlimited,
            networks: networks.collect(),
            ..product(&id)
        }
    }
}

/// Seldom enough for most queries to find something.
fn sometimes<S: Strategy>(values: S) -> impl Strategy<Value = Option<S::Value>> {
    proptest::option::weighted(0.2, values)
}

/// Whether a product has one of the technologies, in this country or anywhere.
fn has_technology(product: &Product, names: &[String], country: Option<Country>) -> bool {
    let networks = product.networks.iter();
    let there = networks.filter(|network| country.is_none_or(|country| network.country == country));
    let mut operators = there.flat_map(|network| &network.operators);
    operators.any(|operator| {
        let own = operator.technologies.iter();
        let mut own = own.map(|name| name.to_lowercase());
        own.any(|own| names.iter().any(|name| name.to_lowercase() == own))
    })
}

prop_compose! {
    fn any_query()(
        countries in subsequence(countries(), 0..3),
        categories in subsequence(vec![Category::OneOff, Category::Recurring, Category::AddOn], 0..3),
        parent in select(vec![None, Some("A"), Some("C")]),
        text in select(vec!["", "fr", "FRANCE", "1gb_france", "le mo", "nde", "asia, more!"]),
        tags in subsequence(vec!["stack", "PROMO"], 0..2),
        include_unavailable: bool,
        order in select(Order::all().collect::<Vec<_>>()),
        min_data_bytes in sometimes(0..4_i64),
        min_days in sometimes(select(vec![1, 2, 3, 29, 30, 31, 60, 90, 91])),
        cents in sometimes(0..5_i64),
        currency in select(vec!["EUR", "USD", "CHF"]),
        unlimited in sometimes(any::<bool>()),
        technologies in sometimes(subsequence(vec!["3g", "LTE", "5G", "6G"], 1..3)),
    ) -> Query {
        Query {
            countries, categories, parent: parent.map(str::to_owned), text: text.into(),
            tags: tags.into_iter().map(str::to_owned).collect(), include_unavailable, order,
            min_data_bytes, min_days, unlimited,
            max_price: cents.map(|cents| Money::from_cents(Currency::parse(currency).unwrap(), cents)),
            technologies: technologies.into_iter().flatten().map(str::to_owned).collect(),
        }
    }
}

/// The same query, evaluated one product at a time.
fn by_hand(products: &[Product], query: &Query) -> BTreeSet<String> {
    let matches = |product: &&Product| {
        let words: Vec<String> = [&product.id, &product.name, &product.description]
            .into_iter()
            .flat_map(|text| split(text))
            .collect();
        !product.is_infrastructure()
            && (!product.is_add_on() || query.parent.is_some() || query.categories.contains(&Category::AddOn))
            && (query.include_unavailable || product.available)
            && query
                .countries
                .iter()
                .all(|country| product.countries.contains(country))
            && (query.categories.is_empty()
                || product
                    .category
                    .is_some_and(|own| query.categories.contains(&own)))
            && query
                .parent
                .as_ref()
                .is_none_or(|parent| product.parent_ids.contains(parent))
            && query
                .tags
                .iter()
                .all(|tag| product.tags.iter().any(|own| own.eq_ignore_ascii_case(tag)))
            && query.min_data_bytes.is_none_or(|least| {
                product.has_unlimited_data() || product.data_bytes().is_some_and(|bytes| bytes >= least)
            })
            && query.min_days.is_none_or(|least| {
                product
                    .validity
                    .is_some_and(|validity| validity.approximate_days() >= least)
            })
            && query.max_price.is_none_or(|most| {
                let price = product.price;
                price.is_some_and(|price| price.compare(&most).is_some_and(std::cmp::Ordering::is_le))
            })
            && query
                .unlimited
                .is_none_or(|unlimited| product.has_unlimited_data() == unlimited)
            && (query.technologies.is_empty()
                || match query.countries.as_slice() {
                    [] => has_technology(product, &query.technologies, None),
                    countries => countries
                        .iter()
                        .all(|country| has_technology(product, &query.technologies, Some(*country))),
                })
            && split(&query.text).all(|prefix| words.iter().any(|word| word.starts_with(&prefix)))
    };
    products
        .iter()
        .filter(matches)
        .map(|product| product.id.clone())
        .collect()
}

proptest! {
    #[test]
    fn a_query_finds_the_same_as_a_scan_of_every_product(
        products in vec(any_product(), 0..40),
        query in any_query(),
        size in 1..7_usize,
    ) {
        let mut products = products;
        products.sort_by(|a, b| a.id.cmp(&b.id));
        products.dedup_by(|a, b| a.id == b.id);
        let index = Index::new(products.clone(), None, prepare);
        let found = ids(&index, &query);
        prop_assert_eq!(found.iter().cloned().collect::<BTreeSet<_>>(), by_hand(&products, &query));

        // The pages together are the whole list, in the same order.
        let mut walked = Vec::new();
        loop {
            let (page, total) = index.select(&query, walked.len(), size);
            prop_assert_eq!(total, found.len());
            if page.is_empty() { break }
            walked.extend(page.into_iter().map(|entry| entry.product.id.clone()));
        }
        prop_assert_eq!(&walked, &found);

        // The order holds between neighbors.
        let of = |id: &String| &index.entry(id).unwrap().product;
        let is_by_id_descending = query.order == Order { key: Key::Id, descending: true };
        for pair in found.windows(2) {
            let (a, b) = (sort_key(of(&pair[0]), query.order), sort_key(of(&pair[1]), query.order));
            prop_assert!(a < b || (a == b && (pair[0] < pair[1]) != is_by_id_descending));
        }

        // Destinations agree with the list.
        for destination in index.destinations().iter() {
            let on_sale = Query { countries: vec![destination.country], order: CHEAPEST_FIRST, ..everything() };
            let (listed, total) = index.select(&on_sale, 0, usize::MAX);
            prop_assert_eq!(destination.offers.products as usize, total);
            prop_assert_eq!(destination.offers.lowest_price, listed[0].product.price);
            let only_there = listed.iter().filter(|entry| entry.product.countries == [destination.country]);
            prop_assert_eq!(destination.only_there as usize, only_there.count());
            let mut by_category = 0;
            for (category, offers) in &destination.by_category {
                by_category += offers.products;
                let mut own = listed.iter().filter(|entry| entry.product.category == *category);
                prop_assert_eq!(offers.lowest_price, own.next().unwrap().product.price);
                prop_assert_eq!(offers.products as usize, own.count() + 1);
            }
            prop_assert_eq!(by_category, destination.offers.products);
        }
    }
}

#[test]
fn a_missing_price_comes_last_in_both_directions() {
    let priced = |id: &str, cents: Option<i64>| Product {
        price: cents.map(|cents| Money::from_cents(Currency::parse("EUR").unwrap(), cents)),
        ..product(id)
    };
    let products = vec![
        priced("A", None),
        priced("B", Some(200)),
        priced("C", Some(100)),
        priced("D", Some(200)),
    ];
    let index = Index::new(products, None, prepare);
    assert_eq!(
        ids(
            &index,
            &Query {
                order: CHEAPEST_FIRST,
                ..everything()
            }
        ),
        ["C", "B", "D", "A"]
    );
    assert_eq!(
        ids(
            &index,
            &Query {
                order: Order {
                    descending: true,
                    ..CHEAPEST_FIRST
                },
                ..everything()
            }
        ),
        ["B", "D", "C", "A"]
    );
}

#[test]
fn amounts_ascend_unless_they_are_asked_for_the_other_way_round() {
    let granting = |id: &str, grant: Option<Grant>| Product {
        allowances: grant
            .map(|grant| Allowance {
                resource: "DATA".into(),
                grant,
                fair_use: false,
                validity: None,
            })
            .into_iter()
            .collect(),
        ..product(id)
    };
    let bytes = |bytes| Some(Grant::Limited(Amount::DataBytes(bytes)));
    let products = vec![
        granting("A", bytes(5)),
        granting("B", None),
        granting("C", bytes(1)),
        granting("D", Some(Grant::Unlimited)),
        granting("E", bytes(5)),
    ];
    let index = Index::new(products, None, prepare);
    for (descending, expected) in [
        (false, ["C", "A", "E", "D", "B"]),
        (true, ["D", "A", "E", "C", "B"]),
    ] {
        let order = Order {
            key: Key::Data,
            descending,
        };
        assert_eq!(
            ids(
                &index,
                &Query {
                    order,
                    ..everything()
                }
            ),
            expected
        );
    }
}

#[test]
fn equal_catalogs_have_equal_snapshots_in_any_order() {
    let index = |ids: &[&str]| Index::new(ids.iter().map(|id| product(id)).collect(), None, prepare);
    assert_eq!(index(&["A", "B"]).snapshot(), index(&["B", "A"]).snapshot());
    assert_ne!(index(&["A", "B"]).snapshot(), index(&["A", "C"]).snapshot());
}

#[test]
fn infrastructure_is_neither_listed_nor_found() {
    let hidden = Product {
        tags: vec!["walled_garden".into()],
        ..product("W")
    };
    let index = Index::new(vec![hidden, product("A")], None, prepare);
    assert_eq!(
        ids(
            &index,
            &Query {
                include_unavailable: true,
                ..everything()
            }
        ),
        ["A"]
    );
    assert!(index.entry("W").is_none());
}
