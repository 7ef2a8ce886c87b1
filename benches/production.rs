//! What production costs: every layer on, certificates, and more callers than
//! there is room for.
//!
//! `cargo bench --bench production [-- --write]`
//!
//! * *Every layer*: a caller that a trusted proxy names, a policy, the
//!   admission limit, deadlines, and one call in ten traced and exported,
//!   beside a bare tonic server.
//! * *Certificates*: the same gateway in plain text and with mutual TLS, 32
//!   connections. The load comes from a client of ours.
//! * *Overload*: live reads of a provider that takes 50 ms, by as many callers
//!   as are admitted, and by three times as many. Those who are turned away
//!   wait as RetryInfo says, or (worse than any client should be) at
//!   once.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
#![allow(missing_docs)]

mod bare;
#[path = "../tests/it/support/pki.rs"]
#[allow(dead_code, reason = "the tests use all of it")]
mod pki;
mod secured;
mod support;

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use bare::Answers;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use pki::{Authority, Files, Name};
use support::load::{BUSY, CALM, Generator};
use support::process::{GATEWAY, Gateway, Running, Simulator, announced, on_core};
use support::report::{self, Surroundings, Table, grouped, median, quantile};
use support::{calls, compare};
use tonic::transport::{Channel, Endpoint, Server};
use tonic_types::StatusExt as _;
use transatel_gateway_client::connectivity::v1 as api;
use transatel_gateway_client::connectivity::v1::inventory_client::InventoryClient;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SHOP: &str = "spiffe://company.example/ns/shop/sa/web";
const POLICY: &str = r#"{ "spiffe://company.example/ns/shop/sa/web" = ["Catalog/*", "Inventory/*"] }"#;

/// Rounds of the secured and the plain gateway, in turns.
const ROUNDS: usize = 15;
/// Calls of one such round.
const CALLS: u32 = 20_000;

/// What is admitted at once.
const LIMIT: usize = 100;
/// What the provider takes.
const PROVIDER: Duration = Duration::from_millis(50);
/// Calls that are accepted while overload is measured.
const ACCEPTED: u32 = 10_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("bare") => return bare::serve(&arguments[1..]),
        Some("load") => return secured::process(&arguments[1..]),
        Some("collector") => return collect(),
        _ => {}
    }
    let watch = Surroundings::watch();
    let simulator = Simulator::start(Path::new(GATEWAY));
    let layers = layers(&simulator);
    let certificates = certificates(&simulator);
    let overload = overload(&simulator);
    let section = format!(
        "{}\n{layers}\n{certificates}\n{overload}",
        report::circumstances(&watch)
    );
    report::publish("production", &section);
}

/// A collector that throws away what it is sent, on core 1.
fn collector() -> (Running, std::net::SocketAddr) {
    announced(on_core(1, std::env::current_exe().unwrap()).arg("collector"))
}

struct Nowhere;

#[tonic::async_trait]
impl TraceService for Nowhere {
    async fn export(
        &self,
        _: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        Ok(tonic::Response::new(Default::default()))
    }
}

fn collect() {
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{}", listener.local_addr().unwrap());
        Server::builder()
            .add_service(TraceServiceServer::new(Nowhere))
            .serve_with_incoming(tonic::transport::server::TcpIncoming::from(listener))
            .await
            .unwrap();
    });
}

