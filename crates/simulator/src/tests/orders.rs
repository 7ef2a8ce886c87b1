use serde_json::json;

use super::*;
use crate::{Criteria, Fault, Script, SimStatus};

pub(super) const ORDERS: &str = "/ocs/subscriptions/api/orders/products";

pub(super) fn order(msisdn: &str, order_type: &str, reference: &str) -> Value {
    json!({
        "bind": { "msisdn": msisdn },
        "product": { "productId": FRANCE },
        "payment": { "provider": "customer" },
        "source": "test",
        "orderType": order_type,
        "mvnoRef": "M2MA_WW_TSL_SANDBOX",
        "transactionReference": reference,
    })
}

pub(super) async fn post(bench: &Bench, order: &Value) -> (StatusCode, Value) {
    read(bench.send_json(Method::POST, ORDERS, order).send().await.unwrap()).await
}

/// An order with one member replaced, or removed when the value is null.
pub(super) fn but(mut order: Value, pointer: &str, value: Value) -> Value {
    let (parent, member) = pointer.rsplit_once('/').unwrap();
    let parent = order.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    if value.is_null() {
        parent.remove(member);
    } else {
        parent.insert(member.to_owned(), value);
    }
    order
}

#[tokio::test]
async fn an_accepted_order_is_a_subscription_and_costs_its_price() {
    let bench = Bench::start().await;
    let control = bench.sandbox.control();
    control.set_price(FRANCE, 450);
    let before = control.account_balance();
    let (status, body) = post(&bench, &order("882470000000001", "preload", "ref-1")).await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
    assert_eq!(body["status"], "done");
    assert_eq!(body["bind"]["msisdn"], "882470000000001");
    assert_eq!(
        (&body["source"], &body["mvnoRef"]),
        (&json!("test"), &json!("M2MA_WW_TSL_SANDBOX"))
    );
    assert_eq!(body["transactionReference"], "ref-1");
    assert!(
        body["id"].is_string() && body["orderReference"].is_string() && body["submissionDate"].is_string()
    );
    assert_eq!(before - control.account_balance(), 450);

    let inventory = bench
        .get("/ocs/inventory/api/subscriptions/products?msisdn=882470000000001")
        .await
        .1;
    let subscription = &inventory["productSubscriptions"][0];
    assert_eq!(subscription["subscriptionId"], body["subscriptionId"]);
    assert_eq!(subscription["status"], "readyForUse");
    assert!(!inventory.to_string().contains("ref-1"));
    let truth = control.subscriptions_by_reference("ref-1");
    assert_eq!(truth.len(), 1);
    assert_eq!(
        truth[0].subscription_id.to_string(),
        body["subscriptionId"].as_str().unwrap()
    );
    assert_eq!(control.orders_accepted(), 1);
    // The SIM stays what it was until it attaches.
    assert_eq!(control.sim("1").unwrap().status, SimStatus::PreActivated);
    let over_http = bench.get_control("/subscriptions?reference=ref-1").await;
    assert_eq!(over_http[0]["transaction_reference"], "ref-1");
}

#[tokio::test]
async fn the_same_order_twice_is_bought_twice() {
    let bench = Bench::start().await;
    let order = order("882470000000002", "subscribe", "same");
    let first = post(&bench, &order).await.1;
    let second = post(&bench, &order).await.1;
    assert_ne!(first["subscriptionId"], second["subscriptionId"]);
    assert_ne!(first["id"], second["id"]);
    assert_eq!(
        bench.sandbox.control().subscriptions_by_reference("same").len(),
        2
    );
}

