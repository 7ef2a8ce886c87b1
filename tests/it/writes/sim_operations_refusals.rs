//! Operations on SIMs that are refused, here or by the provider, and what
//! that leaves behind.

use api::SimOperationState::{Failed, Pending, Succeeded};
use tonic::{Code, Status};
use transatel_gateway_client::connectivity::v1 as api;
use transatel_simulator::Fault;
use uuid::Uuid;

use crate::support::gateway::{SUSPEND, TestEnv, by_iccid, by_msisdn, reason, spawn, violations};
use crate::writes::orders;
use crate::writes::sim_operations::{Action, Change, IN_USE, PLAN, fault, sent, suspend};

/// The code and the reason of a refusal.
pub fn refusal(status: &Status) -> (Code, String) {
    let error = reason(status);
    (error.code, error.reason)
}

#[tokio::test]
async fn what_is_not_enabled_is_neither_read_nor_written() {
    let env = TestEnv::open().await;
    let mut client = env.provisioning();
    let requests = [
        Action::Activate,
        Action::Suspend,
        Action::Reactivate,
        Action::Terminate {
            confirm: "8988247000000000381".into(),
        },
        Action::Update {
            group: "G".into(),
            metadata: Vec::new(),
        },
        Action::Swap {
            new_iccid: "8988247000000000407".into(),
        },
    ];
    for action in requests {
        let request = Change::new(IN_USE, action);
        let refused = request.send(&mut client).await.unwrap_err();
        let expected = (Code::FailedPrecondition, "OPERATION_NOT_ENABLED".to_owned());
        assert_eq!(refusal(&refused), expected, "{request:?}");
        let unknown = request.get(&mut client).await.unwrap_err();
        assert_eq!(
            refusal(&unknown),
            (Code::NotFound, "SIM_OPERATION_NOT_FOUND".into())
        );
    }
    assert_eq!(env.control().counters().requests, Default::default());
}