fn layers(simulator: &Simulator) -> String {
    let answers = {
        let mut gateway = Gateway::start(on_core(0, GATEWAY), simulator);
        gateway.ready();
        Answers::ask(gateway.grpc, &[calls::get_product(), calls::list_products()])
    };
    let (_collector, collector) = collector();
    let mut command = on_core(0, GATEWAY);
    command
        .env("GATEWAY__CALLERS__HEADER", "x-caller")
        .env("GATEWAY__CALLERS__HEADER_FROM", "127.0.0.1")
        .env("GATEWAY__CALLERS__ALLOW", POLICY)
        .env("GATEWAY__TELEMETRY__OTLP_ENDPOINT", format!("http://{collector}"))
        .env("GATEWAY__TELEMETRY__SAMPLE_RATIO", "0.1");
    let mut gateway = Gateway::start(command, simulator);
    gateway.ready();
    let servers = [(gateway.process, gateway.grpc), answers.serve("bytes")];
    let generator = Generator::new().with_header("x-caller", SHOP);
    let mut table = Table::new(&compare::HEAD);
    for (shape, count) in [(BUSY, 25_000), (CALM, 5_000)] {
        let call = calls::get_product();
        let runs = compare::measure(&generator, &servers, &call, shape, count);
        for (server, (name, wanted)) in [("every layer", Some(0.8)), ("bare", None)].iter().enumerate() {
            table.row(&compare::row(
                &runs[server],
                &runs[1],
                name,
                &call,
                shape,
                *wanted,
            ));
        }
    }
    table.text()
}

fn certificates(simulator: &Simulator) -> String {
    let authority = Authority::new();
    let files = Files::new(&authority.server(), Some(&authority));
    let own = authority.issue(&[Name::Uri(SHOP)]);
    std::fs::write(files.path("own.crt"), &own.certificate).unwrap();
    std::fs::write(files.path("own.key"), &own.key).unwrap();
    let mut command = on_core(0, GATEWAY);
    for (key, value) in files.settings() {
        command.env(format!("GATEWAY__{key}"), value);
    }
    command.env("GATEWAY__CALLERS__ALLOW", POLICY);
    let mut tls = Gateway::start(command, simulator);
    let mut plain = Gateway::start(on_core(0, GATEWAY), simulator);
    tls.ready();
    plain.ready();
    let folder = files.path("");
    let servers = [(&tls, Some(folder.as_path())), (&plain, None)];
    let mut runs: [[Vec<f64>; 3]; 2] = Default::default();
    for round in 0..=ROUNDS {
        for turn in 0..2 {
            let server = (turn + round) % 2;
            let (gateway, folder) = servers[server];
            let before = gateway.process.processor_time();
            let outcome = secured::run(gateway.grpc, CALLS, folder);
            let spent = gateway.process.processor_time() - before;
            // The first round warms up.
            if round > 0 {
                runs[server][0].push(outcome.per_second);
                runs[server][1].push(spent.as_secs_f64() * 1e6 / f64::from(CALLS));
                runs[server][2].push(outcome.median);
            }
        }
    }
    let mut table = Table::new(&[
        "GetProduct, 32 connections",
        "req/s median [best]",
        "× plain",
        "server CPU µs/req median",
        "× plain",
        "p50 µs",
        "wanted",
    ]);
    for (server, name) in ["mutual TLS and policy", "plain text"].iter().enumerate() {
        let ratio = |figure: usize| {
            let pairs = runs[server][figure].iter().zip(&runs[1][figure]);
            let ratios: Vec<f64> = pairs.map(|(mine, plain)| mine / plain).collect();
            format!("{:.2}", median(&ratios))
        };
        let mine = &runs[server];
        table.row(&[
            (*name).to_owned(),
            format!(
                "{} [{}]",
                grouped(median(&mine[0])),
                grouped(quantile(&mine[0], 1.0))
            ),
            ratio(0),
            format!("{:.1}", median(&mine[1])),
            ratio(1),
            grouped(median(&mine[2])),
            if server == 0 {
                "≥ 0.7 req/s".to_owned()
            } else {
                String::new()
            },
        ]);
    }
    table.text()
}

/// What those who are turned away do.
#[derive(Clone, Copy)]
enum Manners {
    /// They come back after the time in `RetryInfo`.
    Told,
    /// They come back at once.
    None,
}

