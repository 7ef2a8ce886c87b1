//! A provider that is late, seen over gRPC: what the simulator can do late reaches the gateway.

use std::time::Duration;

use api::OrderState;
use transatel_gateway_client::connectivity::v1 as api;
use transatel_simulator::{EventOrder, Fault, Script, Showing, Webhook};

use crate::events::streams::{Follower, from_the_beginning};
use crate::support::gateway::{Gateway, ORDERS, SECRET, Secret, TestEnv, simulator, until};
use crate::writes::orders::{create, get, order};

const SIM: &str = "882470000000001";
/// Gives up early, looks often, and for much longer than anything here is late.
const IMPATIENT: [(&str, &str); 4] = [
    ("ORDERS__SEND_TIMEOUT", "2s"),
    ("ORDERS__RECONCILE_AFTER", "20ms"),
    ("ORDERS__RECONCILE_AT_MOST", "50ms"),
    ("ORDERS__SETTLE_WINDOW", "30s"),
];

#[tokio::test]
async fn an_order_that_is_carried_out_after_the_gateway_gave_up_and_shows_late_is_found() {
    let env = TestEnv::with(&IMPATIENT).await;
    let control = env.control();
    control.queue(Script::on("POST", ORDERS).then(Fault::once_gone(Duration::from_millis(50))));
    control.show_next_order(SIM, Showing::held()).unwrap();
    let mut client = env.provisioning();
    let request = order(SIM);
    let unknown = create(&mut client, &request).await.unwrap();
    assert_eq!(unknown.state(), OrderState::Unknown);
    until("it is carried out", async || control.orders_accepted() == 1).await;
    let bought = control.subscriptions_by_reference(&unknown.order_id);
    assert!(!bought[0].in_inventory);
    assert_eq!(
        get(&mut client, &request).await.unwrap().state(),
        OrderState::Unknown
    );

    assert_eq!(control.show_inventory(SIM).unwrap(), 1);
    until("it is found", async || {
        get(&mut client, &request).await.unwrap().state() == OrderState::Placed
    })
    .await;
    let placed = get(&mut client, &request).await.unwrap();
    assert_eq!(placed.subscription_id, bought[0].subscription_id.to_string());
    assert_eq!(control.received("POST", ORDERS), 1);
}

#[tokio::test]
async fn an_event_that_comes_before_the_answer_belongs_to_the_order() {
    let env = TestEnv::with_events(&[]).await;
    env.control()
        .queue(Script::on("POST", ORDERS).then(Fault::AfterEvents));
    let mut follower = Follower::start(&mut env.events(), from_the_beginning()).await;
    let placed = create(&mut env.provisioning(), &order(SIM)).await.unwrap();
    assert_eq!(placed.state(), OrderState::Placed);
    let event = follower.event().await;
    assert_eq!(event.order_id, placed.order_id);
    assert_eq!(event.subscription_id, placed.subscription_id);
}

#[tokio::test]
async fn events_that_waited_for_a_restart_come_to_the_gateway_that_follows() {
    let folder = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}", folder.path().join("ledger.db").display());
    let secret = Secret::new(SECRET);
    let settings = [&secret.settings()[..], &[("STORE__URL", &*store)]].concat();
    let sandbox = simulator().await;
    let control = sandbox.control();
    let first = Gateway::start(&sandbox.base_url(), &settings).await;
    control
        .set_webhook(Some(Webhook::new(first.webhook(), SECRET)))
        .unwrap();
    control.hold_events();
    let placed = create(&mut first.provisioning(), &order(SIM)).await.unwrap();
    control.attach(SIM, "FR").unwrap();
    first.stop().await;

    let second = Gateway::start(&sandbox.base_url(), &settings).await;
    control
        .set_webhook(Some(Webhook::new(second.webhook(), SECRET)))
        .unwrap();
    // The first event of the order, its preload, comes last.
    assert!(control.release_events(EventOrder::Reversed) > 2);
    let mut follower = Follower::start(&mut second.events(), from_the_beginning()).await;
    let mut of_the_order = Vec::new();
    while of_the_order.len() < 3 {
        let event = follower.event().await;
        if event.order_id == placed.order_id {
            of_the_order.push(event.r#type());
        }
    }
    // The gateway's own comes with the answer.
    assert_eq!(
        of_the_order,
        [
            api::EventType::OrderPlaced,
            api::EventType::ProductActivated,
            api::EventType::ProductPreloaded
        ]
    );
}
