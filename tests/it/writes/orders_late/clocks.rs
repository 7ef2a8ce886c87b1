//! Clocks that are wrong, or are set while orders are on their way.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};
use transatel_gateway::app::Seams;
use transatel_gateway::domain::Clock;
use transatel_gateway::service::writes::steps::Step;
use transatel_gateway_client::connectivity::v1::OrderState;
use transatel_simulator::{Fault, Sandbox, Script, Visibility};

use super::frozen::at;
use super::{FRESH, SOON, hide};
use crate::support::gateway::{Gateway, ORDERS, SUBSCRIPTIONS, TOKEN, reason, simulator, until};
use crate::writes::orders::{create, get, order, spawn_create, until_state};

/// A wall clock that can be set; the monotonic one stays true.
#[derive(Clone, Default)]
pub struct Steppable(Arc<AtomicI64>);

impl Steppable {
    pub fn step(&self, by: SignedDuration) {
        self.0.fetch_add(by.as_secs(), Ordering::Relaxed);
    }

    pub fn clock(&self) -> Clock {
        let ahead = Arc::clone(&self.0);
        Clock::new(move || Timestamp::now() + SignedDuration::from_secs(ahead.load(Ordering::Relaxed)))
    }

    pub fn seams(&self) -> Seams {
        Seams {
            clock: self.clock(),
            ..Seams::default()
        }
    }
}

const HOUR: SignedDuration = SignedDuration::from_hours(1);

async fn gateway(sandbox: &Sandbox, clock: &Steppable, more: &[(&str, &str)]) -> Gateway {
    let settings = [SOON.as_slice(), more].concat();
    Gateway::start_in(&sandbox.base_url(), &settings, clock.seams()).await
}

#[tokio::test]
async fn an_order_in_flight_stays_its_processes_own_when_the_clock_is_set_ahead() {
    for step in [SignedDuration::from_mins(18), HOUR] {
        let sandbox = simulator().await;
        let clock = Steppable::default();
        // The answer hangs until all have looked.
        let slow = [("ORDERS__SEND_TIMEOUT", "30s"), ("ORDERS__LEASE", "60s")];
        let gateway = gateway(&sandbox, &clock, &slow).await;
        let control = sandbox.control();
        let request = order(FRESH);
        control.queue(Script::on("POST", ORDERS).then(Fault::hold("post").after_commit()));
        let call = spawn_create(gateway.provisioning(), &request);
        control.until_held("post", 1).await;
        clock.step(step);
        // Somebody looks for orders of dead processes, again and again.
        let mut client = gateway.provisioning();
        for _ in 0..100 {
            let known = get(&mut client, &request).await.unwrap();
            assert_eq!(known.state(), OrderState::Submitting);
        }
        control.release("post");
        assert_eq!(call.await.unwrap().unwrap().state(), OrderState::Placed);
        assert_eq!(control.received("POST", ORDERS), 1);
    }
}

#[tokio::test]
async fn the_lease_is_asked_before_every_send() {
    // Before the only send, and before the second activation.
    for (step, sent) in [(Step::Durable, 0), (Step::BetweenActivations, 1)] {
        let sandbox = simulator().await;
        let clock = Steppable::default();
        let steps = at(step, {
            let clock = clock.clone();
            move || clock.step(HOUR)
        });
        let seams = Seams {
            clock: clock.clock(),
            ..steps
        };
        let gateway = Gateway::start_in(&sandbox.base_url(), &SOON, seams).await;
        let control = sandbox.control();
        let refused = Fault::problem(400, "SUBSCRIBER_STATUS_NOT_ELIGIBLE").step();
        control.queue(Script::on("POST", ORDERS).then(refused.times(sent)));
        let mut client = gateway.provisioning();
        let request = order(FRESH);
        let error = reason(&create(&mut client, &request).await.unwrap_err());
        assert_eq!(error.reason, "PROVIDER_UNAVAILABLE", "{step:?}");
        assert_eq!(
            error.metadata.get("known_state").map(String::as_str),
            Some("NONE"),
            "{step:?}"
        );
        assert_eq!(control.sim(FRESH).unwrap().bought().count(), 0, "{step:?}");
        // It was certainly not sent, so that it may be sent now.
        control.clear_faults();
        assert_eq!(
            create(&mut client, &request).await.unwrap().state(),
            OrderState::Placed
        );
    }
}

