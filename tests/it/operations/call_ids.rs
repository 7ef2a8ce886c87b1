//! The id of a call: on every answer, in every error, and in the log.

use std::time::Duration;

use http::uri::PathAndQuery;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use serde_json::Value;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;
use transatel_gateway_client::connectivity::v1 as api;
use transatel_gateway_client::connectivity::v1::catalog_client::CatalogClient;
use transatel_simulator::{Fault, Script};

use crate::support::gateway::{
    FRANCE, PRODUCTS, SUBSCRIPTIONS, TestEnv, by_msisdn, get, settings, simulator, spawn, until,
};
use crate::support::process::Process;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const HEADER: &str = "x-trace-id";

/// A request in a caller's trace, which is not recorded.
fn traced<T>(request: T) -> Request<T> {
    // As `telemetry::init` does, once per process.
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    let mut request = Request::new(request);
    let parent = format!("00-{TRACE}-b7ad6b7169203331-00").parse().unwrap();
    request.metadata_mut().insert("traceparent", parent);
    request
}

/// The id of an error, which it has twice; a stream's is in its own headers.
fn id(status: &Status, header: Option<&str>) -> String {
    let own = status.metadata().get(HEADER).map(|own| own.to_str().unwrap());
    let header = header
        .or(own)
        .unwrap_or_else(|| panic!("no {HEADER} in {status:?}"));
    assert_eq!(header.len(), 32, "{header}");
    assert!(header.bytes().all(|digit| digit.is_ascii_hexdigit()));
    let details = status.get_error_details();
    let info = details
        .request_info()
        .unwrap_or_else(|| panic!("no RequestInfo in {status:?}"));
    assert_eq!(info.request_id, header, "{status:?}");
    header.to_owned()
}

async fn call(channel: &Channel, path: &'static str) -> Result<(), Status> {
    let mut grpc = tonic::client::Grpc::new(channel.clone());
    grpc.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<_, ()>::default();
    let path = PathAndQuery::from_static(path);
    grpc.unary(traced(FRANCE.to_owned()), path, codec)
        .await
        .map(|_| ())
}

#[tokio::test]
async fn every_error_carries_the_id_of_its_call() {
    let env = TestEnv::with(&[("GRPC__MAX_IN_FLIGHT", "1"), ("TRANSATEL__READ_ATTEMPTS", "1")]).await;
    let control = env.control();
    let eligibility = || api::CheckEligibilityRequest {
        sim: by_msisdn("882470000000001"),
        product_ids: vec![FRANCE.into()],
    };
    let mut errors = Vec::new();
    // By the handler: what is wrong with the request, and what does not exist.
    for product_id in ["", "NO_SUCH_PRODUCT"] {
        errors.push(
            env.catalog()
                .get_product(traced(get(product_id)))
                .await
                .unwrap_err(),
        );
    }
    // By the provider.
    control.queue(Script::on("GET", PRODUCTS).then(Fault::Reset.step()));
    errors.push(
        env.catalog()
            .check_eligibility(traced(eligibility()))
            .await
            .unwrap_err(),
    );
    // By the framework: no such service, no such method, no such message.
    for path in [
        "/a.B/C",
        "/connectivity.v1.Catalog/Sell",
        "/connectivity.v1.Catalog/GetSubscription",
    ] {
        errors.push(call(&env.gateway.channel, path).await.unwrap_err());
    }
    // By the layers: too much metadata, too many calls, too little time.
    let mut large = traced(get(FRANCE));
    large
        .metadata_mut()
        .insert("large", "x".repeat(20_000).parse().unwrap());
    errors.push(env.catalog().get_product(large).await.unwrap_err());
    control.queue(Script::on("GET", PRODUCTS).then(Fault::hold("busy").step()));
    let mut catalog = env.gateway.untimed_catalog();
    let mut short = traced(eligibility());
    short.metadata_mut().insert("grpc-timeout", "5S".parse().unwrap());
    let held = spawn(async move { catalog.check_eligibility(short).await.unwrap_err() });
    until("the first is on its way", async || {
        control.received("GET", PRODUCTS) == 2
    })
    .await;
    errors.push(env.catalog().get_product(traced(get(FRANCE))).await.unwrap_err());
    errors.push(held.await.unwrap());
    let codes: Vec<Code> = errors.iter().map(Status::code).collect();
    use Code::{DeadlineExceeded, InvalidArgument, NotFound, ResourceExhausted, Unavailable, Unimplemented};
    let expected = [
        InvalidArgument,
        NotFound,
        Unavailable,
        Unimplemented,
        Unimplemented,
        Unimplemented,
        ResourceExhausted,
        Unavailable,
        DeadlineExceeded,
    ];
    assert_eq!(codes, expected, "{errors:?}");
    for error in &errors {
        assert_eq!(id(error, None), TRACE);
    }
}

