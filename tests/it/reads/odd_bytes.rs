//! Answers of the provider as others have seen them: what can be understood is
//! shown, and nothing is hidden for the sake of what cannot.

use serde_json::{Value, json};
use tonic::Code;
use transatel_gateway_client::connectivity::v1 as api;
use transatel_gateway_client::google::r#type::Money;
use transatel_simulator::{Fault, Script};

use crate::support::gateway::{
    CATALOG, LINE, ORDERS, SUBSCRIPTIONS, TestEnv, by_iccid, by_msisdn, reason, settings, simulator,
};
use crate::support::process::Process;
use crate::writes::orders::{create, order};

const LINE_OF_A_CUSTOMER: &str = "882470000000001";
const SEARCH: &str = "/sim-search/api/sim/search";

/// A gateway in front of a provider that answers one route with this.
async fn answering(route: &str, body: &str) -> TestEnv {
    let env = TestEnv::with(&[("TRANSATEL__RETRY_FIRST_WAIT", "1ms")]).await;
    let answer = Fault::body(200, body).step().forever();
    env.control().queue(Script::on("GET", route).then(answer));
    env
}

async fn inventory(subscriptions: Value) -> api::GetInventoryResponse {
    let body = json!({ "productSubscriptions": subscriptions }).to_string();
    let env = answering(SUBSCRIPTIONS, &body).await;
    let request = api::GetInventoryRequest {
        sim: by_msisdn(LINE_OF_A_CUSTOMER),
        ..Default::default()
    };
    let answer = env.inventory().get_inventory(request).await;
    answer.unwrap().into_inner()
}

fn bytes(amount: &Option<api::Amount>) -> Option<i64> {
    match amount.as_ref()?.kind.as_ref()? {
        api::amount::Kind::DataBytes(bytes) => Some(*bytes),
        _ => None,
    }
}

#[tokio::test]
async fn a_balance_without_a_name_is_shown() {
    let answer = inventory(json!([{
        "subscriptionId": "S", "status": "active",
        "productDefinition": { "productId": "P" },
        "balances": { "data": [{ "resourceUnit": "KB", "resourceValue": 1024, "resourceStartValue": 2048 }, {}] },
    }]))
    .await;
    let balances = &answer.subscriptions[0].balances;
    assert_eq!(balances.len(), 1, "a row without any quantity is none");
    assert_eq!(
        (balances[0].resource.as_str(), bytes(&balances[0].remaining)),
        ("", Some(1 << 20))
    );
    assert_eq!(bytes(&answer.totals[0].remaining), Some(1 << 20));
}

#[tokio::test]
async fn what_is_overdrawn_is_used_up() {
    for (value, remaining, used) in [
        (json!(-312), 0, 2048),
        (json!("-312"), 0, 2048),
        // More than there was: nothing was used.
        (json!(4096), 4096, 0),
    ] {
        let row = |value: &Value| {
            json!({
                "resourceName": "R", "resourceUnit": "KB", "resourceValue": value, "resourceStartValue": 2048,
            })
        };
        let answer = inventory(json!([{
            "subscriptionId": "S", "status": "active",
            "balances": { "data": [row(&value), row(&json!(1))] },
        }]))
        .await;
        let balance = &answer.subscriptions[0].balances[0];
        let shown = (bytes(&balance.remaining), bytes(&balance.used));
        assert_eq!(shown, (Some(remaining * 1024), Some(used * 1024)), "{value}");
        assert_eq!(
            bytes(&answer.totals[0].remaining),
            Some((remaining + 1) * 1024),
            "{value}"
        );
    }
}

