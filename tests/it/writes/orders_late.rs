//! The truth about an order comes late: after the gateway has an opinion, after
//! a restart, from a process that was frozen, or while clocks are set.

mod claimed;
pub mod clocks;
mod frozen;
mod ledger;
mod repeats;
mod sequences;
mod unreadable;

use transatel_gateway::service::writes::steps::Step;
use transatel_gateway_client::connectivity::v1::{CreateOrderRequest, OrderState};
use transatel_simulator::{Control, EventOrder, Fault, Script, Showing, Visibility};

use crate::support::gateway::{FRANCE, ORDERS, Provisioning, TestEnv, reason, until};
use crate::writes::orders::{create, get, order, spawn_create, until_state};

/// Has an opinion soon, and goes on looking. Answers are lost by connections that are reset:
/// a test whose answers hang says itself for how long.
pub const SOON: [(&str, &str); 6] = [
    ("ORDERS__SEND_TIMEOUT", "3s"),
    ("ORDERS__RECONCILE_AFTER", "10ms"),
    ("ORDERS__RECONCILE_AT_MOST", "40ms"),
    ("ORDERS__SETTLE_WINDOW", "200ms"),
    ("ORDERS__ESCALATE_AFTER", "60s"),
    ("ORDERS__LEASE", "5s"),
];

/// A pre-activated SIM without a subscription.
pub const FRESH: &str = "882470000000001";

/// The next order of this SIM is carried out, its answer is lost, and the
/// inventory shows it never, or when the test says so.
pub fn hide(control: &Control, msisdn: &str, visibility: Visibility) {
    let showing = Showing {
        visibility: Some(visibility),
        ..Showing::default()
    };
    control.show_next_order(msisdn, showing).unwrap();
    control.queue(Script::on("POST", ORDERS).then(Fault::Reset.after_commit()));
}

/// An order of `FRESH` that the gateway takes for not placed by now.
pub async fn not_placed(client: &mut Provisioning) -> CreateOrderRequest {
    let request = order(FRESH);
    create(client, &request).await.unwrap();
    until_state(client, &request, OrderState::NotPlaced).await;
    request
}

pub fn posts(env: &TestEnv) -> u64 {
    env.control().received("POST", ORDERS)
}

fn bought(env: &TestEnv) -> usize {
    env.control().sim(FRESH).unwrap().bought().count()
}

/// The order becomes `PLACED`, a repeat answers so, and it was sent and bought
/// once.
async fn assert_placed_once(env: &TestEnv, request: &CreateOrderRequest) {
    let mut client = env.provisioning();
    until_state(&mut client, request, OrderState::Placed).await;
    let repeated = create(&mut client, request).await.unwrap();
    assert_eq!(repeated.state(), OrderState::Placed);
    assert_eq!((posts(env), bought(env)), (1, 1));
}

#[tokio::test]
async fn an_event_that_comes_after_not_placed_places_the_order() {
    let env = TestEnv::with_events(&SOON).await;
    let control = env.control();
    let mut client = env.provisioning();
    control.hold_events();
    hide(&control, FRESH, Visibility::Never);
    let request = order(FRESH);
    let unknown = create(&mut client, &request).await.unwrap();
    assert_eq!(unknown.state(), OrderState::Unknown);
    until_state(&mut client, &request, OrderState::NotPlaced).await;
    control.release_events(EventOrder::AsHappened);
    let placed = until_state(&mut client, &request, OrderState::Placed).await;
    assert_eq!(
        placed.subscription_id,
        control
            .sim(FRESH)
            .unwrap()
            .bought()
            .next()
            .unwrap()
            .subscription_id
            .to_string()
    );
    assert_eq!(create(&mut client, &request).await.unwrap(), placed);
    assert_eq!((posts(&env), bought(&env)), (1, 1));
}

#[tokio::test]
async fn a_subscription_that_shows_after_not_placed_places_the_order() {
    let env = TestEnv::with(&SOON).await;
    let control = env.control();
    let mut client = env.provisioning();
    hide(&control, FRESH, Visibility::Held);
    let request = not_placed(&mut client).await;
    assert_eq!(control.show_inventory(FRESH).unwrap(), 1);
    assert_placed_once(&env, &request).await;
}

