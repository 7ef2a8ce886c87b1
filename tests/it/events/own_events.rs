//! The gateway's own events: what becomes of orders and operations reaches
//! followers without a poll.

use futures_util::stream::{self, StreamExt as _};
use serde_json::json;
use tonic::Request;
use transatel_gateway::config::StoreUrl;
use transatel_gateway::domain::write::WriteId;
use transatel_gateway_client::connectivity::v1::*;
use transatel_simulator::{Criteria, Fault, Script, Showing};

use crate::events::streams::Follower;
use crate::events::webhook::all;
use crate::support::gateway::{
    FRANCE, Gateway, OPERATIONS, ORDERS, SUSPEND, TestEnv, by_iccid, reason, simulator, until, violations,
};
use crate::support::postgres;
use crate::writes::follow_ups::{Action, FollowUp, subscribed};
use crate::writes::ledger;
use crate::writes::orders::{create, get, order, until_state};
use crate::writes::orders_late::{FRESH, SOON};
use crate::writes::sim_operations::{IN_USE, suspend};

/// Nothing is found by looking.
const NO_POLLING: (&str, &str) = ("EVENTS__POLL_INTERVAL", "1h");

async fn follow(gateway: &Gateway) -> Follower {
    Follower::start(&mut gateway.events(), StreamEventsRequest::default()).await
}

fn names(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.raw_type.as_str()).collect()
}

