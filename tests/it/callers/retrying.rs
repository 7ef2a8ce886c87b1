//! Repeated calls, and the reasons of errors.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tonic::{Code, Status};
use transatel_gateway_client::connectivity::v1 as api;
use transatel_gateway_client::{Reason, Retry, Violation, request_id, retrying};
use transatel_simulator::{Fault, Script};

use api::ErrorReason;

use crate::support::gateway::{
    FRANCE, ORDERS, PRODUCTS, SOON, SUBSCRIPTIONS, TestEnv, by_iccid, by_msisdn, get, spawn, until,
};
use crate::writes::orders::order;

/// A Pre-Activated SIM without a subscription.
const FRESH: &str = "882470000000001";

#[tokio::test]
async fn a_read_that_was_shed_is_repeated_and_answered() {
    let env = TestEnv::with(&[("GRPC__MAX_IN_FLIGHT", "1")]).await;
    let control = env.control();
    env.catalog().get_product(get(FRANCE)).await.unwrap();
    control.queue(Script::on("GET", PRODUCTS).then(Fault::hold("busy").step()));
    let mut catalog = env.catalog();
    let first = spawn(async move {
        let request = api::CheckEligibilityRequest {
            sim: by_msisdn(FRESH),
            product_ids: vec![FRANCE.into()],
        };
        catalog.check_eligibility(request).await
    });
    until("the first is on its way", async || {
        control.received("GET", PRODUCTS) == 1
    })
    .await;

    let catalog = env.catalog();
    let reasons = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&reasons);
    // As callers do it: in a task.
    let repeated = spawn(async move {
        retrying(Retry::within(SOON), get(FRANCE), |request| {
            let (mut catalog, control, seen) = (catalog.clone(), control.clone(), Arc::clone(&seen));
            async move {
                let answer = catalog.get_product(request).await;
                if let Err(status) = &answer {
                    seen.lock().unwrap().push(Reason::of(status).reason);
                    control.release("busy");
                }
                answer
            }
        })
        .await
    });
    let answer = repeated.await.unwrap().unwrap().into_inner();
    assert_eq!(answer.product.unwrap().product_id, FRANCE);
    let reasons = reasons.lock().unwrap().clone();
    assert!(!reasons.is_empty());
    assert!(reasons.iter().all(|reason| *reason == ErrorReason::Overloaded));
    first.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_write_that_is_repeated_with_its_request_id_is_bought_once() {
    let env = TestEnv::with(&[("TRANSATEL__READ_ATTEMPTS", "1")]).await;
    let control = env.control();
    control.queue(Script::on("GET", SUBSCRIPTIONS).then(Fault::status(503).step()));
    let provisioning = env.provisioning();
    let attempts = Mutex::new(Vec::new());
    let lost = Mutex::new(None);
    let bought = retrying(Retry::within(SOON), order(FRESH), |request| {
        let (mut provisioning, attempts, lost) = (provisioning.clone(), &attempts, &lost);
        async move {
            let id = request.get_ref().request_id.clone();
            let answer = provisioning.create_order(request).await;
            let reason = answer.as_ref().err().map(|status| Reason::of(status).reason);
            attempts.lock().unwrap().push((id, reason));
            let mut lost = lost.lock().unwrap();
            match &answer {
                Ok(answer) if lost.is_none() => {
                    *lost = answer.get_ref().order.clone();
                    Err(Status::unavailable("the answer was lost on its way"))
                }
                _ => answer,
            }
        }
    })
    .await
    .unwrap()
    .into_inner()
    .order
    .unwrap();
    assert_eq!(bought.state(), api::OrderState::Placed);
    assert_eq!(Some(&bought), lost.into_inner().unwrap().as_ref());
    let id = bought.request_id.clone();
    let expected = [
        (id.clone(), Some(ErrorReason::ProviderUnavailable)),
        (id.clone(), None),
        (id, None),
    ];
    assert_eq!(attempts.into_inner().unwrap(), expected);
    assert_eq!(control.received("POST", ORDERS), 1);
    assert_eq!(control.sim(FRESH).unwrap().bought().count(), 1);
}