#[tokio::test]
async fn a_definite_refusal_is_an_error_and_stays_one() {
    let env = TestEnv::with_operations(&[]).await;
    let mut client = env.provisioning();
    use Code::{FailedPrecondition, Internal, NotFound};
    let text = "Invalid SIM serial / SIM card doesn't belong to customer";
    let unknown_sim = format!(r#"{{"title":"BAD_REQUEST","detail":"{text}"}}"#);
    for (at, (step, code, expected)) in [
        (Fault::body(400, unknown_sim), NotFound, "SIM_NOT_FOUND"),
        (
            Fault::problem(404, "SUBSCRIBER_NOT_FOUND"),
            NotFound,
            "SIM_NOT_FOUND",
        ),
        (
            Fault::problem(400, "BAD_REQUEST"),
            FailedPrecondition,
            "PROVIDER_REJECTED",
        ),
        (
            Fault::problem(422, "SOMETHING_NEW"),
            FailedPrecondition,
            "PROVIDER_REJECTED",
        ),
        (
            Fault::problem(403, "INSUFFICIENT_PERMISSION"),
            FailedPrecondition,
            "OPERATION_NOT_ENABLED",
        ),
        (
            Fault::problem(501, "NOT_IMPLEMENTED"),
            FailedPrecondition,
            "OPERATION_NOT_ENABLED",
        ),
        (Fault::problem(404, "NOT_FOUND"), Internal, "PROVIDER_PROTOCOL"),
    ]
    .into_iter()
    .enumerate()
    {
        fault(&env, SUSPEND, step);
        let request = suspend(IN_USE);
        let refused = request.send(&mut client).await.unwrap_err();
        assert_eq!(refusal(&refused), (code, expected.into()));
        let operation = request.get(&mut client).await.unwrap();
        assert_eq!(operation.state(), Failed, "{expected}");
        assert_eq!(reason(&refused).metadata["operation_id"], operation.operation_id);
        let failure = operation.failure.unwrap();
        assert_eq!(failure.reason().as_str_name(), format!("ERROR_REASON_{expected}"));
        let again = request.send(&mut client).await.unwrap_err();
        assert_eq!(
            (again.code(), again.message()),
            (refused.code(), refused.message())
        );
        assert_eq!(sent(&env), at as u64 + 1, "{expected}");
    }
    // What the provider itself refuses, and no document says of its status.
    let preactivated = "882470000000001";
    let refused = suspend(preactivated).send(&mut client).await.unwrap_err();
    assert_eq!(
        refusal(&refused),
        (FailedPrecondition, "SIM_STATUS_NOT_ELIGIBLE".into())
    );
    assert_eq!(reason(&refused).metadata["provider_code"], "BAD_REQUEST");
    assert_eq!(reason(&refused).metadata["sim_status"], "PREACTIVATED");
}

#[tokio::test]
async fn a_sim_that_the_provider_does_not_know_is_not_found() {
    let env = TestEnv::with_operations(&[]).await;
    let mut client = env.provisioning();
    for bad_request in [true, false] {
        env.control()
            .configure(|settings| settings.unknown_sim_is_bad_request = bad_request);
        for sim in [by_msisdn("999000000000000"), by_iccid("8999900000000000006")] {
            let request = Change {
                sim,
                ..suspend(IN_USE)
            };
            let refused = request.send(&mut client).await.unwrap_err();
            assert_eq!(refusal(&refused), (Code::NotFound, "SIM_NOT_FOUND".into()));
            assert!(!reason(&refused).metadata.contains_key("operation_id"));
        }
    }
    env.control().deny("/connectivity-management");
    let refused = suspend(IN_USE).send(&mut client).await.unwrap_err();
    assert_eq!(
        refusal(&refused),
        (Code::FailedPrecondition, "OPERATION_NOT_ENABLED".into())
    );
    assert_eq!(sent(&env), 0);
}

#[tokio::test]
async fn one_operation_at_a_time_for_a_sim() {
    let env = TestEnv::with_operations(&[]).await;
    let control = env.control();
    let mut client = env.provisioning();
    fault(&env, SUSPEND, Fault::hold("post"));
    let first = suspend(IN_USE);
    let running = spawn({
        let (mut client, first) = (client.clone(), first.clone());
        async move { first.send(&mut client).await }
    });
    control.until_held("post", 1).await;
    let update = Change::new(
        IN_USE,
        Action::Update {
            group: "G".into(),
            metadata: Vec::new(),
        },
    );
    let refused = update.send(&mut client).await.unwrap_err();
    assert_eq!(
        refusal(&refused),
        (Code::Aborted, "SIM_OPERATION_IN_PROGRESS".into())
    );
    let standing = first.get(&mut client).await.unwrap();
    assert_eq!(standing.state(), Pending);
    assert_eq!(reason(&refused).metadata["operation_id"], standing.operation_id);
    // Subscriptions and other SIMs are no matter of it.
    orders::create(&mut client, &orders::order(IN_USE)).await.unwrap();
    suspend("882470000000003").send(&mut client).await.unwrap();
    control.release("post");
    running.await.unwrap().unwrap();
    first.until(&mut client, Succeeded).await;
    // Nothing was kept of the second: it can be sent now.
    update.send(&mut client).await.unwrap();
    update.until(&mut client, Succeeded).await;
}

#[tokio::test]
async fn what_the_provider_is_too_busy_for_may_be_asked_for_again() {
    let env = TestEnv::with_operations(&[]).await;
    let control = env.control();
    let mut client = env.provisioning();
    fault(&env, SUSPEND, Fault::problem(409, "CONFLICT"));
    let request = suspend(IN_USE);
    let refused = request.send(&mut client).await.unwrap_err();
    assert_eq!(
        refusal(&refused),
        (Code::Aborted, "SIM_OPERATION_IN_PROGRESS".into())
    );
    assert_eq!(reason(&refused).metadata["provider_code"], "CONFLICT");
    assert!(request.get(&mut client).await.is_err());

    fault(&env, SUSPEND, Fault::RateLimited { retry_after: None });
    let refused = request.send(&mut client).await.unwrap_err();
    assert_eq!(
        refusal(&refused),
        (Code::ResourceExhausted, "PROVIDER_RATE_LIMITED".into())
    );
    assert!(request.get(&mut client).await.is_err());

    request.send(&mut client).await.unwrap();
    request.until(&mut client, Succeeded).await;
    assert_eq!(control.transactions(Some(IN_USE)).unwrap().len(), 1);
}

#[tokio::test]
async fn a_request_id_identifies_one_request_of_any_kind() {
    let env = TestEnv::with_operations(&[]).await;
    let mut client = env.provisioning();
    let request = suspend(IN_USE);
    let begun = request.send(&mut client).await.unwrap();
    let with = |action: Action| Change {
        action,
        ..request.clone()
    };
    for other in [
        with(Action::Reactivate),
        Change {
            sim: by_msisdn("882470000000003"),
            ..request.clone()
        },
        Change {
            plan: "OTHER".into(),
            ..request.clone()
        },
    ] {
        let refused = other.send(&mut client).await.unwrap_err();
        assert_eq!(
            refusal(&refused),
            (Code::InvalidArgument, "REQUEST_ID_REUSED".into())
        );
    }
    // An order is no operation, and the other way round.
    let order = api::CreateOrderRequest {
        request_id: request.request_id.clone(),
        ..orders::order(IN_USE)
    };
    let refused = orders::create(&mut client, &order).await.unwrap_err();
    assert_eq!(reason(&refused).reason, "REQUEST_ID_REUSED");
    assert_eq!(
        reason(&orders::get(&mut client, &order).await.unwrap_err()).reason,
        "ORDER_NOT_FOUND"
    );
    let resolve = api::ResolveOrderRequest {
        order_id: begun.operation_id.clone(),
        resolution: api::OperatorResolution::NotPlaced.into(),
        ..Default::default()
    };
    let refused = client.resolve_order(resolve).await.unwrap_err();
    assert_eq!(reason(&refused).reason, "ORDER_NOT_FOUND");

    let order = orders::order("882470000000001");
    let placed = orders::create(&mut client, &order).await.unwrap();
    let as_operation = Change {
        request_id: order.request_id.clone(),
        ..suspend("882470000000001")
    };
    let refused = as_operation.send(&mut client).await.unwrap_err();
    assert_eq!(reason(&refused).reason, "REQUEST_ID_REUSED");
    for key in [
        api::get_sim_operation_request::Key::OperationId(placed.order_id.clone()),
        api::get_sim_operation_request::Key::RequestId(order.request_id.clone()),
    ] {
        let request = api::GetSimOperationRequest {
            key: Some(key),
            wait: None,
        };
        let refused = client.get_sim_operation(request).await.unwrap_err();
        assert_eq!(reason(&refused).reason, "SIM_OPERATION_NOT_FOUND");
    }
    let listed = client
        .list_orders(api::ListOrdersRequest::default())
        .await
        .unwrap();
    let listed: Vec<_> = listed
        .into_inner()
        .orders
        .into_iter()
        .map(|order| order.order_id)
        .collect();
    assert_eq!(listed, [placed.order_id]);
    assert_eq!(sent(&env), 1);
}

#[tokio::test]
async fn a_sim_is_ended_only_by_its_own_card() {
    let env = TestEnv::with_operations(&[]).await;
    let control = env.control();
    let mut client = env.provisioning();
    let card = control.sim(IN_USE).unwrap().iccid;
    let end = |confirm: &str| {
        Change::new(
            IN_USE,
            Action::Terminate {
                confirm: confirm.to_owned(),
            },
        )
    };
    for wrong in ["", "8988247", "8988247000000000019"] {
        let refused = end(wrong).send(&mut client).await.unwrap_err();
        assert_eq!(violations(&refused), ["confirm_iccid"], "{wrong}");
    }
    assert!(control.transactions(Some(IN_USE)).unwrap().is_empty());
    let request = end(&card);
    request.send(&mut client).await.unwrap();
    request.until(&mut client, Succeeded).await;
    let other = Change {
        action: Action::Terminate {
            confirm: "8988247000000000019".into(),
        },
        ..request
    };
    let refused = other.send(&mut client).await.unwrap_err();
    assert_eq!(reason(&refused).reason, "REQUEST_ID_REUSED");
}

#[tokio::test]
async fn a_plan_is_the_callers_or_the_settings() {
    let env = TestEnv::with_operations(&[("TRANSATEL__RATE_PLAN", "")]).await;
    let mut client = env.provisioning();
    let refused = suspend(IN_USE).send(&mut client).await.unwrap_err();
    assert_eq!(violations(&refused), ["plan"]);
    assert_eq!(env.control().counters().requests, Default::default());
    let request = Change {
        plan: PLAN.into(),
        ..suspend(IN_USE)
    };
    request.send(&mut client).await.unwrap();
    request.until(&mut client, Succeeded).await;
    // A plan that is not the account's is the provider's to refuse.
    let foreign = Change {
        plan: "MVNA Wholesale PAYM 7".into(),
        ..Change::new(IN_USE, Action::Reactivate)
    };
    let refused = foreign.send(&mut client).await.unwrap_err();
    assert_eq!(reason(&refused).reason, "PROVIDER_REJECTED");
}

#[tokio::test]
async fn bad_input_names_everything_and_sends_nothing() {
    let env = TestEnv::with_operations(&[]).await;
    let mut client = env.provisioning();
    let bad = Change {
        request_id: "17".into(),
        sim: by_msisdn("abc"),
        action: Action::Suspend,
        plan: "p".repeat(51),
    };
    let common = ["plan", "request_id", "sim.msisdn"];
    for action in [Action::Activate, Action::Suspend, Action::Reactivate] {
        let bad = Change {
            action,
            ..bad.clone()
        };
        assert_eq!(violations(&bad.send(&mut client).await.unwrap_err()), common);
    }
    for (action, field) in [
        (Action::Terminate { confirm: "x".into() }, "confirm_iccid"),
        (
            Action::Swap {
                new_iccid: "y".into(),
            },
            "new_iccid",
        ),
    ] {
        let bad = Change {
            action,
            ..bad.clone()
        };
        let fields = violations(&bad.send(&mut client).await.unwrap_err());
        assert_eq!(fields, [&[field], common.as_slice()].concat());
    }
    let update = |group: String, metadata: Vec<(String, String)>| {
        Change::new(IN_USE, Action::Update { group, metadata })
    };
    let entry = |key: String, value: String| vec![(key, value)];
    let eleven = (0..11)
        .map(|number| (format!("k{number}"), "v".to_owned()))
        .collect();
    for (request, fields) in [
        (update(String::new(), Vec::new()), &["group"][..]),
        (update("g".repeat(101), Vec::new()), &["group"]),
        (update("g".into(), eleven), &["metadata"]),
        (
            update("g".into(), entry("k".repeat(51), "v".into())),
            &["metadata"],
        ),
        (
            update("g".into(), entry(String::new(), "v".into())),
            &["metadata"],
        ),
        (
            update("g".into(), entry("k".into(), "v".repeat(256))),
            &["metadata"],
        ),
    ] {
        assert_eq!(
            violations(&request.send(&mut client).await.unwrap_err()),
            fields,
            "{request:?}"
        );
    }
    let nothing = api::UpdateSimRequest {
        request_id: Uuid::new_v4().to_string(),
        sim: by_msisdn(IN_USE),
        ..Default::default()
    };
    let too_long = api::UpdateSimRequest {
        reference: Some("r".repeat(101)),
        ..nothing.clone()
    };
    for (request, field) in [(nothing, "group"), (too_long, "reference")] {
        let refused = client.update_sim(request).await.unwrap_err();
        assert_eq!(violations(&refused), [field]);
    }
    let keyless = api::GetSimOperationRequest::default();
    assert_eq!(
        violations(&client.get_sim_operation(keyless).await.unwrap_err()),
        ["key"]
    );
    let resolve = api::ResolveSimOperationRequest {
        operation_id: "x".into(),
        resolution: 0,
        note: "n".repeat(501),
    };
    assert_eq!(
        violations(&client.resolve_sim_operation(resolve).await.unwrap_err()),
        ["note", "operation_id", "resolution"]
    );
    assert_eq!(env.control().counters().requests, Default::default());
}
