//! Add-ons: bought only on top of a subscription that the SIM has.

use api::OrderState;
use serde_json::Value;
use tonic::Code;
use transatel_gateway_client::connectivity::v1 as api;
use transatel_simulator::{Control, Fault};

use super::{FRESH, QUICK, create, fault, get, order, sent, until_state};
use crate::support::gateway::{FRANCE, ORDERS, TestEnv, reason, violations};

/// In use, with a monthly subscription and an add-on to it.
const SUBSCRIBED: &str = "882470000000026";
const MONTHLY: &str = "WW_901O_STACK_RECURRING_FRANCE_5GB_1M";
const ADD_ON: &str = "WW_901O_STACK_ADDON_FRANCE_1GB_30D";
const ENABLED: (&str, &str) = ("TRANSATEL__PARENT_MEMBER", "parentSubscriptionId");

fn add_on(parent: &str) -> api::CreateOrderRequest {
    api::CreateOrderRequest {
        product_id: ADD_ON.into(),
        parent_subscription_id: parent.into(),
        ..order(SUBSCRIBED)
    }
}

/// A subscription of the SIM, by its product.
fn on_sim(control: &Control, product: &str) -> String {
    let sim = control.sim(SUBSCRIBED).unwrap();
    let mut bought = sim.bought();
    let found = bought.find(|subscription| subscription.product_id == product);
    found.unwrap().subscription_id.to_string()
}

/// The bodies of the orders that have arrived.
fn bodies(control: &Control) -> Vec<Value> {
    let requests = control.requests();
    let posts = requests
        .iter()
        .filter(|request| request.route == Some(ORDERS) && !request.body.is_empty());
    posts
        .map(|post| serde_json::from_str(&post.body).unwrap())
        .collect()
}

#[tokio::test]
async fn without_a_member_for_the_parent_an_add_on_is_refused_before_it_is_sent() {
    let env = TestEnv::open().await;
    let mut client = env.provisioning();
    let parent = on_sim(&env.control(), MONTHLY);
    for named in ["", parent.as_str()] {
        let request = add_on(named);
        let error = reason(&create(&mut client, &request).await.unwrap_err());
        assert_eq!(
            (error.code, error.reason.as_str()),
            (Code::FailedPrecondition, "OPERATION_NOT_ENABLED"),
            "{named}"
        );
        assert_eq!(error.metadata["parent_subscription_ids"], parent);
        assert_eq!(error.metadata["known_state"], "NONE");
        let kept = reason(&get(&mut client, &request).await.unwrap_err());
        assert_eq!(kept.reason, "ORDER_NOT_FOUND");
    }
    assert_eq!(sent(&env), 0);
}

#[tokio::test]
async fn an_add_on_is_bought_for_the_subscription_that_the_request_names() {
    let env = TestEnv::with(&[ENABLED]).await;
    let control = env.control();
    let mut client = env.provisioning();
    let (parent, other) = (on_sim(&control, MONTHLY), on_sim(&control, ADD_ON));
    for named in ["", other.as_str(), "3f1c", &parent.to_uppercase()] {
        let error = reason(&create(&mut client, &add_on(named)).await.unwrap_err());
        assert_eq!(
            (error.code, error.reason.as_str()),
            (Code::FailedPrecondition, "PARENT_SUBSCRIPTION_REQUIRED"),
            "{named}"
        );
        assert_eq!(error.metadata["parent_subscription_ids"], parent, "{named}");
    }
    // A SIM without a subscription that it could be added to.
    let elsewhere = api::CreateOrderRequest {
        sim: order(FRESH).sim,
        ..add_on(&parent)
    };
    let error = reason(&create(&mut client, &elsewhere).await.unwrap_err());
    assert_eq!(error.reason, "PARENT_SUBSCRIPTION_REQUIRED");
    assert!(!error.metadata.contains_key("parent_subscription_ids"));
    assert_eq!(sent(&env), 0);

    let request = add_on(&parent);
    let placed = create(&mut client, &request).await.unwrap();
    assert_eq!(placed.state(), OrderState::Placed);
    assert_eq!(placed.parent_subscription_id, parent);
    let [body] = &bodies(&control)[..] else {
        panic!("sent once")
    };
    assert_eq!(body["parentSubscriptionId"], parent);
    let bought = &control.subscriptions_by_reference(&placed.order_id)[0];
    assert_eq!(bought.parent.unwrap().to_string(), parent);

    // The parent belongs to what was asked for.
    assert_eq!(create(&mut client, &request).await.unwrap(), placed);
    assert_eq!(get(&mut client, &request).await.unwrap(), placed);
    for named in ["", other.as_str()] {
        let changed = api::CreateOrderRequest {
            parent_subscription_id: named.into(),
            ..request.clone()
        };
        let error = reason(&create(&mut client, &changed).await.unwrap_err());
        assert_eq!(error.reason, "REQUEST_ID_REUSED", "{named}");
    }

    // One that has ended is none.
    control.expire(SUBSCRIBED, Some(parent.parse().unwrap())).unwrap();
    let error = reason(&create(&mut client, &add_on(&parent)).await.unwrap_err());
    assert_eq!(error.reason, "PARENT_SUBSCRIPTION_REQUIRED");
    assert!(!error.metadata.contains_key("parent_subscription_ids"));
    assert_eq!(sent(&env), 1);
}

#[tokio::test]
async fn a_repeat_of_an_add_on_that_was_not_placed_names_its_parent_again() {
    let env = TestEnv::with(&[QUICK.as_slice(), &[ENABLED]].concat()).await;
    let control = env.control();
    let mut client = env.provisioning();
    fault(&env, Fault::Reset);
    let request = add_on(&on_sim(&control, MONTHLY));
    let unknown = create(&mut client, &request).await.unwrap();
    assert_eq!(unknown.state(), OrderState::Unknown);
    until_state(&mut client, &request, OrderState::NotPlaced).await;
    let placed = create(&mut client, &request).await.unwrap();
    assert_eq!(
        (placed.state(), &placed.order_id),
        (OrderState::Placed, &unknown.order_id)
    );
    // The first was reset before its body had arrived.
    let [body] = &bodies(&control)[..] else {
        panic!("one body")
    };
    assert_eq!(body["parentSubscriptionId"], request.parent_subscription_id);
    assert_eq!(control.subscriptions_by_reference(&placed.order_id).len(), 1);
}

#[tokio::test]
async fn only_an_add_on_takes_a_parent() {
    let env = TestEnv::with(&[ENABLED]).await;
    let mut client = env.provisioning();
    let request = api::CreateOrderRequest {
        product_id: FRANCE.into(),
        ..add_on(&on_sim(&env.control(), MONTHLY))
    };
    let error = create(&mut client, &request).await.unwrap_err();
    assert_eq!(violations(&error), ["parent_subscription_id"]);
    assert_eq!(sent(&env), 0);
}
