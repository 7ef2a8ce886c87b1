//! Callers that go away, run out of time, or meet a gateway that shuts down.

use std::time::Duration;

use api::OrderState;
use tonic::{Code, Request, Status};
use transatel_gateway_client::connectivity::v1 as api;
use transatel_simulator::{Fault, Script};

use super::{FRESH, bought, create, fault, get, order, sent, spawn_create, until_state};
use crate::support::gateway::{
    Gateway, ORDERS, Provisioning, SUBSCRIPTIONS, StillClock, TestEnv, reason, simulator, spawn,
};

#[tokio::test]
async fn a_caller_that_goes_away_changes_nothing() {
    let env = TestEnv::open().await;
    let mut client = env.provisioning();
    fault(&env, Fault::hold("post"));
    let request = order(FRESH);
    let call = spawn_create(client.clone(), &request);
    env.control().until_held("post", 1).await;
    call.abort();
    let _ = call.await;
    assert_eq!(
        get(&mut client, &request).await.unwrap().state(),
        OrderState::Submitting
    );
    env.control().release("post");
    let order = create(&mut client, &request).await.unwrap();
    assert_eq!(order.state(), OrderState::Placed);
    assert_eq!((sent(&env), bought(&env, FRESH)), (1, 1));
}

/// A call with a deadline that nothing but the test lets pass.
fn call_within(
    client: &Provisioning,
    request: &api::CreateOrderRequest,
    deadline: Duration,
) -> tokio::task::JoinHandle<Result<api::Order, Status>> {
    let mut client = client.clone();
    let mut request = Request::new(request.clone());
    request.set_timeout(deadline);
    spawn(async move {
        let answer = client.create_order(request).await?;
        Ok(answer.into_inner().order.unwrap())
    })
}

#[tokio::test(start_paused = true)]
async fn an_answer_comes_before_the_deadline_once_the_order_is_on_its_way() {
    let _still = StillClock::hold();
    let env = TestEnv::open().await;
    let mut client = env.provisioning();
    fault(&env, Fault::hold("post"));
    let request = order(FRESH);
    let call = call_within(&client, &request, Duration::from_millis(900));
    env.control().until_held("post", 1).await;
    // A tenth of a second is left for the answer's way.
    tokio::time::advance(Duration::from_millis(800)).await;
    let answer = call.await.unwrap().unwrap();
    assert_eq!(answer.state(), OrderState::Submitting);
    env.control().release("post");
    let order = until_state(&mut client, &request, OrderState::Placed).await;
    assert_eq!(order.order_id, answer.order_id);
    assert_eq!(sent(&env), 1);
}

#[tokio::test(start_paused = true)]
async fn without_time_nothing_is_sent_and_nothing_kept() {
    let _still = StillClock::hold();
    let env = TestEnv::open().await;
    let mut client = env.provisioning();
    env.control()
        .queue(Script::on("GET", SUBSCRIPTIONS).then(Fault::hold("read")));
    let request = order(FRESH);
    let call = call_within(&client, &request, Duration::from_millis(400));
    env.control().until_held("read", 1).await;
    // Before the caller's own timer, which says CANCELLED.
    tokio::time::advance(Duration::from_millis(397)).await;
    let error = call.await.unwrap().unwrap_err();
    assert_eq!(error.code(), Code::DeadlineExceeded);
    env.control().release("read");
    let error = reason(&get(&mut client, &request).await.unwrap_err());
    assert_eq!(
        (error.code, error.reason.as_str()),
        (Code::NotFound, "ORDER_NOT_FOUND")
    );
    assert_eq!(sent(&env), 0);
    assert_eq!(
        create(&mut client, &request).await.unwrap().state(),
        OrderState::Placed
    );
}

#[tokio::test]
async fn a_gateway_that_goes_down_finishes_what_is_on_its_way() {
    let sandbox = simulator().await;
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("ledger.db").display());
    let settings = [("STORE__URL", url.as_str()), ("SHUTDOWN__DRAIN", "0s")];
    let gateway = Gateway::start(&sandbox.base_url(), &settings).await;
    let control = sandbox.control();
    control.queue(Script::on("POST", ORDERS).then(Fault::hold("post")));
    let request = order(FRESH);
    let call = spawn_create(gateway.provisioning(), &request);
    control.until_held("post", 1).await;
    let down = spawn(gateway.stop());
    // The caller goes, the order does not.
    call.abort();
    control.release("post");
    down.await.unwrap();
    let next = Gateway::start(&sandbox.base_url(), &settings).await;
    let order = get(&mut next.provisioning(), &request).await.unwrap();
    assert_eq!(order.state(), OrderState::Placed);
    assert_eq!(control.received("POST", ORDERS), 1);
}
