//! Orders, over gRPC: bought once, known always.

mod add_ons;
mod callers;
mod capabilities;
mod cost;
mod in_the_way;
mod known_state;
mod least_deadline;
mod list_price;
mod listing;
mod outcomes;
mod prices;
mod spend;
mod unused;
mod validation;
mod waits;

use api::OrderState;
use tokio::task::JoinHandle;
use tonic::{Code, Status};
use transatel_gateway_client::connectivity::v1 as api;
use transatel_gateway_client::google::r#type::Money;
use transatel_simulator::{Fault, Script};
use uuid::Uuid;

use crate::support::gateway::{
    FRANCE, ORDERS, Provisioning, SUBSCRIPTIONS, TestEnv, by_iccid, by_msisdn, reason, spawn,
    subscriptions_of, until,
};

/// Finds out quickly.
const QUICK: [(&str, &str); 3] = [
    ("ORDERS__RECONCILE_AFTER", "20ms"),
    ("ORDERS__RECONCILE_AT_MOST", "50ms"),
    ("ORDERS__SETTLE_WINDOW", "300ms"),
];

/// A Pre-Activated SIM without a subscription.
const FRESH: &str = "882470000000001";

pub fn order(msisdn: &str) -> api::CreateOrderRequest {
    api::CreateOrderRequest {
        request_id: Uuid::new_v4().to_string(),
        sim: by_msisdn(msisdn),
        product_id: FRANCE.into(),
        ..Default::default()
    }
}

/// A script for the reads of the subscriptions of an order's SIM.
pub fn reads_of(order: &api::CreateOrderRequest) -> Script {
    match order.sim.as_ref().and_then(|sim| sim.id.as_ref()) {
        Some(api::sim_ref::Id::Msisdn(msisdn)) => subscriptions_of(msisdn),
        other => panic!("{other:?}"),
    }
}

pub async fn create(
    client: &mut Provisioning,
    request: &api::CreateOrderRequest,
) -> Result<api::Order, Status> {
    let answer = client.create_order(request.clone()).await?;
    Ok(answer.into_inner().order.unwrap())
}

/// Whether an error says that this call has sent nothing, and that a repeat
/// helps. On a busy machine the time for a request may be over before it is sent.
pub fn was_not_sent(status: &Status) -> bool {
    let reason = reason(status);
    let known_state = reason.metadata.get("known_state").map(String::as_str);
    reason.code == Code::Unavailable && matches!(known_state, Some("NONE" | "NOT_PLACED"))
}

/// The same beside the test.
pub fn spawn_create(
    mut client: Provisioning,
    request: &api::CreateOrderRequest,
) -> JoinHandle<Result<api::Order, Status>> {
    let request = request.clone();
    spawn(async move { create(&mut client, &request).await })
}

pub async fn get(client: &mut Provisioning, request: &api::CreateOrderRequest) -> Result<api::Order, Status> {
    let key = api::get_order_request::Key::RequestId(request.request_id.clone());
    let request = api::GetOrderRequest {
        key: Some(key),
        wait: None,
    };
    let answer = client.get_order(request).await?;
    Ok(answer.into_inner().order.unwrap())
}

pub async fn until_state(
    client: &mut Provisioning,
    request: &api::CreateOrderRequest,
    state: OrderState,
) -> api::Order {
    until(state.as_str_name(), async || {
        get(client, request)
            .await
            .is_ok_and(|order| order.state() == state)
    })
    .await;
    get(client, request).await.unwrap()
}

fn sent(env: &TestEnv) -> u64 {
    env.control().received("POST", ORDERS)
}

fn bought(env: &TestEnv, msisdn: &str) -> usize {
    env.control().sim(msisdn).unwrap().bought().count()
}

fn fault(env: &TestEnv, step: impl Into<transatel_simulator::Step>) {
    env.control().queue(Script::on("POST", ORDERS).then(step));
}

