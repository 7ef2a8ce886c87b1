//! Lists of operations on SIMs.

use api::SimOperationState::{Pending, Succeeded, Unknown};
use tonic::Code;
use transatel_gateway_client::connectivity::v1 as api;
use transatel_simulator::Outcome;

use super::{Action, Change, IN_USE, suspend};
use crate::support::gateway::{TestEnv, by_iccid, by_msisdn, reason, until, violations};
use crate::writes::orders;

#[tokio::test]
async fn operations_are_listed_newest_first_and_by_what_they_are() {
    let env = TestEnv::with_operations(&[]).await;
    let control = env.control();
    let mut client = env.provisioning();
    orders::create(&mut client, &orders::order("882470000000001"))
        .await
        .unwrap();
    let mut ids = Vec::new();
    for number in ["2", "3", "8"] {
        let change = suspend(&control.sim(number).unwrap().msisdn);
        change.send(&mut client).await.unwrap();
        ids.insert(0, change.until(&mut client, Succeeded).await.operation_id);
    }
    control.decide_operation(IN_USE, Outcome::Hang, None).unwrap();
    let open = suspend(IN_USE).send(&mut client).await.unwrap();
    assert_eq!(open.state(), Pending);
    ids.insert(0, open.operation_id.clone());

    let mut request = api::ListSimOperationsRequest {
        page_size: 3,
        ..Default::default()
    };
    let first = client
        .list_sim_operations(request.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(first.operations.len(), 3);
    request.page_token = first.next_page_token;
    let second = client
        .list_sim_operations(request.clone())
        .await
        .unwrap()
        .into_inner();
    assert!(second.next_page_token.is_empty());
    let walked: Vec<_> = first.operations.iter().chain(&second.operations).collect();
    let walked: Vec<_> = walked
        .iter()
        .map(|operation| operation.operation_id.clone())
        .collect();
    assert_eq!(walked, ids);
    // As `GetSimOperation` returns them.
    let read = Change {
        request_id: second.operations[0].request_id.clone(),
        ..suspend(IN_USE)
    };
    assert_eq!(read.get(&mut client).await.unwrap(), second.operations[0]);

    let only = |filter: api::ListSimOperationsRequest| {
        let mut client = client.clone();
        async move {
            let page = client.list_sim_operations(filter).await.unwrap().into_inner();
            let operations = page.operations.into_iter();
            operations
                .map(|operation| operation.operation_id)
                .collect::<Vec<_>>()
        }
    };
    let all = api::ListSimOperationsRequest::default;
    let in_state = |state: api::SimOperationState| api::ListSimOperationsRequest {
        states: vec![state.into()],
        ..all()
    };
    assert_eq!(only(in_state(Pending)).await, ids[..1]);
    assert_eq!(only(in_state(Succeeded)).await, ids[1..]);
    assert!(only(in_state(Unknown)).await.is_empty());
    let eighth = control.sim("8").unwrap();
    for sim in [by_msisdn(&eighth.msisdn), by_iccid(&eighth.iccid)] {
        assert_eq!(
            only(api::ListSimOperationsRequest { sim, ..all() }).await,
            ids[1..2]
        );
    }
    let since = Some(prost_types::Timestamp { seconds: 1, nanos: 0 });
    let after = api::ListSimOperationsRequest {
        created_after: since,
        ..all()
    };
    assert_eq!(only(after).await, ids);
    let before = api::ListSimOperationsRequest {
        created_before: since,
        ..all()
    };
    assert!(only(before).await.is_empty());

    // A token is for its own list and filter.
    for foreign in [
        api::ListSimOperationsRequest {
            needs_operator: true,
            ..request.clone()
        },
        api::ListSimOperationsRequest {
            states: vec![Pending.into()],
            ..request.clone()
        },
    ] {
        let error = reason(&client.list_sim_operations(foreign).await.unwrap_err());
        assert_eq!(
            (error.code, error.reason.as_str()),
            (Code::InvalidArgument, "PAGE_TOKEN_INVALID")
        );
    }
    let orders = api::ListOrdersRequest {
        page_token: request.page_token,
        ..Default::default()
    };
    let error = reason(&client.list_orders(orders).await.unwrap_err());
    assert_eq!(error.reason, "PAGE_TOKEN_INVALID");
}

#[tokio::test]
async fn the_operations_that_need_an_operator_are_found_and_so_is_who_resolved_them() {
    let settings = [
        ("OPERATIONS__GIVE_UP_AFTER", "50ms"),
        ("ORDERS__ESCALATE_AFTER", "100ms"),
        ("ORDERS__SETTLE_WINDOW", "50ms"),
    ];
    let env = TestEnv::with_operations(&settings).await;
    let mut client = env.provisioning();
    let done = Change::new(
        "882470000000039",
        Action::Update {
            group: "fleet-b".into(),
            metadata: Vec::new(),
        },
    );
    done.send(&mut client).await.unwrap();
    done.until(&mut client, Succeeded).await;
    env.control()
        .decide_operation(IN_USE, Outcome::Hang, None)
        .unwrap();
    let stuck = suspend(IN_USE);
    stuck.send(&mut client).await.unwrap();
    let open = api::ListSimOperationsRequest {
        needs_operator: true,
        ..Default::default()
    };
    let mut found = Vec::new();
    until("an operator is needed", async || {
        let page = client.list_sim_operations(open.clone()).await.unwrap();
        found = page.into_inner().operations;
        !found.is_empty()
    })
    .await;
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].request_id.as_str(), found[0].state()),
        (stuck.request_id.as_str(), Unknown)
    );
    assert_eq!(found[0].operator_decision, None);

    let decision = api::ResolveSimOperationRequest {
        operation_id: found[0].operation_id.clone(),
        resolution: api::OperatorResolution::NotPlaced.into(),
        note: "not in the portal".into(),
    };
    let answer = client.resolve_sim_operation(decision).await.unwrap();
    let recorded = api::OperatorDecision {
        // Nobody is named without certificates.
        caller: String::new(),
        note: "not in the portal".into(),
    };
    assert_eq!(
        answer.into_inner().operation.unwrap().operator_decision,
        Some(recorded.clone())
    );
    let kept = stuck.get(&mut client).await.unwrap();
    assert_eq!(kept.operator_decision, Some(recorded));
    let page = client.list_sim_operations(open).await.unwrap();
    assert!(page.into_inner().operations.is_empty());
}

