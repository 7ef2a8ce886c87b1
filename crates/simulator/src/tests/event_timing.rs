//! Events that come late, twice, in another order, or only when there is somebody to receive them.

use serde_json::json;

use super::{
    orders::{order, post},
    webhook_faults::{attempts, send},
    webhooks::{HOUR, Receiver, SECRET, delivered, types},
    *,
};
use crate::{Disturbance, EventOrder, Webhook};

const PRELOADED: &str = "OCS/PRODUCT/PRELOADED";
const MINUTE: Duration = Duration::from_secs(60);

/// Buys for a SIM under this reference.
async fn buy(bench: &Bench, sim: u32, reference: &str) {
    let msisdn = format!("88247{sim:010}");
    let (status, body) = post(bench, &order(&msisdn, "preload", reference)).await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
}

/// The references of the events that have arrived, in their order.
fn references(bench: &Bench) -> Vec<String> {
    let deliveries = bench.sandbox.control().deliveries();
    let reference = |body: &str| {
        let event: Value = serde_json::from_str(body).unwrap();
        event["body"]["externalReference"].as_str().unwrap().to_owned()
    };
    deliveries
        .iter()
        .map(|delivery| reference(&delivery.body))
        .collect()
}

#[tokio::test]
async fn events_of_a_type_come_later_than_others() {
    let receiver = Receiver::start().await;
    let bench = receiver.bench().await;
    let control = bench.sandbox.control();
    control.configure(|settings| {
        settings.webhooks.delays = [("", MINUTE), ("OCS/PRODUCT/", HOUR), (PRELOADED, 2 * HOUR)]
            .map(|(name, delay)| (name.to_owned(), delay))
            .into();
    });
    buy(&bench, 1, "r").await;
    send(&bench, &["OCS/PRODUCT/OTHER", "OTHER"]);
    for (arrived, wait) in [(1, MINUTE), (2, HOUR - MINUTE), (3, HOUR)] {
        assert_eq!(control.deliveries().len(), arrived - 1);
        control.advance(wait);
        attempts(&bench, arrived).await;
    }
    assert_eq!(
        types(&control.deliveries()),
        ["OTHER", "OCS/PRODUCT/OTHER", PRELOADED]
    );
}

#[tokio::test]
async fn held_events_come_in_the_order_that_the_release_names() {
    for (order, expected) in [
        (EventOrder::AsHappened, ["1", "2", "3", "4"]),
        (EventOrder::Reversed, ["4", "3", "2", "1"]),
        (EventOrder::Shuffled(7), ["2", "4", "1", "3"]),
        (EventOrder::Shuffled(7), ["2", "4", "1", "3"]),
    ] {
        let receiver = Receiver::start().await;
        let bench = receiver.bench().await;
        let control = bench.sandbox.control();
        control.hold_events();
        // Held ones, disturbed or not, are released together; what is due later is not.
        control.disturb_events([Disturbance::Pass, Disturbance::Hold, Disturbance::Reorder]);
        send(&bench, &["1", "2", "3", "4"]);
        control.disturb_events([Disturbance::Delay { duration: HOUR }]);
        send(&bench, &["late"]);
        let status = control.webhook_status();
        assert_eq!((status.holding, status.waiting, status.delivered), (true, 5, 0));
        assert_eq!(control.release_events(order), 4);
        attempts(&bench, 4).await;
        assert_eq!(types(&control.deliveries()), expected, "{order:?}");
        control.advance(HOUR);
        assert_eq!(types(&delivered(&bench).await)[4], "late");
    }
}

#[tokio::test]
async fn events_of_one_sim_can_be_held_while_others_come() {
    let receiver = Receiver::start().await;
    let bench = receiver.bench().await;
    let control = bench.sandbox.control();
    let disturbances = [
        Disturbance::Hold,
        Disturbance::Lose,
        Disturbance::Delay { duration: HOUR },
    ];
    control.disturb_events_of("1", disturbances).unwrap();
    control
        .disturb_events_of("9999999", [Disturbance::Lose])
        .unwrap_err();
    for (sim, reference) in [(1, "held"), (39, "other"), (1, "lost"), (1, "late"), (1, "usual")] {
        buy(&bench, sim, reference).await;
    }
    attempts(&bench, 2).await;
    assert_eq!(references(&bench), ["other", "usual"]);
    assert_eq!(control.release_events(EventOrder::AsHappened), 1);
    attempts(&bench, 3).await;
    control.advance(HOUR);
    delivered(&bench).await;
    assert_eq!(references(&bench), ["other", "usual", "held", "late"]);
}

