//! What an operator sees of failures: which API, which status, which reason; in
//! metrics, log lines and spans.

use std::time::Duration;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use serde_json::Value as Json;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request};
use transatel_gateway_client::connectivity::v1 as api;
use transatel_gateway_client::connectivity::v1::catalog_client::CatalogClient;
use transatel_simulator::{Fault, Sandbox, Script};

use crate::operations::whole_run::run;
use crate::support::gateway::{
    FRANCE, Gateway, OPERATIONS, PRODUCTS, SUBSCRIPTIONS, TestEnv, by_msisdn, fetch, get, settings,
    simulator, until, value,
};
use crate::support::process::Process;
use crate::writes::orders::{create, order};
use crate::writes::sim_operations::{IN_USE, suspend};

const CALLS: &str = "rpc_server_call_duration_seconds_count{";
const REQUESTS: &str = "http_client_request_duration_seconds_count{";

fn live() -> api::CheckEligibilityRequest {
    api::CheckEligibilityRequest {
        sim: by_msisdn("882470000000001"),
        product_ids: vec![FRANCE.into()],
    }
}

/// The real binary with a log in JSON, in front of a simulator.
struct Logged {
    sandbox: Sandbox,
    process: Process,
    admin: String,
    channel: Channel,
}

impl Logged {
    async fn start(more: &[(&str, &str)]) -> Self {
        let sandbox = simulator().await;
        let more = [
            &[
                ("TELEMETRY__LOG_FORMAT", "json"),
                ("TRANSATEL__READ_ATTEMPTS", "1"),
            ],
            more,
        ]
        .concat();
        let mut process = Process::start(&["serve"], &settings(&sandbox.base_url(), &more));
        let listening: Json = serde_json::from_str(&process.logged("listening").await).unwrap();
        let address = |name: &str| format!("http://{}", listening[name].as_str().unwrap());
        process.logged("\"ready\"").await;
        let channel = Endpoint::from_shared(address("grpc")).unwrap();
        Self {
            sandbox,
            process,
            admin: address("admin"),
            channel: channel.connect().await.unwrap(),
        }
    }

    async fn ask(&self) -> Result<(), tonic::Status> {
        let mut catalog = CatalogClient::new(self.channel.clone());
        catalog.check_eligibility(live()).await.map(|_| ())
    }

    async fn line(&mut self, text: &str) -> Json {
        serde_json::from_str(&self.process.logged(text).await).unwrap()
    }

    /// Stops it; every line that nobody has read.
    async fn stop(mut self) -> Vec<Json> {
        drop(self.channel);
        self.process.signal("TERM").await;
        let mut lines = Vec::new();
        while let Some(line) = self.process.stderr.next_line().await.unwrap() {
            lines.extend(serde_json::from_str::<Json>(&line));
        }
        assert_eq!(self.process.ended().await, Some(0));
        lines
    }
}

#[tokio::test]
async fn a_provider_that_answers_503_is_in_the_log_and_apart_from_refusals_in_the_metrics() {
    let gateway = Logged::start(&[("BREAKER__FAILURES", "1000")]).await;
    let control = gateway.sandbox.control();
    control.queue(
        Script::on("GET", PRODUCTS)
            .then(Fault::problem(404, "CATALOG_NOT_FOUND").step())
            .then(Fault::RateLimited { retry_after: None }.step())
            .then(Fault::status(503).step().times(60)),
    );
    for _ in 0..62 {
        gateway.ask().await.unwrap_err();
    }
    let metrics = fetch(&format!("{}/metrics", gateway.admin)).await;
    let template = "/ocs/catalog/api/cos/{cosRef}/products/{productId}";
    for (status, outcome, count) in [
        ("404", "refused", 1.0),
        ("429", "rate_limited", 1.0),
        ("503", "server_error", 60.0),
    ] {
        let labels = [
            ("api", "catalog"),
            ("outcome", outcome),
            ("http_request_method", "GET"),
            ("http_response_status_code", status),
            ("error_type", status),
            ("server_address", "127.0.0.1"),
            ("url_template", template),
        ];
        assert_eq!(
            value(&metrics, REQUESTS, &labels),
            Some(count),
            "{status}: {metrics}"
        );
    }
    let token = [
        ("api", "authentication"),
        ("outcome", "ok"),
        ("http_response_status_code", "200"),
    ];
    assert_eq!(value(&metrics, REQUESTS, &token), Some(1.0));

    let lines = gateway.stop().await;
    let failed = |status: u64| {
        let about = move |line: &&Json| line["status"] == status && line["level"] == "warn";
        lines.iter().filter(about).collect::<Vec<_>>()
    };
    let (limited, unavailable) = (failed(429), failed(503));
    assert_eq!(limited.len(), 1, "{lines:?}");
    // The first at once, and not all sixty.
    assert!((1..30).contains(&unavailable.len()), "{unavailable:?}");
    assert_eq!(unavailable[0]["api"], "catalog");
    assert_eq!(unavailable[0]["template"], template);
    assert!(failed(404).is_empty());
}

