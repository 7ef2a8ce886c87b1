use serde_json::json;

use super::*;
use crate::Criteria;

pub(super) const INVENTORY: &str = "/ocs/inventory/api/subscriptions/products";

fn msisdn(number: u32) -> String {
    format!("88247{number:010}")
}

pub(super) async fn subscriptions(bench: &Bench, number: u32, query: &str) -> Vec<Value> {
    let (status, body) = bench
        .get(&format!("{INVENTORY}?msisdn={}{query}", msisdn(number)))
        .await;
    assert_eq!(status, StatusCode::OK, "{body}");
    body["productSubscriptions"].as_array().unwrap().clone()
}

fn words(subscriptions: &[Value]) -> Vec<&str> {
    subscriptions
        .iter()
        .map(|subscription| subscription["status"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn a_sim_in_use_shows_what_runs_and_what_waits() {
    let bench = Bench::start().await;
    let held = subscriptions(&bench, 2, "&withBalances=true").await;
    assert_eq!(words(&held), ["active", "active", "pendingForFirstUse"]);
    assert_eq!(
        held[0]["productDefinition"]["tags"]
            .as_array()
            .unwrap()
            .last()
            .unwrap(),
        "WALLED_GARDEN"
    );
    let running = &held[1];
    assert_eq!(
        running["productDefinition"]["productId"],
        "WW_901O_STACK_ONEOFF_FRANCE_5GB_30D"
    );
    let row = &running["balances"]["data"][0];
    assert_eq!(
        (&row["resourceStartValue"], &row["resourceUnit"]),
        (&json!(5 * 1_048_576), &json!("KB"))
    );
    assert_eq!(row["resourceValue"], 5 * 1_048_576 - 5 * 1_048_576 / 3);
    assert!(running["activationDate"].as_str().unwrap() < running["expirationDate"].as_str().unwrap());
    let waiting = &held[2];
    assert!(waiting.get("activationDate").is_none());
    assert_eq!(waiting["balances"], json!({}));
    // Without being asked for, no balances.
    assert!(
        subscriptions(&bench, 2, "")
            .await
            .iter()
            .all(|subscription| subscription.get("balances").is_none())
    );
}

#[tokio::test]
async fn statuses_are_repeated_and_ended_subscriptions_must_be_asked_for() {
    let bench = Bench::start().await;
    assert!(subscriptions(&bench, 13, "").await.is_empty());
    assert_eq!(
        words(&subscriptions(&bench, 13, "&statuses=terminated").await),
        ["terminated"]
    );
    let every = "&statuses=pending&statuses=scheduled&statuses=readyForUse&statuses=pendingForFirstUse\
                 &statuses=active&statuses=terminated&statuses=canceled&statuses=expired&statuses=suspended";
    let mut seen = subscriptions(&bench, 27, every).await;
    seen.sort_by_key(|subscription| subscription["status"].as_str().unwrap().to_owned());
    let mut seen = words(&seen);
    seen.dedup();
    let all = [
        "active",
        "canceled",
        "expired",
        "pending",
        "pendingForFirstUse",
        "readyForUse",
        "scheduled",
        "suspended",
        "terminated",
    ];
    assert_eq!(seen, all);
    let two = words(&subscriptions(&bench, 27, "&statuses=canceled&statuses=pending").await).len();
    assert_eq!(two, 2);
    assert_eq!(
        words(&subscriptions(&bench, 28, "").await),
        ["active", "quarantined"]
    );
}

#[tokio::test]
async fn what_the_provider_refuses_is_refused() {
    let bench = Bench::start().await;
    for (query, status, code) in [
        ("", 400, "BAD_REQUEST"),
        ("?msisdn=+882470000000002", 400, "BAD_REQUEST"),
        ("?msisdn=%2B882470000000002", 400, "BAD_REQUEST"),
        ("?msisdn=8988247000000000027", 400, "BAD_REQUEST"),
        (
            "?msisdn=882470000000002&statuses=active,terminated",
            400,
            "BAD_REQUEST",
        ),
        ("?msisdn=882470000000002&statuses=ACTIVE", 400, "BAD_REQUEST"),
        ("?msisdn=882470000000002&withBalances=yes", 400, "BAD_REQUEST"),
        ("?msisdn=882470000009999", 404, "SUBSCRIBER_NOT_FOUND"),
        ("?msisdn=33612345678", 404, "SUBSCRIBER_NOT_FOUND"),
    ] {
        let (got, body) = bench.get(&format!("{INVENTORY}{query}")).await;
        assert_eq!((got.as_u16(), title(&body)), (status, code), "{query}");
    }
}

#[tokio::test]
async fn balances_come_in_every_shape_that_was_seen() {
    let bench = Bench::start().await;
    let balances =
        async |number| subscriptions(&bench, number, "&withBalances=true").await[1]["balances"].clone();
    let row = async |number| balances(number).await["data"][0].clone();
    assert_eq!(row(20).await["resourceValue"], -1);
    assert!(row(21).await.get("resourceStartValue").is_none());
    assert_eq!(row(22).await["resourceStartValue"], 0);
    assert_eq!(balances(23).await["data"].as_array().unwrap().len(), 3);
    assert_eq!(balances(24).await, json!({}));
    assert!(row(25).await["resourceValue"].is_string() && row(25).await["resourceStartValue"].is_f64());
    assert_eq!(row(35).await["resourceValue"], 0);
}

#[tokio::test]
async fn one_subscription_is_read_by_its_id() {
    let bench = Bench::start().await;
    let id = subscriptions(&bench, 2, "").await[1]["subscriptionId"]
        .as_str()
        .unwrap()
        .to_owned();
    let one = bench.get(&format!("{INVENTORY}/{id}?withBalances=true")).await.1;
    assert_eq!(one["productSubscriptions"][0]["subscriptionId"], id);
    assert!(one["productSubscriptions"][0]["balances"]["data"].is_array());
    let filtered = subscriptions(&bench, 2, &format!("&subscriptionId={id}")).await;
    assert_eq!(filtered.len(), 1);
    let (status, body) = bench
        .get(&format!("{INVENTORY}/00000000-0000-4000-8000-000000000000"))
        .await;
    assert_eq!((status.as_u16(), title(&body)), (404, "SUBSCRIPTION_NOT_FOUND"));
    assert_eq!(
        bench.get(&format!("{INVENTORY}/nonsense")).await.0,
        StatusCode::BAD_REQUEST
    );
}

#[tokio::test]
async fn the_first_attach_starts_what_waits_for_the_country() {
    let bench = Bench::start().await;
    let control = bench.sandbox.control();
    control.grant("4", "WW_901O_STACK_ONEOFF_SPAIN_1GB_7D").unwrap();
    assert_eq!(
        words(&subscriptions(&bench, 4, "").await),
        ["readyForUse", "readyForUse"]
    );
    let view = control.attach("4", "fr").unwrap();
    assert_eq!(view.last_country.as_deref(), Some("FRA"));
    let held = subscriptions(&bench, 4, "&withBalances=true").await;
    // France runs, Spain waits, and the walled garden came with the attach.
    assert_eq!(words(&held), ["active", "readyForUse", "active"]);
    assert_eq!(control.use_data("4", 100 * 1024 * 1024).unwrap(), 0);
    let held = subscriptions(&bench, 4, "&withBalances=true").await;
    assert_eq!(
        held[0]["balances"]["data"][0]["resourceValue"],
        1_048_576 - 102_400
    );
    // More than is there is not covered.
    assert_eq!(control.use_data("4", 1 << 30).unwrap(), 100 << 20);
    assert_eq!(control.expire("4", None).unwrap(), 1);
    assert_eq!(
        words(&subscriptions(&bench, 4, "").await),
        ["readyForUse", "active"]
    );
}

#[tokio::test]
pub(super) async fn subscriptions_end_when_the_clock_moves_also_on_a_suspended_sim() {
    let bench = Bench::start().await;
    let control = bench.sandbox.control();
    let live = async |number| words(&subscriptions(&bench, number, "").await).len();
    assert_eq!((live(36).await, live(12).await, live(37).await), (2, 2, 1));
    control.advance(Duration::from_secs(2 * 3600));
    assert_eq!((live(36).await, live(12).await), (1, 2));
    control.advance(Duration::from_secs(30 * 86_400));
    assert_eq!((live(12).await, live(37).await), (1, 0));
    // A recurring subscription goes on, with its data back.
    let recurring = subscriptions(&bench, 26, "&withBalances=true").await[1].clone();
    assert_eq!(recurring["balances"]["data"][0]["resourceValue"], 5 * 1_048_576);
}

#[tokio::test]
async fn sims_can_be_found_by_what_they_are() {
    let bench = Bench::start().await;
    let control = bench.sandbox.control();
    let fresh = control.find_sims(Criteria::FRESH, 500);
    assert_eq!(fresh.len(), 500);
    assert_eq!(fresh[0].msisdn, msisdn(1));
    assert!(fresh.iter().all(|sim| sim.bought().count() == 0));
    let physical = Criteria {
        physical: Some(true),
        ..Criteria::default()
    };
    assert_eq!(control.find_sims(physical, 1)[0].number, 3);
}

#[tokio::test]
async fn an_unlimited_subscription_counts_its_fair_use_down_and_works_on() {
    const UNLIMITED: &str = "WW_901O_STACK_ONEOFF_FRANCE_UNLIMITED_7D_FUP2";
    let bench = Bench::start().await;
    let control = bench.sandbox.control();
    let product = bench.get(&format!("{PRODUCTS}/{UNLIMITED}")).await.1;
    let definition = &product["products"][0]["productDefinition"];
    assert_eq!(definition["unlimited"], true);
    assert_eq!(
        definition["allowances"]["data"][0]["resourceName"],
        "DATA_BUNDLE_FUP"
    );

    control.grant("38", UNLIMITED).unwrap();
    control.grant("38", FRANCE).unwrap();
    control.attach("38", "FR").unwrap();
    let left = || -> Vec<i64> {
        let sim = control.sim("38").unwrap();
        sim.bought()
            .filter_map(|subscription| subscription.left_kb)
            .collect()
    };
    assert_eq!(left(), [2 << 20, 1 << 20]);
    // When the fair-use volume is spent, the others are used, and then it gives the rest.
    assert_eq!(control.use_data("38", 5 << 29).unwrap(), 0);
    assert_eq!(left(), [0, 1 << 19]);
    assert_eq!(control.use_data("38", 5 << 30).unwrap(), 0);
    assert_eq!(left(), [0, 0]);
    let (_, body) = bench
        .get("/ocs/inventory/api/subscriptions/products?msisdn=882470000000038&withBalances=true")
        .await;
    let rows: Vec<_> = body["productSubscriptions"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|element| element["productDefinition"]["productId"] == UNLIMITED)
        .map(|element| &element["balances"]["data"][0])
        .collect();
    assert_eq!(rows[0]["resourceName"], "DATA_BUNDLE_FUP");
    assert_eq!(rows[0]["resourceValue"], 0);
}
