//! How an order ends: refused, not sent, found out later, or left to an operator.

use std::time::Duration;

use api::OrderState;
use tonic::Code;
use transatel_gateway_client::connectivity::v1 as api;
use transatel_simulator::{Fault, Script, SimStatus};
use uuid::Uuid;

use super::{
    FRESH, QUICK, bought, create, fault, get, only_an_operator_can_settle, order, sent, spawn_create,
    until_state,
};
use crate::support::gateway::{FRANCE, ORDERS, SUBSCRIPTIONS, TestEnv, reason, until};

#[tokio::test]
async fn a_refusal_is_final_and_says_why() {
    let env = TestEnv::open().await;
    let mut client = env.provisioning();
    use Code::{FailedPrecondition, Internal, NotFound};
    let cases = [
        (400, "SUBSCRIBER_NOT_FOUND", NotFound, "SIM_NOT_FOUND"),
        (404, "PRODUCT_NOT_FOUND", NotFound, "PRODUCT_NOT_FOUND"),
        (
            409,
            "PRODUCT_NOT_ELIGIBLE",
            FailedPrecondition,
            "PRODUCT_NOT_ELIGIBLE",
        ),
        (402, "INSUFFICIENT_FUND", FailedPrecondition, "INSUFFICIENT_FUNDS"),
        (
            400,
            "SUBSCRIBER_STATUS_NOT_ELIGIBLE",
            FailedPrecondition,
            "SIM_STATUS_NOT_ELIGIBLE",
        ),
        (422, "SOMETHING_NEW", FailedPrecondition, "PROVIDER_REJECTED"),
        (
            501,
            "NOT_IMPLEMENTED",
            FailedPrecondition,
            "OPERATION_NOT_ENABLED",
        ),
        (
            403,
            "INSUFFICIENT_PERMISSION",
            Internal,
            "PROVIDER_CREDENTIALS_REJECTED",
        ),
        (400, "BAD_REQUEST", Internal, "PROVIDER_PROTOCOL"),
        (404, "NOT_FOUND", Internal, "PROVIDER_PROTOCOL"),
    ];
    for (at, (status, title, code, expected)) in cases.into_iter().enumerate() {
        fault(&env, Fault::problem(status, title));
        let request = api::CreateOrderRequest {
            activation: api::ActivationMode::OnFirstUse.into(),
            ..order(FRESH)
        };
        let refused = create(&mut client, &request).await.unwrap_err();
        let error = reason(&refused);
        assert_eq!((error.code, error.reason.as_str()), (code, expected), "{title}");
        assert_eq!(error.metadata["provider_code"], title);
        let order = get(&mut client, &request).await.unwrap();
        assert_eq!(order.state(), OrderState::Rejected, "{title}");
        assert_eq!(error.metadata["order_id"], order.order_id);
        assert_eq!(
            order.failure.unwrap().reason().as_str_name(),
            format!("ERROR_REASON_{expected}")
        );
        // The same again: the same answer, and nothing sent.
        let again = create(&mut client, &request).await.unwrap_err();
        assert_eq!(
            (again.code(), again.message()),
            (refused.code(), refused.message())
        );
        assert_eq!(sent(&env), at as u64 + 1, "{title}");
    }
    assert_eq!(bought(&env, FRESH), 0);
}

#[tokio::test]
async fn what_was_not_sent_may_be_asked_for_again() {
    let env = TestEnv::open().await;
    let mut client = env.provisioning();
    let cases = [
        (
            Fault::RateLimited {
                retry_after: Some(Duration::from_secs(3)),
            }
            .step(),
            "PROVIDER_RATE_LIMITED",
        ),
        (
            Fault::Unauthorized.step().times(2),
            "PROVIDER_CREDENTIALS_REJECTED",
        ),
    ];
    for (step, expected) in cases {
        fault(&env, step);
        let request = order(FRESH);
        let error = reason(&create(&mut client, &request).await.unwrap_err());
        assert_eq!(error.reason, expected);
        assert!(!error.metadata.contains_key("order_id"), "{expected}");
        assert_eq!(
            reason(&get(&mut client, &request).await.unwrap_err()).reason,
            "ORDER_NOT_FOUND"
        );
        let before = bought(&env, FRESH);
        assert_eq!(
            create(&mut client, &request).await.unwrap().state(),
            OrderState::Placed,
            "{expected}"
        );
        assert_eq!(bought(&env, FRESH), before + 1);
    }
    // One 401 is a token that was revoked: nobody notices.
    fault(&env, Fault::Unauthorized);
    assert_eq!(
        create(&mut client, &order(FRESH)).await.unwrap().state(),
        OrderState::Placed
    );
}

