//! Unlimited subscriptions: a spent fair-use volume is not "nothing left".

use serde_json::{Value, json};
use transatel_gateway_client::connectivity::v1::*;
use transatel_simulator::{Fault, Script};

use super::{INVENTORY, bytes, msisdn, of};
use crate::support::gateway::{CATALOG, FRANCE, TestEnv, by_msisdn, get};

const UNLIMITED: &str = "WW_901O_STACK_ONEOFF_FRANCE_UNLIMITED_7D_FUP2";
const GB: i64 = 1 << 30;

/// The inventory of the nth SIM.
async fn inventory(env: &TestEnv, n: u32) -> GetInventoryResponse {
    let request = of(by_msisdn(&msisdn(n)));
    env.inventory().get_inventory(request).await.unwrap().into_inner()
}

/// Resource, whether it is a fair-use volume, and what remains.
fn seen(balances: &[Balance]) -> Vec<(&str, bool, Option<i64>)> {
    let row = |balance: &Balance| bytes(&balance.remaining);
    balances
        .iter()
        .map(|balance| (balance.resource.as_str(), balance.fair_use, row(balance)))
        .collect()
}

#[tokio::test]
async fn a_spent_fair_use_volume_is_shown_apart_and_the_line_works_on() {
    let env = TestEnv::open().await;
    let control = env.control();
    let product = env.catalog().get_product(get(UNLIMITED)).await.unwrap();
    let product = product.into_inner().product.unwrap();
    assert!(product.unlimited);
    assert!(product.allowances[0].fair_use && !product.allowances[0].unlimited);
    assert_eq!(bytes(&product.allowances[0].amount), Some(2 * GB));

    control.grant("38", UNLIMITED).unwrap();
    control.grant("38", FRANCE).unwrap();
    control.attach("38", "FR").unwrap();
    assert_eq!(control.use_data("38", 5 << 29).unwrap(), 0, "all is covered");
    let answer = inventory(&env, 38).await;
    let [unlimited, limited] = &answer.subscriptions[..] else {
        panic!("{answer:?}")
    };
    assert_eq!((unlimited.unlimited, limited.unlimited), (true, false));
    assert_eq!(unlimited.status(), SubscriptionStatus::Active);
    assert_eq!(seen(&unlimited.balances), [("DATA_BUNDLE_FUP", true, Some(0))]);
    assert_eq!(
        seen(&limited.balances),
        [("DATA_BUNDLE_COUNTRY", false, Some(GB / 2))]
    );
    assert_eq!(
        seen(&answer.totals),
        [
            ("DATA_BUNDLE_FUP", true, Some(0)),
            ("DATA_BUNDLE_COUNTRY", false, Some(GB / 2))
        ]
    );
    // It still gives what the other one does not have.
    assert_eq!(control.use_data("38", 5 << 30).unwrap(), 0);
    let subscription = GetSubscriptionRequest {
        sim: by_msisdn(&msisdn(38)),
        subscription_id: unlimited.subscription_id.clone(),
    };
    let found = env.inventory().get_subscription(subscription).await.unwrap();
    assert!(found.into_inner().subscription.unwrap().unlimited);
}

#[tokio::test]
async fn rows_say_that_a_subscription_is_unlimited_without_a_catalog_and_load_none() {
    let env = TestEnv::open().await;
    // A balance of -1.
    let answer = inventory(&env, 20).await;
    assert!(answer.subscriptions[0].unlimited);
    assert!(answer.totals[0].unlimited && !answer.totals[0].fair_use);
    // A fair-use volume by its name.
    env.control().grant("38", UNLIMITED).unwrap();
    env.control().attach("38", "FR").unwrap();
    let answer = inventory(&env, 38).await;
    assert!(answer.subscriptions[0].unlimited);
    assert_eq!(seen(&answer.totals), [("DATA_BUNDLE_FUP", true, Some(2 * GB))]);
    // What is limited stays so.
    assert!(!inventory(&env, 2).await.subscriptions[0].unlimited);
    assert_eq!(env.control().received("GET", CATALOG), 0);
}

#[tokio::test]
async fn the_catalog_says_it_where_the_inventory_does_not() {
    let env = TestEnv::open().await;
    let element = |id: &str, product: &str, left: i64| -> Value {
        json!({
            "subscriptionId": id, "status": "active",
            "productDefinition": { "productId": product },
            "balances": { "data": [
                { "resourceName": "DATA_BUNDLE", "resourceUnit": "KB", "resourceValue": left }
            ] },
        })
    };
    let body = json!({ "productSubscriptions": [element("S", UNLIMITED, 0), element("T", FRANCE, 7)] });
    let answer = Fault::body(200, body.to_string()).step();
    env.control()
        .queue(Script::on("GET", INVENTORY).then(answer.forever()));
    let before = inventory(&env, 2).await;
    assert!(!before.subscriptions[0].unlimited);
    assert_eq!(seen(&before.totals), [("DATA_BUNDLE", false, Some(7 << 10))]);

    env.catalog().get_product(get(UNLIMITED)).await.unwrap();
    let after = inventory(&env, 2).await;
    let unlimited: Vec<bool> = after.subscriptions.iter().map(|one| one.unlimited).collect();
    assert_eq!(unlimited, [true, false]);
    assert_eq!(
        seen(&after.totals),
        [
            ("DATA_BUNDLE", true, Some(0)),
            ("DATA_BUNDLE", false, Some(7 << 10))
        ]
    );
}
