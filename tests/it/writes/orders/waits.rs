//! Reads that wait for an outcome: of an order, and of an operation on a SIM.

use std::sync::Arc;
use std::time::Duration;

use api::{OrderState, SimOperationState};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tonic::{Request, Status};
use transatel_gateway::app::Seams;
use transatel_gateway::service::writes::steps::{Step, Steps};
use transatel_gateway_client::connectivity::v1 as api;
use transatel_simulator::{EventOrder, Fault, Script, Visibility};

use super::{
    FRESH, QUICK, create, fault, get, only_an_operator_can_settle, order, spawn_create, until_state,
};
use crate::support::gateway::{
    Gateway, ORDERS, Provisioning, SOON, SUBSCRIPTIONS, TRANSACTION, TestEnv, reason, simulator, spawn,
    violations,
};
use crate::support::postgres;
use crate::writes::orders_late::hide;
use crate::writes::sim_operations::{IN_USE, suspend};

/// For how long a call that has to wait is seen to wait.
const A_WHILE: Duration = Duration::from_millis(150);

const LONG: i64 = 25;

fn seconds(seconds: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos: 0 })
}

fn read(request: &api::CreateOrderRequest, wait: Option<prost_types::Duration>) -> api::GetOrderRequest {
    let key = api::get_order_request::Key::RequestId(request.request_id.clone());
    api::GetOrderRequest { key: Some(key), wait }
}

type Call<T> = JoinHandle<Result<T, Status>>;

/// Reads with a long wait, beside the test.
fn spawn_wait(mut client: Provisioning, request: &api::CreateOrderRequest) -> Call<api::Order> {
    let request = read(request, seconds(LONG));
    spawn(async move {
        let answer = client.get_order(request).await?;
        Ok(answer.into_inner().order.unwrap())
    })
}

/// It is not answered yet, and that is not because it has only just begun.
async fn assert_waiting<T>(call: &mut Call<T>) {
    let answered = tokio::time::timeout(A_WHILE, call).await.is_ok();
    assert!(!answered, "it did not wait");
}

