//! Repeats of orders that were not placed as far as could be seen: what is
//! known of an earlier attempt while the next one is on its way.

use transatel_gateway::service::writes::steps::Step;
use transatel_gateway_client::connectivity::v1::{CreateOrderRequest, OrderState};
use transatel_simulator::{EventOrder, Fault, Script, Visibility, Webhook};

use super::{FRESH, SOON, hide, not_placed, posts};
use crate::support::frozen::Frozen;
use crate::support::gateway::{Gateway, ORDERS, SECRET, Secret, TestEnv, reason, simulator, spawn};
use crate::writes::orders::{create, order, spawn_create, until_state};

#[tokio::test]
async fn an_event_that_comes_before_a_repeat_is_sent_keeps_it_from_being_sent() {
    // Before the first send of the repeat, and before its second activation.
    for (passes, step, refusals) in [(1, Step::Durable, 0), (0, Step::BetweenActivations, 1)] {
        let sandbox = simulator().await;
        let control = sandbox.control();
        let secret = Secret::new(SECRET);
        let (frozen, seams) = Frozen::after(passes, step);
        let settings = [&secret.settings()[..], &SOON].concat();
        let gateway = Gateway::start_in(&sandbox.base_url(), &settings, seams).await;
        control
            .set_webhook(Some(Webhook::new(gateway.webhook(), SECRET)))
            .unwrap();
        control.hold_events();
        hide(&control, FRESH, Visibility::Never);
        let mut client = gateway.provisioning();
        let request = not_placed(&mut client).await;
        let refused = Fault::problem(400, "SUBSCRIBER_STATUS_NOT_ELIGIBLE").step();
        control.queue(Script::on("POST", ORDERS).then(refused.times(refusals)));
        let repeat = spawn_create(gateway.provisioning(), &request);
        frozen.until_reached().await;
        control.release_events(EventOrder::AsHappened);
        until_state(&mut client, &request, OrderState::Placed).await;
        frozen.wake();
        assert_eq!(repeat.await.unwrap().unwrap().state(), OrderState::Placed);
        gateway.stop().await;
        let sent = control.received("POST", ORDERS);
        assert_eq!(sent, 1 + u64::from(refusals), "{step:?}");
        assert_eq!(control.sim(FRESH).unwrap().bought().count(), 1, "{step:?}");
    }
}

#[tokio::test]
async fn a_repeat_that_waits_for_room_is_not_sent_once_an_event_has_settled_it() {
    let slow = [
        SOON.as_slice(),
        &[
            ("TRANSATEL__CONCURRENCY", "2"),
            ("TRANSATEL__CONCURRENCY_WAIT", "20s"),
            ("ORDERS__SEND_TIMEOUT", "20s"),
            ("ORDERS__LEASE", "60s"),
        ],
    ]
    .concat();
    let env = TestEnv::with_events(&slow).await;
    let control = env.control();
    let mut client = env.provisioning();
    control.hold_events();
    hide(&control, FRESH, Visibility::Never);
    let request = not_placed(&mut client).await;
    let full = Fault::hold("full").step().times(2);
    control.queue(Script::on("POST", ORDERS).then(full));
    let call = |request: CreateOrderRequest| {
        let mut client = env.provisioning();
        spawn(async move { create(&mut client, &request).await })
    };
    let others = ["882470000000002", "882470000000003"].map(|sim| call(order(sim)));
    control.until_held("full", 2).await;
    let repeat = call(request.clone());
    until_state(&mut client, &request, OrderState::Submitting).await;
    control.release_events(EventOrder::AsHappened);
    until_state(&mut client, &request, OrderState::Placed).await;
    assert_eq!(repeat.await.unwrap().unwrap().state(), OrderState::Placed);
    control.release("full");
    for other in others {
        assert_eq!(other.await.unwrap().unwrap().state(), OrderState::Placed);
    }
    // What came after it in the line is sent, and it is not.
    create(&mut client, &order("882470000000004")).await.unwrap();
    assert_eq!(posts(&env), 4);
    assert_eq!(control.sim(FRESH).unwrap().bought().count(), 1);
}

#[tokio::test]
async fn an_event_of_no_known_group_of_types_does_not_hold_an_order_up() {
    let env = TestEnv::with_events(&SOON).await;
    let control = env.control();
    let mut client = env.provisioning();
    for (event_type, sim) in [
        ("ocs/product/preloaded", FRESH),
        ("OCS/PRODUCTS/NEW", "882470000000002"),
    ] {
        control.queue(Script::on("POST", ORDERS).then(Fault::Reset.step()));
        let request = order(sim);
        let unknown = create(&mut client, &request).await.unwrap();
        control.send_event(
            event_type,
            serde_json::json!({ "externalReference": unknown.order_id }),
        );
        control.until_events_sent().await;
        until_state(&mut client, &request, OrderState::NotPlaced).await;
        let placed = create(&mut client, &request).await.unwrap();
        assert_eq!(placed.state(), OrderState::Placed, "{event_type}");
    }
    assert_eq!(posts(&env), 4);
}

#[tokio::test]
async fn a_repeat_that_is_refused_does_not_end_the_search_for_the_first_attempt() {
    let env = TestEnv::with(&SOON).await;
    let control = env.control();
    let mut client = env.provisioning();
    hide(&control, FRESH, Visibility::Held);
    let request = not_placed(&mut client).await;
    control.queue(Script::on("POST", ORDERS).then(Fault::problem(402, "INSUFFICIENT_FUND").step()));
    let refused = create(&mut client, &request).await.unwrap_err();
    assert_eq!(reason(&refused).reason, "INSUFFICIENT_FUNDS");
    control.show_inventory(FRESH).unwrap();
    let placed = until_state(&mut client, &request, OrderState::Placed).await;
    let sim = control.sim(FRESH).unwrap();
    let bought: Vec<_> = sim.bought().map(|one| one.subscription_id.to_string()).collect();
    assert_eq!(bought, [placed.subscription_id]);
    assert_eq!(posts(&env), 2);
}
