//! Filters on data, validity, price and technologies.

use transatel_gateway_client::connectivity::v1::*;
use transatel_gateway_client::google::r#type::Money;

use super::{cents, data_bytes, euros, is_unlimited, list};
use crate::support::gateway::TestEnv;

/// In euro cents.
fn costs_at_most(product: &Product, most: i64) -> bool {
    let price = product.price.as_ref();
    price.is_some_and(|price| price.currency_code == "EUR") && cents(product) <= Some(most)
}

fn days(product: &Product) -> Option<i32> {
    let validity = product.validity?;
    Some(match validity.unit() {
        ValidityUnit::Months => validity.count * 30,
        ValidityUnit::Days | ValidityUnit::Unspecified => validity.count,
    })
}

fn has(product: &Product, names: &[&str], country: Option<&str>) -> bool {
    let networks = product.networks.iter();
    let there = networks.filter(|network| country.is_none_or(|country| network.country == country));
    let operators = there.flat_map(|network| &network.operators);
    let mut technologies = operators.flat_map(|operator| &operator.technologies);
    technologies.any(|own| names.iter().any(|name| own.eq_ignore_ascii_case(name)))
}

fn lasting(count: i32, unit: ValidityUnit) -> ListProductsRequest {
    let unit = unit.into();
    ListProductsRequest {
        min_validity: Some(Validity { count, unit }),
        ..list()
    }
}

fn with_technologies(names: &[&str], countries: &[&str]) -> ListProductsRequest {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    ListProductsRequest {
        technologies: owned(names),
        countries: owned(countries),
        ..list()
    }
}

#[tokio::test]
async fn each_bound_finds_the_same_products_as_reading_the_whole_list() {
    let env = TestEnv::open().await;
    let mut catalog = env.catalog();
    let mut ask = async |request: ListProductsRequest| {
        let mut products = Vec::new();
        let mut request = request;
        loop {
            let page = catalog.list_products(request.clone()).await.unwrap().into_inner();
            products.extend(page.products);
            if page.next_page_token.is_empty() {
                assert_eq!(products.len(), page.total_size as usize);
                return products;
            }
            request.page_token = page.next_page_token;
        }
    };
    let all = ask(list()).await;
    let ten_gigabytes = 10 << 30;
    let unlimited = |unlimited| ListProductsRequest {
        unlimited: Some(unlimited),
        ..list()
    };
    let at_most = |max_price| ListProductsRequest {
        max_price: Some(max_price),
        ..list()
    };
    let in_france = |product: &Product| product.countries.iter().any(|code| code == "FR");
    type Case<'a> = (&'a str, ListProductsRequest, &'a dyn Fn(&Product) -> bool);
    let cases: [Case<'_>; 10] = [
        (
            "10 GB",
            ListProductsRequest {
                min_data_bytes: ten_gigabytes,
                ..list()
            },
            &|product| is_unlimited(product) || data_bytes(product) >= Some(ten_gigabytes),
        ),
        ("30 days", lasting(30, ValidityUnit::Days), &|product| {
            days(product) >= Some(30)
        }),
        ("a month", lasting(1, ValidityUnit::Months), &|product| {
            days(product) >= Some(30)
        }),
        ("5 EUR", at_most(euros(5)), &|product| costs_at_most(product, 500)),
        ("unlimited", unlimited(true), &is_unlimited),
        ("limited", unlimited(false), &|product| !is_unlimited(product)),
        ("5G", with_technologies(&["5g"], &[]), &|product| {
            has(product, &["5G"], None)
        }),
        ("5G in France", with_technologies(&["5G"], &["FR"]), &|product| {
            in_france(product) && has(product, &["5G"], Some("FR"))
        }),
        (
            "3G or 5G in France",
            with_technologies(&["3g", "5G"], &["FR"]),
            &|product| in_france(product) && has(product, &["3G", "5G"], Some("FR")),
        ),
        (
            "all at once",
            ListProductsRequest {
                min_data_bytes: 1 << 30,
                unlimited: Some(false),
                max_price: Some(euros(20)),
                order_by: "price".into(),
                page_size: 7,
                ..lasting(7, ValidityUnit::Days)
            },
            &|product| {
                !is_unlimited(product)
                    && data_bytes(product) >= Some(1 << 30)
                    && days(product) >= Some(7)
                    && costs_at_most(product, 2000)
            },
        ),
    ];
    for (what, request, admits) in cases {
        let ordered = request.order_by == "price";
        let mut found = ask(request).await;
        if ordered {
            assert!(found.is_sorted_by_key(cents), "{what}");
            found.sort_by(|a, b| a.product_id.cmp(&b.product_id));
        }
        let expected: Vec<Product> = all.iter().filter(|product| admits(product)).cloned().collect();
        assert!(
            !expected.is_empty() && expected.len() < all.len(),
            "{what} tests nothing"
        );
        assert!(
            found == expected,
            "{what}: {} and {}",
            found.len(),
            expected.len()
        );
    }
    let francs = Money {
        currency_code: "CHF".into(),
        ..euros(1000)
    };
    for nothing in [at_most(francs), with_technologies(&["6G"], &[])] {
        assert!(ask(nothing).await.is_empty());
    }
}
