//! How an operation on a SIM ends: with its transaction, found out from the SIM,
//! or left to an operator.

use std::time::Duration;

use api::SimOperationState::{Failed, Pending, Succeeded, Unknown};
use tonic::{Code, Request};
use transatel_gateway_client::connectivity::v1 as api;
use transatel_simulator::{Fault, Outcome, Script, SimStatus};
use uuid::Uuid;

use super::{Action, Change, IN_USE, fault, sent, suspend};
use crate::support::gateway::{LINE, SUSPEND, TRANSACTION, TestEnv, by_msisdn, reason, spawn, until};
use crate::writes::sim_operations_refusals::refusal;

#[tokio::test]
async fn an_operation_ends_as_its_transaction_does() {
    // Nobody looks at the SIM itself, unless it is given up.
    let env = TestEnv::with_operations(&[("ORDERS__ESCALATE_AFTER", "1h")]).await;
    let control = env.control();
    let mut client = env.provisioning();
    for member in ["transactionStatus", "status"] {
        control.configure(|settings| settings.operations.status_member = member.to_owned());
        for (outcome, expected) in [
            (Outcome::Fail, Failed),
            (Outcome::Reject, Failed),
            (Outcome::Finish, Succeeded),
        ] {
            control.set_sim_status(IN_USE, SimStatus::Active).unwrap();
            control.decide_operation(IN_USE, outcome, None).unwrap();
            let request = suspend(IN_USE);
            assert_eq!(
                request.send(&mut client).await.unwrap().state(),
                Pending,
                "{member} {outcome:?}"
            );
            let over = request.until(&mut client, expected).await;
            let suspended = control.sim(IN_USE).unwrap().status == SimStatus::Suspended;
            assert_eq!(suspended, expected == Succeeded, "{member} {outcome:?}");
            // It failed for good: a repeat does not send it again.
            let before = sent(&env);
            assert_eq!(request.send(&mut client).await.unwrap(), over);
            assert_eq!(sent(&env), before);
        }
    }
    // What could not be read is read again.
    control.set_sim_status(IN_USE, SimStatus::Active).unwrap();
    fault(&env, TRANSACTION, Fault::status(503).step().times(2));
    let request = suspend(IN_USE);
    request.send(&mut client).await.unwrap();
    request.until(&mut client, Succeeded).await;
}

#[tokio::test]
async fn an_operation_that_is_answered_202_is_followed_to_its_end_too() {
    let env = TestEnv::with_operations(&[("ORDERS__ESCALATE_AFTER", "1h")]).await;
    let control = env.control();
    let mut client = env.provisioning();
    control.configure(|settings| settings.operations.answers_accepted = true);
    for (outcome, expected) in [(Outcome::Fail, Failed), (Outcome::Finish, Succeeded)] {
        control.decide_operation(IN_USE, outcome, None).unwrap();
        let request = suspend(IN_USE);
        let accepted = request.send(&mut client).await.unwrap();
        assert_eq!(accepted.state(), Pending, "{outcome:?}");
        assert!(
            !accepted.provider_reference.is_empty(),
            "its transaction is known"
        );
        request.until(&mut client, expected).await;
    }
    let requests = control.requests();
    let posts = requests.iter().filter(|request| request.route == Some(SUSPEND));
    let statuses: Vec<_> = posts.map(|post| post.status).collect();
    assert_eq!(statuses, [Some(202), Some(202)]);
}

#[tokio::test]
async fn an_operation_that_hangs_is_given_up_and_found_out_from_the_sim() {
    let settings = [
        ("OPERATIONS__GIVE_UP_AFTER", "700ms"),
        ("ORDERS__ESCALATE_AFTER", "1h"),
    ];
    let env = TestEnv::with_operations(&settings).await;
    let control = env.control();
    let mut client = env.provisioning();
    control.decide_operation(IN_USE, Outcome::Hang, None).unwrap();
    let request = suspend(IN_USE);
    assert_eq!(request.send(&mut client).await.unwrap().state(), Pending);
    let given_up = request.until(&mut client, Unknown).await;
    assert!(!given_up.needs_operator && given_up.next_check_at.is_some());
    assert_eq!(request.send(&mut client).await.unwrap().state(), Unknown);
    // It stays in the way of others: what becomes of it is still open.
    let refused = suspend(IN_USE).send(&mut client).await.unwrap_err();
    assert_eq!(
        refusal(&refused),
        (Code::Aborted, "SIM_OPERATION_IN_PROGRESS".into())
    );
    // The transaction says nothing, the SIM does.
    control.set_sim_status(IN_USE, SimStatus::Suspended).unwrap();
    request.until(&mut client, Succeeded).await;
    assert_eq!(sent(&env), 1);
}

