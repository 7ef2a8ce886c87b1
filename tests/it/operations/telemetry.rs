//! A caller's trace, end to end: through the real binary to the provider and
//! to a collector.

use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::Value;
use tonic::Request;
use tonic::transport::Endpoint;
use transatel_gateway_client::connectivity::v1::BatchGetInventoryRequest;
use transatel_gateway_client::connectivity::v1::catalog_client::CatalogClient;
use transatel_gateway_client::connectivity::v1::inventory_client::InventoryClient;

use crate::operations::commands::run;
use crate::support::collector::Collector;
use crate::support::gateway::{CATALOG, FRANCE, TOKEN, by_msisdn, get, settings, simulator};
use crate::support::pki::Authority;
use crate::support::process::Process;

const INVENTORY: &str = "/ocs/inventory/api/subscriptions/products";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn the_provider_and_the_collector_see_the_callers_trace() {
    let collector = Collector::start().await;
    let sandbox = simulator().await;
    let more = [
        ("TELEMETRY__OTLP_ENDPOINT", collector.endpoint()),
        ("TELEMETRY__LOG_FORMAT", "json"),
    ];
    let mut gateway = Process::start(&["serve"], &settings(&sandbox.base_url(), &more));
    let listening: Value = serde_json::from_str(&gateway.logged("listening").await).unwrap();
    let address = format!("http://{}", listening["grpc"].as_str().unwrap());
    gateway.logged("ready").await;

    let mut catalog = CatalogClient::new(Endpoint::from_shared(address).unwrap().connect().await.unwrap());
    let mut request = Request::new(get(FRANCE));
    request
        .metadata_mut()
        .insert("traceparent", format!("00-{TRACE}-{CALLER}-01").parse().unwrap());
    catalog.get_product(request).await.unwrap();

    // The log carries the trace.
    let loaded: Value = serde_json::from_str(&gateway.logged("catalog loaded").await).unwrap();
    assert_eq!(loaded["trace_id"], TRACE);

    // The provider saw the trace, on the token request too.
    let sent = sandbox.control().requests();
    for route in [CATALOG, TOKEN] {
        let request = sent.iter().find(|request| request.route == Some(route)).unwrap();
        assert!(
            request.headers["traceparent"].starts_with(&format!("00-{TRACE}-")),
            "{:?}",
            request.headers
        );
    }

    gateway.signal("TERM").await;
    assert_eq!(gateway.ended().await, Some(0));

    // Everything was exported before the end: server, cache, one span per
    // attempt, each below the other.
    let spans = collector.spans();
    let span = |name: &str| {
        let found: Vec<&Span> = spans
            .iter()
            .filter(|span| span.name == name && hex(&span.trace_id) == TRACE)
            .collect();
        assert_eq!(
            found.len(),
            1,
            "{name} in {:?}",
            spans.iter().map(|span| &span.name).collect::<Vec<_>>()
        );
        found[0]
    };
    let server = span("connectivity.v1.Catalog/GetProduct");
    assert_eq!(hex(&server.parent_span_id), CALLER);
    let load = span("cache.load catalog");
    assert_eq!(load.parent_span_id, server.span_id);
    let attempt = span(&format!("GET {CATALOG}"));
    assert_eq!(attempt.parent_span_id, load.span_id);
    let provider = sent
        .iter()
        .find(|request| request.route == Some(CATALOG))
        .unwrap();
    assert_eq!(
        provider.headers["traceparent"],
        format!("00-{TRACE}-{}-01", hex(&attempt.span_id))
    );
    let attributes: Vec<&str> = attempt
        .attributes
        .iter()
        .map(|attribute| attribute.key.as_str())
        .collect();
    for key in [
        "http.request.method",
        "http.response.status_code",
        "url.template",
        "server.address",
    ] {
        assert!(attributes.contains(&key), "{key} in {attributes:?}");
    }
    // Only our own spans: the exporter does not trace itself.
    let foreign: Vec<_> = spans.iter().filter(|span| hex(&span.trace_id) != TRACE).collect();
    assert!(foreign.is_empty(), "{foreign:?}");
}