async fn ended<T>(call: Call<T>) -> Result<T, Status> {
    tokio::time::timeout(SOON, call).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_read_waits_for_an_order_that_is_being_sent() {
    let env = TestEnv::open().await;
    let mut client = env.provisioning();
    let request = order(FRESH);
    fault(&env, Fault::hold("post"));
    let call = spawn_create(client.clone(), &request);
    env.control().until_held("post", 1).await;
    let mut waiting = spawn_wait(client.clone(), &request);
    let mut other = spawn_wait(client.clone(), &request);
    assert_waiting(&mut waiting).await;
    assert_waiting(&mut other).await;
    // Without a wait, and with one that is over before: as it is.
    assert_eq!(
        get(&mut client, &request).await.unwrap().state(),
        OrderState::Submitting
    );
    let brief = Some(prost_types::Duration {
        seconds: 0,
        nanos: 1_000_000,
    });
    let answer = client.get_order(read(&request, brief)).await.unwrap();
    assert_eq!(answer.into_inner().order.unwrap().state(), OrderState::Submitting);
    // The deadline comes first, by the gateway's time: still no error.
    let mut bounded = Request::new(read(&request, seconds(LONG)));
    bounded.set_timeout(Duration::from_secs(1));
    let answer = env.untimed_provisioning().get_order(bounded).await.unwrap();
    assert_eq!(answer.into_inner().order.unwrap().state(), OrderState::Submitting);

    env.control().release("post");
    let placed = call.await.unwrap().unwrap();
    assert_eq!(placed.state(), OrderState::Placed);
    assert_eq!(ended(waiting).await.unwrap(), placed);
    assert_eq!(ended(other).await.unwrap(), placed);
    // What is settled is answered at once.
    let answer = client.get_order(read(&request, seconds(300))).await.unwrap();
    assert_eq!(answer.into_inner().order.unwrap(), placed);
}

#[tokio::test]
async fn a_read_that_waits_for_an_order_that_is_then_not_sent_finds_none() {
    let sandbox = simulator().await;
    let (gate, hook) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let steps = Steps::new({
        let (gate, reached) = (Arc::clone(&gate), Arc::clone(&hook));
        move |step| {
            let (gate, reached) = (Arc::clone(&gate), Arc::clone(&reached));
            Box::pin(async move {
                if step == Step::Durable {
                    reached.add_permits(1);
                    gate.acquire().await.unwrap().forget();
                }
            })
        }
    });
    let seams = Seams {
        steps,
        ..Seams::default()
    };
    let gateway = Gateway::start_in(&sandbox.base_url(), &[], seams).await;
    let limited = Fault::RateLimited { retry_after: None };
    sandbox.control().queue(Script::on("POST", ORDERS).then(limited));
    let request = order(FRESH);
    let call = spawn_create(gateway.provisioning(), &request);
    hook.acquire().await.unwrap().forget();
    let mut waiting = spawn_wait(gateway.provisioning(), &request);
    assert_waiting(&mut waiting).await;
    gate.add_permits(1);
    call.await.unwrap().unwrap_err();
    let error = reason(&ended(waiting).await.unwrap_err());
    assert_eq!(error.reason, "ORDER_NOT_FOUND");
}

#[tokio::test]
async fn a_read_waits_until_an_event_settles_an_unknown_order() {
    // No check settles it before the event does.
    let slow = [
        ("ORDERS__RECONCILE_AFTER", "60s"),
        ("ORDERS__RECONCILE_AT_MOST", "60s"),
    ];
    let env = TestEnv::with_events(&slow).await;
    let control = env.control();
    let mut client = env.provisioning();
    control.hold_events();
    hide(&control, FRESH, Visibility::Never);
    let request = order(FRESH);
    let unknown = create(&mut client, &request).await.unwrap();
    assert_eq!(unknown.state(), OrderState::Unknown);
    let mut waiting = spawn_wait(client, &request);
    assert_waiting(&mut waiting).await;
    control.release_events(EventOrder::AsHappened);
    let placed = ended(waiting).await.unwrap();
    assert_eq!(placed.state(), OrderState::Placed);
    assert!(!placed.subscription_id.is_empty());
}

#[tokio::test]
async fn a_read_waits_until_a_check_has_determined_the_outcome() {
    let env = TestEnv::with(&QUICK).await;
    let control = env.control();
    let mut client = env.provisioning();
    fault(&env, Fault::Reset);
    control.queue(
        Script::on("GET", SUBSCRIPTIONS)
            .then(Fault::Pass)
            .then(Fault::hold("look").step().forever()),
    );
    let request = order(FRESH);
    create(&mut client, &request).await.unwrap();
    let mut waiting = spawn_wait(client, &request);
    assert_waiting(&mut waiting).await;
    control.clear_faults();
    control.release("look");
    assert_eq!(ended(waiting).await.unwrap().state(), OrderState::NotPlaced);
}

#[tokio::test]
async fn what_only_an_operator_can_settle_is_answered_at_once() {
    let env = only_an_operator_can_settle("300ms").await;
    let mut client = env.provisioning();
    let request = order(FRESH);
    create(&mut client, &request).await.unwrap();
    // The wait ends with it as well.
    let first = ended(spawn_wait(client.clone(), &request)).await.unwrap();
    assert_eq!(first.state(), OrderState::NeedsOperator);
    let again = ended(spawn_wait(client, &request)).await.unwrap();
    assert_eq!(again, first);
}

#[tokio::test]
async fn a_read_waits_for_an_operation_on_a_sim() {
    let env = TestEnv::with_operations(&[]).await;
    let control = env.control();
    let mut client = env.provisioning();
    control.queue(Script::on("GET", TRANSACTION).then(Fault::hold("poll").step().forever()));
    let change = suspend(IN_USE);
    let pending = change.send(&mut client).await.unwrap();
    assert_eq!(pending.state(), SimOperationState::Pending);
    let mut waiting: Call<api::SimOperation> = spawn({
        let key = api::get_sim_operation_request::Key::OperationId(pending.operation_id);
        let request = api::GetSimOperationRequest {
            key: Some(key),
            wait: seconds(LONG),
        };
        async move {
            let answer = client.get_sim_operation(request).await?;
            Ok(answer.into_inner().operation.unwrap())
        }
    });
    assert_waiting(&mut waiting).await;
    control.clear_faults();
    control.release("poll");
    assert_eq!(
        ended(waiting).await.unwrap().state(),
        SimOperationState::Succeeded
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_waits_for_what_another_replica_sends_and_finds_out() {
    let Some(store) = postgres::database().await else {
        return;
    };
    let sandbox = simulator().await;
    let control = sandbox.control();
    let settings = [QUICK.as_slice(), &[("STORE__URL", &store)]].concat();
    let one = Gateway::start(&sandbox.base_url(), &settings).await;
    let other = Gateway::start(&sandbox.base_url(), &settings).await;
    control.queue(Script::on("POST", ORDERS).then(Fault::hold("post")));
    let request = order(FRESH);
    let call = spawn_create(one.provisioning(), &request);
    control.until_held("post", 1).await;
    let mut waiting = spawn_wait(other.provisioning(), &request);
    assert_waiting(&mut waiting).await;
    control.release("post");
    assert_eq!(
        ended(waiting).await.unwrap(),
        call.await.unwrap().unwrap(),
        "as the replica that sent it has it"
    );

    // Either replica may find out what became of a lost one.
    control.queue(Script::on("POST", ORDERS).then(Fault::Reset));
    control.queue(
        Script::on("GET", SUBSCRIPTIONS)
            .then(Fault::Pass)
            .then(Fault::hold("look").step().forever()),
    );
    let request = order(FRESH);
    let unknown = create(&mut one.provisioning(), &request).await.unwrap();
    assert_eq!(unknown.state(), OrderState::Unknown);
    let mut calls = [&one, &other].map(|replica| spawn_wait(replica.provisioning(), &request));
    for call in &mut calls {
        assert_waiting(call).await;
    }
    control.clear_faults();
    control.release("look");
    for call in calls {
        assert_eq!(ended(call).await.unwrap().state(), OrderState::NotPlaced);
    }
}

#[tokio::test]
async fn a_stopping_gateway_answers_calls_that_wait() {
    let env = TestEnv::with(&[
        ("ORDERS__RECONCILE_AFTER", "60s"),
        ("ORDERS__RECONCILE_AT_MOST", "60s"),
    ])
    .await;
    let mut client = env.provisioning();
    fault(&env, Fault::Reset);
    let request = order(FRESH);
    create(&mut client, &request).await.unwrap();
    let mut waiting = spawn_wait(client, &request);
    assert_waiting(&mut waiting).await;
    let stopped = tokio::time::timeout(Duration::from_secs(10), env.gateway.stop());
    assert!(stopped.await.is_ok(), "it waits for the calls that wait");
    assert_eq!(ended(waiting).await.unwrap().state(), OrderState::Unknown);
}

#[tokio::test]
async fn a_wait_has_bounds() {
    let env = TestEnv::open().await;
    let mut client = env.provisioning();
    let request = order(FRESH);
    create(&mut client, &request).await.unwrap();
    until_state(&mut client, &request, OrderState::Placed).await;
    for (seconds, nanos) in [(-1, 0), (0, -1), (300, 1), (i64::MAX, 0), (1, 1_000_000_000)] {
        let wait = Some(prost_types::Duration { seconds, nanos });
        let refused = client.get_order(read(&request, wait)).await.unwrap_err();
        assert_eq!(violations(&refused), ["wait"], "{seconds} {nanos}");
        let refused = client
            .get_sim_operation(api::GetSimOperationRequest { key: None, wait })
            .await
            .unwrap_err();
        assert_eq!(violations(&refused), ["key", "wait"], "{seconds} {nanos}");
    }
}
