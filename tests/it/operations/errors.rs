//! Bad input: every violation at once, and nothing is sent upstream.

use transatel_gateway_client::connectivity::v1::*;
use transatel_gateway_client::google::r#type::Money;

use transatel_simulator::{Fault, Script};

use crate::support::gateway::{FRANCE, PRODUCTS, TestEnv, by_iccid, by_msisdn, get, reason, violations};

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
        min_data_bytes: -1,
        min_validity: Some(Validity { count: 0, unit: 99 }),
        max_price: Some(Money {
            currency_code: "EURO".into(),
            units: -1,
            nanos: 0,
        }),
        technologies: vec!["".into(), "5G".into(), "T".repeat(101)],
        read_mask: Some(prost_types::FieldMask {
            paths: vec!["nope".into()],
        }),
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
            "max_price",
            "max_price.currency_code",
            "min_data_bytes",
            "min_validity.count",
            "min_validity.unit",
            "order_by",
            "page_size",
            "parent_product_id",
            "query",
            "read_mask",
            "tags[0]",
            "technologies[0]",
            "technologies[2]",
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
            read_mask: None,
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
    let request = ListEligibleProductsRequest {
        sim: by_msisdn("12345"),
        countries: vec!["ZZ".into()],
        categories: vec![99],
        page_size: -1,
        page_token: "foreign".into(),
        language_code: "??".into(),
        order_by: "cheapest".into(),
        parent_product_id: long.clone(),
    };
    assert_eq!(
        violations(&catalog.list_eligible_products(request).await.unwrap_err()),
        [
            "categories[0]",
            "countries[0]",
            "language_code",
            "order_by",
            "page_size",
            "parent_product_id",
            "sim.msisdn",
        ]
    );
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

/// What a client has to take in as trailers: the message with each odd byte as
/// three, the details in base64.
fn size(status: &tonic::Status) -> usize {
    status.message().len() * 3 + status.details().len().div_ceil(3) * 4
}

#[tokio::test]
async fn an_error_is_small_however_much_is_wrong() {
    let env = TestEnv::open().await;
    let request = BatchGetInventoryRequest {
        sims: (0..160)
            .filter_map(|n| by_iccid(&format!("not a card {n}")))
            .collect(),
        ..Default::default()
    };
    let mut inventory = env.inventory();
    let status = match inventory.batch_get_inventory(request).await {
        Err(status) => status,
        Ok(answer) => answer.into_inner().message().await.unwrap_err(),
    };
    let named = violations(&status);
    assert!((10..=20).contains(&(named.len() - 1)), "{named:?}");
    assert!(size(&status) < 4096, "{} bytes", size(&status));
    let more = status.message().to_owned() + &format!("{:?}", reason(&status).details);
    assert!(
        more.contains(&format!("and {} more", 161 - named.len())),
        "{more}"
    );

    // The longest text that a caller can have echoed.
    let request = GetProductRequest {
        product_id: "\u{1F4F1}".repeat(100),
        ..Default::default()
    };
    let status = env.catalog().get_product(request).await.unwrap_err();
    assert!(size(&status) < 4096, "{} bytes", size(&status));
}

#[tokio::test]
async fn a_time_to_wait_also_reaches_the_retries_of_grpc() {
    let env = TestEnv::open().await;
    let limited = Fault::RateLimited {
        retry_after: Some(std::time::Duration::from_secs(2)),
    };
    env.control()
        .queue(Script::on("GET", PRODUCTS).then(limited.step().forever()));
    let request = CheckEligibilityRequest {
        sim: by_msisdn("882470000000001"),
        product_ids: vec![FRANCE.into()],
    };
    let status = env.catalog().check_eligibility(request).await.unwrap_err();
    assert_eq!(reason(&status).reason, "PROVIDER_RATE_LIMITED");
    let pushback = status.metadata().get("grpc-retry-pushback-ms");
    assert_eq!(pushback.unwrap().to_str().unwrap(), "2000");
}
