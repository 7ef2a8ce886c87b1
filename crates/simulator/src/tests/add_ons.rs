//! Add-ons: ordered on top of a subscription, and ended with it.

use serde_json::json;
use uuid::Uuid;

use super::{
    orders::{but, order, post},
    *,
};

const MONTHLY: &str = "WW_901O_STACK_RECURRING_FRANCE_5GB_1M";
const ADD_ON: &str = "WW_901O_STACK_ADDON_FRANCE_1GB_30D";

/// The order of an add-on for SIM 26, which has a monthly subscription.
fn add_on(reference: &str) -> Value {
    let order = order("882470000000026", "subscribe", reference);
    but(order, "/product/productId", json!(ADD_ON))
}

#[tokio::test]
async fn an_add_on_needs_a_live_subscription_of_one_of_its_parents() {
    let bench = Bench::start().await;
    let control = bench.sandbox.control();
    let sim = control.sim("26").unwrap();
    let of_product = |product: &str| {
        let mut bought = sim.bought();
        bought
            .find(|subscription| subscription.product_id == product)
            .unwrap()
            .subscription_id
    };
    let (parent, other) = (of_product(MONTHLY), of_product(ADD_ON));
    let named = |value: Value| but(add_on("r"), "/parentSubscriptionId", value);
    let orders = [
        (add_on("r"), "PRODUCT_NOT_ELIGIBLE"),
        (named(json!(null)), "PRODUCT_NOT_ELIGIBLE"),
        (named(json!(other)), "PRODUCT_NOT_ELIGIBLE"),
        (named(json!(Uuid::nil())), "PRODUCT_NOT_ELIGIBLE"),
        (named(json!("x")), "BAD_REQUEST"),
        // Only an add-on has a parent.
        (
            but(
                order("882470000000026", "subscribe", "r"),
                "/parentSubscriptionId",
                json!(parent),
            ),
            "BAD_REQUEST",
        ),
    ];
    for (order, expected) in orders {
        let (status, body) = post(&bench, &order).await;
        assert_eq!((status.as_u16(), title(&body)), (400, expected), "{order}");
    }
    assert_eq!(control.orders_accepted(), 0);

    let (status, body) = post(&bench, &named(json!(parent))).await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
    let bought = &control.subscriptions_by_reference("r")[0];
    assert_eq!((bought.parent, bought.status.as_str()), (Some(parent), "active"));

    // It ends with its parent, and there is none to add one to.
    control.expire("26", Some(parent)).unwrap();
    assert!(!control.subscriptions_by_reference("r")[0].live);
    let (_, body) = post(&bench, &named(json!(parent))).await;
    assert_eq!(title(&body), "PRODUCT_NOT_ELIGIBLE");
}

#[tokio::test]
async fn the_member_that_names_the_parent_is_a_setting() {
    let bench = Bench::start().await;
    let control = bench.sandbox.control();
    control.configure(|settings| settings.add_on_parent_member = "onTopOf".to_owned());
    let sim = control.sim("26").unwrap();
    let parent = sim.bought().next().unwrap().subscription_id;
    let usual = but(add_on("r"), "/parentSubscriptionId", json!(parent));
    assert_eq!(title(&post(&bench, &usual).await.1), "BAD_REQUEST");
    let named = but(add_on("r"), "/onTopOf", json!(parent));
    assert_eq!(post(&bench, &named).await.0, StatusCode::CREATED);
}
