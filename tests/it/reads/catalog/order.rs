//! The orders of a list: ascending, or descending where the request says so.

use std::cmp::Ordering;

use tonic::Code;
use transatel_gateway_client::connectivity::v1::*;

use super::{cents, data_bytes, is_unlimited, list};
use crate::support::gateway::{TestEnv, by_msisdn, reason};

/// What a list is sorted by; the currency first where it matters.
type Key = Option<(String, i64)>;

/// Reads it off a product.
type Read = fn(&Product) -> Key;

fn number(value: Option<i64>) -> Key {
    value.map(|value| (String::new(), value))
}

fn price(product: &Product) -> Key {
    let price = product.price.as_ref()?;
    Some((price.currency_code.clone(), cents(product)?))
}

fn data(product: &Product) -> Key {
    match is_unlimited(product) {
        true => number(Some(i64::MAX)),
        false => number(data_bytes(product)),
    }
}

fn validity(product: &Product) -> Key {
    let validity = product.validity?;
    let days = match validity.unit() {
        ValidityUnit::Months => validity.count * 30,
        ValidityUnit::Days | ValidityUnit::Unspecified => validity.count,
    };
    number(Some(days.into()))
}

fn until(product: &Product) -> Key {
    number(product.available_until.as_ref().map(|until| until.seconds))
}

fn id(product: &Product) -> Key {
    Some((product.product_id.clone(), 0))
}

/// Prices of one currency stay together, currencies in alphabetical order.
fn sorted(mut products: Vec<Product>, key: Read, descending: bool, by_id: bool) -> Vec<String> {
    let compare = |a: &Product, b: &Product| {
        let order = match (key(a), key(b)) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some(a), Some(b)) if descending && by_id => b.cmp(&a),
            (Some(a), Some(b)) if descending => a.0.cmp(&b.0).then(b.1.cmp(&a.1)),
            (Some(a), Some(b)) => a.cmp(&b),
        };
        order.then_with(|| a.product_id.cmp(&b.product_id))
    };
    products.sort_by(compare);
    products.into_iter().map(|product| product.product_id).collect()
}

#[tokio::test]
async fn every_order_ascends_unless_the_request_says_desc() {
    let env = TestEnv::open().await;
    let mut catalog = env.catalog();
    let mut ask = async |order_by: &str| {
        let mut request = ListProductsRequest {
            order_by: order_by.into(),
            include_unavailable: true,
            ..list()
        };
        let mut products = Vec::new();
        loop {
            let page = catalog.list_products(request.clone()).await.unwrap().into_inner();
            products.extend(page.products);
            if page.next_page_token.is_empty() {
                return products;
            }
            request.page_token = page.next_page_token;
        }
    };
    let all = ask("").await;
    let keys: [(&str, Read); 5] = [
        ("product_id", id),
        ("price", price),
        ("data", data),
        ("validity", validity),
        ("available_until", until),
    ];
    for (name, key) in keys {
        for (order_by, descending) in [(name.to_owned(), false), (format!(" {name}  desc "), true)] {
            let found: Vec<String> = ask(&order_by)
                .await
                .into_iter()
                .map(|product| product.product_id)
                .collect();
            assert!(
                found == sorted(all.clone(), key, descending, name == "product_id"),
                "{order_by}: {:?}…",
                &found[..3]
            );
        }
    }
}

#[tokio::test]
async fn an_unknown_order_is_refused_and_the_error_names_the_others() {
    let env = TestEnv::open().await;
    let mut catalog = env.catalog();
    let eligible = |order_by: &str| ListEligibleProductsRequest {
        sim: by_msisdn("882470000000001"),
        order_by: order_by.into(),
        page_size: 3,
        ..Default::default()
    };
    for order_by in [
        "name",
        "price asc",
        "price desc desc",
        "desc",
        "price,data",
        "PRICE",
    ] {
        let request = ListProductsRequest {
            order_by: order_by.into(),
            ..list()
        };
        for refused in [
            reason(&catalog.list_products(request).await.unwrap_err()),
            reason(
                &catalog
                    .list_eligible_products(eligible(order_by))
                    .await
                    .unwrap_err(),
            ),
        ] {
            assert_eq!(
                (refused.code, refused.reason.as_str()),
                (Code::InvalidArgument, "INVALID_REQUEST"),
                "{order_by}"
            );
            let violation = &refused.details.bad_request().unwrap().field_violations[0];
            assert_eq!(violation.field, "order_by");
            for allowed in [
                "price",
                "data",
                "validity",
                "available_until",
                "product_id",
                "desc",
            ] {
                assert!(
                    violation.description.contains(allowed),
                    "{allowed} is not in {:?}",
                    violation.description
                );
            }
        }
    }
    // Both lists have the same orders.
    let page = catalog
        .list_eligible_products(eligible("data desc"))
        .await
        .unwrap();
    let first = page.into_inner().products.swap_remove(0).product.unwrap();
    assert!(first.unlimited, "{}", first.product_id);
}
