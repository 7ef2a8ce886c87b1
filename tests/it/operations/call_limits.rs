//! Limits of calls, by caller.

use std::time::Duration;

use futures_util::future::join_all;
use tonic::metadata::MetadataValue;
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use transatel_gateway_client::connectivity::v1 as api;
use transatel_simulator::{Fault, Script};

use crate::events::streams::from_the_beginning;
use crate::support::gateway::{FRANCE, PRODUCTS, TestEnv, by_msisdn, get, is_counted, reason, spawn, until};

const HEADER: [(&str, &str); 2] = [
    ("CALLERS__HEADER", "l5d-client-id"),
    ("CALLERS__HEADER_FROM", "127.0.0.1"),
];

async fn limited(limits: &str) -> TestEnv {
    let env = TestEnv::with(&[&HEADER[..], &[("CALLERS__LIMITS", limits)]].concat()).await;
    // Loads the catalog.
    product(&env, Some("somebody-else")).await.unwrap();
    env
}

fn by<T>(caller: Option<&'static str>, message: T) -> Request<T> {
    let mut request = Request::new(message);
    if let Some(caller) = caller {
        let name = MetadataValue::from_static(caller);
        request.metadata_mut().insert("l5d-client-id", name);
    }
    request
}

async fn product(env: &TestEnv, caller: Option<&'static str>) -> Result<(), Status> {
    let answer = env.catalog().get_product(by(caller, get(FRANCE))).await;
    answer.map(|_| ())
}

/// The limit that a call was refused for, its value, and when to try again.
fn refusal(status: &Status) -> (String, String, Duration) {
    let refused = reason(status);
    assert_eq!(
        (refused.code, refused.reason.as_str()),
        (Code::ResourceExhausted, "CALLER_LIMIT_REACHED")
    );
    let after = refused.details.retry_info().unwrap().retry_delay.unwrap();
    let of = |key: &str| refused.metadata[key].clone();
    (of("limit"), of("limit_value"), after)
}

#[tokio::test]
async fn a_caller_calls_as_often_as_it_may_and_others_are_not_held_up() {
    let env = limited(r#"{ "shop" = ["5 calls/second"], "*" = ["1000 calls/second"] }"#).await;
    let begun = std::time::Instant::now();
    let answers = join_all((0..100).map(|_| product(&env, Some("shop")))).await;
    let refused: Vec<_> = answers.into_iter().filter_map(Result::err).collect();
    // Five at once, and one every 200 ms after that.
    let most = 6 + begun.elapsed().as_millis() / 200;
    let passed = 100 - refused.len();
    assert!((5..=most).contains(&(passed as u128)), "{passed}");
    for status in &refused {
        let (limit, value, after) = refusal(status);
        assert_eq!(
            (limit.as_str(), value.as_str()),
            ("calls_per_second", "5 calls per second")
        );
        assert!(
            !after.is_zero() && after <= Duration::from_millis(200),
            "{after:?}"
        );
    }
    for caller in [Some("other"), None] {
        let answers = join_all((0..100).map(|_| product(&env, caller))).await;
        assert!(answers.iter().all(Result::is_ok), "{caller:?}");
    }
    let metrics = env.gateway.metrics().await;
    let series = ["caller_limit_refused_total{caller=\"shop\",limit=\"calls_per_second\""];
    assert!(is_counted(&metrics, &series), "{metrics}");
    let series = ["caller_limit_refused_total{caller=\"_OTHER\",limit=\"calls_per_second\""];
    assert!(!is_counted(&metrics, &series), "{metrics}");
}

#[tokio::test]
async fn health_and_reflection_are_free_of_limits() {
    let env = limited(r#"{ "shop" = ["1 calls/second", "1 calls in flight"] }"#).await;
    let mut health = HealthClient::new(env.gateway.channel());
    for _ in 0..50 {
        let request = by(Some("shop"), HealthCheckRequest::default());
        health.check(request).await.unwrap();
    }
    let metrics = env.gateway.metrics().await;
    let series = ["caller_limit_refused_total"];
    assert!(!is_counted(&metrics, &series), "{metrics}");
}

#[tokio::test]
async fn a_caller_has_as_many_calls_in_flight_as_it_may() {
    let env = limited(r#"{ "shop" = ["1 calls in flight"], "*" = ["2 calls in flight"] }"#).await;
    let control = env.control();
    control.queue(Script::on("GET", PRODUCTS).then(Fault::hold("busy").step()));
    let mut catalog = env.catalog();
    let held = spawn(async move {
        let request = api::CheckEligibilityRequest {
            sim: by_msisdn("882470000000001"),
            product_ids: vec![FRANCE.into()],
        };
        catalog.check_eligibility(by(Some("shop"), request)).await
    });
    until("the first is on its way", async || {
        control.received("GET", PRODUCTS) == 1
    })
    .await;
    let (limit, value, after) = refusal(&product(&env, Some("shop")).await.unwrap_err());
    assert_eq!(
        (limit.as_str(), value.as_str()),
        ("calls_in_flight", "1 calls in flight")
    );
    assert!(!after.is_zero() && after < Duration::from_secs(1), "{after:?}");
    for caller in [Some("other"), None] {
        product(&env, caller).await.unwrap();
    }
    control.release("busy");
    held.await.unwrap().unwrap();
    // One after the other: each is over when its answer is there, also a failed one.
    for _ in 0..100 {
        product(&env, Some("shop")).await.unwrap();
        let unknown = by(Some("shop"), get("no-such-product"));
        let answer = env.catalog().get_product(unknown).await.unwrap_err();
        assert_eq!(reason(&answer).reason, "PRODUCT_NOT_FOUND");
    }
}

#[tokio::test]
async fn a_stream_is_in_flight_for_as_long_as_it_is_open() {
    let env = limited(r#"{ "shop" = ["1 calls in flight"] }"#).await;
    let follow = by(Some("shop"), from_the_beginning());
    let mut stream = env.events().stream_events(follow).await.unwrap().into_inner();
    stream.message().await.unwrap();
    let (limit, ..) = refusal(&product(&env, Some("shop")).await.unwrap_err());
    assert_eq!(limit, "calls_in_flight");
    let follow = by(Some("shop"), from_the_beginning());
    refusal(&env.events().stream_events(follow).await.unwrap_err());
    drop(stream);
    until("its place is free", async || {
        product(&env, Some("shop")).await.is_ok()
    })
    .await;
}