#[tokio::test]
async fn the_lease_is_asked_before_the_replay_after_a_401() {
    let sandbox = simulator().await;
    let clock = Steppable::default();
    let gateway = gateway(&sandbox, &clock, &[]).await;
    let control = sandbox.control();
    let mut client = gateway.provisioning();
    // With a token in hand: the next one is waited for.
    create(&mut client, &order("882470000000002")).await.unwrap();
    control.queue(Script::on("POST", ORDERS).then(Fault::Unauthorized.step()));
    control.queue(Script::on("POST", TOKEN).then(Fault::hold("token").step()));
    let request = order(FRESH);
    let call = spawn_create(gateway.provisioning(), &request);
    control.until_held("token", 1).await;
    clock.step(HOUR);
    control.release("token");
    let error = reason(&call.await.unwrap().unwrap_err());
    assert_eq!(error.reason, "PROVIDER_UNAVAILABLE");
    assert_eq!(control.sim(FRESH).unwrap().bought().count(), 0);
    assert_eq!(
        create(&mut client, &request).await.unwrap().state(),
        OrderState::Placed
    );
}

#[tokio::test]
async fn an_unknown_order_is_not_given_up_when_the_clock_is_set_ahead() {
    let sandbox = simulator().await;
    let clock = Steppable::default();
    let gateway = gateway(&sandbox, &clock, &[("ORDERS__SETTLE_WINDOW", "30s")]).await;
    let control = sandbox.control();
    let mut client = gateway.provisioning();
    hide(&control, FRESH, Visibility::Held);
    let request = order(FRESH);
    create(&mut client, &request).await.unwrap();
    clock.step(HOUR);
    let looked = control.received("GET", SUBSCRIPTIONS);
    until("it is looked for some times more", async || {
        assert_eq!(
            get(&mut client, &request).await.unwrap().state(),
            OrderState::Unknown
        );
        control.received("GET", SUBSCRIPTIONS) > looked + 5
    })
    .await;
    control.show_inventory(FRESH).unwrap();
    until_state(&mut client, &request, OrderState::Placed).await;
    assert_eq!(control.received("POST", ORDERS), 1);
}

#[tokio::test]
async fn an_unknown_order_is_looked_for_when_the_clock_is_set_back() {
    let sandbox = simulator().await;
    let clock = Steppable::default();
    let gateway = gateway(&sandbox, &clock, &[]).await;
    let control = sandbox.control();
    let mut client = gateway.provisioning();
    hide(&control, FRESH, Visibility::Held);
    let request = order(FRESH);
    create(&mut client, &request).await.unwrap();
    clock.step(-HOUR);
    control.show_inventory(FRESH).unwrap();
    until_state(&mut client, &request, OrderState::Placed).await;
    // And one that was not carried out is free again.
    let other = order("882470000000002");
    control.queue(Script::on("POST", ORDERS).then(Fault::Reset.step()));
    create(&mut client, &other).await.unwrap();
    clock.step(-HOUR);
    until_state(&mut client, &other, OrderState::NotPlaced).await;
}

#[tokio::test]
async fn a_clock_that_is_months_ahead_at_the_start_forgets_nothing() {
    let sandbox = simulator().await;
    let folder = tempfile::tempdir().unwrap();
    let store = format!("sqlite://{}", folder.path().join("ledger.db").display());
    let clock = Steppable::default();
    let settings = [("STORE__URL", store.as_str())];
    let first = gateway(&sandbox, &clock, &settings).await;
    let request = order(FRESH);
    let placed = create(&mut first.provisioning(), &request).await.unwrap();
    first.stop().await;
    for _ in 0..2 {
        clock.step(SignedDuration::from_hours(200 * 24));
        let next = gateway(&sandbox, &clock, &settings).await;
        let mut client = next.provisioning();
        // Something new is written with the wrong clock, and looked after.
        create(&mut client, &order("882470000000002")).await.unwrap();
        assert_eq!(create(&mut client, &request).await.unwrap(), placed);
        next.stop().await;
    }
    assert_eq!(sandbox.control().sim(FRESH).unwrap().bought().count(), 1);
}