#[tokio::test]
async fn a_breaker_that_opens_fails_its_probe_and_closes_says_so() {
    let more = [("BREAKER__FAILURES", "2"), ("BREAKER__OPEN_FOR", "20ms")];
    let mut gateway = Logged::start(&more).await;
    let control = gateway.sandbox.control();
    control.queue(Script::on("GET", PRODUCTS).then(Fault::status(503).step().times(3)));
    // Two open it, the third is the probe.
    until("it has recovered", async || gateway.ask().await.is_ok()).await;
    for what in [
        "the breaker of an API opened",
        "the probe of an API failed",
        "the breaker of an API closed",
    ] {
        assert_eq!(gateway.line(what).await["api"], "catalog", "{what}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_failed_call_has_its_cause_in_the_metrics_and_in_the_log() {
    let mut gateway = Logged::start(&[]).await;
    let mut catalog = CatalogClient::new(gateway.channel.clone());
    catalog.get_product(get("")).await.unwrap_err();
    let line = gateway.line("call failed").await;
    assert_eq!(line["error.type"], "INVALID_REQUEST");
    assert_eq!(line["status"], "INVALID_ARGUMENT");
    let control = gateway.sandbox.control();
    control.queue(Script::on("GET", PRODUCTS).then(Fault::status(503).step()));
    gateway.ask().await.unwrap_err();
    assert_eq!(
        gateway.line("call failed").await["error.type"],
        "PROVIDER_UNAVAILABLE"
    );
    // What the framework answers by itself.
    let mut grpc = tonic::client::Grpc::new(gateway.channel.clone());
    grpc.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<String, ()>::default();
    let path = http::uri::PathAndQuery::from_static("/connectivity.v1.Catalog/Sell");
    let status = grpc.unary(Request::new(String::new()), path, codec).await;
    assert_eq!(status.unwrap_err().code(), Code::Unimplemented);
    assert_eq!(
        gateway.line("call failed").await["error.type"],
        "METHOD_NOT_FOUND"
    );
    gateway.ask().await.unwrap();

    let metrics = fetch(&format!("{}/metrics", gateway.admin)).await;
    for (method, status, cause) in [
        (
            "connectivity.v1.Catalog/GetProduct",
            "INVALID_ARGUMENT",
            "INVALID_REQUEST",
        ),
        (
            "connectivity.v1.Catalog/CheckEligibility",
            "UNAVAILABLE",
            "PROVIDER_UNAVAILABLE",
        ),
        ("_OTHER", "UNIMPLEMENTED", "METHOD_NOT_FOUND"),
    ] {
        let labels = [
            ("rpc_method", method),
            ("rpc_response_status_code", status),
            ("error_type", cause),
        ];
        assert_eq!(value(&metrics, CALLS, &labels), Some(1.0), "{cause}: {metrics}");
    }
    let ok = |line: &&str| line.starts_with(CALLS) && line.contains("status_code=\"OK\"");
    assert!(
        metrics
            .lines()
            .filter(ok)
            .all(|line| !line.contains("error_type"))
    );
    gateway.stop().await;
}

/// What is counted of a method, by status.
async fn counted(gateway: &Gateway, method: &str, status: &str, cause: Option<&str>) -> Option<f64> {
    let mut labels = vec![("rpc_method", method), ("rpc_response_status_code", status)];
    labels.extend(cause.map(|cause| ("error_type", cause)));
    value(&gateway.metrics().await, CALLS, &labels)
}

#[tokio::test]
async fn a_stream_is_measured_at_its_end_with_its_last_status() {
    const BATCH: &str = "connectivity.v1.Inventory/BatchGetInventory";
    const FOLLOW: &str = "connectivity.v1.Events/StreamEvents";
    let env = TestEnv::with_events(&[]).await;
    let batch = || api::BatchGetInventoryRequest {
        sims: ["882470000000001", "882470000000002"]
            .into_iter()
            .filter_map(by_msisdn)
            .collect(),
        ..Default::default()
    };
    // The answer begins, and its second element never comes.
    let hangs = Script::on("GET", SUBSCRIPTIONS)
        .then(Fault::Pass)
        .then(Fault::Hang.step().forever());
    env.control().queue(hangs);
    let batched = env.batch_untimed(Request::new(batch()), "800m").await;
    let mut stream = batched.into_inner();
    let status = loop {
        match stream.message().await {
            Ok(message) => assert!(message.is_some()),
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), Code::DeadlineExceeded);
    until("its end is counted", async || {
        let late = counted(
            &env.gateway,
            BATCH,
            "DEADLINE_EXCEEDED",
            Some("DEADLINE_EXCEEDED"),
        );
        late.await == Some(1.0)
    })
    .await;
    assert_eq!(counted(&env.gateway, BATCH, "OK", None).await, None);
    let sum = CALLS.replace("count", "sum");
    let took = value(&env.gateway.metrics().await, &sum, &[("rpc_method", BATCH)]);
    assert!(took.unwrap() >= 0.5, "{took:?}");

    env.control().clear_faults();
    let mut stream = env
        .inventory()
        .batch_get_inventory(batch())
        .await
        .unwrap()
        .into_inner();
    while stream.message().await.unwrap().is_some() {}
    until("one that is complete is counted", async || {
        counted(&env.gateway, BATCH, "OK", None).await == Some(1.0)
    })
    .await;

    // A follower that leaves.
    let follower = env
        .events()
        .stream_events(api::StreamEventsRequest::default())
        .await
        .unwrap();
    assert_eq!(counted(&env.gateway, FOLLOW, "OK", None).await, None);
    drop(follower);
    until("a follower that left is counted", async || {
        counted(&env.gateway, FOLLOW, "CANCELLED", Some("CANCELLED")).await == Some(1.0)
    })
    .await;
    assert_eq!(counted(&env.gateway, FOLLOW, "OK", None).await, None);
}

#[tokio::test]
async fn calls_that_end_at_their_deadline_are_apart_from_faster_ones() {
    let env = TestEnv::open().await;
    env.catalog().get_product(get(FRANCE)).await.unwrap();
    let metrics = env.gateway.metrics().await;
    for bound in ["5", "7.5", "10", "15", "30", "45"] {
        let buckets = CALLS.replace("count", "bucket");
        let shown = value(&metrics, &buckets, &[("le", bound)]);
        assert!(shown.is_some(), "{bound}: {metrics}");
    }
}

#[tokio::test]
async fn refused_orders_are_counted_by_reason() {
    const REFUSED: &str = "transatel_gateway_orders_refused_total{";
    let env = TestEnv::open().await;
    let labels = [("kind", "purchase"), ("reason", "insufficient_funds")];
    assert_eq!(value(&env.gateway.metrics().await, REFUSED, &labels), Some(0.0));
    let refusal = Fault::problem(400, "INSUFFICIENT_FUND").step();
    env.control()
        .queue(Script::on("POST", crate::support::gateway::ORDERS).then(refusal));
    create(&mut env.provisioning(), &order("882470000000001"))
        .await
        .unwrap_err();
    until("it is counted", async || {
        value(&env.gateway.metrics().await, REFUSED, &labels) == Some(1.0)
    })
    .await;
}

#[tokio::test]
async fn the_process_shows_what_it_uses() {
    let gateway = Logged::start(&[]).await;
    let metrics = fetch(&format!("{}/metrics", gateway.admin)).await;
    let shown = |name: &str| value(&metrics, name, &[]).unwrap_or_else(|| panic!("{name} in {metrics}"));
    assert!(shown("process_cpu_seconds_total{") > 0.0);
    assert!(shown("process_resident_memory_bytes{") > 1e6);
    assert!(shown("process_open_fds{") >= 5.0);
    assert!(shown("process_max_fds{") >= shown("process_open_fds{"));
    assert!(shown("process_threads{") >= 2.0);
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    let age = now.as_secs_f64() - shown("process_start_time_seconds{");
    assert!((-2.0..600.0).contains(&age), "{age}");
    gateway.stop().await;
}

#[tokio::test]
async fn what_was_loaded_last_and_what_expires_is_shown() {
    let env = TestEnv::open().await;
    env.catalog().get_product(get(FRANCE)).await.unwrap();
    let metrics = env.gateway.metrics().await;
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
    let shown = |name: &str| value(&metrics, name, &[]).unwrap_or_else(|| panic!("{name} in {metrics}"));
    for name in ["catalog_last_loaded", "token_last_loaded"] {
        let age = now - shown(&format!("transatel_gateway_{name}{{"));
        assert!((-1.0..60.0).contains(&age), "{name}: {age}");
    }
    let left = shown("transatel_gateway_token_expires{") - now;
    assert!((1.0..4000.0).contains(&left), "{left}");
    // There is no certificate.
    assert!(!metrics.contains("transatel_gateway_tls_certificate_expires{"));
}

/// The types of the attributes of spans. Where OpenTelemetry's conventions have
/// the name, it is their type.
const TEXTS: [&str; 12] = [
    "cache.name",
    "error.type",
    "gateway.caller",
    "http.request.method",
    "rpc.method",
    "rpc.response.status_code",
    "rpc.system.name",
    "server.address",
    "target",
    "transatel.api",
    "transatel.request_id",
    "url.template",
];
const NUMBERS: [&str; 5] = [
    "busy_ns",
    "http.request.resend_count",
    "http.response.status_code",
    "idle_ns",
    "server.port",
];

#[tokio::test]
async fn every_attribute_of_every_span_has_the_type_of_the_conventions() {
    let spans = &run().await.spans;
    assert!(spans.len() > 300, "{}", spans.len());
    let mut seen = std::collections::BTreeSet::new();
    for span in spans {
        for attribute in &span.attributes {
            let (key, value) = (attribute.key.as_str(), attribute.value.as_ref());
            let value = value.and_then(|value| value.value.as_ref());
            match value {
                Some(Value::StringValue(_)) => assert!(TEXTS.contains(&key), "{key}={value:?}"),
                Some(Value::IntValue(_)) => assert!(NUMBERS.contains(&key), "{key}={value:?}"),
                _ => panic!("{key}={value:?} of {}", span.name),
            }
            seen.insert(key.to_owned());
        }
        for attribute in span.events.iter().flat_map(|event| &event.attributes) {
            let value = attribute.value.as_ref().and_then(|value| value.value.as_ref());
            // A catalog's version is a hash, which may have no letters.
            if let Some(Value::StringValue(text)) = value
                && attribute.key != "version"
            {
                assert!(
                    text.parse::<f64>().is_err(),
                    "{}={text} is a number that is sent as text",
                    attribute.key
                );
            }
        }
    }
    for key in [
        "error.type",
        "http.request.resend_count",
        "http.response.status_code",
        "server.port",
    ] {
        assert!(seen.contains(key), "{key}");
    }
}

#[tokio::test]
async fn the_span_of_a_stream_ends_with_it_and_carries_its_cause() {
    let spans = &run().await.spans;
    let has = |span: &&opentelemetry_proto::tonic::trace::v1::Span, key: &str, text: &str| {
        span.attributes.iter().any(|attribute| {
            let value = attribute.value.as_ref().and_then(|value| value.value.as_ref());
            attribute.key == key && value == Some(&Value::StringValue(text.to_owned()))
        })
    };
    let failed = spans.iter().find(|span| {
        has(span, "rpc.method", "connectivity.v1.Inventory/GetInventory")
            && has(span, "error.type", "PROVIDER_CIRCUIT_OPEN")
    });
    failed.expect("a call that failed");
    // One that was still open when the process was stopped.
    let stopped = spans.iter().find(|span| {
        has(span, "rpc.method", "connectivity.v1.Events/StreamEvents")
            && has(span, "error.type", "SHUTTING_DOWN")
    });
    let stopped = stopped.expect("a stream that ended with the process");
    let took = Duration::from_nanos(stopped.end_time_unix_nano - stopped.start_time_unix_nano);
    assert!(took > Duration::from_millis(50), "{took:?}");
}

#[tokio::test]
async fn a_change_of_a_sim_that_goes_as_usual_is_no_warning() {
    let operations: &[(&str, &str)] = &OPERATIONS;
    let gateway = Logged::start(operations).await;
    let control = gateway.sandbox.control();
    control.configure(|settings| settings.operations.delay = Duration::from_millis(50));
    let mut client = api::provisioning_client::ProvisioningClient::new(gateway.channel.clone());
    let request = suspend(IN_USE);
    let pending = request.send(&mut client).await.unwrap();
    assert_eq!(pending.state(), api::SimOperationState::Pending);
    request
        .until(&mut client, api::SimOperationState::Succeeded)
        .await;
    drop(client);
    let lines = gateway.stop().await;
    let loud: Vec<_> = lines
        .iter()
        .filter(|line| !matches!(line["level"].as_str(), Some("info" | "debug" | "trace")))
        .collect();
    assert!(loud.is_empty(), "{loud:#?}");
    let of_it: Vec<_> = lines
        .iter()
        .filter(|line| line["order_id"] == pending.operation_id.as_str())
        .map(|line| line["message"].as_str().unwrap_or_default())
        .collect();
    assert!(
        of_it.contains(&"the provider has accepted an operation"),
        "{of_it:?}"
    );
}
