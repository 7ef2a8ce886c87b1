//! One id of two callers, and SIMs that another caller is ordering for.

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;
use tonic::{Code, Status};
use transatel_gateway::app::Seams;
use transatel_gateway::service::writes::steps::Step;
use transatel_gateway_client::connectivity::v1::*;
use transatel_simulator::{Fault, Script};
use uuid::Uuid;

use super::{OTHER, POOL, SHOP, SUPPORT, Stage, reservation};
use crate::support::frozen::{Frozen, seams};
use crate::support::gateway::{FRANCE, ORDERS, SUSPEND, by_msisdn, reason, spawn, until};
use crate::support::postgres;
use crate::writes::orders::order;
use crate::writes::orders_late::{FRESH, SOON};
use crate::writes::sim_operations::IN_USE;

/// Code and reason; it names nothing of another caller.
fn refusal<T: std::fmt::Debug>(answer: Result<T, Status>) -> (Code, String) {
    let reason = reason(&answer.unwrap_err());
    for key in ["order_id", "operation_id", "known_order_id"] {
        assert!(!reason.metadata.contains_key(key), "{:?}", reason.metadata);
    }
    (reason.code, reason.reason)
}

fn reused() -> (Code, String) {
    (Code::InvalidArgument, "REQUEST_ID_REUSED".into())
}

fn sale() -> CreateOrderRequest {
    CreateOrderRequest {
        request_id: Uuid::new_v4().to_string(),
        product_id: FRANCE.into(),
        pool: POOL.into(),
        ..Default::default()
    }
}

async fn counts(stage: &Stage) -> [i64; 3] {
    let request = GetStockRequest::default();
    let answer = stage.inventory(SUPPORT).get_stock(request).await.unwrap();
    let [pool] = answer.into_inner().pools.try_into().unwrap();
    [pool.reserved, pool.sold, pool.set_aside]
}

#[tokio::test]
async fn a_reservation_of_another_caller_is_neither_sold_nor_shown() {
    for stage in Stage::each().await {
        let request = reservation();
        let held = stage.reserve(SHOP, &request).await.unwrap();
        assert_eq!(refusal(stage.reserve(OTHER, &request).await), reused());
        let reserved = |request_id: &str| CreateOrderRequest {
            pool: String::new(),
            reservation_id: held.reservation_id.clone(),
            request_id: request_id.to_owned(),
            ..sale()
        };
        let missing = (Code::NotFound, "RESERVATION_NOT_FOUND".to_owned());
        let stolen = reserved(&Uuid::new_v4().to_string());
        assert_eq!(refusal(stage.buy(OTHER, &stolen).await), missing);
        // Under the id of the reservation itself.
        let stolen = reserved(&held.reservation_id);
        assert_eq!(refusal(stage.buy(OTHER, &stolen).await), missing);
        let sale = CreateOrderRequest {
            request_id: held.reservation_id.clone(),
            ..sale()
        };
        assert_eq!(refusal(stage.buy(OTHER, &sale).await), reused());
        assert_eq!(counts(&stage).await, [1, 0, 0]);
        assert_eq!(stage.reserve(SHOP, &request).await.unwrap(), held);
        let sold = stage.buy(SHOP, &reserved(&Uuid::new_v4().to_string())).await;
        assert_eq!(sold.unwrap().sim, held.sim);
        assert_eq!(counts(&stage).await, [0, 1, 0]);
    }
}

/// Also the SIM of a sale that is over without an order stays where it is.
#[tokio::test]
async fn a_sale_that_was_given_up_is_not_taken_over_by_another_caller() {
    for stage in Stage::each().await {
        let request = sale();
        // Not sent, and the SIM given back.
        stage
            .sandbox
            .control()
            .queue(Script::on("POST", ORDERS).then(Fault::Unauthorized.step().times(2)));
        stage.buy(SHOP, &request).await.unwrap_err();
        assert_eq!(counts(&stage).await, [0, 0, 0]);
        assert_eq!(refusal(stage.buy(OTHER, &request).await), reused());
        assert_eq!(counts(&stage).await, [0, 0, 0]);
        stage.sandbox.control().clear_faults();
    }
}

#[tokio::test]
async fn an_id_that_two_callers_use_at_once_is_the_first_ones() {
    for stage in Stage::each().await {
        for request in [sale(), order(FRESH)] {
            let callers = [SHOP, OTHER, SHOP, OTHER];
            let calls = callers.map(|caller| {
                let (stage, request) = (&stage, &request);
                async move { (caller, stage.buy(caller, request).await) }
            });
            let mut owners = Vec::new();
            for (caller, answer) in join_all(calls).await {
                match answer {
                    Ok(order) => {
                        assert_eq!(order.caller, caller);
                        owners.push(caller);
                    }
                    refused => assert_eq!(refusal(refused), reused()),
                }
            }
            assert_eq!(owners.len(), 2, "{owners:?}");
            assert_eq!(owners[0], owners[1]);
        }
        assert_eq!(counts(&stage).await, [0, 1, 0]);
        assert_eq!(stage.sandbox.control().received("POST", ORDERS), 2);
    }
}