#[tokio::test]
async fn a_trace_that_nobody_records_goes_on_to_the_provider_from_every_sim_of_a_batch() {
    let sandbox = simulator().await;
    let mut gateway = Process::start(
        &["serve"],
        &settings(&sandbox.base_url(), &[("TELEMETRY__LOG_FORMAT", "json")]),
    );
    let listening: Value = serde_json::from_str(&gateway.logged("listening").await).unwrap();
    let address = format!("http://{}", listening["grpc"].as_str().unwrap());
    gateway.logged("ready").await;

    let channel = Endpoint::from_shared(address).unwrap().connect().await.unwrap();
    let mut inventory = InventoryClient::new(channel);
    let mut request = Request::new(BatchGetInventoryRequest {
        sims: (1..=20)
            .filter_map(|n| by_msisdn(&format!("88247{n:010}")))
            .collect(),
        ..Default::default()
    });
    let caller = format!("00-{TRACE}-{CALLER}-00");
    request
        .metadata_mut()
        .insert("traceparent", caller.parse().unwrap());
    let mut answers = inventory.batch_get_inventory(request).await.unwrap().into_inner();
    while answers.message().await.unwrap().is_some() {}

    let sent = sandbox.control().requests();
    let reads: Vec<_> = sent
        .iter()
        .filter(|request| request.route == Some(INVENTORY))
        .collect();
    assert_eq!(reads.len(), 20);
    for read in reads {
        assert_eq!(read.headers["traceparent"], caller);
    }
    gateway.signal("TERM").await;
    assert_eq!(gateway.ended().await, Some(0));
}

#[tokio::test]
async fn a_collector_behind_tls_is_trusted_by_the_authority_in_the_file() {
    let (authority, other) = (Authority::new(), Authority::new());
    let collector = Collector::start_with_tls(&authority.server()).await;
    let sandbox = simulator().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    for (trusted, reaches) in [(&other, false), (&authority, true)] {
        std::fs::write(&file, trusted.pem()).unwrap();
        let more = [
            ("TELEMETRY__OTLP_ENDPOINT", collector.endpoint()),
            ("TELEMETRY__OTLP_CA_FILE", file.path().to_str().unwrap()),
        ];
        let mut environment = settings(&sandbox.base_url(), &more);
        let (code, _, text) = run(&["check-config"], &environment).await;
        assert_eq!(code, Some(0), "{text}");
        // Spans are exported this often.
        environment.push(("OTEL_BSP_SCHEDULE_DELAY".to_owned(), "50".to_owned()));
        let mut gateway = Process::start(&["serve"], &environment);
        let line = gateway.logged("listening").await;
        let address = line.split("grpc=").nth(1).unwrap().split(' ').next().unwrap();
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        gateway.logged("ready").await;
        let mut catalog = CatalogClient::new(endpoint.connect().await.unwrap());
        catalog.get_product(get(FRANCE)).await.unwrap();
        if !reaches {
            let line = gateway.logged("BatchSpanProcessor.ExportError").await;
            assert!(line.contains("invalid peer certificate"), "{line}");
            catalog.get_product(get(FRANCE)).await.unwrap();
        }
        gateway.signal("TERM").await;
        assert_eq!(gateway.ended().await, Some(0));
        let names = collector.spans().into_iter().map(|span| span.name);
        assert_eq!(
            names
                .into_iter()
                .any(|name| name == "connectivity.v1.Catalog/GetProduct"),
            reaches
        );
    }
}

#[tokio::test]
async fn authorities_of_the_collector_that_cannot_be_used_are_a_problem_of_the_settings() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let good = file("good", &Authority::new().pem());
    let nothing = file("nothing", "no certificate");
    let broken = file(
        "broken",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    );
    for (endpoint, file, said) in [
        ("https://collector:4317", &*nothing, "holds no certificate"),
        (
            "https://collector:4317",
            &*broken,
            "holds a certificate that cannot be used",
        ),
        (
            "https://collector:4317",
            "/does/not/exist",
            "cannot read /does/not/exist",
        ),
        ("http://collector:4317", &*good, "is not https"),
    ] {
        let more = [
            ("TELEMETRY__OTLP_ENDPOINT", endpoint),
            ("TELEMETRY__OTLP_CA_FILE", file),
        ];
        for command in ["check-config", "serve"] {
            let (code, _, text) = run(&[command], &settings("http://127.0.0.1:9", &more)).await;
            assert_eq!(code, Some(64), "{command}: {text}");
            assert!(
                text.contains("  telemetry.otlp_ca_file: ") && text.contains(said),
                "{said} not in {text}"
            );
        }
    }
}