#[tokio::test]
async fn a_repeat_takes_what_shows_by_then_and_sends_nothing() {
    // Nobody looks between the opinion and the repeat.
    let slow = [
        SOON.as_slice(),
        &[
            ("ORDERS__RECONCILE_AFTER", "60ms"),
            ("ORDERS__RECONCILE_AT_MOST", "60s"),
        ],
    ]
    .concat();
    let env = TestEnv::with(&slow).await;
    let control = env.control();
    let mut client = env.provisioning();
    hide(&control, FRESH, Visibility::Held);
    let request = not_placed(&mut client).await;
    control.show_inventory(FRESH).unwrap();
    let looked = control.received("GET", crate::support::gateway::SUBSCRIPTIONS);
    let placed = create(&mut client, &request).await.unwrap();
    assert_eq!(placed.state(), OrderState::Placed);
    assert_eq!((posts(&env), bought(&env)), (1, 1));
    assert!(control.received("GET", crate::support::gateway::SUBSCRIPTIONS) > looked);
}

#[tokio::test]
async fn several_that_may_be_it_are_for_an_operator_and_nothing_is_sent() {
    let env = TestEnv::with(&SOON).await;
    let control = env.control();
    let mut client = env.provisioning();
    hide(&control, FRESH, Visibility::Held);
    let request = not_placed(&mut client).await;
    control.hold_inventory(FRESH).unwrap();
    control.grant(FRESH, FRANCE).unwrap();
    control.show_inventory(FRESH).unwrap();
    until("an operator is asked", async || {
        create(&mut client, &request).await.unwrap().state() == OrderState::NeedsOperator
    })
    .await;
    assert_eq!(posts(&env), 1);
}

#[tokio::test]
async fn an_event_settles_an_order_while_its_answer_hangs() {
    let slow = [
        SOON.as_slice(),
        &[("ORDERS__SEND_TIMEOUT", "30s"), ("ORDERS__LEASE", "60s")],
    ]
    .concat();
    let env = TestEnv::with_events(&slow).await;
    let control = env.control();
    control.queue(Script::on("POST", ORDERS).then(Fault::hold("answer").after_commit()));
    let request = order(FRESH);
    let placed = create(&mut env.provisioning(), &request).await.unwrap();
    assert_eq!(placed.state(), OrderState::Placed);
    assert_eq!(control.gates().get("answer"), Some(&1), "the answer still hangs");
    // The answer that comes then adds what only it says.
    control.release("answer");
    let mut client = env.provisioning();
    until("the provider's reference is known", async || {
        !get(&mut client, &request)
            .await
            .unwrap()
            .provider_reference
            .is_empty()
    })
    .await;
    assert_eq!(
        get(&mut client, &request).await.unwrap().state(),
        OrderState::Placed
    );
    assert_eq!((posts(&env), bought(&env)), (1, 1));
}

#[tokio::test]
async fn an_event_corrects_a_refusal() {
    let env = TestEnv::with_events(&SOON).await;
    let control = env.control();
    let mut client = env.provisioning();
    control.hold_events();
    // Refused by a machine in between, and carried out all the same.
    control.queue(Script::on("POST", ORDERS).then(Fault::problem(422, "SOMETHING_NEW").after_commit()));
    let request = order(FRESH);
    let refused = create(&mut client, &request).await.unwrap_err();
    assert_eq!(reason(&refused).reason, "PROVIDER_REJECTED");
    control.release_events(EventOrder::AsHappened);
    assert_placed_once(&env, &request).await;
}

#[tokio::test]
async fn an_order_whose_task_dies_is_found_out_about() {
    let sandbox = crate::support::gateway::simulator().await;
    let seams = frozen::at(Step::Answered, || panic!("a defect"));
    let gateway = crate::support::gateway::Gateway::start_in(&sandbox.base_url(), &SOON, seams).await;
    let mut client = gateway.provisioning();
    let request = order(FRESH);
    let call = spawn_create(gateway.provisioning(), &request);
    until_state(&mut client, &request, OrderState::Placed).await;
    let _ = call.await;
    assert_eq!(sandbox.control().received("POST", ORDERS), 1);
}

