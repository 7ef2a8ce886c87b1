//! What a store that outlives the simulator must be able to rely on.

use super::{
    orders::{order, post},
    webhooks::{Receiver, delivered},
    *,
};

const SIM: &str = "882470000000001";
/// In the stock from the start on: the documentation of the gateway names some of these.
const STOCKED: &str = "882470000000002";

/// Every id that one start of the simulator gives to an order, and those of the stock.
async fn ids() -> (Vec<String>, Vec<String>) {
    let receiver = Receiver::start().await;
    let bench = receiver.bench().await;
    let control = bench.sandbox.control();
    let (status, body) = post(&bench, &order(SIM, "preload", "r")).await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
    let granted = control.grant(SIM, FRANCE).unwrap().to_string();
    let events = delivered(&bench).await;
    assert_eq!(events.len(), 2);
    let answered =
        ["subscriptionId", "id", "orderReference"].map(|member| body[member].as_str().unwrap().to_owned());
    let new = answered
        .into_iter()
        .chain([granted])
        .chain(events.into_iter().map(|event| event.event_id))
        .collect();
    let stocked = control.sim(STOCKED).unwrap().subscriptions;
    let stocked = stocked
        .iter()
        .map(|subscription| subscription.subscription_id.to_string())
        .collect();
    (new, stocked)
}

#[tokio::test]
async fn ids_of_new_things_are_new_after_each_start_and_those_of_the_stock_are_not() {
    let (first, stocked) = ids().await;
    let (second, stocked_again) = ids().await;
    assert_eq!(stocked, stocked_again);
    let repeated: Vec<_> = first.iter().filter(|id| second.contains(id)).collect();
    assert!(repeated.is_empty(), "{repeated:?}");
}

#[tokio::test]
async fn a_subscription_is_found_by_its_id_whether_it_is_new_or_in_the_stock() {
    let bench = Bench::start().await;
    let control = bench.sandbox.control();
    post(&bench, &order(STOCKED, "subscribe", "r")).await;
    let subscriptions = control.sim(STOCKED).unwrap().subscriptions;
    assert_eq!(subscriptions.len(), 4);
    for subscription in subscriptions {
        let path = format!(
            "/ocs/inventory/api/subscriptions/products/{}",
            subscription.subscription_id
        );
        assert_eq!(bench.get(&path).await.0, StatusCode::OK, "{path}");
    }
}
