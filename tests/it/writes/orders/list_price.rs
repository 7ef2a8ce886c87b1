//! What the catalog said of the product when it was ordered.

use api::OrderState;
use transatel_gateway_client::connectivity::v1 as api;
use transatel_gateway_client::google::r#type::Money;
use transatel_simulator::{Fault, Script};

use super::{FRESH, QUICK, create, euros, get, order, until_state};
use crate::support::gateway::{CATALOG, FRANCE, ORDERS, TestEnv, get as product, until};
use crate::writes::follow_ups::{Action, FollowUp, subscribed};

fn price(order: &api::Order) -> Option<Money> {
    order
        .list_price
        .as_ref()
        .and_then(|list_price| list_price.price.clone())
}

/// Changes the price to one of four, and waits until callers see that.
async fn change_price(env: &TestEnv) {
    env.control().set_price(FRANCE, 420);
    until("the new price is shown", async || {
        let shown = env
            .catalog()
            .get_product(product(FRANCE))
            .await
            .unwrap()
            .into_inner();
        shown.product.unwrap().price.unwrap().units == 4
    })
    .await;
}

#[tokio::test]
async fn an_order_says_what_the_catalog_said_when_it_was_sent() {
    let env = TestEnv::with(&[("CATALOG__FRESH_FOR", "1s")]).await;
    let control = env.control();
    let mut client = env.provisioning();
    control.set_price(FRANCE, 350);
    let shown = env
        .catalog()
        .get_product(product(FRANCE))
        .await
        .unwrap()
        .into_inner();
    let shown = shown.freshness.unwrap();
    let request = order(FRESH);
    let checked = api::CreateOrderRequest {
        validate_only: true,
        ..request.clone()
    };
    let would_be = create(&mut client, &checked).await.unwrap();
    let placed = create(&mut client, &request).await.unwrap();
    for order in [&would_be, &placed] {
        let expected = Money {
            nanos: 500_000_000,
            ..euros(3)
        };
        assert_eq!(price(order), Some(expected));
        let list_price = order.list_price.as_ref().unwrap();
        assert!(list_price.as_of.unwrap().seconds >= shown.as_of.unwrap().seconds);
        assert_eq!(list_price.catalog_version, shown.version);
    }
    // It does not change with the catalog, only the next order does.
    change_price(&env).await;
    assert_eq!(get(&mut client, &request).await.unwrap(), placed);
    assert_eq!(create(&mut client, &request).await.unwrap(), placed);
    let next = create(&mut client, &order(FRESH)).await.unwrap();
    let list_price = next.list_price.unwrap();
    assert_eq!(list_price.price.unwrap().units, 4);
    assert_ne!(list_price.catalog_version, shown.version);
}

#[tokio::test]
async fn a_list_price_of_a_stale_catalog_says_how_old_it_is() {
    let env = TestEnv::with(&[("CATALOG__FRESH_FOR", "1s")]).await;
    let mut client = env.provisioning();
    let read = || async {
        env.catalog()
            .get_product(product(FRANCE))
            .await
            .unwrap()
            .into_inner()
    };
    let mut freshness = read().await.freshness.unwrap();
    env.control()
        .queue(Script::on("GET", CATALOG).then(Fault::status(503).step().forever()));
    until("the catalog is stale", async || {
        freshness = read().await.freshness.unwrap();
        freshness.stale
    })
    .await;
    let list_price = create(&mut client, &order(FRESH))
        .await
        .unwrap()
        .list_price
        .unwrap();
    let (as_of, shown) = (list_price.as_of.unwrap(), freshness.as_of.unwrap());
    // Whole microseconds.
    assert_eq!(
        (as_of.seconds, as_of.nanos),
        (shown.seconds, shown.nanos / 1_000 * 1_000)
    );
    assert_eq!(list_price.catalog_version, freshness.version);
}

#[tokio::test]
async fn an_order_that_is_sent_again_has_the_price_of_then() {
    let env = TestEnv::with(&[&QUICK[..], &[("CATALOG__FRESH_FOR", "1s")]].concat()).await;
    let control = env.control();
    let mut client = env.provisioning();
    control.set_price(FRANCE, 350);
    let at_most = |units| api::CreateOrderRequest {
        max_price: Some(euros(units)),
        ..order(FRESH)
    };
    control.queue(Script::on("POST", ORDERS).then(Fault::Reset));
    let request = at_most(5);
    create(&mut client, &request).await.unwrap();
    let lost = until_state(&mut client, &request, OrderState::NotPlaced).await;
    assert_eq!(price(&lost).unwrap().units, 3);
    change_price(&env).await;
    create(&mut client, &request).await.unwrap();
    let placed = until_state(&mut client, &request, OrderState::Placed).await;
    assert_eq!(placed.order_id, lost.order_id);
    assert_eq!(price(&placed).unwrap().units, 4);
}

#[tokio::test]
async fn a_change_of_a_subscription_has_no_list_price() {
    let env = TestEnv::with_operations(&[]).await;
    let (sim, subscription_id) = subscribed(&env.control(), 1).remove(0);
    let change = FollowUp::new(Action::End, &sim, subscription_id);
    let changed = change.send(&mut env.provisioning()).await.unwrap();
    assert_eq!(changed.list_price, None);
}