#[tokio::test]
async fn no_connection_is_certainly_not_sent() {
    let env = TestEnv::open().await;
    let mut client = env.provisioning();
    let request = order(FRESH);
    // All is read; then the provider goes away before the order is sent.
    env.control()
        .queue(Script::on("GET", SUBSCRIPTIONS).then(Fault::hold("read")));
    let call = spawn_create(client.clone(), &request);
    env.control().until_held("read", 1).await;
    env.control().set_price(FRANCE, 100);
    env.control().release("read");
    let first = call.await.unwrap();
    assert_eq!(first.unwrap().state(), OrderState::Placed);
    env.control().set_dead(true).await.unwrap();
    let error = reason(&create(&mut client, &order(FRESH)).await.unwrap_err());
    assert_eq!(
        (error.code, error.reason.as_str()),
        (Code::Unavailable, "PROVIDER_UNAVAILABLE")
    );
    env.control().set_dead(false).await.unwrap();
    assert_eq!(bought(&env, FRESH), 1);
}

#[tokio::test]
async fn an_outcome_that_is_not_known_is_found_out() {
    let waiting = async |send_timeout: &str| {
        let settings = [QUICK.as_slice(), &[("ORDERS__SEND_TIMEOUT", send_timeout)]].concat();
        TestEnv::with(&settings).await
    };
    // An answer that hangs is given up soon; no other is.
    let (ordinary, hanging) = (waiting("5s").await, waiting("1s").await);
    let faults = || {
        [
            Fault::Reset,
            Fault::Close,
            Fault::Hang,
            Fault::status(500),
            Fault::status(503),
            Fault::status(504),
            Fault::body(400, "no title"),
            Fault::body(302, ""),
            Fault::Garbage,
            Fault::Html,
            Fault::Truncated,
            Fault::body(200, "{}"),
        ]
    };
    for done in [true, false] {
        for (at, kind) in faults().into_iter().enumerate() {
            let msisdn = format!("8824700000000{:02}", 41 + at);
            let name = format!("{kind:?}, carried out: {done}");
            let env = match kind {
                Fault::Hang => &hanging,
                _ => &ordinary,
            };
            let mut client = env.provisioning();
            fault(env, if done { kind.after_commit() } else { kind.step() });
            let request = api::CreateOrderRequest {
                activation: api::ActivationMode::OnFirstUse.into(),
                ..order(&msisdn)
            };
            env.control()
                .set_sim_status(&msisdn, SimStatus::PreActivated)
                .unwrap();
            let (before, posts) = (bought(env, &msisdn), sent(env));
            let answer = create(&mut client, &request).await.unwrap();
            assert_eq!(answer.state(), OrderState::Unknown, "{name}");
            assert!(answer.next_check_at.is_some(), "{name}");
            let state = if done {
                OrderState::Placed
            } else {
                OrderState::NotPlaced
            };
            let order = until_state(&mut client, &request, state).await;
            assert_eq!(order.order_id, answer.order_id, "{name}");
            assert_eq!(bought(env, &msisdn) - before, usize::from(done), "{name}");
            assert_eq!(sent(env) - posts, 1, "{name}");
            if done {
                let subscriptions = env.control().subscriptions_by_reference(&order.order_id);
                assert_eq!(
                    subscriptions[0].subscription_id.to_string(),
                    order.subscription_id,
                    "{name}"
                );
            } else {
                // Now it may be sent again, and keeps its id.
                let again = create(&mut client, &request).await.unwrap();
                assert_eq!(
                    (again.state(), &again.order_id),
                    (OrderState::Placed, &order.order_id),
                    "{name}"
                );
            }
        }
    }
}

#[tokio::test]
async fn an_answer_that_names_no_subscription_is_completed() {
    let env = TestEnv::with(&QUICK).await;
    let control = env.control();
    control.configure(|settings| settings.answers_name_subscription = false);
    let mut client = env.provisioning();
    let request = order(FRESH);
    assert_eq!(
        create(&mut client, &request).await.unwrap().state(),
        OrderState::Placed
    );
    until("the subscription is found", async || {
        !get(&mut client, &request)
            .await
            .unwrap()
            .subscription_id
            .is_empty()
    })
    .await;
    let order = get(&mut client, &request).await.unwrap();
    let subscriptions = control.subscriptions_by_reference(&order.order_id);
    assert_eq!(
        subscriptions[0].subscription_id.to_string(),
        order.subscription_id
    );
    assert!(order.next_check_at.is_none());
}

