//! Too much of something: failures of the provider, requests to it, calls of
//! ours.

use std::time::Duration;

use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use transatel_gateway::app::{App, StartError};
use transatel_gateway::config::{self, Sources};
use transatel_gateway_client::connectivity::v1 as api;
use transatel_simulator::{Fault, Script};

use crate::support::gateway::{
    FRANCE, Gateway, ORDERS, PRODUCTS, SUBSCRIPTIONS, TestEnv, by_msisdn, fetch, get, reason, settings,
    simulator, spawn, until,
};
use crate::writes::orders::{create, order};

fn live() -> api::CheckEligibilityRequest {
    api::CheckEligibilityRequest {
        sim: by_msisdn("882470000000001"),
        product_ids: vec![FRANCE.into()],
    }
}

async fn ask(env: &TestEnv) -> Result<(), Status> {
    env.catalog().check_eligibility(live()).await.map(|_| ())
}

async fn serving(gateway: &Gateway) -> bool {
    let request = HealthCheckRequest {
        service: String::new(),
    };
    let answer = HealthClient::new(gateway.channel.clone()).check(request).await;
    answer.unwrap().into_inner().status() == ServingStatus::Serving
}

/// Code and reason of an error that tells when to come back.
fn comes_back(status: &Status) -> (Code, String) {
    let error = reason(status);
    let delay = error.details.retry_info().unwrap().retry_delay.unwrap();
    assert!(!delay.is_zero());
    (error.code, error.reason)
}

#[tokio::test]
async fn an_api_that_fails_is_left_alone_and_nothing_else_is() {
    let env = TestEnv::with(&[
        ("TRANSATEL__READ_ATTEMPTS", "1"),
        ("BREAKER__FAILURES", "2"),
        ("BREAKER__OPEN_FOR", "1h"),
    ])
    .await;
    let control = env.control();
    control.queue(Script::on("GET", PRODUCTS).then(Fault::status(503).step().forever()));
    for _ in 0..2 {
        let error = reason(&ask(&env).await.unwrap_err());
        assert_eq!(error.reason, "PROVIDER_UNAVAILABLE");
    }
    for _ in 0..3 {
        assert_eq!(
            comes_back(&ask(&env).await.unwrap_err()),
            (Code::Unavailable, "PROVIDER_CIRCUIT_OPEN".into())
        );
    }
    assert_eq!(control.received("GET", PRODUCTS), 2);

    // Another API has a breaker of its own.
    let request = api::GetInventoryRequest {
        sim: by_msisdn("882470000000001"),
        ..Default::default()
    };
    env.inventory().get_inventory(request).await.unwrap();

    // The gateway is as ready as before.
    assert!(serving(&env.gateway).await);
    let ready = fetch(&format!("http://{}/readyz", env.gateway.addresses.admin)).await;
    assert_eq!(ready, "ready\n");
    let metrics = env.gateway.metrics().await;
    for (name, value) in [
        ("transatel_gateway_provider_breaker{api=\"catalog\"", "2"),
        ("transatel_gateway_provider_breaker{api=\"inventory\"", "0"),
        ("transatel_gateway_provider_held_back_total{api=\"catalog\",", "3"),
    ] {
        let line = metrics.lines().find(|line| line.starts_with(name)).unwrap();
        assert_eq!(line.rsplit(' ').next().unwrap(), value, "{line}");
    }
}

#[tokio::test]
async fn an_api_that_is_back_is_found_out_by_one_call() {
    let env = TestEnv::with(&[
        ("TRANSATEL__READ_ATTEMPTS", "1"),
        ("BREAKER__FAILURES", "1"),
        ("BREAKER__OPEN_FOR", "1ms"),
    ])
    .await;
    env.control()
        .queue(Script::on("GET", PRODUCTS).then(Fault::status(503).step()));
    ask(&env).await.unwrap_err();
    until("the probe has closed it", async || ask(&env).await.is_ok()).await;
    ask(&env).await.unwrap();
}

