//! What the provider may do to us, and what callers see.

use std::time::Duration;

use tonic::{Code, Request};
use transatel_gateway_client::connectivity::v1::CheckEligibilityRequest;
use transatel_simulator::{Fault, Script, Step};

use crate::support::gateway::{CATALOG, FRANCE, PRODUCTS, TestEnv, by_msisdn, get, reason};

fn live() -> CheckEligibilityRequest {
    CheckEligibilityRequest {
        sim: by_msisdn("882470000000001"),
        product_ids: vec![FRANCE.into()],
    }
}

/// Answers a live read with a fault for good; gives the error and how often
/// the provider was asked.
async fn asked_with(fault: Step, settings: &[(&str, &str)]) -> (crate::support::gateway::Reason, u64) {
    let env = TestEnv::with(settings).await;
    let control = env.control();
    control.queue(Script::on("GET", PRODUCTS).then(fault.forever()));
    let status = env.catalog().check_eligibility(live()).await.unwrap_err();
    (reason(&status), control.received("GET", PRODUCTS))
}

const QUICK: [(&str, &str); 2] = [
    ("TRANSATEL__RETRY_FIRST_WAIT", "1ms"),
    ("TRANSATEL__RETRY_LONGEST_WAIT", "2ms"),
];
/// Where no answer comes.
const IMPATIENT: (&str, &str) = ("TRANSATEL__ATTEMPT_TIMEOUT", "500ms");

#[tokio::test]
async fn faults_of_the_provider_become_the_contracts_errors() {
    let problem = |status, title: &str| Fault::problem(status, title).step();
    let cases: Vec<(&str, Step, Code, &str, u64)> = vec![
        (
            "500",
            Fault::status(500).step(),
            Code::Unavailable,
            "PROVIDER_UNAVAILABLE",
            3,
        ),
        (
            "503",
            Fault::status(503).step(),
            Code::Unavailable,
            "PROVIDER_UNAVAILABLE",
            3,
        ),
        (
            "504",
            Fault::status(504).step(),
            Code::Unavailable,
            "PROVIDER_UNAVAILABLE",
            3,
        ),
        (
            "501",
            Fault::status(501).step(),
            Code::FailedPrecondition,
            "OPERATION_NOT_ENABLED",
            1,
        ),
        (
            "reset",
            Fault::Reset.step(),
            Code::Unavailable,
            "PROVIDER_UNAVAILABLE",
            3,
        ),
        (
            "close",
            Fault::Close.step(),
            Code::Unavailable,
            "PROVIDER_UNAVAILABLE",
            3,
        ),
        (
            "hang",
            Fault::Hang.step(),
            Code::Unavailable,
            "PROVIDER_UNAVAILABLE",
            3,
        ),
        (
            "stalled",
            Fault::Stalled.step(),
            Code::Unavailable,
            "PROVIDER_UNAVAILABLE",
            3,
        ),
        (
            "rate",
            Fault::RateLimited { retry_after: None }.step(),
            Code::ResourceExhausted,
            "PROVIDER_RATE_LIMITED",
            3,
        ),
        (
            "garbage",
            Fault::Garbage.step(),
            Code::Internal,
            "PROVIDER_PROTOCOL",
            1,
        ),
        ("html", Fault::Html.step(), Code::Internal, "PROVIDER_PROTOCOL", 1),
        (
            "truncated",
            Fault::Truncated.step(),
            Code::Internal,
            "PROVIDER_PROTOCOL",
            3,
        ),
        (
            "403",
            problem(403, "INSUFFICIENT_PERMISSION"),
            Code::Internal,
            "PROVIDER_CREDENTIALS_REJECTED",
            1,
        ),
        (
            "wrong URL",
            problem(404, "NOT_FOUND"),
            Code::Internal,
            "PROVIDER_PROTOCOL",
            1,
        ),
        (
            "catalog",
            problem(404, "CATALOG_NOT_FOUND"),
            Code::FailedPrecondition,
            "PROVIDER_REJECTED",
            1,
        ),
        (
            "new title",
            problem(400, "BRAND_NEW"),
            Code::FailedPrecondition,
            "PROVIDER_REJECTED",
            1,
        ),
        (
            "redirect",
            Fault::body(302, "").step(),
            Code::Internal,
            "PROVIDER_PROTOCOL",
            1,
        ),
    ];
    for (name, fault, code, expected, asked) in cases {
        let mut settings = QUICK.to_vec();
        settings.extend(["hang", "stalled"].contains(&name).then_some(IMPATIENT));
        let (error, times) = asked_with(fault, &settings).await;
        assert_eq!(
            (error.code, error.reason.as_str(), times),
            (code, expected, asked),
            "{name}"
        );
        let retry = matches!(code, Code::Unavailable | Code::ResourceExhausted);
        assert_eq!(error.details.retry_info().is_some(), retry, "{name}");
    }
}

