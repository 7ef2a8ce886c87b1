//! What cannot be read never counts as not there.

use transatel_gateway_client::connectivity::v1::OrderState;
use transatel_simulator::{Fault, Oddity, Script, Showing, Visibility};

use super::{FRESH, SOON, not_placed, posts};
use crate::support::gateway::{FRANCE, ORDERS, SUBSCRIPTIONS, TestEnv, reason, until};
use crate::writes::orders::{create, get, order, until_state};

const UNREADABLE: [Oddity; 4] = [Oddity::NoId, Oddity::NullId, Oddity::ObjectId, Oddity::NoObject];

#[tokio::test]
async fn an_order_is_not_taken_for_not_placed_while_something_cannot_be_read() {
    for oddity in UNREADABLE {
        let env = TestEnv::with(&SOON).await;
        let control = env.control();
        let mut client = env.provisioning();
        let showing = Showing {
            oddity: Some(oddity),
            ..Showing::default()
        };
        control.show_next_order(FRESH, showing).unwrap();
        control.queue(Script::on("POST", ORDERS).then(Fault::Reset.after_commit()));
        let request = order(FRESH);
        let started = std::time::Instant::now();
        create(&mut client, &request).await.unwrap();
        // For three settle windows, and many looks.
        let looked = control.received("GET", SUBSCRIPTIONS);
        until("it was looked for", async || {
            let known = get(&mut client, &request).await.unwrap();
            assert_eq!(known.state(), OrderState::Unknown, "{oddity:?}");
            started.elapsed().as_millis() > 600 && control.received("GET", SUBSCRIPTIONS) > looked + 5
        })
        .await;
        // Once it can be read, it is found.
        let subscription = control
            .sim(FRESH)
            .unwrap()
            .bought()
            .next()
            .unwrap()
            .subscription_id;
        control.distort_subscription(FRESH, subscription, None).unwrap();
        until_state(&mut client, &request, OrderState::Placed).await;
        assert_eq!(posts(&env), 1, "{oddity:?}");
    }
}

#[tokio::test]
async fn a_number_is_an_id() {
    let env = TestEnv::with(&SOON).await;
    let control = env.control();
    let mut client = env.provisioning();
    let showing = Showing {
        oddity: Some(Oddity::NumberId),
        ..Showing::default()
    };
    control.show_next_order(FRESH, showing).unwrap();
    control.queue(Script::on("POST", ORDERS).then(Fault::Reset.after_commit()));
    let request = order(FRESH);
    create(&mut client, &request).await.unwrap();
    let placed = until_state(&mut client, &request, OrderState::Placed).await;
    assert!(
        placed.subscription_id.parse::<u64>().is_ok(),
        "{}",
        placed.subscription_id
    );
}

#[tokio::test]
async fn nothing_is_sent_while_the_baseline_cannot_be_read_whole() {
    for oddity in UNREADABLE {
        let env = TestEnv::with(&SOON).await;
        let control = env.control();
        let mut client = env.provisioning();
        let there = control.grant(FRESH, FRANCE).unwrap();
        control.distort_subscription(FRESH, there, Some(oddity)).unwrap();
        let request = order(FRESH);
        let error = reason(&create(&mut client, &request).await.unwrap_err());
        assert_eq!(error.reason, "PROVIDER_PROTOCOL", "{oddity:?}");
        assert_eq!(posts(&env), 0, "{oddity:?}");
        control.distort_subscription(FRESH, there, None).unwrap();
        assert_eq!(
            create(&mut client, &request).await.unwrap().state(),
            OrderState::Placed
        );
    }
}

#[tokio::test]
async fn a_repeat_is_not_sent_while_something_cannot_be_read_or_is_missing() {
    let env = TestEnv::with(&SOON).await;
    let control = env.control();
    let mut client = env.provisioning();
    let there = control.grant(FRESH, FRANCE).unwrap();
    let showing = Showing {
        visibility: Some(Visibility::Never),
        ..Showing::default()
    };
    control.show_next_order(FRESH, showing).unwrap();
    control.queue(Script::on("POST", ORDERS).then(Fault::Reset.step()));
    let request = not_placed(&mut client).await;
    control
        .distort_subscription(FRESH, there, Some(Oddity::NoId))
        .unwrap();
    let error = reason(&create(&mut client, &request).await.unwrap_err());
    assert_eq!(error.reason, "PROVIDER_PROTOCOL");
    control.distort_subscription(FRESH, there, None).unwrap();
    // An inventory that lacks what was there before does not tell everything.
    let empty = Fault::body(200, r#"{"productSubscriptions":[]}"#)
        .step()
        .forever();
    control.queue(Script::on("GET", SUBSCRIPTIONS).then(empty));
    let error = reason(&create(&mut client, &request).await.unwrap_err());
    assert_eq!(error.reason, "PROVIDER_UNAVAILABLE");
    assert_eq!(posts(&env), 1);
    control.clear_faults();
    assert_eq!(
        create(&mut client, &request).await.unwrap().state(),
        OrderState::Placed
    );
    assert_eq!(posts(&env), 2);
}