#[tokio::test]
async fn refusals_do_not_open_the_breaker() {
    let env = TestEnv::with(&[
        ("TRANSATEL__READ_ATTEMPTS", "1"),
        ("BREAKER__FAILURES", "1"),
        ("BREAKER__OPEN_FOR", "1h"),
    ])
    .await;
    let rate = Fault::RateLimited { retry_after: None };
    let control = env.control();
    control.queue(
        Script::on("GET", PRODUCTS)
            .then(Fault::problem(400, "BRAND_NEW").step())
            .then(Fault::problem(404, "CATALOG_NOT_FOUND").step())
            .then(Fault::status(501).step())
            .then(rate.step()),
    );
    for _ in 0..4 {
        ask(&env).await.unwrap_err();
    }
    ask(&env).await.unwrap();
    assert_eq!(control.received("GET", PRODUCTS), 5);
}

#[tokio::test]
async fn an_order_behind_an_open_breaker_is_not_sent_and_may_be_repeated() {
    let env = TestEnv::with(&[("BREAKER__FAILURES", "1"), ("BREAKER__OPEN_FOR", "5s")]).await;
    let control = env.control();
    control.queue(Script::on("POST", ORDERS).then(Fault::status(503).step()));
    let mut client = env.provisioning();
    // Sent, and not known: the breaker does not change that.
    let unknown = create(&mut client, &order("882470000000001")).await.unwrap();
    assert_eq!(unknown.state(), api::OrderState::Unknown);

    let request = order("882470000000002");
    let refused = create(&mut client, &request).await.unwrap_err();
    assert_eq!(
        comes_back(&refused),
        (Code::Unavailable, "PROVIDER_CIRCUIT_OPEN".into())
    );
    assert_eq!(control.received("POST", ORDERS), 1);
    let mut placed = None;
    until("the same request_id is sent", async || {
        placed = create(&mut client, &request).await.ok();
        placed.is_some()
    })
    .await;
    assert_eq!(placed.unwrap().state(), api::OrderState::Placed);
    assert_eq!(control.received("POST", ORDERS), 2);
}

#[tokio::test]
async fn an_api_that_hangs_takes_its_own_room_only() {
    let env = TestEnv::with(&[
        ("TRANSATEL__CONCURRENCY", "1"),
        ("TRANSATEL__CONCURRENCY_WAIT", "10ms"),
    ])
    .await;
    let control = env.control();
    control.queue(Script::on("GET", PRODUCTS).then(Fault::Hang.step().forever()));
    let mut catalog = env.catalog();
    let hanging = spawn(async move { catalog.check_eligibility(live()).await });
    until("the first is on its way", async || {
        control.received("GET", PRODUCTS) == 1
    })
    .await;
    // Of another SIM: the same read would be shared.
    let other = api::CheckEligibilityRequest {
        sim: by_msisdn("882470000000002"),
        ..live()
    };
    let crowded = env.catalog().check_eligibility(other).await.unwrap_err();
    assert_eq!(comes_back(&crowded), (Code::Unavailable, "OVERLOADED".into()));
    assert_eq!(control.received("GET", PRODUCTS), 1);
    let request = api::GetInventoryRequest {
        sim: by_msisdn("882470000000001"),
        ..Default::default()
    };
    env.inventory().get_inventory(request).await.unwrap();
    hanging.abort();
}

#[tokio::test]
async fn requests_keep_the_pace_that_was_agreed() {
    let env = TestEnv::with(&[
        ("TRANSATEL__REQUESTS_PER_SECOND", "5"),
        ("TRANSATEL__CONCURRENCY_WAIT", "20s"),
    ])
    .await;
    let begin = std::time::Instant::now();
    let asks = (0..10).map(|sim| {
        let mut catalog = env.catalog();
        async move { catalog.check_eligibility(eligibility(sim)).await }
    });
    for answer in futures_util::future::join_all(asks).await {
        answer.unwrap();
    }
    assert_eq!(env.control().received("GET", PRODUCTS), 10);
    // Nine gaps between ten requests.
    assert!(
        begin.elapsed() >= Duration::from_millis(1_800),
        "{:?}",
        begin.elapsed()
    );
}

