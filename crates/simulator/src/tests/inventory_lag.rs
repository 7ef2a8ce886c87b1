//! The inventory shows late, never, or unreadably what an order placed.

use serde_json::json;

use super::{
    inventory::{INVENTORY, subscriptions},
    orders::{order, post},
    *,
};
use crate::{InventorySettings, Oddity, Showing};

const SIM: &str = "882470000000001";
const MINUTE: Duration = Duration::from_secs(60);

/// Buys for the first SIM and gives the subscription's id.
async fn buy(bench: &Bench, reference: &str) -> String {
    let (status, body) = post(bench, &order(SIM, "preload", reference)).await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
    body["subscriptionId"].as_str().unwrap().to_owned()
}

/// Ids in the inventory of the first SIM.
async fn shown(bench: &Bench) -> Vec<String> {
    let elements = subscriptions(bench, 1, "").await;
    elements
        .iter()
        .map(|element| element["subscriptionId"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_subscription_shows_when_the_lag_is_over_and_the_truth_is_there_at_once() {
    let bench = Bench::start().await;
    let control = bench.sandbox.control();
    control.configure(|settings| settings.inventory.lag = 10 * MINUTE);
    let before = control.account_balance();
    let id = buy(&bench, "late").await;
    let one = format!("{INVENTORY}/{id}");

    assert!(shown(&bench).await.is_empty());
    assert_eq!(bench.get(&one).await.0, StatusCode::NOT_FOUND);
    assert!(control.account_balance() < before);
    assert_eq!(control.subscriptions_by_reference("late").len(), 1);
    let sim = control.sim(SIM).unwrap();
    assert_eq!(
        (sim.subscriptions.len(), sim.subscriptions[0].in_inventory),
        (1, false)
    );

    control.advance(10 * MINUTE - Duration::from_secs(5));
    assert!(shown(&bench).await.is_empty());
    control.advance(Duration::from_secs(5));
    assert_eq!(shown(&bench).await, [id.as_str()]);
    assert_eq!(bench.get(&one).await.0, StatusCode::OK);
    assert!(control.sim(SIM).unwrap().subscriptions[0].in_inventory);
}

#[tokio::test]
async fn a_lag_of_milliseconds_passes_by_itself() {
    const LAG: Duration = Duration::from_millis(100);
    let bench = Bench::start().await;
    let control = bench.sandbox.control();
    control.configure(|settings| settings.inventory.lag = LAG);
    buy(&bench, "late").await;
    let ordered = control.sim(SIM).unwrap().subscriptions[0].ordered_at;
    let shows = async { while shown(&bench).await.is_empty() {} };
    tokio::time::timeout(PATIENCE, shows).await.unwrap();
    let lag = control.now().duration_since(ordered);
    assert!(lag >= LAG.try_into().unwrap(), "{lag}");
}

#[tokio::test]
async fn each_order_of_a_sim_can_show_in_its_own_time() {
    let bench = Bench::start().await;
    let control = bench.sandbox.control();
    control.configure(|settings| settings.inventory.lag = MINUTE);
    for showing in [
        Showing::after(5 * MINUTE),
        Showing::never(),
        Showing::held(),
        Showing::after(Duration::ZERO),
    ] {
        control.show_next_order(SIM, showing).unwrap();
    }
    let mut ids = Vec::new();
    for reference in ["five", "never", "held", "at-once", "usual"] {
        ids.push(buy(&bench, reference).await);
    }
    assert_eq!(shown(&bench).await, [ids[3].as_str()]);
    control.advance(MINUTE);
    assert_eq!(shown(&bench).await, ids[3..]);
    control.advance(4 * MINUTE);
    assert_eq!(
        shown(&bench).await,
        [&ids[0], &ids[3], &ids[4]].map(String::as_str)
    );
    assert_eq!(control.show_inventory(SIM).unwrap(), 1);
    let all_but_one = [&ids[0], &ids[2], &ids[3], &ids[4]].map(String::as_str);
    assert_eq!(shown(&bench).await, all_but_one);
    control.advance(Duration::from_secs(90 * 86_400));
    assert_eq!(shown(&bench).await, all_but_one);
    assert_eq!(control.sim(SIM).unwrap().subscriptions.len(), 5);
}

#[tokio::test]
async fn a_held_inventory_shows_nothing_new_until_it_is_released() {
    let bench = Bench::start().await;
    let control = bench.sandbox.control();
    let old = buy(&bench, "old").await;
    control.show_next_order(SIM, Showing::after(MINUTE)).unwrap();
    let late = buy(&bench, "late").await;
    control.hold_inventory(SIM).unwrap();
    let new = buy(&bench, "new").await;
    control.advance(60 * MINUTE);
    assert_eq!(shown(&bench).await, [old.as_str()]);
    assert_eq!(control.show_inventory(SIM).unwrap(), 2);
    assert_eq!(shown(&bench).await, [old, late, new]);
    let next = buy(&bench, "next").await;
    assert_eq!(shown(&bench).await.last(), Some(&next));
}

#[tokio::test]
async fn an_element_can_be_unreadable_and_readable_again() {
    let bench = Bench::start().await;
    let control = bench.sandbox.control();
    let usual = buy(&bench, "usual").await;
    for (oddity, fits) in [
        (
            Oddity::NoId,
            (|element: &Value| element.get("subscriptionId").is_none()) as fn(&Value) -> bool,
        ),
        (Oddity::NullId, |element| {
            element.get("subscriptionId") == Some(&Value::Null)
        }),
        (Oddity::NumberId, |element| {
            element["subscriptionId"]
                .as_u64()
                .is_some_and(|number| number > 0)
        }),
        (Oddity::ObjectId, |element| element["subscriptionId"].is_object()),
        (Oddity::NoObject, Value::is_string),
    ] {
        control
            .show_next_order(SIM, Showing::default().with(oddity))
            .unwrap();
        let odd = buy(&bench, "odd").await;
        let elements = subscriptions(&bench, 1, "&withBalances=true").await;
        let element = elements.last().unwrap();
        assert!(fits(element), "{oddity:?}: {element}");
        assert!(oddity == Oddity::NoObject || element["productDefinition"]["productId"] == FRANCE);
        assert_eq!(elements[0]["subscriptionId"], usual);
        control
            .distort_subscription(SIM, odd.parse().unwrap(), None)
            .unwrap();
        assert_eq!(shown(&bench).await.last(), Some(&odd));
    }
    let unknown = control.distort_subscription(SIM, uuid::Uuid::nil(), Some(Oddity::NoId));
    assert_eq!(unknown, Err(crate::Impossible::UnknownSubscription));
}

#[tokio::test]
async fn the_http_control_api_decides_what_the_inventory_shows() {
    let bench = Bench::start().await;
    let control = bench.sandbox.control();
    let changed = bench
        .post_control(
            "/settings",
            json!({ "inventory": { "lag": "5m", "oddity": "no_id" } }),
        )
        .await;
    assert_eq!(changed.0, StatusCode::OK, "{}", changed.1);
    let expected = InventorySettings {
        lag: 5 * MINUTE,
        oddity: Some(Oddity::NoId),
    };
    assert_eq!(control.settings().inventory, expected);
    bench
        .post_control(
            "/settings",
            json!({ "inventory": { "lag": "0s", "oddity": null } }),
        )
        .await;
    assert_eq!(control.settings().inventory, InventorySettings::default());

    let path = |end: &str| format!("/sims/{SIM}/inventory{end}");
    for showing in [
        json!({ "visibility": { "after": "5m" }, "oddity": "number_id" }),
        json!({ "visibility": "held" }),
        json!({ "visibility": "never", "oddity": null }),
    ] {
        assert_eq!(
            bench.post_control(&path(""), showing).await.0,
            StatusCode::NO_CONTENT
        );
        buy(&bench, "r").await;
    }
    assert_eq!(
        bench.post_control(&path("/hold"), json!({})).await.0,
        StatusCode::NO_CONTENT
    );
    let held = buy(&bench, "r").await;
    control.advance(5 * MINUTE);
    assert!(subscriptions(&bench, 1, "").await.is_empty());
    assert_eq!(
        bench.post_control(&path("/show"), json!({})).await.1,
        json!({ "shown": 3 })
    );
    let elements = subscriptions(&bench, 1, "").await;
    assert_eq!(elements.len(), 3);
    assert!(elements[0]["subscriptionId"].is_u64());
    let oddity = json!({ "subscription_id": held, "oddity": "no_object" });
    assert_eq!(
        bench.post_control(&path("/oddity"), oddity).await.0,
        StatusCode::NO_CONTENT
    );
    assert!(subscriptions(&bench, 1, "").await[2].is_string());
    let in_inventory: Vec<_> = bench.get_control(&format!("/sims/{SIM}")).await["bundles"]
        .as_array()
        .unwrap()
        .iter()
        .map(|subscription| subscription["in_inventory"].clone())
        .collect();
    assert_eq!(in_inventory, [true, true, false, true]);
}
