//! The version of the catalog that an answer was read from.

use transatel_gateway_client::connectivity::v1::*;

use super::list;
use crate::support::gateway::{CATALOG, FRANCE, Gateway, TestEnv, get, until};

async fn version(gateway: &Gateway, language_code: &str) -> String {
    let request = GetProductRequest {
        language_code: language_code.into(),
        ..get(FRANCE)
    };
    let answer = gateway.catalog().get_product(request).await.unwrap().into_inner();
    answer.freshness.unwrap().version
}

#[tokio::test]
async fn equal_catalogs_have_one_version_in_every_process_and_a_changed_one_another() {
    let short = [("CATALOG__FRESH_FOR", "1s")];
    let env = TestEnv::with(&short).await;
    let control = env.control();
    let first = version(&env.gateway, "").await;
    assert_eq!(first.len(), 16, "{first}");

    // In every answer, in another process, and after the next load.
    let mut catalog = env.catalog();
    let listed = catalog.list_products(list()).await.unwrap().into_inner();
    assert_eq!(listed.freshness.as_ref().unwrap().version, first);
    let destinations = ListDestinationsRequest::default();
    let destinations = catalog
        .list_destinations(destinations)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(destinations.freshness.unwrap().version, first);
    let replica = Gateway::start(&env.sandbox.base_url(), &short).await;
    assert_eq!(version(&replica, "").await, first);
    assert_ne!(version(&replica, "fr").await, first);
    let loads = control.received("GET", CATALOG);
    until("the catalog is loaded again", async || {
        assert_eq!(version(&env.gateway, "").await, first);
        control.received("GET", CATALOG) >= loads + 3
    })
    .await;

    // A price changes, and changes back.
    let price = listed
        .products
        .iter()
        .find(|product| product.product_id == FRANCE);
    let price = price.unwrap().price.clone().unwrap();
    let cents = price.units * 100 + i64::from(price.nanos) / 10_000_000;
    assert!(control.set_price(FRANCE, 98_765));
    until("both have the new price", async || {
        let (a, b) = (version(&env.gateway, "").await, version(&replica, "").await);
        a != first && a == b
    })
    .await;
    assert!(control.set_price(FRANCE, cents));
    until("both have the old price", async || {
        version(&env.gateway, "").await == first && version(&replica, "").await == first
    })
    .await;
}