#[tokio::test]
async fn an_error_says_what_the_ledger_held() {
    let env = TestEnv::with(&SOON).await;
    let control = env.control();
    let mut client = env.provisioning();
    let request = order(FRESH);
    // Nothing is known of a request id that is new.
    control.queue(Script::on("POST", ORDERS).then(Fault::Unauthorized.step().times(2)));
    let error = reason(&create(&mut client, &request).await.unwrap_err());
    assert_eq!(
        error.metadata.get("known_state").map(String::as_str),
        Some("NONE")
    );
    assert_eq!(error.metadata.get("known_order_id"), None);
    // An order that may be repeated is named.
    control.clear_faults();
    control.queue(Script::on("POST", ORDERS).then(Fault::Reset.step()));
    let unknown = create(&mut client, &request).await.unwrap();
    until_state(&mut client, &request, OrderState::NotPlaced).await;
    control.queue(Script::on("POST", ORDERS).then(Fault::RateLimited { retry_after: None }.step()));
    let error = reason(&create(&mut client, &request).await.unwrap_err());
    assert_eq!(error.reason, "PROVIDER_RATE_LIMITED");
    assert_eq!(
        error.metadata.get("known_state").map(String::as_str),
        Some("NOT_PLACED")
    );
    assert_eq!(error.metadata.get("known_order_id"), Some(&unknown.order_id));
    // What fails before the ledger is read says nothing of it.
    let invalid = create(&mut client, &Default::default()).await.unwrap_err();
    assert_eq!(reason(&invalid).metadata.get("known_state"), None);
}

#[tokio::test]
async fn an_event_that_does_not_fit_forbids_not_placed_and_a_repeat() {
    // The first event is in the log before that.
    let slow = [SOON.as_slice(), &[("ORDERS__SETTLE_WINDOW", "2s")]].concat();
    let env = TestEnv::with_events(&slow).await;
    let control = env.control();
    let mut client = env.provisioning();
    control.hold_events();
    control.queue(Script::on("POST", ORDERS).then(Fault::Reset.step()));
    let unknown = order(FRESH);
    let id = create(&mut client, &unknown).await.unwrap().order_id;
    // Of a type that is not known: before there is an opinion.
    control.send_event("OCS/PRODUCT/NEW", serde_json::json!({ "externalReference": id }));
    control.release_events(EventOrder::AsHappened);
    until_state(&mut client, &unknown, OrderState::NeedsOperator).await;
    // About another line, and after it.
    control.queue(Script::on("POST", ORDERS).then(Fault::Reset.step()));
    let not_placed = order("882470000000002");
    let id = create(&mut client, &not_placed).await.unwrap().order_id;
    until_state(&mut client, &not_placed, OrderState::NotPlaced).await;
    let body = serde_json::json!({
        "externalReference": id, "msisdn": FRESH, "productSubscription": { "subscriptionId": "S" }
    });
    control.send_event("OCS/PRODUCT/PRELOADED", body);
    control.until_events_sent().await;
    until("an operator is asked", async || {
        create(&mut client, &not_placed).await.unwrap().state() == OrderState::NeedsOperator
    })
    .await;
    assert_eq!(posts(&env), 2);
}

#[tokio::test]
async fn an_order_carried_out_twice_is_reported() {
    let env = TestEnv::with_events(&SOON).await;
    let control = env.control();
    let mut client = env.provisioning();
    control.hold_events();
    hide(&control, FRESH, Visibility::Never);
    let request = not_placed(&mut client).await;
    // Neither an answer, nor an event, nor the inventory has shown it.
    let placed = create(&mut client, &request).await.unwrap();
    assert_eq!((placed.state(), posts(&env)), (OrderState::Placed, 2));
    let twice = async || {
        let metrics = env.gateway.metrics().await;
        let counted = metrics
            .lines()
            .find(|line| {
                line.starts_with("transatel_gateway_orders_transitions_total")
                    && line.contains("carried_out_twice")
            })
            .unwrap()
            .to_owned();
        !counted.ends_with(" 0")
    };
    assert!(!twice().await);
    control.release_events(EventOrder::AsHappened);
    until("it is counted", twice).await;
    // What was answered stays so.
    assert_eq!(get(&mut client, &request).await.unwrap(), placed);
}