/// An order is carried out and not answered, and the SIM's subscriptions can only
/// be read before it: an operator is asked for after this time.
async fn only_an_operator_can_settle(escalate_after: &str) -> TestEnv {
    let settings = [
        QUICK.as_slice(),
        &[
            ("ORDERS__ESCALATE_AFTER", escalate_after),
            ("TRANSATEL__READ_ATTEMPTS", "1"),
        ],
    ]
    .concat();
    let env = TestEnv::with(&settings).await;
    fault(&env, Fault::Reset.after_commit());
    env.control().queue(
        Script::on("GET", SUBSCRIPTIONS)
            .then(Fault::Pass)
            .then(Fault::problem(404, "NOT_FOUND").step().forever()),
    );
    env
}

#[tokio::test]
async fn an_order_is_bought_once_however_often_it_is_asked_for() {
    let env = TestEnv::open().await;
    let mut client = env.provisioning();
    let request = api::CreateOrderRequest {
        reference: "shop 17".into(),
        ..order(FRESH)
    };
    let first = create(&mut client, &request).await.unwrap();
    assert_eq!(first.state(), OrderState::Placed);
    assert_eq!(first.reference, "shop 17");
    assert_eq!(first.sim.as_ref().unwrap().iccid, "8988247000000000019");
    assert!(!first.provider_reference.is_empty());

    // What was sent, and what it came to.
    let subscriptions = env.control().subscriptions_by_reference(&first.order_id);
    assert_eq!(subscriptions.len(), 1);
    assert_eq!(
        subscriptions[0].subscription_id.to_string(),
        first.subscription_id
    );
    let posts: Vec<_> = env.control().requests();
    let post = posts
        .iter()
        .find(|request| request.route == Some(ORDERS))
        .unwrap();
    let body: serde_json::Value = serde_json::from_str(&post.body).unwrap();
    let expected = serde_json::json!({
        "orderType": "preload",
        "bind": { "msisdn": FRESH },
        "product": { "productId": FRANCE },
        "payment": { "provider": "customer" },
        "source": "transatel-gateway",
        "mvnoRef": transatel_simulator::Options::default().mvno_ref,
        "transactionReference": first.order_id,
    });
    assert_eq!(body, expected);

    // Again, in capitals, by the other identifier, and a hundred times at once.
    let mut again = request.clone();
    again.request_id = again.request_id.to_uppercase();
    again.sim = by_iccid("8988247000000000019");
    assert_eq!(create(&mut client, &again).await.unwrap(), first);
    let repeats = (0..100).map(|_| {
        let (mut client, request) = (client.clone(), request.clone());
        async move { create(&mut client, &request).await.unwrap() }
    });
    for repeat in futures_util::future::join_all(repeats).await {
        assert_eq!(repeat, first);
    }
    assert_eq!((sent(&env), bought(&env, FRESH)), (1, 1));
    assert_eq!(get(&mut client, &request).await.unwrap(), first);
}

#[tokio::test]
async fn a_hundred_first_calls_at_once_buy_once() {
    let env = TestEnv::open().await;
    let request = order(FRESH);
    let calls = (0..100).map(|_| {
        let (mut client, request) = (env.provisioning(), request.clone());
        async move { create(&mut client, &request).await.unwrap() }
    });
    for answer in futures_util::future::join_all(calls).await {
        assert_eq!(answer.state(), OrderState::Placed);
    }
    assert_eq!((sent(&env), bought(&env, FRESH)), (1, 1));
}