#[tokio::test]
async fn a_date_that_stands_for_none_is_none() {
    let deadline = "2027-01-01T00:00:00Z";
    for nothing in [
        "0001-01-01T00:00:00Z",
        "1970-01-01T00:00:00",
        "9999-12-31T23:59:59Z",
    ] {
        let answer = inventory(json!([{
            "subscriptionId": "S", "status": "readyForUse",
            "activationDate": nothing, "expirationDate": deadline,
        }]))
        .await;
        let subscription = &answer.subscriptions[0];
        assert_eq!(subscription.activated_at, None, "{nothing}");
        assert_eq!(subscription.expires_at, None, "{nothing}");
        assert_eq!(
            subscription.activation_deadline.unwrap().seconds,
            1_798_761_600,
            "{nothing}"
        );
    }
    let answer = inventory(json!([{
        "subscriptionId": "S", "status": "active",
        "activationDate": "2026-11-01T10:00:00", "expirationDate": "9999-12-31T00:00:00Z",
    }]))
    .await;
    let subscription = &answer.subscriptions[0];
    assert_eq!(
        subscription.activated_at.unwrap().seconds,
        1_793_527_200,
        "it is UTC"
    );
    assert_eq!(
        (subscription.expires_at, subscription.activation_deadline),
        (None, None)
    );
}

#[tokio::test]
async fn one_card_is_found_however_it_is_written() {
    for (asked, answered) in [
        ("8988247000000000019", json!("8988247000000000019F")),
        ("8988247000000000019", json!("8988 2470 0000 0000 019")),
        ("8988247000000000019", json!(8_988_247_000_000_000_019_u64)),
        ("8988247000000000019", json!("898824700000000001")),
        ("8988247000000000019F", json!("8988247000000000019")),
        (" 8988247000000000019 ", json!("8988247000000000019")),
    ] {
        let sim = json!({ "simSerial": answered, "msisdn": "+882470000000001", "status": "Active" });
        let env = answering(SEARCH, &json!({ "sims": [sim], "totalPages": 1 }).to_string()).await;
        let request = api::GetSimRequest { sim: by_iccid(asked) };
        let answer = env.inventory().get_sim(request).await;
        let sim = answer.unwrap_or_else(|status| panic!("{asked} as {answered}: {status}"));
        assert_eq!(
            sim.into_inner().sim.unwrap().ids.unwrap().msisdn,
            LINE_OF_A_CUSTOMER
        );
    }
}

#[tokio::test]
async fn a_price_in_hundredths_of_a_currency_without_them_is_no_price() {
    let product = |currency: &str| {
        json!({ "products": [{
            "productDefinition": { "productId": "P", "productCategory": "ONE_OFF" },
            "prices": { "subscriptionFee": [[{ "currency": currency, "unit": "CENTS", "amount": 500 }]] },
        }] })
        .to_string()
    };
    for (currency, price) in [("EUR", Some(5)), ("JPY", None), ("KWD", None), ("QQQ", None)] {
        let env = answering(CATALOG, &product(currency)).await;
        let request = api::GetProductRequest {
            product_id: "P".into(),
            ..Default::default()
        };
        let answer = env.catalog().get_product(request).await.unwrap().into_inner();
        let shown = answer.product.unwrap().price.map(|price| price.units);
        assert_eq!(shown, price, "{currency}");

        let request = api::CreateOrderRequest {
            product_id: "P".into(),
            max_price: Some(Money {
                currency_code: currency.into(),
                units: 4,
                nanos: 990_000_000,
            }),
            ..order(LINE_OF_A_CUSTOMER)
        };
        let refused = create(&mut env.provisioning(), &request).await.unwrap_err();
        let expected = if price.is_some() {
            "PRICE_ABOVE_MAXIMUM"
        } else {
            "PRICE_NOT_COMPARABLE"
        };
        assert_eq!(reason(&refused).reason, expected, "{currency}");
        assert_eq!(env.control().received("POST", ORDERS), 0);
    }
}

#[tokio::test]
async fn a_byte_order_mark_is_no_part_of_an_answer() {
    let body = "\u{FEFF}{\"productSubscriptions\":[{\"subscriptionId\":\"S\",\"status\":\"active\"}]}";
    let env = answering(SUBSCRIPTIONS, body).await;
    let request = api::GetInventoryRequest {
        sim: by_msisdn(LINE_OF_A_CUSTOMER),
        ..Default::default()
    };
    let answer = env.inventory().get_inventory(request).await.unwrap().into_inner();
    assert_eq!(answer.subscriptions.len(), 1);

    // A refusal is understood, so that the order is REJECTED and not UNKNOWN.
    let env = TestEnv::open().await;
    let refusal = "\u{FEFF}{\"title\":\"INSUFFICIENT_FUND\",\"status\":400}";
    let refused = Fault::body(400, refusal).step().forever();
    env.control().queue(Script::on("POST", ORDERS).then(refused));
    let status = create(&mut env.provisioning(), &order(LINE_OF_A_CUSTOMER))
        .await
        .unwrap_err();
    assert_eq!(reason(&status).reason, "INSUFFICIENT_FUNDS");
}