#[tokio::test]
async fn every_refusal_has_its_title_and_buys_nothing() {
    let bench = Bench::start().await;
    let good = || order("882470000000001", "preload", "r");
    let with = |number: u32, order_type: &str| order(&format!("88247{number:010}"), order_type, "r");
    let status = "SUBSCRIBER_STATUS_NOT_ELIGIBLE";
    for (order, code, name) in [
        (but(good(), "/bind", json!(null)), 400, "BAD_REQUEST"),
        (
            but(good(), "/bind/msisdn", json!("+882470000000001")),
            400,
            "BAD_REQUEST",
        ),
        (
            but(good(), "/bind/msisdn", json!("8988247000000000019")),
            400,
            "BAD_REQUEST",
        ),
        (but(good(), "/product", json!(null)), 400, "BAD_REQUEST"),
        (but(good(), "/product/productId", json!(null)), 400, "BAD_REQUEST"),
        (but(good(), "/payment", json!(null)), 400, "BAD_REQUEST"),
        (
            but(good(), "/payment/provider", json!("Customer")),
            400,
            "BAD_REQUEST",
        ),
        (
            but(good(), "/payment/provider", json!("credit")),
            400,
            "INSUFFICIENT_FUND",
        ),
        (but(good(), "/source", json!(null)), 400, "BAD_REQUEST"),
        (but(good(), "/source", json!(" ")), 400, "BAD_REQUEST"),
        (but(good(), "/orderType", json!("Preload")), 400, "BAD_REQUEST"),
        (
            but(good(), "/orderType", json!("cancelRenewal")),
            501,
            "NOT_IMPLEMENTED",
        ),
        (but(good(), "/mvnoRef", json!(null)), 400, "BAD_REQUEST"),
        (
            but(good(), "/mvnoRef", json!("m2ma_ww_tsl_sandbox")),
            403,
            "INSUFFICIENT_PERMISSION",
        ),
        (
            but(good(), "/transactionReference", json!("x".repeat(256))),
            400,
            "BAD_REQUEST",
        ),
        (but(good(), "/transactionRef", json!("typo")), 400, "BAD_REQUEST"),
        (
            but(good(), "/product/productId", json!("NONE")),
            400,
            "PRODUCT_NOT_FOUND",
        ),
        (
            but(good(), "/product/productId", json!("WW_901O_WALLEDGARDEN_PORTAL")),
            400,
            "PRODUCT_NOT_ELIGIBLE",
        ),
        (
            but(
                good(),
                "/product/productId",
                json!("WW_901O_STACK_ADDON_FRANCE_1GB_30D"),
            ),
            400,
            "PRODUCT_NOT_ELIGIBLE",
        ),
        (
            but(
                good(),
                "/product/productId",
                json!("WW_901O_STACK_ONEOFF_FRANCE_2GB_10D"),
            ),
            400,
            "PRODUCT_NOT_ELIGIBLE",
        ),
        (with(999_999, "preload"), 400, "SUBSCRIBER_NOT_FOUND"),
        (with(2, "preload"), 400, status),
        (with(12, "subscribe"), 400, status),
        (with(13, "subscribe"), 400, status),
        (with(14, "preload"), 400, status),
        (json!([]), 400, "BAD_REQUEST"),
    ] {
        let (got, body) = post(&bench, &order).await;
        assert_eq!((got.as_u16(), title(&body)), (code, name), "{order} {body}");
    }
    let wrong_type = bench
        .request(Method::POST, ORDERS)
        .body(good().to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(wrong_type.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let control = bench.sandbox.control();
    assert_eq!(control.orders_accepted(), 0);
    assert!(control.subscriptions_by_reference("r").is_empty());
    assert_eq!(control.account_balance(), 1_000_000_000);
}

#[tokio::test]
async fn an_empty_account_buys_nothing() {
    let bench = Bench::start().await;
    let control = bench.sandbox.control();
    control.set_price(FRANCE, 300);
    control.set_account_balance(599);
    let order = order("882470000000001", "preload", "r");
    assert_eq!(post(&bench, &order).await.0, StatusCode::CREATED);
    let (status, body) = post(&bench, &order).await;
    assert_eq!((status.as_u16(), title(&body)), (400, "INSUFFICIENT_FUND"));
    assert_eq!(control.account_balance(), 299);
    assert_eq!(control.subscriptions_by_reference("r").len(), 1);
}

#[tokio::test]
async fn subscribe_puts_a_pre_activated_sim_into_service_unless_the_account_refuses_it() {
    let bench = Bench::start().await;
    let control = bench.sandbox.control();
    control.set_price(FRANCE, 300);
    let before = control.account_balance();
    let subscribe = order("882470000000001", "subscribe", "r");
    control.configure(|settings| settings.subscribe_activates = false);
    let (status, body) = post(&bench, &subscribe).await;
    assert_eq!(
        (status.as_u16(), title(&body)),
        (400, "SUBSCRIBER_STATUS_NOT_ELIGIBLE")
    );
    assert_eq!(control.sim("1").unwrap().status, SimStatus::PreActivated);

    control.configure(|settings| settings.subscribe_activates = true);
    assert_eq!(post(&bench, &subscribe).await.0, StatusCode::CREATED);
    let sim = control.sim("1").unwrap();
    assert_eq!(sim.status, SimStatus::Active);
    let bought: Vec<_> = sim
        .bought()
        .map(|subscription| subscription.status.as_str())
        .collect();
    assert_eq!(
        bought,
        ["pendingForFirstUse"],
        "the subscription waits for its country"
    );
    assert_eq!(control.account_balance(), before - 300);
    // Where the account starts the validity with the SIM.
    control.configure(|settings| settings.subscribe_starts = true);
    for (msisdn, status) in [
        ("882470000000039", "active"),
        ("882470000000001", "pendingForFirstUse"),
    ] {
        let reference = format!("starts {msisdn}");
        let subscribe = order(msisdn, "subscribe", &reference);
        assert_eq!(post(&bench, &subscribe).await.0, StatusCode::CREATED);
        let sim = control.sim(msisdn).unwrap();
        let newest = sim.bought().last().unwrap();
        assert_eq!(newest.status.as_str(), status, "{msisdn}");
    }
    // A SIM in service takes no preload any more.
    let preload = order("882470000000001", "preload", "r");
    assert_eq!(
        title(&post(&bench, &preload).await.1),
        "SUBSCRIBER_STATUS_NOT_ELIGIBLE"
    );
}

#[tokio::test]
async fn accounts_differ_by_settings() {
    let bench = Bench::start().await;
    let control = bench.sandbox.control();
    control.configure(|settings| {
        settings.preload_configured = false;
        settings.answers_name_subscription = false;
    });
    let preload = order("882470000000001", "preload", "r");
    let response = bench
        .send_json(Method::POST, ORDERS, &preload)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::NOT_IMPLEMENTED);
    assert_eq!(response.text().await.unwrap(), "Missing configuration");
    let (status, body) = post(&bench, &order("882470000000001", "subscribe", "r")).await;
    assert_eq!(status, StatusCode::CREATED);
    assert!(body.get("subscriptionId").is_none());
    assert_eq!(control.sim("1").unwrap().status, SimStatus::Active);
}

#[tokio::test]
async fn a_new_recurring_subscription_takes_the_place_of_the_running_one() {
    let bench = Bench::start().await;
    let control = bench.sandbox.control();
    let switch = "WW_901O_STACK_RECURRING_SPAIN_5GB_1M";
    let order = but(
        order("882470000000026", "subscribe", "r"),
        "/product/productId",
        json!(switch),
    );
    assert_eq!(post(&bench, &order).await.0, StatusCode::CREATED);
    let words = || {
        let sim = control.sim("26").unwrap();
        sim.subscriptions
            .iter()
            .map(|subscription| subscription.status.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(words(), ["active", "canceled", "active", "scheduled"]);
    control.advance(Duration::from_secs(22 * 86_400));
    assert_eq!(words(), ["active", "terminated", "active", "active"]);
}

#[tokio::test]
async fn an_order_whose_answer_is_lost_is_bought_exactly_when_it_was_committed() {
    let bench = Bench::start().await;
    let control = bench.sandbox.control();
    let faults: [fn() -> Fault; 7] = [
        || Fault::Reset,
        || Fault::Close,
        || Fault::status(500),
        || Fault::Garbage,
        || Fault::Html,
        || Fault::Truncated,
        || Fault::Oversize { bytes: 100_000 },
    ];
    for (number, fault) in faults.into_iter().enumerate() {
        for commit in [false, true] {
            let reference = format!("{number}-{commit}");
            let step = if commit {
                fault().after_commit()
            } else {
                fault().step()
            };
            control.queue(Script::on("POST", ORDERS).then(step));
            let request = bench.send_json(
                Method::POST,
                ORDERS,
                &order("882470000000002", "subscribe", &reference),
            );
            if let Ok(response) = request.send().await {
                let _ = response.bytes().await;
            }
            let bought = control.subscriptions_by_reference(&reference).len();
            assert_eq!(bought, usize::from(commit), "{:?}", fault());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_order_is_bought_though_its_caller_gave_up() {
    let bench = Bench::start().await;
    let control = bench.sandbox.control();
    control.queue(Script::on("POST", ORDERS).then(Fault::delay(Duration::from_secs(60))));
    let request = bench.send_json(Method::POST, ORDERS, &order("882470000000001", "preload", "slow"));
    assert!(request.send().await.unwrap_err().is_timeout());
    assert!(control.subscriptions_by_reference("slow").is_empty());
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(control.subscriptions_by_reference("slow").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_orders_are_all_counted_once() {
    let bench = Bench::start().await;
    let control = bench.sandbox.control();
    control.set_price(FRANCE, 7);
    control.set_account_balance(7 * 150);
    let sims = control.find_sims(Criteria::FRESH, 20);
    let orders = (0..200).map(|number| {
        let order = order(
            &sims[number % sims.len()].msisdn,
            "preload",
            &format!("c-{}", number / 2),
        );
        let request = bench.send_json(Method::POST, ORDERS, &order);
        async move { request.send().await.unwrap().status() }
    });
    let answers = futures_util::future::join_all(orders).await;
    let accepted = answers
        .iter()
        .filter(|status| **status == StatusCode::CREATED)
        .count();
    assert_eq!(accepted, 150);
    assert_eq!(control.orders_accepted(), 150);
    assert_eq!(control.account_balance(), 0);
    let held: usize = (0..100)
        .map(|number| control.subscriptions_by_reference(&format!("c-{number}")).len())
        .sum();
    assert_eq!(held, 150);
}