#[tokio::test]
async fn a_request_id_identifies_one_order() {
    let env = TestEnv::open().await;
    let mut client = env.provisioning();
    let request = order(FRESH);
    create(&mut client, &request).await.unwrap();
    let others = [
        api::CreateOrderRequest {
            product_id: "WW_901O_STACK_ONEOFF_FRANCE_5GB_30D".into(),
            ..request.clone()
        },
        api::CreateOrderRequest {
            sim: by_msisdn("882470000000002"),
            ..request.clone()
        },
        api::CreateOrderRequest {
            reference: "other".into(),
            ..request.clone()
        },
        api::CreateOrderRequest {
            activation: api::ActivationMode::OnFirstUse.into(),
            ..request.clone()
        },
        api::CreateOrderRequest {
            max_price: Some(euros(50)),
            ..request.clone()
        },
    ];
    let fields = ["product_id", "sim", "reference", "activation", "max_price"];
    assert_eq!(others.len(), fields.len());
    for (other, field) in others.iter().zip(fields) {
        let error = reason(&create(&mut client, other).await.unwrap_err());
        assert_eq!(
            (error.code, error.reason.as_str()),
            (Code::InvalidArgument, "REQUEST_ID_REUSED")
        );
        // The field, and never its value.
        assert_eq!(error.metadata["fields"], field);
        // It was placed: with another id it would be bought again.
        assert_eq!(error.metadata["retry"], "NEVER");
    }
    let two = api::CreateOrderRequest {
        reference: "other".into(),
        pool: "sandbox".into(),
        sim: None,
        ..request.clone()
    };
    let error = reason(&create(&mut client, &two).await.unwrap_err());
    assert_eq!(error.metadata["fields"], "reference,pool");
    let two = api::CreateOrderRequest {
        reference: "other".into(),
        sim: by_msisdn("882470000000002"),
        ..request.clone()
    };
    let error = reason(&create(&mut client, &two).await.unwrap_err());
    assert_eq!(error.metadata["fields"], "reference,sim");
    assert_eq!(sent(&env), 1);
}

fn euros(units: i64) -> Money {
    Money {
        currency_code: "EUR".into(),
        units,
        nanos: 0,
    }
}

#[tokio::test]
async fn one_order_at_a_time_for_a_sim_and_product() {
    let env = TestEnv::open().await;
    let mut client = env.provisioning();
    fault(&env, Fault::hold("post"));
    let (first, second) = (order(FRESH), order(FRESH));
    let running = spawn_create(client.clone(), &first);
    env.control().until_held("post", 1).await;
    let error = reason(&create(&mut client, &second).await.unwrap_err());
    assert_eq!(
        (error.code, error.reason.as_str()),
        (Code::Aborted, "ORDER_IN_PROGRESS")
    );
    let standing = get(&mut client, &first).await.unwrap();
    assert_eq!(error.metadata["order_id"], standing.order_id);
    // Another product goes through.
    let other = api::CreateOrderRequest {
        product_id: "WW_901O_STACK_ONEOFF_FRANCE_5GB_30D".into(),
        ..order(FRESH)
    };
    create(&mut client, &other).await.unwrap();
    env.control().release("post");
    assert_eq!(running.await.unwrap().unwrap().state(), OrderState::Placed);
    // Nothing was kept of the second: it can be sent now.
    assert_eq!(
        create(&mut client, &second).await.unwrap().state(),
        OrderState::Placed
    );
    assert_eq!(bought(&env, FRESH), 3);
}

#[tokio::test]
async fn without_an_account_name_nothing_is_ordered() {
    let env = TestEnv::with(&[("TRANSATEL__MVNO_REF", "")]).await;
    let error = reason(&create(&mut env.provisioning(), &order(FRESH)).await.unwrap_err());
    assert_eq!(
        (error.code, error.reason.as_str()),
        (Code::FailedPrecondition, "OPERATION_NOT_ENABLED")
    );
    assert_eq!(sent(&env), 0);
}

#[tokio::test]
async fn states_are_counted() {
    let env = TestEnv::with(&QUICK).await;
    let mut client = env.provisioning();
    create(&mut client, &order(FRESH)).await.unwrap();
    let metrics = env.gateway.metrics().await;
    let count = |state: &str| {
        let series =
            format!("transatel_gateway_orders_transitions_total{{kind=\"purchase\",state=\"{state}\"");
        crate::support::gateway::is_counted(&metrics, &[&series])
    };
    assert!(count("submitting") && count("placed"), "{metrics}");
}

#[tokio::test]
async fn an_order_for_no_sim_says_what_it_may_be_for() {
    let env = TestEnv::open().await;
    let nothing = api::CreateOrderRequest {
        sim: None,
        ..order(FRESH)
    };
    let refused = reason(&create(&mut env.provisioning(), &nothing).await.unwrap_err());
    let violations = &refused.details.bad_request().unwrap().field_violations;
    assert_eq!(violations.len(), 1);
    assert_eq!(violations[0].field, "sim");
    for other in ["pool", "reservation_id"] {
        assert!(violations[0].description.contains(other), "{violations:?}");
    }
}