#[tokio::test]
async fn an_event_comes_again_an_hour_later() {
    let receiver = Receiver::start().await;
    let bench = receiver.bench().await;
    let control = bench.sandbox.control();
    control.disturb_events([Disturbance::Again { duration: HOUR }]);
    send(&bench, &["A", "B"]);
    attempts(&bench, 2).await;
    assert_eq!(control.webhook_status().waiting, 1);
    control.advance(HOUR);
    let deliveries = delivered(&bench).await;
    assert_eq!(types(&deliveries), ["A", "B", "A"]);
    assert_eq!(deliveries[0].event_id, deliveries[2].event_id);
}

#[tokio::test]
async fn events_wait_for_a_receiver_that_starts_again_elsewhere() {
    let first = Receiver::start().await;
    let bench = first.bench().await;
    let control = bench.sandbox.control();
    control.hold_events();
    buy(&bench, 1, "before").await;
    control.set_webhook(None).unwrap();
    buy(&bench, 39, "without").await;
    control.advance(HOUR);
    drop(first);

    let second = Receiver::start().await;
    let mut webhook = Webhook::new(&second.url, SECRET);
    webhook.events = vec![PRELOADED.to_owned()];
    send(&bench, &["unwanted"]);
    control.set_webhook(Some(webhook)).unwrap();
    assert_eq!(second.received().len(), 0);
    assert_eq!(control.release_events(EventOrder::AsHappened), 2);
    delivered(&bench).await;
    assert_eq!(references(&bench), ["before", "without"]);
    assert_eq!(second.received().len(), 2);
}

#[tokio::test]
async fn events_that_nobody_can_receive_are_lost_unless_they_are_held() {
    let receiver = Receiver::start().await;
    let bench = receiver.bench().await;
    let control = bench.sandbox.control();
    control.set_webhook(None).unwrap();
    buy(&bench, 1, "lost").await;
    control.hold_events();
    buy(&bench, 1, "lost-by-the-release").await;
    assert_eq!(control.webhook_status().waiting, 1);
    assert_eq!(control.release_events(EventOrder::AsHappened), 0);
    control
        .set_webhook(Some(Webhook::new(&receiver.url, SECRET)))
        .unwrap();
    buy(&bench, 1, "usual").await;
    delivered(&bench).await;
    assert_eq!(references(&bench), ["usual"]);
}

#[tokio::test]
async fn the_http_control_api_holds_and_releases_events() {
    let receiver = Receiver::start().await;
    let bench = receiver.bench().await;
    let control = bench.sandbox.control();
    let delays = json!({ "webhooks": { "delays": { "OCS/": "1h" } } });
    assert_eq!(bench.post_control("/settings", delays).await.0, StatusCode::OK);
    let delays = json!({ "webhooks": { "delays": { "OCS/": "0s" } } });
    assert_eq!(bench.post_control("/settings", delays).await.0, StatusCode::OK);
    assert_eq!(
        bench.post_control("/webhook/hold", json!({})).await.0,
        StatusCode::NO_CONTENT
    );
    let disturbances = json!({ "sim": "1", "disturbances": [{ "disturbance": "again", "for": "1h" }, { "disturbance": "hold" }] });
    let disturbed = bench.post_control("/webhook/disturbances", disturbances).await;
    assert_eq!(disturbed.0, StatusCode::NO_CONTENT);
    for reference in ["twice", "held", "usual"] {
        buy(&bench, 1, reference).await;
    }
    let held = bench.get_control("/webhook").await;
    assert_eq!((&held["holding"], &held["waiting"]), (&json!(true), &json!(4)));
    let released = bench
        .post_control("/webhook/release", json!({ "order": "reversed" }))
        .await
        .1;
    assert_eq!(released, json!({ "released": 3 }));
    attempts(&bench, 3).await;
    assert_eq!(references(&bench), ["usual", "held", "twice"]);
    bench.post_control("/webhook/hold", json!({})).await;
    control.advance(HOUR);
    let released = bench
        .post_control("/webhook/release", json!({ "order": { "shuffled": 7 } }))
        .await
        .1;
    assert_eq!(released, json!({ "released": 1 }));
    delivered(&bench).await;
    assert_eq!(references(&bench).last().unwrap(), "twice");
}
