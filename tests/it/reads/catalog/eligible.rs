//! Products with the verdict of the provider on each.

use tonic::Code;
use transatel_gateway_client::connectivity::v1::*;
use transatel_simulator::{Fault, Script};

use super::list;
use crate::support::gateway::{PRODUCTS, TestEnv, by_iccid, by_msisdn, reason};

/// Subscribed to a monthly product that has add-ons.
const SUBSCRIBED: &str = "882470000000026";

fn in_france(msisdn: &str) -> ListEligibleProductsRequest {
    ListEligibleProductsRequest {
        sim: by_msisdn(msisdn),
        countries: vec!["FR".into()],
        ..Default::default()
    }
}

#[tokio::test]
async fn a_page_has_the_products_of_the_list_with_the_verdicts_of_the_check() {
    let env = TestEnv::open().await;
    let mut catalog = env.catalog();
    let categories = [
        ProductCategory::OneOff,
        ProductCategory::Recurring,
        ProductCategory::AddOn,
    ];
    let categories = categories.map(i32::from).to_vec();
    let plain = ListProductsRequest {
        countries: vec!["FR".into()],
        categories: categories.clone(),
        order_by: "price".into(),
        ..list()
    };
    let plain = catalog.list_products(plain).await.unwrap().into_inner();
    let mut verdicts = Vec::new();
    for msisdn in ["882470000000001", SUBSCRIBED] {
        let mut request = ListEligibleProductsRequest {
            categories: categories.clone(),
            order_by: "price".into(),
            page_size: 7,
            ..in_france(msisdn)
        };
        let (mut met, mut pages) = (Vec::new(), 0);
        let before = env.control().received("GET", PRODUCTS);
        loop {
            let page = catalog
                .list_eligible_products(request.clone())
                .await
                .unwrap()
                .into_inner();
            assert_eq!(page.total_size, plain.total_size);
            assert_eq!(
                page.freshness.unwrap().version,
                plain.freshness.as_ref().unwrap().version
            );
            met.extend(page.products);
            pages += 1;
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        assert_eq!(
            env.control().received("GET", PRODUCTS) - before,
            pages,
            "one request a page"
        );
        let products: Vec<Product> = met.iter().map(|listed| listed.product.clone().unwrap()).collect();
        assert!(products == plain.products, "{msisdn}");
        for page in met.chunks(50) {
            let ids = page
                .iter()
                .map(|listed| listed.product.clone().unwrap().product_id);
            let request = CheckEligibilityRequest {
                sim: by_msisdn(msisdn),
                product_ids: ids.collect(),
            };
            let checked = catalog
                .check_eligibility(request)
                .await
                .unwrap()
                .into_inner()
                .results;
            let listed: Vec<_> = page
                .iter()
                .map(|listed| listed.eligibility.clone().unwrap())
                .collect();
            assert_eq!(listed, checked, "{msisdn}");
        }
        let eligible = met
            .iter()
            .filter(|listed| listed.eligibility.as_ref().unwrap().eligible);
        verdicts.push(eligible.count());
    }
    // The second SIM can also get add-ons.
    assert!(verdicts[0] > 0 && verdicts[0] < verdicts[1], "{verdicts:?}");
}

#[tokio::test]
async fn a_token_belongs_to_its_sim_and_the_size_of_a_page_is_bounded() {
    let env = TestEnv::open().await;
    let mut catalog = env.catalog();
    let first = ListEligibleProductsRequest {
        countries: Vec::new(),
        page_size: 1000,
        ..in_france(SUBSCRIBED)
    };
    let page = catalog
        .list_eligible_products(first.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(page.products.len(), 50);
    let next = ListEligibleProductsRequest {
        page_token: page.next_page_token,
        ..first
    };
    catalog.list_eligible_products(next.clone()).await.unwrap();
    let other = [
        ListEligibleProductsRequest {
            sim: by_msisdn("882470000000001"),
            ..next.clone()
        },
        ListEligibleProductsRequest {
            categories: vec![ProductCategory::OneOff.into()],
            ..next.clone()
        },
    ];
    for other in other {
        let error = reason(&catalog.list_eligible_products(other).await.unwrap_err());
        assert_eq!(error.reason, "PAGE_TOKEN_INVALID");
    }
    // A list of products has tokens of its own.
    let plain = ListProductsRequest {
        page_token: next.page_token,
        ..list()
    };
    let error = reason(&catalog.list_products(plain).await.unwrap_err());
    assert_eq!(error.reason, "PAGE_TOKEN_INVALID");
}

#[tokio::test]
async fn without_a_verdict_there_is_no_page() {
    let env = TestEnv::open().await;
    let mut catalog = env.catalog();
    let unknown = catalog.list_eligible_products(in_france("33600000000")).await;
    let error = reason(&unknown.unwrap_err());
    assert_eq!(
        (error.code, error.reason.as_str()),
        (Code::NotFound, "SIM_NOT_FOUND")
    );
    let card = env.control().sim("1").unwrap().iccid;
    let by_card = ListEligibleProductsRequest {
        sim: by_iccid(&card),
        ..in_france(SUBSCRIBED)
    };
    let page = catalog
        .list_eligible_products(by_card)
        .await
        .unwrap()
        .into_inner();
    assert!(!page.products.is_empty(), "the number is found by the card");
    let down = Fault::status(503).step().forever();
    env.control().queue(Script::on("GET", PRODUCTS).then(down));
    let failed = catalog.list_eligible_products(in_france(SUBSCRIBED)).await;
    assert_eq!(reason(&failed.unwrap_err()).reason, "PROVIDER_UNAVAILABLE");
}