#[tokio::test]
async fn an_outcome_that_cannot_be_found_out_is_left_to_an_operator() {
    let settings = [
        ("OPERATIONS__GIVE_UP_AFTER", "50ms"),
        ("ORDERS__ESCALATE_AFTER", "100ms"),
        ("ORDERS__SETTLE_WINDOW", "50ms"),
    ];
    let env = TestEnv::with_operations(&settings).await;
    let control = env.control();
    let mut client = env.provisioning();
    for (resolution, other, expected) in [
        (
            api::OperatorResolution::NotPlaced,
            api::OperatorResolution::Placed,
            Failed,
        ),
        (
            api::OperatorResolution::Placed,
            api::OperatorResolution::NotPlaced,
            Succeeded,
        ),
    ] {
        control.decide_operation(IN_USE, Outcome::Hang, None).unwrap();
        let request = suspend(IN_USE);
        request.send(&mut client).await.unwrap();
        until("an operator is needed", async || {
            request.get(&mut client).await.unwrap().needs_operator
        })
        .await;
        let stuck = request.get(&mut client).await.unwrap();
        assert_eq!(stuck.state(), Unknown);
        assert!(stuck.failure.unwrap().message.contains("could not be read"));
        assert!(stuck.next_check_at.is_none());
        let refused = suspend(IN_USE).send(&mut client).await.unwrap_err();
        let error = reason(&refused);
        assert_eq!(error.reason, "SIM_OPERATION_IN_PROGRESS");
        assert_eq!(error.metadata["operation_id"], stuck.operation_id);

        let word = |resolution: api::OperatorResolution| api::ResolveSimOperationRequest {
            operation_id: stuck.operation_id.clone(),
            resolution: resolution.into(),
            note: "seen in the portal".into(),
        };
        for _ in 0..2 {
            let answer = client.resolve_sim_operation(word(resolution)).await.unwrap();
            let resolved = answer.into_inner().operation.unwrap();
            assert_eq!((resolved.state(), resolved.needs_operator), (expected, false));
        }
        let late = reason(&client.resolve_sim_operation(word(other)).await.unwrap_err());
        assert_eq!(late.reason, "ORDER_NOT_RESOLVABLE");
        let state = expected.as_str_name().trim_start_matches("SIM_OPERATION_STATE_");
        assert_eq!(late.metadata["state"], state);
        // The SIM is free again, here and at the provider.
        let pending = control.sim(IN_USE).unwrap().pending.unwrap();
        control.end_transaction(pending, false).unwrap();
    }
    let unknown = api::ResolveSimOperationRequest {
        operation_id: Uuid::now_v7().to_string(),
        resolution: api::OperatorResolution::Placed.into(),
        note: String::new(),
    };
    let error = reason(&client.resolve_sim_operation(unknown).await.unwrap_err());
    assert_eq!(error.reason, "SIM_OPERATION_NOT_FOUND");
}

