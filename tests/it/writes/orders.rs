//! Orders, through the front door: bought once, known always.

use std::time::Duration;

use api::OrderState;
use tonic::{Code, Request, Status};
use transatel_gateway_client::connectivity::v1 as api;
use transatel_gateway_client::google::r#type::Money;
use transatel_simulator::{Criteria, Fault, Script, SimStatus};
use uuid::Uuid;

use crate::support::gateway::{
    FRANCE, Gateway, ORDERS, Provisioning, SUBSCRIPTIONS, StillClock, TestEnv, by_iccid, by_msisdn, reason,
    simulator, spawn, until, violations,
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

pub async fn create(
    client: &mut Provisioning,
    request: &api::CreateOrderRequest,
) -> Result<api::Order, Status> {
    let answer = client.create_order(request.clone()).await?;
    Ok(answer.into_inner().order.unwrap())
}

pub async fn get(client: &mut Provisioning, request: &api::CreateOrderRequest) -> Result<api::Order, Status> {
    let key = api::get_order_request::Key::RequestId(request.request_id.clone());
    let answer = client.get_order(api::GetOrderRequest { key: Some(key) }).await?;
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
async fn a_request_id_belongs_to_one_wish() {
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
            activation: api::Activation::OnFirstUse.into(),
            ..request.clone()
        },
        api::CreateOrderRequest {
            max_price: Some(euros(50)),
            ..request.clone()
        },
    ];
    for other in others {
        let error = reason(&create(&mut client, &other).await.unwrap_err());
        assert_eq!(
            (error.code, error.reason.as_str()),
            (Code::InvalidArgument, "REQUEST_ID_REUSED")
        );
    }
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
    let running = spawn({
        let (mut client, first) = (client.clone(), first.clone());
        async move { create(&mut client, &first).await }
    });
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
async fn a_caller_that_goes_away_changes_nothing() {
    let env = TestEnv::open().await;
    let mut client = env.provisioning();
    fault(&env, Fault::hold("post"));
    let request = order(FRESH);
    let call = spawn({
        let (mut client, request) = (client.clone(), request.clone());
        async move { create(&mut client, &request).await }
    });
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
    wish: &api::CreateOrderRequest,
    deadline: Duration,
) -> tokio::task::JoinHandle<Result<api::Order, Status>> {
    let mut client = client.clone();
    let mut request = Request::new(wish.clone());
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
    let wish = order(FRESH);
    let call = call_within(&client, &wish, Duration::from_millis(900));
    env.control().until_held("post", 1).await;
    // A tenth of a second is left for the answer's way.
    tokio::time::advance(Duration::from_millis(800)).await;
    let answer = call.await.unwrap().unwrap();
    assert_eq!(answer.state(), OrderState::Submitting);
    env.control().release("post");
    let order = until_state(&mut client, &wish, OrderState::Placed).await;
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
    let wish = order(FRESH);
    let call = call_within(&client, &wish, Duration::from_millis(400));
    env.control().until_held("read", 1).await;
    // Before the caller's own timer, which says CANCELLED.
    tokio::time::advance(Duration::from_millis(397)).await;
    let error = call.await.unwrap().unwrap_err();
    assert_eq!(error.code(), Code::DeadlineExceeded);
    env.control().release("read");
    let error = reason(&get(&mut client, &wish).await.unwrap_err());
    assert_eq!(
        (error.code, error.reason.as_str()),
        (Code::NotFound, "ORDER_NOT_FOUND")
    );
    assert_eq!(sent(&env), 0);
    assert_eq!(
        create(&mut client, &wish).await.unwrap().state(),
        OrderState::Placed
    );
}

#[tokio::test]
async fn a_refusal_is_final_and_says_why() {
    let env = TestEnv::open().await;
    let mut client = env.provisioning();
    use Code::{Aborted, FailedPrecondition, Internal, NotFound};
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
        (409, "CONFLICT", Aborted, "ORDER_IN_PROGRESS"),
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
            activation: api::Activation::OnFirstUse.into(),
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
    let call = spawn({
        let (mut client, request) = (client.clone(), request.clone());
        async move { create(&mut client, &request).await }
    });
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
    let env = TestEnv::with(&[QUICK.as_slice(), &[("ORDERS__SEND_TIMEOUT", "200ms")]].concat()).await;
    let mut client = env.provisioning();
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
            fault(&env, if done { kind.after_commit() } else { kind.step() });
            let request = api::CreateOrderRequest {
                activation: api::Activation::OnFirstUse.into(),
                ..order(&msisdn)
            };
            env.control()
                .set_sim_status(&msisdn, SimStatus::PreActivated)
                .unwrap();
            let (before, posts) = (bought(&env, &msisdn), sent(&env));
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
            assert_eq!(bought(&env, &msisdn) - before, usize::from(done), "{name}");
            assert_eq!(sent(&env) - posts, 1, "{name}");
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
async fn the_gateway_chooses_the_activation_by_the_sims_status() {
    let env = TestEnv::open().await;
    let control = env.control();
    let mut client = env.provisioning();
    let fresh = control.find_sims(Criteria::FRESH, 3);
    let used = control.find_sims(Criteria::IN_USE, 3);
    let types = || -> Vec<String> {
        let requests = control.requests();
        let posts = requests.iter().filter(|request| request.route == Some(ORDERS));
        posts
            .map(|post| {
                let body: serde_json::Value = serde_json::from_str(&post.body).unwrap();
                body["orderType"].as_str().unwrap().to_owned()
            })
            .collect()
    };
    create(&mut client, &order(&fresh[0].msisdn)).await.unwrap();
    create(&mut client, &order(&used[0].msisdn)).await.unwrap();
    assert_eq!(types(), ["preload", "subscribe"]);

    // The search lags behind: a definite refusal makes it try the other.
    control.clear_requests();
    control.configure(|settings| settings.search_lag = Duration::from_secs(3600));
    control
        .set_sim_status(&fresh[1].msisdn, SimStatus::Active)
        .unwrap();
    let order_placed = create(&mut client, &order(&fresh[1].msisdn)).await.unwrap();
    assert_eq!(order_placed.state(), OrderState::Placed);
    assert_eq!(types(), ["preload", "subscribe"]);

    // Without SIM Search and connectivity it finds out as well.
    control.clear_requests();
    control.deny("/sim-search");
    control.deny("/connectivity-management");
    create(&mut client, &order(&used[1].msisdn)).await.unwrap();
    assert_eq!(types(), ["preload", "subscribe"]);

    // Whatever the caller says is passed on and stays.
    control.clear_requests();
    let wrong = api::CreateOrderRequest {
        activation: api::Activation::OnFirstUse.into(),
        ..order(&used[2].msisdn)
    };
    let error = reason(&create(&mut client, &wrong).await.unwrap_err());
    assert_eq!(error.reason, "SIM_STATUS_NOT_ELIGIBLE");
    assert_eq!(types(), ["preload"]);
}

#[tokio::test]
async fn a_price_limit_is_checked_against_a_fresh_catalog() {
    let env = TestEnv::with(&[("CATALOG__FRESH_FOR", "1h")]).await;
    let control = env.control();
    let mut client = env.provisioning();
    control.set_price(FRANCE, 350);
    let at_most = |max_price| api::CreateOrderRequest {
        max_price: Some(max_price),
        ..order(FRESH)
    };
    let error = reason(&create(&mut client, &at_most(euros(3))).await.unwrap_err());
    assert_eq!(
        (error.code, error.reason.as_str()),
        (Code::FailedPrecondition, "PRICE_ABOVE_MAXIMUM")
    );
    assert_eq!(error.metadata["price"], "3.50 EUR");
    let dollars = Money {
        currency_code: "USD".into(),
        ..euros(10)
    };
    let error = reason(&create(&mut client, &at_most(dollars)).await.unwrap_err());
    assert_eq!(
        (error.code, error.reason.as_str()),
        (Code::FailedPrecondition, "PRICE_NOT_COMPARABLE")
    );
    assert_eq!(sent(&env), 0);
    let enough = Money {
        nanos: 500_000_000,
        ..euros(3)
    };
    assert_eq!(
        create(&mut client, &at_most(enough)).await.unwrap().state(),
        OrderState::Placed
    );
}

#[tokio::test]
async fn a_stale_price_is_not_good_enough() {
    let env = TestEnv::with(&[("CATALOG__FRESH_FOR", "1s")]).await;
    let mut client = env.provisioning();
    let mut catalog = env.catalog();
    catalog
        .get_product(crate::support::gateway::get(FRANCE))
        .await
        .unwrap();
    until("the catalog is stale", async || {
        env.control().queue(
            Script::on("GET", crate::support::gateway::CATALOG).then(Fault::status(503).step().forever()),
        );
        let answer = catalog
            .get_product(crate::support::gateway::get(FRANCE))
            .await
            .unwrap()
            .into_inner();
        answer.freshness.unwrap().stale
    })
    .await;
    let request = api::CreateOrderRequest {
        max_price: Some(euros(1000)),
        ..order(FRESH)
    };
    let error = reason(&create(&mut client, &request).await.unwrap_err());
    assert_eq!(error.reason, "PROVIDER_UNAVAILABLE");
    assert_eq!(sent(&env), 0);
    // Without a limit the product only has to exist.
    assert_eq!(
        create(&mut client, &order(FRESH)).await.unwrap().state(),
        OrderState::Placed
    );
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
    // An order counts as sent when its lease ends, at the latest.
    let brief = [("ORDERS__ESCALATE_AFTER", "500ms"), ("ORDERS__LEASE", "1s")];
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
async fn what_cannot_be_told_apart_is_left_to_an_operator() {
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
    assert!(order.failure.unwrap().message.contains("cannot be told"));
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
        resolution: api::Resolution::Placed.into(),
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
    let settings = [
        QUICK.as_slice(),
        &[
            ("ORDERS__ESCALATE_AFTER", "400ms"),
            ("TRANSATEL__READ_ATTEMPTS", "1"),
        ],
    ]
    .concat();
    let env = TestEnv::with(&settings).await;
    let mut client = env.provisioning();
    fault(&env, Fault::Reset.after_commit());
    env.control().queue(
        Script::on("GET", SUBSCRIPTIONS)
            .then(Fault::Pass)
            .then(Fault::problem(404, "NOT_FOUND").step().forever()),
    );
    let request = order(FRESH);
    assert_eq!(
        create(&mut client, &request).await.unwrap().state(),
        OrderState::Unknown
    );
    let order = until_state(&mut client, &request, OrderState::NeedsOperator).await;
    assert!(order.failure.unwrap().message.contains("could not be read"));
}

#[tokio::test]
async fn orders_are_listed_newest_first_while_more_come() {
    let env = TestEnv::open().await;
    let mut client = env.provisioning();
    let mut ids = Vec::new();
    for number in 41..48 {
        let msisdn = format!("8824700000000{number}");
        env.control()
            .set_sim_status(&msisdn, SimStatus::PreActivated)
            .unwrap();
        ids.insert(0, create(&mut client, &order(&msisdn)).await.unwrap().order_id);
    }
    let mut request = api::ListOrdersRequest {
        page_size: 3,
        ..Default::default()
    };
    let mut walked = Vec::new();
    loop {
        let page = client.list_orders(request.clone()).await.unwrap().into_inner();
        assert!(page.orders.len() <= 3);
        walked.extend(page.orders.into_iter().map(|order| order.order_id));
        // One more comes after every page.
        create(&mut client, &order(FRESH)).await.unwrap();
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    assert_eq!(walked, ids);

    let only = |filter: api::ListOrdersRequest| {
        let mut client = client.clone();
        async move { client.list_orders(filter).await.unwrap().into_inner().orders }
    };
    let of_one = api::ListOrdersRequest {
        sim: by_iccid("8988247000000000019"),
        states: vec![OrderState::Placed.into()],
        ..Default::default()
    };
    assert_eq!(only(of_one.clone()).await.len(), 3);
    let rejected = api::ListOrdersRequest {
        states: vec![OrderState::Rejected.into()],
        ..Default::default()
    };
    assert!(only(rejected).await.is_empty());
    let long_ago = api::ListOrdersRequest {
        created_before: Some(prost_types::Timestamp { seconds: 1, nanos: 0 }),
        ..Default::default()
    };
    assert!(only(long_ago).await.is_empty());
    let since = api::ListOrdersRequest {
        created_after: Some(prost_types::Timestamp { seconds: 1, nanos: 0 }),
        ..Default::default()
    };
    assert_eq!(only(since).await.len(), 10);

    // A token is for its own list.
    let page = client
        .list_orders(api::ListOrdersRequest {
            page_size: 1,
            ..Default::default()
        })
        .await
        .unwrap()
        .into_inner();
    let foreign = api::ListOrdersRequest {
        page_token: page.next_page_token,
        ..of_one
    };
    let error = reason(&client.list_orders(foreign).await.unwrap_err());
    assert_eq!(
        (error.code, error.reason.as_str()),
        (Code::InvalidArgument, "PAGE_TOKEN_INVALID")
    );
}

#[tokio::test]
async fn bad_input_names_everything_and_sends_nothing() {
    let env = TestEnv::open().await;
    let mut client = env.provisioning();
    env.control().reset_counters();
    let bad = api::CreateOrderRequest {
        request_id: "17".into(),
        sim: by_msisdn("abc"),
        product_id: String::new(),
        activation: 9,
        reference: "r".repeat(101),
        max_price: Some(Money {
            currency_code: "EURO".into(),
            units: -1,
            nanos: 0,
        }),
    };
    let error = create(&mut client, &bad).await.unwrap_err();
    assert_eq!(
        violations(&error),
        [
            "activation",
            "max_price",
            "max_price.currency_code",
            "product_id",
            "reference",
            "request_id",
            "sim.msisdn"
        ]
    );
    let malformed = api::CreateOrderRequest {
        max_price: Some(Money {
            currency_code: "EUR".into(),
            units: 1,
            nanos: -1,
        }),
        ..order(FRESH)
    };
    assert_eq!(
        violations(&create(&mut client, &malformed).await.unwrap_err()),
        ["max_price"]
    );
    let nameless = client
        .get_order(api::GetOrderRequest { key: None })
        .await
        .unwrap_err();
    assert_eq!(violations(&nameless), ["key"]);
    let list = api::ListOrdersRequest {
        sim: by_iccid("1"),
        states: vec![0, 77],
        created_after: Some(prost_types::Timestamp {
            seconds: 0,
            nanos: -1,
        }),
        page_size: -1,
        ..Default::default()
    };
    assert_eq!(
        violations(&client.list_orders(list).await.unwrap_err()),
        [
            "created_after",
            "page_size",
            "sim.iccid",
            "states[0]",
            "states[1]"
        ]
    );
    let resolve = api::ResolveOrderRequest {
        order_id: "x".into(),
        resolution: api::Resolution::Placed.into(),
        subscription_id: String::new(),
        note: "n".repeat(501),
    };
    assert_eq!(
        violations(&client.resolve_order(resolve).await.unwrap_err()),
        ["note", "order_id", "subscription_id"]
    );
    let unknown = api::CreateOrderRequest {
        product_id: "NO_SUCH".into(),
        ..order(FRESH)
    };
    assert_eq!(
        reason(&create(&mut client, &unknown).await.unwrap_err()).reason,
        "PRODUCT_NOT_FOUND"
    );
    assert_eq!(
        reason(&get(&mut client, &unknown).await.unwrap_err()).reason,
        "ORDER_NOT_FOUND"
    );
    let counters = env.control().counters();
    assert_eq!(
        counters.received("POST", ORDERS) + counters.received("GET", SUBSCRIPTIONS),
        0
    );
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
async fn a_gateway_that_goes_down_finishes_what_is_on_its_way() {
    let sandbox = simulator().await;
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("ledger.db").display());
    let settings = [("STORE__URL", url.as_str()), ("SHUTDOWN__DRAIN", "0s")];
    let gateway = Gateway::start(&sandbox.base_url(), &settings).await;
    let control = sandbox.control();
    control.queue(Script::on("POST", ORDERS).then(Fault::hold("post")));
    let request = order(FRESH);
    let call = spawn({
        let (mut client, request) = (gateway.provisioning(), request.clone());
        async move { create(&mut client, &request).await }
    });
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

#[tokio::test]
async fn states_are_counted() {
    let env = TestEnv::with(&QUICK).await;
    let mut client = env.provisioning();
    create(&mut client, &order(FRESH)).await.unwrap();
    let metrics = env.gateway.metrics().await;
    let count =
        |state: &str| metrics.contains(&format!("gateway_orders_transitions_total{{state=\"{state}\""));
    assert!(count("submitting") && count("placed"), "{metrics}");
}