#[tokio::test]
async fn a_caller_that_may_not_call_has_the_id_to_ask_with() {
    let more = [
        ("CALLERS__HEADER", "x-caller"),
        ("CALLERS__HEADER_FROM", "127.0.0.1"),
        ("CALLERS__ALLOW", r#"{ "shop.internal" = ["Catalog/*"] }"#),
    ];
    let env = TestEnv::with(&more).await;
    let status = env.catalog().get_product(traced(get(FRANCE))).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert_eq!(id(&status, None), TRACE);
}

#[tokio::test]
async fn every_answer_names_its_call_and_no_two_share_a_name() {
    let env = TestEnv::open().await;
    let mut ids = std::collections::HashSet::new();
    for _ in 0..3 {
        let answer = env.catalog().get_product(get(FRANCE)).await.unwrap();
        ids.insert(
            answer
                .metadata()
                .get(HEADER)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned(),
        );
        let error = env.catalog().get_product(get("")).await.unwrap_err();
        ids.insert(id(&error, None));
    }
    assert_eq!(ids.len(), 6);
    let answer = env.catalog().get_product(traced(get(FRANCE))).await.unwrap();
    assert_eq!(answer.metadata().get(HEADER).unwrap(), TRACE);
}

#[tokio::test]
async fn a_stream_that_ends_with_an_error_carries_the_id() {
    let env = TestEnv::open().await;
    let hangs = Script::on("GET", SUBSCRIPTIONS)
        .then(Fault::Pass)
        .then(Fault::Hang.step().forever());
    env.control().queue(hangs);
    let request = traced(api::BatchGetInventoryRequest {
        sims: ["882470000000001", "882470000000002"]
            .into_iter()
            .filter_map(by_msisdn)
            .collect(),
        ..Default::default()
    });
    let patience = Duration::from_millis(800);
    let timeout = format!("{}m", patience.as_millis());
    let answer = env.batch_untimed(request, &timeout).await;
    let header = answer
        .metadata()
        .get(HEADER)
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    assert_eq!(header, TRACE);
    let mut stream = answer.into_inner();
    let status = loop {
        match stream.message().await {
            Ok(message) => assert!(message.is_some(), "it ended as if it were complete"),
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(id(&status, Some(&header)), TRACE);
}

#[tokio::test]
async fn the_log_is_searched_by_the_id() {
    let sandbox = simulator().await;
    let more = [("TELEMETRY__LOG_FORMAT", "json")];
    let mut gateway = Process::start(&["serve"], &settings(&sandbox.base_url(), &more));
    let listening: Value = serde_json::from_str(&gateway.logged("listening").await).unwrap();
    let address = format!("http://{}", listening["grpc"].as_str().unwrap());
    gateway.logged("ready").await;
    let channel = Endpoint::from_shared(address).unwrap().connect().await.unwrap();
    let status = CatalogClient::new(channel)
        .get_product(get(""))
        .await
        .unwrap_err();
    let line: Value = serde_json::from_str(&gateway.logged("call failed").await).unwrap();
    assert_eq!(line["trace_id"], id(&status, None));
}