#[tokio::test]
async fn an_order_that_is_placed_is_an_event_at_once() {
    let env = TestEnv::with(&[NO_POLLING]).await;
    let mut follower = follow(&env.gateway).await;
    let request = CreateOrderRequest {
        reference: "cart 7".into(),
        ..order(FRESH)
    };
    let placed = create(&mut env.provisioning(), &request).await.unwrap();
    let event = follower.event().await;
    assert_eq!(event.r#type(), EventType::OrderPlaced);
    assert_eq!(event.raw_type, "GATEWAY/ORDER/PLACED");
    assert_eq!(
        (&event.order_id, &event.request_id),
        (&placed.order_id, &request.request_id)
    );
    assert_eq!(
        (event.product_id.as_str(), event.reference.as_str()),
        (FRANCE, "cart 7")
    );
    assert_eq!(event.subscription_id, placed.subscription_id);
    assert_eq!(event.sim, placed.sim);
    assert!(event.list_price.is_some());
    assert_eq!(event.list_price, placed.list_price);
    assert_eq!(event.occurred_at, placed.updated_at);
    assert_eq!(event.received_at, event.occurred_at);
    assert!(uuid::Uuid::try_parse(&event.event_id).is_ok());
    assert!(event.operation_id.is_empty() && event.caller.is_empty() && !event.infrastructure);
    assert!(event.attributes.unwrap_or_default().fields.is_empty());
    // A repeat changes nothing, so it is no event.
    create(&mut env.provisioning(), &request).await.unwrap();
    assert_eq!(names(&all(&mut env.events()).await), ["GATEWAY/ORDER/PLACED"]);
}

#[tokio::test]
async fn a_refused_order_is_an_event_and_one_that_was_not_sent_is_none() {
    let env = TestEnv::with(&[NO_POLLING]).await;
    let mut follower = follow(&env.gateway).await;
    let mut client = env.provisioning();
    // Not sent: the token is refused.
    env.control()
        .queue(Script::on("POST", ORDERS).then(Fault::Unauthorized.step().times(2)));
    create(&mut client, &order(FRESH)).await.unwrap_err();
    env.control().clear_faults();
    until("it is sent", async || {
        env.control()
            .queue(Script::on("POST", ORDERS).then(Fault::problem(402, "INSUFFICIENT_FUND").step()));
        let refused = create(&mut client, &order(FRESH)).await.unwrap_err();
        reason(&refused).reason == "INSUFFICIENT_FUNDS"
    })
    .await;
    let event = follower.event().await;
    assert_eq!(event.r#type(), EventType::OrderRejected);
    assert!(event.subscription_id.is_empty());
    assert_eq!(all(&mut env.events()).await.len(), 1);
}

#[tokio::test]
async fn an_unknown_order_needs_no_poll_and_late_proof_is_a_second_event() {
    let env = TestEnv::with(&[&SOON[..], &[NO_POLLING]].concat()).await;
    let mut follower = follow(&env.gateway).await;
    let mut client = env.provisioning();
    env.control().show_next_order(FRESH, Showing::held()).unwrap();
    env.control()
        .queue(Script::on("POST", ORDERS).then(Fault::Reset.after_commit()));
    let request = order(FRESH);
    let unknown = create(&mut client, &request).await.unwrap();
    assert_eq!(unknown.state(), OrderState::Unknown);
    let not_placed = follower.event().await;
    assert_eq!(not_placed.r#type(), EventType::OrderNotPlaced);
    env.control().show_inventory(FRESH).unwrap();
    let placed = follower.event().await;
    assert_eq!(placed.r#type(), EventType::OrderPlaced);
    assert_ne!(placed.event_id, not_placed.event_id);
    for event in [&not_placed, &placed] {
        assert_eq!(event.order_id, unknown.order_id);
    }
    let known = get(&mut client, &request).await.unwrap();
    assert_eq!(placed.subscription_id, known.subscription_id);
    assert_eq!(all(&mut env.events()).await.len(), 2);
}

#[tokio::test]
async fn what_an_operator_has_to_settle_and_settles_are_events() {
    // The event is in the log before that.
    let slow = [SOON.as_slice(), &[("ORDERS__SETTLE_WINDOW", "2s")]].concat();
    let env = TestEnv::with_events(&slow).await;
    let control = env.control();
    control.hold_events();
    let mut follower = follow(&env.gateway).await;
    let mut client = env.provisioning();
    control.queue(Script::on("POST", ORDERS).then(Fault::Reset.step()));
    let request = order(FRESH);
    let id = create(&mut client, &request).await.unwrap().order_id;
    control.send_event("OCS/PRODUCT/NEW", json!({ "externalReference": id }));
    control.release_events(transatel_simulator::EventOrder::AsHappened);
    until_state(&mut client, &request, OrderState::NeedsOperator).await;
    let resolve = ResolveOrderRequest {
        order_id: id.clone(),
        resolution: OperatorResolution::NotPlaced.into(),
        ..Default::default()
    };
    client.resolve_order(resolve.clone()).await.unwrap();
    client.resolve_order(resolve).await.unwrap();
    let mut seen = Vec::new();
    while seen.last() != Some(&EventType::OrderNotPlaced) {
        let event = follower.event().await;
        assert_eq!(event.order_id, id);
        seen.push(event.r#type());
    }
    let expected = [
        EventType::Other,
        EventType::OrderNeedsOperator,
        EventType::OrderNotPlaced,
    ];
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn changes_of_subscriptions_and_sims_are_events() {
    let env = TestEnv::with_operations(&[NO_POLLING]).await;
    let mut follower = follow(&env.gateway).await;
    let mut client = env.provisioning();
    let (msisdn, id) = subscribed(&env.control(), 1).remove(0);
    let cancel = FollowUp::new(Action::Cancel, &msisdn, id);
    let order = cancel.send(&mut client).await.unwrap();
    let event = follower.event().await;
    assert_eq!(event.r#type(), EventType::OrderPlaced);
    assert_eq!(
        (&event.order_id, &event.request_id),
        (&order.order_id, &cancel.request_id)
    );
    assert_eq!(event.subscription_id, id.to_string());

    let change = suspend(IN_USE);
    let operation = change.send(&mut client).await.unwrap();
    let event = follower.event().await;
    assert_eq!(event.r#type(), EventType::SimOperationSucceeded);
    assert_eq!(event.raw_type, "GATEWAY/SIM_OPERATION/SUCCEEDED");
    assert_eq!(
        (&event.operation_id, &event.request_id),
        (&operation.operation_id, &change.request_id)
    );
    assert_eq!(event.sim, operation.sim);
    assert!(event.order_id.is_empty());

    env.control()
        .queue(Script::on("POST", SUSPEND).then(Fault::problem(400, "BAD_REQUEST").step()));
    suspend("882470000000002").send(&mut client).await.unwrap_err();
    assert_eq!(follower.event().await.r#type(), EventType::SimOperationFailed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outcome_reaches_the_other_replica_by_notification() {
    let Some(store) = postgres::database().await else {
        return;
    };
    let sandbox = simulator().await;
    let settings = [("STORE__URL", store.as_str()), NO_POLLING];
    let here = Gateway::start(&sandbox.base_url(), &settings).await;
    let there = Gateway::start(&sandbox.base_url(), &settings).await;
    let mut follower = follow(&there).await;
    let placed = create(&mut here.provisioning(), &order(FRESH)).await.unwrap();
    assert_eq!(follower.event().await.order_id, placed.order_id);
}

/// An order that is placed by a replica that is killed before it can append the
/// outcome to the log.
async fn placed_by_one_that_dies(store: &str, sim: u32) -> WriteId {
    let opened = ledger::open(StoreUrl::parse(store).unwrap()).await;
    let attempt = ledger::wanted(sim, "P", ledger::request(sim.into()));
    let record = ledger::begun(&*opened.ledger, attempt).await;
    let placed = ledger::settled(&*opened.ledger, &record, ledger::placed(None), 1).await;
    placed.write.id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outcome_survives_the_death_of_its_replica() {
    let Some(store) = postgres::database().await else {
        return;
    };
    let first = placed_by_one_that_dies(&store, 1).await;
    // The next one starts with it.
    let sandbox = simulator().await;
    let settings = [("STORE__URL", store.as_str()), NO_POLLING];
    let gateway = Gateway::start(&sandbox.base_url(), &settings).await;
    let listed = all(&mut gateway.events()).await;
    assert_eq!(names(&listed), ["GATEWAY/ORDER/PLACED"]);
    assert_eq!(listed[0].order_id, first.to_string());
    gateway.stop().await;
    // One that runs finds it by looking, and never twice.
    let settings = [("STORE__URL", store.as_str()), ("EVENTS__POLL_INTERVAL", "20ms")];
    let gateway = Gateway::start(&sandbox.base_url(), &settings).await;
    let mut follower = follow(&gateway).await;
    let second = placed_by_one_that_dies(&store, 2).await;
    assert_eq!(follower.event().await.order_id, second.to_string());
    assert_eq!(all(&mut gateway.events()).await.len(), 2);
}

#[tokio::test]
async fn outcomes_go_through_the_filters_like_all_events() {
    let env = TestEnv::with_events(&OPERATIONS).await;
    let mut client = env.provisioning();
    let (one, two) = (order(FRESH), order("882470000000002"));
    let placed = create(&mut client, &one).await.unwrap();
    create(&mut client, &two).await.unwrap();
    env.control().until_events_sent().await;
    let listed = async |filter: EventFilter| -> Vec<(String, String)> {
        let request = ListEventsRequest {
            filter: Some(filter),
            ..Default::default()
        };
        let page = env.events().list_events(request).await.unwrap().into_inner();
        let named = |event: Event| (event.raw_type, event.request_id);
        page.events.into_iter().map(named).collect()
    };
    let outcome = |request: &CreateOrderRequest| ("GATEWAY/ORDER/PLACED".into(), request.request_id.clone());
    let report = |request: &CreateOrderRequest| ("OCS/PRODUCT/PRELOADED".into(), request.request_id.clone());
    let sorted = |mut list: Vec<(String, String)>| {
        list.sort();
        list
    };
    let filter = EventFilter {
        types: vec![EventType::OrderPlaced.into()],
        ..Default::default()
    };
    assert_eq!(listed(filter).await, [outcome(&one), outcome(&two)]);
    // By the caller's id, in any letter case.
    let by_request = EventFilter {
        request_ids: vec![one.request_id.to_uppercase(), uuid::Uuid::new_v4().to_string()],
        ..Default::default()
    };
    assert_eq!(
        sorted(listed(by_request.clone()).await),
        [outcome(&one), report(&one)]
    );
    let by_subscription = EventFilter {
        subscription_ids: vec![placed.subscription_id.clone()],
        ..Default::default()
    };
    assert_eq!(
        sorted(listed(by_subscription).await),
        [outcome(&one), report(&one)]
    );
    // Every field has to fit, and either kind of type.
    let both = EventFilter {
        types: vec![EventType::OrderPlaced.into()],
        raw_types: vec!["OCS/PRODUCT/PRELOADED".into()],
        sims: by_iccid("8988247000000000019").into_iter().collect(),
        ..by_request.clone()
    };
    assert_eq!(sorted(listed(both).await), [outcome(&one), report(&one)]);
    let neither = EventFilter {
        subscription_ids: vec!["ANOTHER".into()],
        ..by_request
    };
    assert_eq!(listed(neither).await, []);
}

#[tokio::test]
async fn every_violation_of_the_new_filters_is_named() {
    let env = TestEnv::open().await;
    let refused = async |filter: EventFilter| {
        let request = ListEventsRequest {
            filter: Some(filter),
            ..Default::default()
        };
        violations(&env.events().list_events(request).await.unwrap_err())
    };
    let filter = EventFilter {
        request_ids: vec!["x".into(), uuid::Uuid::new_v4().simple().to_string()],
        subscription_ids: vec![String::new(), "S".into(), "x".repeat(256)],
        own_requests_only: true,
        ..Default::default()
    };
    let expected = [
        "filter.own_requests_only",
        "filter.request_ids[0]",
        "filter.request_ids[1]",
        "filter.subscription_ids[0]",
        "filter.subscription_ids[2]",
    ];
    assert_eq!(refused(filter).await, expected);
    let filter = EventFilter {
        request_ids: vec![uuid::Uuid::new_v4().to_string(); 101],
        subscription_ids: vec!["S".into(); 101],
        ..Default::default()
    };
    let expected = ["filter.request_ids", "filter.subscription_ids"];
    assert_eq!(refused(filter).await, expected);
}

fn called<T>(message: T, caller: &str) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("x-caller", caller.parse().unwrap());
    request
}

#[tokio::test]
async fn a_caller_follows_its_own_requests() {
    let header = [
        ("CALLERS__HEADER", "X-Caller"),
        ("CALLERS__HEADER_FROM", "127.0.0.0/8"),
        NO_POLLING,
    ];
    let env = TestEnv::with_events(&[OPERATIONS.as_slice(), &header].concat()).await;
    let mut client = env.provisioning();
    let requests = [("shop", order(FRESH)), ("app", order("882470000000002"))];
    for (caller, request) in &requests {
        client
            .create_order(called(request.clone(), caller))
            .await
            .unwrap();
    }
    env.control().until_events_sent().await;
    env.control()
        .send_event("OCS/PRODUCT/EXPIRED", json!({ "msisdn": FRESH }));
    env.control().until_events_sent().await;
    let own = EventFilter {
        own_requests_only: true,
        ..Default::default()
    };
    let list = |page_token: &str| ListEventsRequest {
        filter: Some(own.clone()),
        page_size: 1,
        page_token: page_token.into(),
    };
    let mut tokens = Vec::new();
    for (caller, request) in &requests {
        let mut token = String::new();
        let mut found = Vec::new();
        loop {
            let page = env
                .events()
                .list_events(called(list(&token), caller))
                .await
                .unwrap();
            let page = page.into_inner();
            found.extend(page.events);
            if page.next_page_token.is_empty() {
                break;
            }
            token = page.next_page_token;
        }
        let reports = found
            .iter()
            .filter(|event| event.raw_type.starts_with("OCS/PRODUCT/"));
        assert_eq!((found.len(), reports.count()), (2, 1), "{:?}", names(&found));
        for event in &found {
            assert_eq!(
                (event.caller.as_str(), &event.request_id),
                (*caller, &request.request_id)
            );
        }
        tokens.push(token);
    }
    // A page token is the caller's own.
    let refused = env.events().list_events(called(list(&tokens[0]), "app")).await;
    assert_eq!(reason(&refused.unwrap_err()).reason, "PAGE_TOKEN_INVALID");
    // Who is not known has no requests of its own.
    let refused = env.events().list_events(list("")).await.unwrap_err();
    assert_eq!(violations(&refused), ["filter.own_requests_only"]);
    let stream = StreamEventsRequest {
        filter: Some(own),
        ..crate::events::streams::from_the_beginning()
    };
    let refused = env.events().stream_events(stream).await.map(|_| ()).unwrap_err();
    assert_eq!(violations(&refused), ["filter.own_requests_only"]);
    // Not a permission.
    let everything = env
        .events()
        .list_events(called(ListEventsRequest::default(), "app"))
        .await
        .unwrap();
    assert_eq!(everything.into_inner().events.len(), 5);
}

/// Every replica reads what is appended: once for each time, and not for each order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outcomes_are_read_as_often_as_they_are_appended() {
    let env = TestEnv::with(&[NO_POLLING]).await;
    let mut follower = follow(&env.gateway).await;
    let sims = env.control().find_sims(Criteria::FRESH, 40);
    let products = [FRANCE, "WW_901O_STACK_ONEOFF_FRANCE_5GB_30D"];
    let requests: Vec<_> = { products.iter() }
        .flat_map(|product| sims.iter().map(move |sim| (product, sim)))
        .map(|(product, sim)| CreateOrderRequest {
            product_id: (*product).into(),
            ..order(&sim.msisdn)
        })
        .collect();
    let before = [
        operations(&env, "events_after").await,
        operations(&env, "publish_outcomes").await,
    ];
    let orders = stream::iter(&requests).map(|request| {
        let mut client = env.provisioning();
        async move { create(&mut client, request).await.unwrap() }
    });
    let orders: Vec<_> = orders.buffer_unordered(16).collect().await;
    for _ in &orders {
        assert_eq!(follower.event().await.r#type(), EventType::OrderPlaced);
    }
    let reads = operations(&env, "events_after").await - before[0];
    let appends = operations(&env, "publish_outcomes").await - before[1];
    // The follower may have read once by itself.
    assert!(
        reads >= 1.0 && reads <= appends + 2.0,
        "{reads} reads for {appends} appends"
    );
}

/// How often the gateway has used its store for this.
async fn operations(env: &TestEnv, name: &str) -> f64 {
    let name = format!("db_operation_name=\"{name}\"");
    let metrics = env.gateway.metrics().await;
    let counts = metrics.lines().filter(|line| {
        line.starts_with("db_client_operation_duration_seconds_count{") && line.contains(&name)
    });
    counts
        .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
        .sum()
}