/// About a SIM that nobody else asks about: reads of one are shared.
fn eligibility(sim: usize) -> api::CheckEligibilityRequest {
    api::CheckEligibilityRequest {
        sim: by_msisdn(&format!("8824700000000{:02}", 20 + sim)),
        ..live()
    }
}

#[tokio::test]
async fn a_turn_that_comes_too_late_is_not_waited_for() {
    for (wait, deadline, says) in [
        // Nobody waits longer than that for room, of which a turn is a part.
        ("50ms", 5_000, (Code::Unavailable, "OVERLOADED")),
        ("1h", 500, (Code::DeadlineExceeded, "DEADLINE_EXCEEDED")),
    ] {
        let env = TestEnv::with(&[
            ("TRANSATEL__REQUESTS_PER_SECOND", "1"),
            ("TRANSATEL__CONCURRENCY_WAIT", wait),
        ])
        .await;
        let begin = std::time::Instant::now();
        let asks = (0..6).map(|sim| {
            let mut request = tonic::Request::new(eligibility(sim));
            request.set_timeout(Duration::from_millis(deadline));
            // Its own timer would say CANCELLED.
            let mut caller = env.gateway.untimed_catalog();
            async move { caller.check_eligibility(request).await }
        });
        let answers = futures_util::future::join_all(asks).await;
        let refused: Vec<_> = answers.into_iter().filter_map(Result::err).collect();
        assert!(!refused.is_empty(), "{wait}");
        for status in refused {
            let error = reason(&status);
            assert_eq!((error.code, &*error.reason), says, "{wait}");
        }
        // A refused call sent nothing.
        let turns = 1 + begin.elapsed().as_secs();
        assert!(env.control().received("GET", PRODUCTS) <= turns, "{wait}");
    }
}

#[tokio::test]
async fn retries_do_not_multiply_what_a_failing_provider_has_to_bear() {
    let env = TestEnv::with(&[
        ("TRANSATEL__RETRY_FIRST_WAIT", "1ms"),
        ("TRANSATEL__RETRY_LONGEST_WAIT", "1ms"),
        ("TRANSATEL__RETRY_RATIO", "0"),
        ("BREAKER__FAILURES", "1000000"),
    ])
    .await;
    let control = env.control();
    control.queue(Script::on("GET", PRODUCTS).then(Fault::status(503).step().forever()));
    for _ in 0..100 {
        ask(&env).await.unwrap_err();
    }
    let received = control.received("GET", PRODUCTS);
    // Not 300: the first calls use up what is always allowed.
    assert!((101..250).contains(&received), "{received}");
}

#[tokio::test]
async fn calls_beyond_the_limit_are_turned_away_health_and_reflection_are_not() {
    let env = TestEnv::with(&[("GRPC__MAX_IN_FLIGHT", "1")]).await;
    let control = env.control();
    env.catalog().get_product(get(FRANCE)).await.unwrap();
    control.queue(Script::on("GET", PRODUCTS).then(Fault::hold("busy").step()));
    let mut catalog = env.catalog();
    let first = spawn(async move { catalog.check_eligibility(live()).await });
    until("the first is on its way", async || {
        control.received("GET", PRODUCTS) == 1
    })
    .await;
    let shed = env.catalog().get_product(get(FRANCE)).await.unwrap_err();
    assert_eq!(comes_back(&shed), (Code::Unavailable, "OVERLOADED".into()));
    let metrics = env.gateway.metrics().await;
    let figure = |name: &str| {
        let line = metrics.lines().find(|line| line.starts_with(name)).unwrap();
        line.rsplit_once(' ').unwrap().1.to_owned()
    };
    for name in ["in_flight", "max_in_flight", "shed_total"] {
        assert_eq!(figure(&format!("transatel_gateway_calls_{name}")), "1", "{name}");
    }
    assert!(serving(&env.gateway).await);
    let address = env.gateway.addresses.grpc.to_string();
    crate::operations::grpcurl::run("grpcurl -plaintext 127.0.0.1:50051 list", &address)
        .await
        .unwrap();
    control.release("busy");
    first.await.unwrap().unwrap();
    env.catalog().get_product(get(FRANCE)).await.unwrap();
}

