//! `ORDER_IN_PROGRESS`: nothing was sent, and the error says what is in the way.

use tonic::Code;
use transatel_gateway_client::connectivity::v1::OrderState;
use transatel_simulator::Fault;

use super::{FRESH, create, fault, get, only_an_operator_can_settle, order, sent, spawn_create, until_state};
use crate::support::gateway::{TestEnv, reason};

#[tokio::test]
async fn an_order_that_the_provider_is_too_busy_for_was_not_sent() {
    let env = TestEnv::open().await;
    let mut client = env.provisioning();
    let request = order(FRESH);
    fault(&env, Fault::problem(409, "CONFLICT"));
    let status = create(&mut client, &request).await.unwrap_err();
    let error = reason(&status);
    assert_eq!(
        (error.code, error.reason.as_str()),
        (Code::Aborted, "ORDER_IN_PROGRESS")
    );
    // Not an order of the gateway's: the provider's own matter.
    assert_eq!(error.metadata.get("order_id"), None);
    assert_eq!(error.metadata["known_state"], "NONE");
    assert_eq!(error.metadata["provider_code"], "CONFLICT");
    assert!(error.details.retry_info().is_some(), "{status:?}");
    assert!(
        status.message().contains("nothing was sent"),
        "{}",
        status.message()
    );
    // Nothing is kept of it: the same request is sent again.
    assert_eq!(
        reason(&get(&mut client, &request).await.unwrap_err()).reason,
        "ORDER_NOT_FOUND"
    );
    let placed = create(&mut client, &request).await.unwrap();
    assert_eq!((placed.state(), sent(&env)), (OrderState::Placed, 2));
}

#[tokio::test]
async fn the_order_in_the_way_is_named_with_its_state_and_whose_it_is() {
    let env = only_an_operator_can_settle("500ms").await;
    let mut client = env.provisioning();
    let first = order(FRESH);
    let unknown = create(&mut client, &first).await.unwrap();
    until_state(&mut client, &first, OrderState::NeedsOperator).await;
    let error = reason(&create(&mut client, &order(FRESH)).await.unwrap_err());
    assert_eq!(error.reason, "ORDER_IN_PROGRESS");
    assert_eq!(error.metadata["order_id"], unknown.order_id);
    assert_eq!(error.metadata["order_state"], "NEEDS_OPERATOR");
    assert_eq!(error.metadata["order_request_id"], first.request_id);
    assert_eq!(error.metadata["known_state"], "NONE");
    assert!(error.details.retry_info().is_none());
}

#[tokio::test]
async fn an_order_that_is_being_sent_is_named_with_its_state() {
    let env = TestEnv::open().await;
    let mut client = env.provisioning();
    fault(&env, Fault::hold("post"));
    let first = order(FRESH);
    let running = spawn_create(client.clone(), &first);
    env.control().until_held("post", 1).await;
    let error = reason(&create(&mut client, &order(FRESH)).await.unwrap_err());
    assert_eq!(error.reason, "ORDER_IN_PROGRESS");
    assert_eq!(error.metadata["order_state"], "SUBMITTING");
    assert_eq!(error.metadata["order_request_id"], first.request_id);
    env.control().release("post");
    running.await.unwrap().unwrap();
}