#[tokio::test]
async fn a_list_that_cannot_be_read_names_everything_and_asks_nobody() {
    let env = TestEnv::with_operations(&[]).await;
    let mut client = env.provisioning();
    let bad = api::ListSimOperationsRequest {
        sim: by_iccid("1"),
        states: vec![0, 77],
        created_after: Some(prost_types::Timestamp {
            seconds: 0,
            nanos: -1,
        }),
        created_before: Some(prost_types::Timestamp {
            seconds: i64::MAX,
            nanos: 0,
        }),
        page_size: -1,
        ..Default::default()
    };
    assert_eq!(
        violations(&client.list_sim_operations(bad).await.unwrap_err()),
        [
            "created_after",
            "created_before",
            "page_size",
            "sim.iccid",
            "states[0]",
            "states[1]"
        ]
    );
    let many = api::ListSimOperationsRequest {
        states: vec![1; 21],
        ..Default::default()
    };
    assert_eq!(
        violations(&client.list_sim_operations(many).await.unwrap_err()),
        ["states"]
    );
    // A card that the provider does not know: the ledger decides alone.
    let unknown = api::ListSimOperationsRequest {
        sim: by_iccid("8988247999999999999"),
        ..Default::default()
    };
    env.control().set_dead(true).await.unwrap();
    let page = client.list_sim_operations(unknown).await.unwrap().into_inner();
    assert!(page.operations.is_empty());
}