#[tokio::test]
async fn the_provider_is_reached_through_the_proxy() {
    let sandbox = simulator().await;
    // Nobody listens there: only the proxy leads to an answer.
    let proxy = sandbox.base_url();
    let gateway = Gateway::start("http://127.0.0.1:1", &[("TRANSATEL__PROXY", &proxy)]).await;
    gateway.catalog().get_product(get(FRANCE)).await.unwrap();
}

#[tokio::test]
async fn certificates_that_cannot_be_read_are_a_reason_not_to_start() {
    let environment = settings("http://127.0.0.1:1", &[("TRANSATEL__CA_FILE", "/no/such.pem")]);
    let sources = Sources {
        environment,
        ..Sources::default()
    };
    let refused = App::build(config::load(&sources).unwrap().config).await;
    match refused.err().unwrap() {
        error @ StartError::Provider(_) => {
            assert!(error.to_string().contains("transatel.ca_file"), "{error}")
        }
        other => panic!("{other}"),
    }
}

/// A batch reads sixteen SIMs at once; ten batches want twenty times the room
/// that there is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_of_slow_reads_do_not_keep_an_order_from_being_sent() {
    let env = TestEnv::with(&[
        ("TRANSATEL__CONCURRENCY", "8"),
        ("TRANSATEL__CONCURRENCY_WAIT", "1m"),
    ])
    .await;
    let control = env.control();
    // Behind those that wait, an order would wait for 10 s.
    let slow = Fault::delay(Duration::from_millis(500));
    control.queue(Script::on("GET", SUBSCRIPTIONS).then(slow.step().forever()));
    let batches: Vec<_> = (0..10)
        .map(|batch| {
            let mut client = env.inventory();
            let sims =
                (1..=60).filter_map(|number| by_msisdn(&format!("{}", 882_470_000_000_000_u64 + number)));
            let request = api::BatchGetInventoryRequest {
                sims: sims.collect(),
                // Reads of another language are not shared.
                language_code: format!("en-{}", char::from(b'A' + batch).to_string().repeat(2)),
                ..Default::default()
            };
            spawn(async move {
                let mut answers = client.batch_get_inventory(request).await.unwrap().into_inner();
                while answers.message().await.unwrap().is_some() {}
            })
        })
        .collect();
    until("the batches take all the room that they get", async || {
        control.received("GET", SUBSCRIPTIONS) >= 10
    })
    .await;
    let mut client = env.provisioning();
    for sim in ["882470000000001", "882470000000002", "882470000000003"] {
        let mut request = tonic::Request::new(order(sim));
        request.set_timeout(Duration::from_secs(5));
        let answer = client.create_order(request).await.unwrap().into_inner();
        assert_eq!(answer.order.unwrap().state(), api::OrderState::Placed);
    }
    assert!(
        batches.iter().all(|batch| !batch.is_finished()),
        "the batches are still at it"
    );
}

#[tokio::test]
async fn the_admin_port_says_what_runs() {
    let env = TestEnv::open().await;
    let page = fetch(&format!("http://{}/buildinfo", env.gateway.addresses.admin)).await;
    let page: serde_json::Value = serde_json::from_str(&page).unwrap();
    assert_eq!(page["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(page["revision"], transatel_gateway::telemetry::REVISION);
}
