//! Repeats of orders that were not placed as far as could be seen: what is
//! learnt of an earlier attempt while the next one is on its way.

use transatel_gateway::client::connectivity::v1::OrderState;
use transatel_gateway::sandbox::{EventOrder, Fault, Script, Visibility, Webhook};
use transatel_gateway::service::orders::steps::Step;

use super::frozen::Frozen;
use super::{FRESH, SOON, hide, posts};
use crate::house::{Gateway, House, ORDERS, SECRET, Secret, reason, simulator, spawn};
use crate::orders::{create, order, until_state};

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
        control.configure(|settings| settings.subscribe_activates = true);
        control.hold_events();
        hide(&control, FRESH, Visibility::Never);
        let mut client = gateway.provisioning();
        let request = order(FRESH);
        create(&mut client, &request).await.unwrap();
        until_state(&mut client, &request, OrderState::NotPlaced).await;
        let refused = Fault::problem(400, "SUBSCRIBER_STATUS_NOT_ELIGIBLE").step();
        control.queue(Script::on("POST", ORDERS).then(refused.times(refusals)));
        let repeat = spawn({
            let (mut client, request) = (gateway.provisioning(), request.clone());
            async move { create(&mut client, &request).await }
        });
        frozen.until_reached().await;
        control.release_events(EventOrder::AsHappened);
        until_state(&mut client, &request, OrderState::Placed).await;
        frozen.wake();
        assert_eq!(repeat.await.unwrap().unwrap().state(), OrderState::Placed);
        gateway.stop().await;
        let sent = control.received("POST", ORDERS);
        assert_eq!(sent, 1 + u64::try_from(refusals).unwrap(), "{step:?}");
        assert_eq!(control.sim(FRESH).unwrap().bought().count(), 1, "{step:?}");
    }
}

#[tokio::test]
async fn an_event_of_no_known_group_of_types_does_not_hold_an_order_up() {
    let house = House::with_events(&SOON).await;
    let control = house.control();
    let mut client = house.provisioning();
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
    assert_eq!(posts(&house), 4);
}

#[tokio::test]
async fn a_repeat_that_is_refused_does_not_end_the_search_for_the_first_attempt() {
    let house = House::with(&SOON).await;
    let control = house.control();
    let mut client = house.provisioning();
    hide(&control, FRESH, Visibility::Held);
    let request = order(FRESH);
    create(&mut client, &request).await.unwrap();
    until_state(&mut client, &request, OrderState::NotPlaced).await;
    control.queue(Script::on("POST", ORDERS).then(Fault::problem(402, "INSUFFICIENT_FUND").step()));
    let refused = create(&mut client, &request).await.unwrap_err();
    assert_eq!(reason(&refused).reason, "INSUFFICIENT_FUNDS");
    control.show_inventory(FRESH).unwrap();
    let placed = until_state(&mut client, &request, OrderState::Placed).await;
    let sim = control.sim(FRESH).unwrap();
    let bought: Vec<_> = sim.bought().map(|one| one.subscription_id.to_string()).collect();
    assert_eq!(bought, [placed.subscription_id]);
    assert_eq!(posts(&house), 2);
}
