//! An event carries an order's reference and names a subscription that an older
//! order has: it proves all the same that the order was carried out. How one
//! subscription can be of two orders is a question for an operator.

use serde_json::json;
use transatel_gateway_client::connectivity::v1::{GetOrderRequest, Order, OrderState, get_order_request};
use transatel_simulator::{Fault, Options, Sandbox, Script, Showing, Visibility, Webhook};

use super::{FRESH, SOON, hide, posts};
use crate::support::gateway::{
    FRANCE, Gateway, ORDERS, SECRET, Secret, TestEnv, is_counted, simulator, until,
};
use crate::writes::orders::{create, get, order, spawn_create, until_state};

/// An environment in which an answer may hang for long, and an order that is
/// placed, of whose subscription the inventory knows nothing: as if the provider
/// had given its id again.
async fn with_an_older_order() -> (TestEnv, Order) {
    let slow = [("ORDERS__SEND_TIMEOUT", "30s"), ("ORDERS__LEASE", "60s")];
    let env = TestEnv::with_events(&[SOON.as_slice(), &slow].concat()).await;
    let hidden = Showing {
        visibility: Some(Visibility::Never),
        ..Showing::default()
    };
    env.control().show_next_order(FRESH, hidden).unwrap();
    let older = create(&mut env.provisioning(), &order(FRESH)).await.unwrap();
    assert!(!older.subscription_id.is_empty());
    (env, older)
}

/// The provider reports a purchase with the reference of `newer` and the
/// subscription of `older`.
fn report(env: &TestEnv, newer: &Order, older: &Order) {
    let body = json!({
        "externalReference": newer.order_id, "msisdn": FRESH,
        "productSubscription": { "subscriptionId": older.subscription_id }
    });
    env.control().send_event("OCS/PRODUCT/PRELOADED", body);
}

/// An operator sees the conflict, counted once, and the older order keeps its
/// subscription.
async fn assert_reported(env: &TestEnv, older: &Order) {
    let labels = [
        "transatel_gateway_orders_transitions_total",
        "kind=\"purchase\"",
        "state=\"subscription_conflict\"",
    ];
    until("the conflict is counted", async || {
        is_counted(&env.gateway.metrics().await, &labels)
    })
    .await;
    let metrics = env.gateway.metrics().await;
    let mut lines = metrics.lines();
    let line = lines.find(|line| labels.iter().all(|label| line.contains(label)));
    assert!(line.unwrap().ends_with(" 1"), "{line:?}");
    let request = GetOrderRequest {
        key: Some(get_order_request::Key::OrderId(older.order_id.clone())),
        wait: None,
    };
    let answer = env.provisioning().get_order(request).await.unwrap();
    assert_eq!(answer.into_inner().order.unwrap(), *older);
}

#[tokio::test]
async fn an_event_places_an_order_whose_send_hangs_though_another_order_has_its_subscription() {
    let (env, older) = with_an_older_order().await;
    let control = env.control();
    control.queue(Script::on("POST", ORDERS).then(Fault::hold("send").step()));
    let newer = order(FRESH);
    let call = spawn_create(env.provisioning(), &newer);
    control.until_held("send", 1).await;
    let mut client = env.provisioning();
    let submitting = get(&mut client, &newer).await.unwrap();
    assert_eq!(submitting.state(), OrderState::Submitting);
    report(&env, &submitting, &older);
    let placed = call.await.unwrap().unwrap();
    assert_eq!(placed.state(), OrderState::Placed);
    assert_eq!(control.gates().get("send"), Some(&1), "the send still hangs");
    assert_reported(&env, &older).await;
}

#[tokio::test]
async fn an_event_places_an_order_before_and_after_the_settle_window_though_another_order_has_its_subscription()
 {
    for settled in [OrderState::Unknown, OrderState::NotPlaced] {
        let (env, older) = with_an_older_order().await;
        let control = env.control();
        control.queue(Script::on("POST", ORDERS).then(Fault::Reset.step()));
        let newer = order(FRESH);
        let mut client = env.provisioning();
        let unknown = create(&mut client, &newer).await.unwrap();
        assert_eq!(unknown.state(), OrderState::Unknown);
        if settled == OrderState::NotPlaced {
            until_state(&mut client, &newer, settled).await;
        }
        report(&env, &unknown, &older);
        let placed = until_state(&mut client, &newer, OrderState::Placed).await;
        assert_eq!(placed.subscription_id, "");
        // A repeat buys nothing.
        let sent = posts(&env);
        let repeated = create(&mut client, &newer).await.unwrap();
        assert_eq!((repeated.state(), posts(&env)), (OrderState::Placed, sent));
        assert_reported(&env, &older).await;
    }
}

/// As for `serve --sandbox` with a file that is kept: the ledger holds orders of
/// an earlier start of the simulator.
#[tokio::test]
async fn a_ledger_outlives_the_simulator() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("ledger.db").display());
    let secret = Secret::new(SECRET);
    let settings = [
        SOON.as_slice(),
        &secret.settings(),
        &[("STORE__URL", url.as_str())],
    ]
    .concat();
    let mut subscriptions = Vec::new();
    for _ in 0..2 {
        let sandbox = simulator().await;
        let gateway = Gateway::start(&sandbox.base_url(), &settings).await;
        let webhook = Webhook::new(gateway.webhook(), SECRET);
        sandbox.control().set_webhook(Some(webhook)).unwrap();
        // Carried out, and only the event says so.
        hide(&sandbox.control(), FRESH, Visibility::Never);
        let request = order(FRESH);
        let mut client = gateway.provisioning();
        create(&mut client, &request).await.unwrap();
        let placed = until_state(&mut client, &request, OrderState::Placed).await;
        subscriptions.push(placed.subscription_id);
        drop(client);
        gateway.stop().await;
    }
    assert_ne!(subscriptions[0], subscriptions[1]);
    assert!(subscriptions.iter().all(|id| !id.is_empty()), "{subscriptions:?}");
}

#[tokio::test]
async fn the_simulator_gives_fresh_ids_at_each_start() {
    let mut ids = std::collections::HashSet::new();
    for _ in 0..3 {
        let sandbox = Sandbox::start(Options::default()).await.unwrap();
        let control = sandbox.control();
        control.grant(FRESH, FRANCE).unwrap();
        let sim = control.sim(FRESH).unwrap();
        let bought = sim.bought().next().unwrap().subscription_id;
        assert!(ids.insert(bought), "{bought} again");
    }
}