#[tokio::test]
async fn what_is_left_out_of_an_answer_is_logged_once_for_the_answer() {
    let sandbox = simulator().await;
    let more = [("TELEMETRY__LOG_FORMAT", "json"), ("CATALOG__WARM_UP", "0s")];
    let mut gateway = Process::start(&["serve"], &settings(&sandbox.base_url(), &more));
    let listening: Value = serde_json::from_str(&gateway.logged("listening").await).unwrap();
    let address = format!("http://{}", listening["grpc"].as_str().unwrap());
    gateway.logged("ready").await;
    let mut inventory = api::inventory_client::InventoryClient::connect(address)
        .await
        .unwrap();
    let list = json!([7, { "status": "active" }, { "subscriptionId": "S", "status": "active" }]);
    for (route, list) in [(SUBSCRIPTIONS, "productSubscriptions"), (SEARCH, "sims")].map(|(route, name)| {
        let mut list = list.clone();
        list[2]["simSerial"] = json!("8988247000000000019");
        (route, json!({ name: list, "totalPages": 1 }))
    }) {
        let answer = Fault::body(200, list.to_string()).step();
        sandbox.control().queue(Script::on("GET", route).then(answer));
    }
    let request = api::GetInventoryRequest {
        sim: by_msisdn(LINE_OF_A_CUSTOMER),
        ..Default::default()
    };
    let answer = inventory.get_inventory(request).await.unwrap().into_inner();
    assert_eq!(answer.subscriptions.len(), 1);
    let answer = inventory
        .list_sims(api::ListSimsRequest::default())
        .await
        .unwrap();
    assert_eq!(answer.into_inner().sims.len(), 1);

    gateway.signal("TERM").await;
    let mut logged = Vec::new();
    while let Some(line) = gateway.stderr.next_line().await.unwrap() {
        if line.contains("elements that cannot be read") {
            let line: Value = serde_json::from_str(&line).unwrap();
            logged.push((line["api"].clone(), line["elements"].clone()));
        }
    }
    assert_eq!(
        logged,
        [(json!("inventory"), json!(2)), (json!("sim_search"), json!(2))]
    );
}

#[tokio::test]
async fn a_number_that_the_search_does_not_take_is_not_resolvable() {
    let env = TestEnv::open().await;
    let control = env.control();
    control.queue(Script::on("GET", SEARCH).then(Fault::problem(400, "BAD_REQUEST").step().forever()));
    control.queue(Script::on("GET", LINE).then(Fault::problem(403, "FORBIDDEN").step().forever()));
    let request = api::GetSimRequest {
        sim: by_msisdn(LINE_OF_A_CUSTOMER),
    };
    let status = env.inventory().get_sim(request).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    let reason = reason(&status);
    assert_eq!(reason.reason, "SIM_NOT_RESOLVABLE");
    assert_eq!(reason.metadata["needed"], "iccid");
}

#[tokio::test]
async fn countries_beside_the_standard_are_understood_and_others_are_counted() {
    let body = json!({ "products": [
        { "productDefinition": { "productId": "P", "countryList": ["XKS", "FRA", "UK", "ATLANTIS"] } },
        { "productDefinition": { "productId": "Q", "countryList": ["FRA"] } },
    ] });
    let env = answering(CATALOG, &body.to_string()).await;
    let request = api::GetProductRequest {
        product_id: "P".into(),
        ..Default::default()
    };
    let answer = env.catalog().get_product(request).await.unwrap().into_inner();
    assert_eq!(answer.product.unwrap().countries, ["FR", "GB", "XK"]);
    let metrics = env.gateway.metrics().await;
    let counted = metrics.lines().find(|line| {
        line.starts_with("transatel_gateway_catalog_products{") && line.contains("unknown_country")
    });
    assert!(counted.is_some_and(|line| line.ends_with(" 1")), "{counted:?}");
}