/// Holds the first request back that has found nothing of its id.
fn first_held() -> (Frozen, Seams) {
    let (frozen, held) = (Frozen::new(), AtomicBool::new(false));
    let own = frozen.clone();
    let is_first = move |step| step == Step::BeforeReads && !held.swap(true, Ordering::Relaxed);
    (frozen, seams(move |step| is_first(step).then(|| own.clone())))
}

#[tokio::test]
async fn an_order_that_another_caller_began_meanwhile_is_not_sent_again() {
    let mut stores = vec!["sqlite::memory:".to_owned()];
    stores.extend(postgres::database().await);
    for store in stores {
        let (frozen, seams) = first_held();
        let stage = Stage::with(&store, &SOON, seams).await;
        let control = stage.sandbox.control();
        let request = order(FRESH);
        let mut others = stage.orders(OTHER);
        let call = request.clone();
        let late = spawn(async move { others.create_order(call).await });
        frozen.until_reached().await;
        control.queue(Script::on("POST", ORDERS).then(Fault::Reset.step()));
        let known = stage.buy(SHOP, &request).await.unwrap();
        until("the shop's order was not placed", async || {
            let get = GetOrderRequest {
                key: Some(get_order_request::Key::OrderId(known.order_id.clone())),
                ..Default::default()
            };
            let order = stage.orders(SHOP).get_order(get).await.unwrap();
            order.into_inner().order.unwrap().state() == OrderState::NotPlaced
        })
        .await;
        frozen.wake();
        assert_eq!(refusal(late.await.unwrap()), reused());
        assert_eq!(control.received("POST", ORDERS), 1);
    }
}

#[tokio::test]
async fn an_id_is_validated_for_its_own_caller_only() {
    for stage in Stage::each().await {
        let request = CreateOrderRequest {
            validate_only: true,
            ..order(FRESH)
        };
        let bought = CreateOrderRequest {
            validate_only: false,
            ..request.clone()
        };
        let known = stage.buy(SHOP, &bought).await.unwrap();
        assert_eq!(stage.buy(SHOP, &request).await.unwrap(), known);
        assert_eq!(refusal(stage.buy(OTHER, &request).await), reused());
    }
}

#[tokio::test]
async fn what_another_caller_has_in_flight_is_not_named() {
    for stage in Stage::each().await {
        let control = stage.sandbox.control();
        control.queue(Script::on("POST", ORDERS).then(Fault::Reset.step()));
        control.queue(Script::on("POST", SUSPEND).then(Fault::Reset.step()));
        let known = stage.buy(SHOP, &order(FRESH)).await.unwrap();
        assert_eq!(known.state(), OrderState::Unknown);
        let busy = (Code::Aborted, "ORDER_IN_PROGRESS".to_owned());
        assert_eq!(refusal(stage.buy(OTHER, &order(FRESH)).await), busy);
        for caller in [SHOP, SUPPORT] {
            let named = reason(&stage.buy(caller, &order(FRESH)).await.unwrap_err());
            assert_eq!(named.metadata["order_id"], known.order_id, "{caller}");
        }

        let suspend = || SuspendSimRequest {
            request_id: Uuid::new_v4().to_string(),
            sim: by_msisdn(IN_USE),
            ..Default::default()
        };
        let known = stage.orders(SHOP).suspend_sim(suspend()).await.unwrap();
        let known = known.into_inner().operation.unwrap();
        let busy = (Code::Aborted, "SIM_OPERATION_IN_PROGRESS".to_owned());
        assert_eq!(refusal(stage.orders(OTHER).suspend_sim(suspend()).await), busy);
        for caller in [SHOP, SUPPORT] {
            let named = stage.orders(caller).suspend_sim(suspend()).await;
            let named = reason(&named.unwrap_err());
            assert_eq!(named.metadata["operation_id"], known.operation_id, "{caller}");
        }
    }
}

#[tokio::test]
async fn whoever_has_no_name_has_nothing_of_its_own() {
    let stage = Stage::on("sqlite::memory:").await;
    let refused = stage.gateway.provisioning().create_order(order(FRESH)).await;
    let expected = (Code::Unauthenticated, "CALLER_UNAUTHENTICATED".to_owned());
    assert_eq!(refusal(refused), expected);
}