#[tokio::test]
async fn the_providers_code_and_request_id_reach_the_caller_its_text_does_not() {
    let fault = Fault::body(400, r#"{"title":"BRAND_NEW","detail":"for 882470000000001"}"#).step();
    let env = TestEnv::open().await;
    env.control().queue(Script::on("GET", PRODUCTS).then(fault));
    let status = env.catalog().check_eligibility(live()).await.unwrap_err();
    let error = reason(&status);
    assert_eq!(error.metadata["provider_code"], "BRAND_NEW");
    let sent = env.control().requests();
    assert_eq!(
        error.metadata["provider_request_id"],
        sent.last().unwrap().request_id
    );
    assert!(!format!("{status:?}").contains("882470000000001"));
}

#[tokio::test]
async fn a_wait_that_the_provider_asks_for_is_kept_or_handed_on() {
    // More than we would ever wait: the caller is.
    let hour = Fault::RateLimited {
        retry_after: Some(Duration::from_secs(3600)),
    };
    let (error, asked) = asked_with(hour.step(), &[]).await;
    assert_eq!((error.reason.as_str(), asked), ("PROVIDER_RATE_LIMITED", 1));
    assert_eq!(
        error.details.retry_info().unwrap().retry_delay,
        Some(Duration::from_secs(3600))
    );

    // A second is waited for.
    let env = TestEnv::open().await;
    let second = Fault::RateLimited {
        retry_after: Some(Duration::from_secs(1)),
    };
    env.control()
        .queue(Script::on("GET", PRODUCTS).then(second.step()));
    let started = std::time::Instant::now();
    env.catalog().check_eligibility(live()).await.unwrap();
    assert!(started.elapsed() >= Duration::from_secs(1));
    assert_eq!(env.control().received("GET", PRODUCTS), 2);
}

#[tokio::test]
async fn a_read_survives_faults_that_pass() {
    let env = TestEnv::with(&QUICK).await;
    let control = env.control();
    control.queue(
        Script::on("GET", PRODUCTS)
            .then(Fault::Reset.step())
            .then(Fault::status(503).step()),
    );
    env.catalog().check_eligibility(live()).await.unwrap();
    assert_eq!(control.received("GET", PRODUCTS), 3);
}

#[tokio::test]
async fn a_callers_deadline_bounds_the_wait_for_the_provider() {
    let env = TestEnv::open().await;
    env.control()
        .queue(Script::on("GET", PRODUCTS).then(Fault::Hang.step().forever()));
    let mut request = Request::new(live());
    request.set_timeout(Duration::from_millis(150));
    let started = std::time::Instant::now();
    let late = reason(
        &env.gateway
            .untimed_catalog()
            .check_eligibility(request)
            .await
            .unwrap_err(),
    );
    assert_eq!(
        (late.code, late.reason.as_str()),
        (Code::DeadlineExceeded, "DEADLINE_EXCEEDED")
    );
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn answers_that_cannot_be_read_leave_the_cached_catalog_alone() {
    let faults = [
        Fault::Garbage,
        Fault::Html,
        Fault::Truncated,
        Fault::Oversize { bytes: 3 << 20 },
        Fault::body(200, r#"{"products":{}}"#),
    ];
    for fault in faults {
        let name = format!("{fault:?}");
        let settings = [("CATALOG__FRESH_FOR", "1s"), ("TRANSATEL__READ_ATTEMPTS", "1")];
        // The catalog fits, the oversized answer does not.
        let bound = [settings.as_slice(), &[("TRANSATEL__MAX_ANSWER_BYTES", "2500000")]].concat();
        let env = TestEnv::with(&bound).await;
        let control = env.control();
        let before = env.catalog().get_product(get(FRANCE)).await.unwrap().into_inner();
        control.queue(Script::on("GET", CATALOG).then(fault.step().forever()));
        let mut last = None;
        crate::support::gateway::until("the refresh has failed", async || {
            last = Some(env.catalog().get_product(get(FRANCE)).await.unwrap().into_inner());
            let metrics = env.gateway.metrics().await;
            crate::support::gateway::is_counted(
                &metrics,
                &["transatel_gateway_provider_unreadable_total{api=\"catalog\""],
            )
        })
        .await;
        let last = last.unwrap();
        assert_eq!(last.product, before.product, "{name}");
        assert!(last.freshness.unwrap().stale, "{name}");
    }
}

#[tokio::test]
async fn a_cold_catalog_that_cannot_be_read_is_a_protocol_error() {
    for fault in [
        Fault::Garbage,
        Fault::Truncated,
        Fault::Oversize { bytes: 3 << 20 },
    ] {
        let name = format!("{fault:?}");
        let bound = [QUICK.as_slice(), &[("TRANSATEL__MAX_ANSWER_BYTES", "2500000")]].concat();
        let env = TestEnv::with(&bound).await;
        env.control()
            .queue(Script::on("GET", CATALOG).then(fault.step().forever()));
        let error = reason(&env.catalog().get_product(get(FRANCE)).await.unwrap_err());
        assert_eq!(
            (error.code, error.reason.as_str()),
            (Code::Internal, "PROVIDER_PROTOCOL"),
            "{name}"
        );
    }
}