#[tokio::test]
async fn a_derived_request_id_buys_once_in_every_process() {
    let env = TestEnv::open().await;
    let id = || request_id::derived("https://shop.example/tests/purchases", "1001/1");
    let mut orders = Vec::new();
    for _ in 0..2 {
        let request = api::CreateOrderRequest {
            request_id: id(),
            ..order(FRESH)
        };
        let answer = env.provisioning().create_order(request).await.unwrap();
        orders.push(answer.into_inner().order.unwrap().order_id);
    }
    assert_eq!(orders[0], orders[1]);
    assert_eq!(env.control().received("POST", ORDERS), 1);
}

#[tokio::test]
async fn the_deadline_is_that_of_all_attempts_and_the_gateway_knows_it() {
    let env = TestEnv::open().await;
    env.control()
        .queue(Script::on("GET", PRODUCTS).then(Fault::Hang.step().forever()));
    let catalog = env.gateway.untimed_catalog();
    let request = api::CheckEligibilityRequest {
        sim: by_msisdn(FRESH),
        product_ids: vec![FRANCE.into()],
    };
    let began = std::time::Instant::now();
    let deadline = Duration::from_millis(400);
    let failed = retrying(Retry::within(deadline), request, |request| {
        let mut catalog = catalog.clone();
        async move { catalog.check_eligibility(request).await }
    })
    .await
    .unwrap_err();
    assert_eq!(failed.code(), Code::DeadlineExceeded);
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

#[tokio::test]
async fn an_error_is_read_with_its_reason_its_violations_and_its_call() {
    let env = TestEnv::open().await;
    let mut calls = 0;
    let provisioning = env.provisioning();
    let unknown = api::CreateOrderRequest {
        product_id: "NO_SUCH_PRODUCT".into(),
        ..order(FRESH)
    };
    let status = retrying(Retry::within(SOON), unknown, |request| {
        calls += 1;
        let mut provisioning = provisioning.clone();
        async move { provisioning.create_order(request).await }
    })
    .await
    .unwrap_err();
    let reason = Reason::of(&status);
    assert_eq!(calls, 1);
    assert_eq!(
        (reason.code, reason.reason),
        (Code::NotFound, ErrorReason::ProductNotFound)
    );
    assert_eq!(reason.name, "PRODUCT_NOT_FOUND");
    assert_eq!(reason.metadata["product_id"], "NO_SUCH_PRODUCT");
    assert_eq!(reason.known_state(), Some("NONE"));
    assert_eq!(reason.retry_delay, None);
    assert!(!reason.is_transient());
    let header = status.metadata().get("x-trace-id").unwrap();
    assert_eq!(reason.trace_id, header.to_str().unwrap());

    let status = env
        .provisioning()
        .create_order(api::CreateOrderRequest::default())
        .await;
    let reason = Reason::of(&status.unwrap_err());
    assert_eq!(reason.reason, ErrorReason::InvalidRequest);
    let fields: Vec<&str> = reason
        .violations
        .iter()
        .map(|Violation { field, .. }| &**field)
        .collect();
    assert!(
        fields.contains(&"request_id") && fields.contains(&"product_id"),
        "{fields:?}"
    );
}

#[tokio::test]
async fn the_error_of_one_element_is_read_like_that_of_a_call() {
    let env = TestEnv::open().await;
    let request = api::BatchGetInventoryRequest {
        sims: by_iccid("8988247000099999990").into_iter().collect(),
        ..Default::default()
    };
    let inventory = env.inventory();
    let mut stream = retrying(Retry::within(SOON), request, |request| {
        let mut inventory = inventory.clone();
        async move { inventory.batch_get_inventory(request).await }
    })
    .await
    .unwrap()
    .into_inner();
    let answer = stream.message().await.unwrap().unwrap();
    let Some(api::batch_get_inventory_response::Outcome::Error(error)) = answer.outcome else {
        panic!("{answer:?}");
    };
    let reason = Reason::from(&error);
    assert_eq!(
        (reason.code, reason.reason),
        (Code::NotFound, ErrorReason::SimNotFound)
    );
    assert_eq!(reason.name, "SIM_NOT_FOUND");
}