fn overload(simulator: &Simulator) -> String {
    let mut command = Command::new(GATEWAY);
    command.env("GATEWAY__GRPC__MAX_IN_FLIGHT", LIMIT.to_string());
    let mut gateway = Gateway::start(command, simulator);
    gateway.ready();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut table = Table::new(&[
        "live reads of a provider that takes 50 ms",
        "callers",
        "accepted/s",
        "turned away",
        "accepted: p50 / p99 ms",
        "× at the limit",
        "wanted",
    ]);
    runtime.block_on(async {
        provider_takes(simulator, PROVIDER).await;
        let endpoint = Endpoint::from_shared(format!("http://{}", gateway.grpc)).unwrap();
        let mut channels = Vec::new();
        for _ in 0..8 {
            channels.push(endpoint.connect().await.unwrap());
        }
        let mut at_limit = None;
        for (name, callers, manners, wanted) in [
            ("as many as are admitted", LIMIT, Manners::Told, ""),
            (
                "three times as many, who wait as RetryInfo says",
                3 * LIMIT,
                Manners::Told,
                "≤ 2 ×",
            ),
            (
                "three times as many, who come back at once",
                3 * LIMIT,
                Manners::None,
                "≤ 2 ×",
            ),
        ] {
            let started = Instant::now();
            let (latencies, away) = crowd(&channels, callers, manners).await;
            let rate = latencies.len() as f64 / started.elapsed().as_secs_f64();
            let middle = median(&latencies);
            let base = *at_limit.get_or_insert(middle);
            table.row(&[
                name.to_owned(),
                callers.to_string(),
                grouped(rate),
                grouped(f64::from(away)),
                format!("{middle:.0} / {:.0}", quantile(&latencies, 0.99)),
                format!("{:.2}", middle / base),
                wanted.to_owned(),
            ]);
        }
        provider_takes(simulator, Duration::ZERO).await;
    });
    table.text()
}

/// Callers who each make one call after the other. Milliseconds of those that
/// were accepted, and how often one was turned away.
async fn crowd(channels: &[Channel], callers: usize, manners: Manners) -> (Vec<f64>, u32) {
    let (left, away) = (AtomicU32::new(ACCEPTED), AtomicU32::new(0));
    let one = |n: usize| {
        let (left, away) = (&left, &away);
        let mut client = InventoryClient::new(channels[n % channels.len()].clone());
        async move {
            let mut latencies = Vec::new();
            while left.load(Ordering::Relaxed) > 0 {
                let request = api::GetInventoryRequest {
                    sim: Some(api::SimRef {
                        // Each its own: identical reads would be one.
                        id: Some(api::sim_ref::Id::Msisdn(format!("88247{:010}", n + 1))),
                    }),
                    ..Default::default()
                };
                let began = Instant::now();
                match client.get_inventory(request).await {
                    Ok(_) => {
                        latencies.push(began.elapsed().as_secs_f64() * 1e3);
                        let _ = left
                            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
                    }
                    Err(status) => {
                        let details = status.get_error_details();
                        let reason = details.error_info().map(|info| info.reason.as_str());
                        assert_eq!(reason, Some("OVERLOADED"), "{status:?}");
                        away.fetch_add(1, Ordering::Relaxed);
                        let retry = details.retry_info().and_then(|info| info.retry_delay);
                        if let (Manners::Told, Some(delay)) = (manners, retry) {
                            tokio::time::sleep(delay).await;
                        }
                    }
                }
            }
            latencies
        }
    };
    let latencies = futures_util::future::join_all((0..callers).map(one)).await;
    (latencies.concat(), away.into_inner())
}

async fn provider_takes(simulator: &Simulator, latency: Duration) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let body = serde_json::json!({ "latency": format!("{}ms", latency.as_millis()) });
    let answer = reqwest::Client::new()
        .post(format!("http://{}/__sandbox/settings", simulator.address))
        .header("content-type", "application/json")
        .body(body.to_string())
        .send()
        .await
        .unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
}