#[tokio::test]
async fn a_label_that_does_not_show_is_left_to_an_operator() {
    let env = TestEnv::with_operations(&[("ORDERS__SETTLE_WINDOW", "50ms")]).await;
    let mut client = env.provisioning();
    env.control()
        .configure(|settings| settings.operations.labels_shown = false);
    let modify = "/connectivity-management/subscribers/api/subscribers/sim-serial/{simSerial}/modify";
    env.control()
        .queue(Script::on("POST", modify).then(Fault::Reset.after_commit()));
    let request = api::UpdateSimRequest {
        request_id: Uuid::new_v4().to_string(),
        sim: by_msisdn(IN_USE),
        reference: Some("shelf 7".into()),
        ..Default::default()
    };
    let answer = client.update_sim(request.clone()).await.unwrap().into_inner();
    assert_eq!(answer.operation.unwrap().state(), Unknown);
    until("an operator is needed", async || {
        let answer = client.update_sim(request.clone()).await.unwrap().into_inner();
        answer.operation.unwrap().needs_operator
    })
    .await;
    assert_eq!(env.control().received("POST", modify), 1);
}

#[tokio::test]
async fn an_outcome_that_is_not_known_is_found_out_from_the_sim() {
    let waiting =
        async |send_timeout: &str| TestEnv::with_operations(&[("ORDERS__SEND_TIMEOUT", send_timeout)]).await;
    // An answer that hangs is given up soon; no other is.
    let (ordinary, hanging) = (waiting("5s").await, waiting("1s").await);
    let faults = || {
        [
            Fault::Reset,
            Fault::Close,
            Fault::Hang,
            Fault::status(500),
            Fault::status(504),
            Fault::body(400, "no title"),
            Fault::body(409, "no title"),
            Fault::Garbage,
            Fault::Truncated,
            Fault::body(201, "{}"),
        ]
    };
    for done in [true, false] {
        for kind in faults() {
            let name = format!("{kind:?}, carried out: {done}");
            let env = match kind {
                Fault::Hang => &hanging,
                _ => &ordinary,
            };
            let (control, mut client) = (env.control(), env.provisioning());
            control.set_sim_status(IN_USE, SimStatus::Active).unwrap();
            fault(env, SUSPEND, if done { kind.after_commit() } else { kind.step() });
            let posts = sent(env);
            let request = suspend(IN_USE);
            assert_eq!(
                request.send(&mut client).await.unwrap().state(),
                Unknown,
                "{name}"
            );
            let over = request
                .until(&mut client, if done { Succeeded } else { Failed })
                .await;
            assert!(over.provider_reference.is_empty(), "{name}");
            let suspended = control.sim(IN_USE).unwrap().status == SimStatus::Suspended;
            assert_eq!(suspended, done, "{name}");
            assert_eq!(request.send(&mut client).await.unwrap(), over, "{name}");
            assert_eq!(sent(env) - posts, 1, "{name}");
        }
    }
}

#[tokio::test]
async fn a_caller_that_goes_away_or_is_late_changes_nothing() {
    let env = TestEnv::with_operations(&[]).await;
    let control = env.control();
    let mut client = env.provisioning();
    fault(&env, SUSPEND, Fault::hold("post"));
    let request = suspend(IN_USE);
    let call = spawn({
        let (mut client, request) = (client.clone(), request.clone());
        async move { request.send(&mut client).await }
    });
    control.until_held("post", 1).await;
    call.abort();
    let _ = call.await;
    let mut late = Request::new(api::SuspendSimRequest {
        request_id: request.request_id.clone(),
        sim: request.sim.clone(),
        ..Default::default()
    });
    late.set_timeout(Duration::from_millis(900));
    // The gateway alone keeps the time.
    let mut untimed = env.untimed_provisioning();
    let late = untimed.suspend_sim(late).await.unwrap().into_inner();
    assert_eq!(late.operation.unwrap().state(), Pending);
    control.release("post");
    request.until(&mut client, Succeeded).await;
    assert_eq!(sent(&env), 1);
    // Without time nothing is sent and nothing kept.
    fault(&env, LINE, Fault::hold("read"));
    let request = Change::new(IN_USE, Action::Reactivate);
    let mut brief = Request::new(api::ReactivateSimRequest {
        request_id: request.request_id.clone(),
        sim: request.sim.clone(),
        ..Default::default()
    });
    brief.set_timeout(Duration::from_millis(300));
    let error = untimed.reactivate_sim(brief).await.unwrap_err();
    assert_eq!(error.code(), Code::DeadlineExceeded);
    control.release("read");
    assert!(request.get(&mut client).await.is_err());
}
