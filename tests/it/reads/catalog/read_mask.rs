//! Answers with only some of the fields of a product.

use prost::Message as _;
use prost_types::FieldMask;
use tonic::Code;
use transatel_gateway_client::connectivity::v1::*;

use super::list;
use crate::support::gateway::{FRANCE, TestEnv, get, reason};

fn mask(paths: &[&str]) -> Option<FieldMask> {
    Some(FieldMask {
        paths: paths.iter().map(|path| (*path).to_owned()).collect(),
    })
}

#[tokio::test]
async fn a_mask_leaves_only_the_fields_that_it_names() {
    let env = TestEnv::open().await;
    let mut catalog = env.catalog();
    let whole = catalog.get_product(get(FRANCE)).await.unwrap().into_inner();
    let product = whole.product.unwrap();
    let mut masked = async |paths: &[&str]| {
        let request = GetProductRequest {
            read_mask: mask(paths),
            ..get(FRANCE)
        };
        let answer = catalog.get_product(request).await.unwrap().into_inner();
        assert_eq!(answer.freshness.unwrap().version.len(), 16);
        answer.product.unwrap()
    };
    for all in [&[] as &[&str], &["*"], &["product_id", "*"]] {
        assert!(masked(all).await == product);
    }
    let expected = Product {
        product_id: product.product_id.clone(),
        price: product.price.clone(),
        countries: product.countries.clone(),
        ..Default::default()
    };
    assert!(masked(&["price", "product_id", "countries", "price"]).await == expected);

    // A page, and the next one with another mask.
    let first = ListProductsRequest {
        page_size: 50,
        read_mask: mask(&["product_id", "networks"]),
        ..list()
    };
    let page = catalog.list_products(first.clone()).await.unwrap().into_inner();
    assert_eq!(page.products.len(), 50);
    assert!(page.total_size > 1000);
    for product in page.products {
        let expected = Product {
            product_id: product.product_id.clone(),
            networks: product.networks.clone(),
            ..Default::default()
        };
        assert!(product == expected && !product.product_id.is_empty());
    }
    let next = ListProductsRequest {
        page_token: page.next_page_token,
        read_mask: None,
        ..first
    };
    let page = catalog.list_products(next).await.unwrap().into_inner();
    assert!(page.products.iter().all(|product| !product.countries.is_empty()));
}

#[tokio::test]
async fn paths_that_are_not_fields_of_a_product_are_named_in_the_error() {
    let env = TestEnv::open().await;
    let mut catalog = env.catalog();
    for (paths, texts) in [
        (&["product_id", "nope", "Price"][..], &["nope, Price"][..]),
        (
            &["price.units", "networks.country"],
            &["price.units, networks.country"],
        ),
        (&["", "price.units"], &["not: ", "price.units"]),
        (&["name"; 65], &["at most 64"]),
    ] {
        let product = GetProductRequest {
            read_mask: mask(paths),
            ..get(FRANCE)
        };
        let products = ListProductsRequest {
            read_mask: mask(paths),
            ..list()
        };
        for refused in [
            reason(&catalog.get_product(product).await.unwrap_err()),
            reason(&catalog.list_products(products).await.unwrap_err()),
        ] {
            assert_eq!(
                (refused.code, refused.reason.as_str()),
                (Code::InvalidArgument, "INVALID_REQUEST")
            );
            let violations = &refused.details.bad_request().unwrap().field_violations;
            assert_eq!(violations.len(), texts.len(), "{violations:?}");
            for (violation, text) in violations.iter().zip(texts) {
                assert_eq!(violation.field, "read_mask");
                assert!(violation.description.contains(text), "{violation:?}");
            }
        }
    }
}

/// How large a page of 50 products is with and without its networks:
/// `cargo test --test it the_size_of_a_page -- --nocapture` prints it.
#[tokio::test]
async fn networks_are_a_large_part_of_the_size_of_a_page() {
    let env = TestEnv::open().await;
    let mut catalog = env.catalog();
    let page = ListProductsRequest {
        page_size: 50,
        ..list()
    };
    let whole = catalog.list_products(page.clone()).await.unwrap().into_inner();
    let all_but_networks: Vec<&str> =
        "product_id name description category countries tags allowances unlimited \
        validity activation_window max_periods price renewal_price available available_from available_until \
        parent_product_ids coverage bestseller display_priority"
            .split_whitespace()
            .collect();
    let mut size = async |paths: &[&str]| {
        let request = ListProductsRequest {
            read_mask: mask(paths),
            ..page.clone()
        };
        catalog
            .list_products(request)
            .await
            .unwrap()
            .into_inner()
            .encoded_len()
    };
    let (without, shown) = (
        size(&all_but_networks).await,
        size(&["product_id", "name", "price"]).await,
    );
    let whole = whole.encoded_len();
    println!("50 products: {whole} bytes, without networks {without}, id, name and price {shown}");
    assert!(shown < without && without < whole);
}