#[tokio::test]
async fn a_subscription_that_never_shows_is_not_looked_for_for_ever() {
    let brief = [("ORDERS__ESCALATE_AFTER", "500ms")];
    let settings = [QUICK.as_slice(), &brief].concat();
    let env = TestEnv::with(&settings).await;
    let receipt = r#"{"orderReference":"R","status":"done"}"#;
    fault(&env, Fault::body(201, receipt));
    let mut client = env.provisioning();
    let request = order(FRESH);
    let placed = create(&mut client, &request).await.unwrap();
    assert_eq!(placed.state(), OrderState::Placed);
    until("it is given up", async || {
        let order = get(&mut client, &request).await.unwrap();
        assert_eq!(order.state(), OrderState::Placed);
        order.next_check_at.is_none()
    })
    .await;
    assert_eq!(sent(&env), 1);
}

#[tokio::test]
async fn ambiguous_subscriptions_are_left_to_an_operator() {
    let env = TestEnv::with(&QUICK).await;
    let control = env.control();
    let mut client = env.provisioning();
    // Somebody else buys the same for the same SIM while our order is lost.
    env.control()
        .queue(Script::on("POST", ORDERS).then(Fault::Reset.after_commit()));
    env.control().queue(
        Script::on("GET", SUBSCRIPTIONS)
            .then(Fault::Pass)
            .then(Fault::hold("look").step().forever()),
    );
    let request = order(FRESH);
    assert_eq!(
        create(&mut client, &request).await.unwrap().state(),
        OrderState::Unknown
    );
    let others = control.grant(FRESH, FRANCE).unwrap();
    control.clear_faults();
    until("nobody waits", async || {
        control.release("look");
        get(&mut client, &request).await.unwrap().state() == OrderState::NeedsOperator
    })
    .await;
    let order = get(&mut client, &request).await.unwrap();
    assert!(order.failure.unwrap().message.contains("cannot be determined"));
    // It stays in the way of another one.
    let error = reason(&create(&mut client, &self::order(FRESH)).await.unwrap_err());
    assert_eq!(error.reason, "ORDER_IN_PROGRESS");
    assert_eq!(
        create(&mut client, &request).await.unwrap().state(),
        OrderState::NeedsOperator
    );

    let subscriptions = control.subscriptions_by_reference(&order.order_id);
    let ours = subscriptions[0].subscription_id.to_string();
    let resolve = api::ResolveOrderRequest {
        order_id: order.order_id.clone(),
        resolution: api::OperatorResolution::Placed.into(),
        subscription_id: ours.clone(),
        note: "seen in the portal".into(),
    };
    let resolved = client
        .resolve_order(resolve.clone())
        .await
        .unwrap()
        .into_inner()
        .order
        .unwrap();
    assert_eq!(
        (resolved.state(), &resolved.subscription_id),
        (OrderState::Placed, &ours)
    );
    let decision = resolved.operator_decision.unwrap();
    assert_eq!(
        (decision.caller.as_str(), decision.note.as_str()),
        ("", "seen in the portal")
    );
    let read = get(&mut client, &request).await.unwrap();
    assert_eq!(read.operator_decision, Some(decision));
    assert_eq!(order.operator_decision, None);
    // The same word again is fine, another one is too late.
    client.resolve_order(resolve.clone()).await.unwrap();
    let other = api::ResolveOrderRequest {
        subscription_id: others.to_string(),
        ..resolve.clone()
    };
    let error = reason(&client.resolve_order(other).await.unwrap_err());
    assert_eq!(
        (error.code, error.reason.as_str()),
        (Code::FailedPrecondition, "ORDER_NOT_RESOLVABLE")
    );
    assert_eq!(error.metadata["state"], "PLACED");
    let unknown = api::ResolveOrderRequest {
        order_id: Uuid::now_v7().to_string(),
        ..resolve
    };
    let error = reason(&client.resolve_order(unknown).await.unwrap_err());
    assert_eq!(error.reason, "ORDER_NOT_FOUND");
    assert_eq!(sent(&env), 1);
}

#[tokio::test]
async fn an_inventory_that_cannot_be_read_ends_with_an_operator() {
    let env = only_an_operator_can_settle("400ms").await;
    let mut client = env.provisioning();
    let request = order(FRESH);
    assert_eq!(
        create(&mut client, &request).await.unwrap().state(),
        OrderState::Unknown
    );
    let order = until_state(&mut client, &request, OrderState::NeedsOperator).await;
    assert!(order.failure.unwrap().message.contains("could not be read"));
}
