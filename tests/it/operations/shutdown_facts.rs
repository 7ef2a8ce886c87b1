//! What keeps a process from ending, and that ours ends anyway. See
//! `framework_facts`.

use std::time::{Duration, Instant};

use opentelemetry::trace::{Tracer as _, TracerProvider as _};
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::net::{TcpListener, TcpStream};
use tonic::transport::{Endpoint, Server};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use transatel_gateway_client::connectivity::v1::catalog_client::CatalogClient;

use crate::operations::framework_facts::{Slow, bare, serve};
use crate::support::gateway::{FRANCE, TestEnv, get, settings, simulator};
use crate::support::process::Process;

/// Long enough for a server that would end.
const A_WHILE: Duration = Duration::from_millis(300);

#[tokio::test]
async fn graceful_shutdown_waits_for_an_open_stream_without_end() {
    let (_reporter, health) = tonic_health::server::health_reporter();
    let slow = Slow::default();
    let mut bare = serve(slow, Server::builder().add_service(health)).await;
    let mut client = HealthClient::new(bare.channel.clone());
    let mut watch = client
        .watch(HealthCheckRequest {
            service: String::new(),
        })
        .await
        .unwrap()
        .into_inner();
    watch.message().await.unwrap();
    drop(bare.stop.take());
    let ended = tokio::time::timeout(A_WHILE, bare.running.join_next()).await;
    assert!(
        ended.is_err(),
        "the server ended with a stream open: the bound on the drain may go"
    );
}

#[tokio::test]
async fn an_open_watch_does_not_keep_our_gateway_from_ending() {
    // Nobody waits for that.
    let env = TestEnv::with(&[("SHUTDOWN__DRAIN", "1h")]).await;
    let mut client = HealthClient::new(env.gateway.channel.clone());
    let mut watch = client
        .watch(HealthCheckRequest {
            service: String::new(),
        })
        .await
        .unwrap()
        .into_inner();
    let states = async {
        let mut states = Vec::new();
        while let Some(state) = watch.message().await.unwrap() {
            states.push(state.status());
        }
        states
    };
    let stopped = async { tokio::join!(states, env.gateway.stop()).0 };
    let states = tokio::time::timeout(crate::support::gateway::SOON, stopped)
        .await
        .expect("it ends");
    assert_eq!(
        states.last().copied(),
        Some(tonic_health::pb::health_check_response::ServingStatus::NotServing),
        "{states:?}"
    );
}

#[tokio::test]
async fn graceful_shutdown_waits_for_a_silent_connection_without_end() {
    let mut bare = bare(Server::builder()).await;
    let silent = TcpStream::connect(bare.address).await.unwrap();
    // Accepted after the silent one, which therefore is.
    let later = Endpoint::from_shared(format!("http://{}", bare.address)).unwrap();
    drop(later.connect().await.unwrap());
    drop(bare.stop.take());
    drop(bare.channel);
    let ended = tokio::time::timeout(A_WHILE, bare.running.join_next()).await;
    assert!(
        ended.is_err(),
        "the server ended with a connection open: the bound on the drain may go"
    );
    drop(silent);
    let ended = tokio::time::timeout(crate::support::gateway::SOON, bare.running.join_next()).await;
    assert!(ended.is_ok(), "it was not the silent connection");
}

#[tokio::test]
async fn a_silent_connection_does_not_keep_our_gateway_from_ending() {
    let env = TestEnv::with(&[("SHUTDOWN__DRAIN", "100ms")]).await;
    let silent = TcpStream::connect(env.gateway.addresses.grpc).await.unwrap();
    env.catalog().get_product(get(FRANCE)).await.unwrap();
    tokio::time::timeout(crate::support::gateway::SOON, env.gateway.stop())
        .await
        .expect("the drain is bounded");
    drop(silent);
}

/// A collector that takes connections and never says a word.
async fn mute_collector() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    (listener, endpoint)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn opentelemetrys_shutdown_blocks_its_thread_on_a_mute_collector() {
    let (_listener, endpoint) = mute_collector().await;
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .build()
        .unwrap();
    let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).build();
    drop(provider.tracer("facts").start("a span"));
    let shutdown = move || {
        let started = Instant::now();
        (provider.shutdown_with_timeout(A_WHILE), started.elapsed())
    };
    let (result, took) = tokio::task::spawn_blocking(shutdown).await.unwrap();
    assert!(result.is_err(), "a mute collector has taken everything");
    assert!(
        took >= A_WHILE,
        "it does not block any more: the flush needs no thread"
    );
}

/// Twice the bound of a flush (spans, then metrics), and room for a busy machine.
const FLUSHED_WITHIN: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_mute_collector_does_not_keep_our_process_from_ending() {
    let (_listener, endpoint) = mute_collector().await;
    let sandbox = simulator().await;
    let more = [
        ("TELEMETRY__OTLP_ENDPOINT", endpoint.as_str()),
        ("TELEMETRY__LOG_FORMAT", "json"),
    ];
    let mut gateway = Process::start(&["serve"], &settings(&sandbox.base_url(), &more));
    let listening: serde_json::Value = serde_json::from_str(&gateway.logged("listening").await).unwrap();
    gateway.logged("ready").await;
    let address = format!("http://{}", listening["grpc"].as_str().unwrap());
    let channel = Endpoint::from_shared(address).unwrap().connect().await.unwrap();
    let mut catalog = CatalogClient::new(channel);
    catalog.get_product(get(FRANCE)).await.unwrap();
    drop(catalog);
    let started = Instant::now();
    gateway.signal("TERM").await;
    assert_eq!(gateway.ended().await, Some(0));
    let took = started.elapsed();
    assert!(took < FLUSHED_WITHIN, "{took:?}");
}
