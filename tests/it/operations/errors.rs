//! Bad input: every violation at once, and nothing is sent upstream.

use transatel_gateway_client::connectivity::v1::*;

use crate::support::gateway::{TestEnv, by_iccid, by_msisdn, get, violations};

#[tokio::test]
async fn every_violation_of_a_list_is_named_at_once() {
    let env = TestEnv::open().await;
    let request = ListProductsRequest {
        countries: vec!["FR".into(), "ZZ".into(), "".into()],
        categories: vec![1, 0, 99],
        parent_product_id: "P".repeat(101),
        query: "q".repeat(201),
        tags: vec!["T".repeat(101)],
        language_code: "??".into(),
        order_by: "cheapest".into(),
        page_size: -1,
        page_token: "foreign".into(),
        ..Default::default()
    };
    assert_eq!(
        violations(&env.catalog().list_products(request).await.unwrap_err()),
        [
            "categories[1]",
            "categories[2]",
            "countries[1]",
            "countries[2]",
            "language_code",
            "order_by",
            "page_size",
            "parent_product_id",
            "query",
            "tags[0]",
        ]
    );
    nothing_was_sent(&env).await;
}

/// The tests start without a warm-up, so any request is the call's doing.
async fn nothing_was_sent(env: &TestEnv) {
    assert_eq!(env.control().counters().requests, Default::default());
}

#[tokio::test]
async fn every_other_request_is_checked_too() {
    let env = TestEnv::open().await;
    let mut catalog = env.catalog();
    let long = "L".repeat(101);
    for id in ["", &long] {
        let request = GetProductRequest {
            product_id: id.into(),
            language_code: "-".into(),
        };
        let status = catalog.get_product(request).await.unwrap_err();
        assert_eq!(violations(&status), ["language_code", "product_id"]);
    }
    let request = ListDestinationsRequest {
        language_code: "e".into(),
    };
    assert_eq!(
        violations(&catalog.list_destinations(request).await.unwrap_err()),
        ["language_code"]
    );

    let request = CheckEligibilityRequest::default();
    assert_eq!(
        violations(&catalog.check_eligibility(request).await.unwrap_err()),
        ["product_ids", "sim"]
    );
    for (sim, field) in [
        (by_msisdn("12345"), "sim.msisdn"),
        (by_msisdn("++882470000000001"), "sim.msisdn"),
        (by_iccid("+8988247000000000019"), "sim.iccid"),
        (by_iccid("898824700000000001234"), "sim.iccid"),
        (Some(SimRef { id: None }), "sim"),
    ] {
        let request = CheckEligibilityRequest {
            sim,
            product_ids: vec!["A".into(), "".into(), "A".into()],
        };
        let status = catalog.check_eligibility(request).await.unwrap_err();
        assert_eq!(violations(&status), ["product_ids[1]", "product_ids[2]", field]);
    }
    let many = (0..51).map(|number| format!("P{number}")).collect();
    let request = CheckEligibilityRequest {
        sim: by_msisdn("882470000000001"),
        product_ids: many,
    };
    assert_eq!(
        violations(&catalog.check_eligibility(request).await.unwrap_err()),
        ["product_ids"]
    );
    nothing_was_sent(&env).await;
}

#[tokio::test]
async fn the_longest_product_id_that_is_allowed_is_looked_up() {
    let env = TestEnv::open().await;
    let status = env
        .catalog()
        .get_product(get(&"é".repeat(100)))
        .await
        .unwrap_err();
    assert_eq!(
        crate::support::gateway::reason(&status).reason,
        "PRODUCT_NOT_FOUND"
    );
}
