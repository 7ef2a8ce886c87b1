//! What the gateway adds to a live read, and to a thousand of them.
//!
//! `cargo bench --bench inventory [-- --write]`
//!
//! The simulated provider is another process and has a stock of its own. A
//! direct call is the same request made with reqwest and a token; both kinds
//! take turns in one run, so that a busy machine is busy for both.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
#![allow(missing_docs)]

mod support;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt as _};
use support::process::{GATEWAY, Gateway, Simulator};
use support::report::{self, Surroundings, Table, median, quantile};
use tonic::transport::{Channel, Endpoint};
use transatel_gateway_client::connectivity::v1 as api;
use transatel_gateway_client::connectivity::v1::inventory_client::InventoryClient;
use transatel_simulator::Options;

/// Calls of each kind at the measured load.
const CALLS: u32 = 20_000;
/// Turns in which they are made.
const ROUNDS: u32 = 10;
/// Calls in flight while the saturating load is looked for.
const SATURATING: usize = 32;
/// SIMs of a batch.
const BATCH: u32 = 1_000;
/// Batches of each kind.
const BATCHES: usize = 15;
/// As `inventory.batch_concurrency`.
const AT_ONCE: usize = 16;

/// The nth SIM of the simulator's stock.
fn msisdn(n: u32) -> String {
    format!("88247{:010}", n % BATCH + 1)
}

fn sim(n: u32) -> api::SimRef {
    api::SimRef {
        id: Some(api::sim_ref::Id::Msisdn(msisdn(n))),
    }
}

#[derive(Clone)]
struct Direct {
    client: reqwest::Client,
    base_url: String,
    token: String,
}

impl Direct {
    async fn new(base_url: String) -> Self {
        let client = reqwest::Client::new();
        let Options {
            client_id,
            client_secret,
            ..
        } = Options::default();
        let answer = client
            .post(format!("{base_url}/authentication/api/token"))
            .basic_auth(client_id, Some(client_secret))
            .form(&[("grant_type", "client_credentials")])
            .send()
            .await
            .unwrap();
        let answer: serde_json::Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        Self {
            client,
            base_url,
            token: answer["access_token"].as_str().unwrap().to_owned(),
        }
    }

    /// A caller wants what is in the answer: it is read, into a tree.
    async fn understand(&self, n: u32) {
        let answer: serde_json::Value = serde_json::from_slice(&self.read(n).await).unwrap();
        assert!(answer["productSubscriptions"].is_array());
    }

    async fn read(&self, n: u32) -> bytes::Bytes {
        let statuses = [
            "pending",
            "scheduled",
            "readyForUse",
            "pendingForFirstUse",
            "active",
            "suspended",
            "canceled",
        ];
        let number = msisdn(n);
        let mut query = vec![("msisdn", number.as_str()), ("withBalances", "true")];
        query.extend(statuses.iter().map(|status| ("statuses", *status)));
        let answer = self
            .client
            .get(format!(
                "{}/ocs/inventory/api/subscriptions/products",
                self.base_url
            ))
            .query(&query)
            .bearer_auth(&self.token)
            .send()
            .await
            .unwrap();
        assert!(answer.status().is_success());
        let body = answer.bytes().await.unwrap();
        assert!(body.starts_with(b"{"));
        body
    }
}

async fn through(mut gateway: InventoryClient<Channel>, n: u32) {
    let request = api::GetInventoryRequest {
        sim: Some(sim(n)),
        ..Default::default()
    };
    gateway.get_inventory(request).await.unwrap();
}

/// Calls per second with as many in flight as saturate.
async fn saturation<F: Future<Output = ()>>(call: impl Fn(u32) -> F) -> f64 {
    let started = Instant::now();
    stream::iter(0..CALLS)
        .map(call)
        .buffer_unordered(SATURATING)
        .for_each(|()| async {})
        .await;
    f64::from(CALLS) / started.elapsed().as_secs_f64()
}

/// Times of calls that begin at a steady pace, whether or not earlier ones
/// have ended, in milliseconds.
async fn at_pace<F: Future<Output = ()>>(calls: u32, every: Duration, call: impl Fn(u32) -> F) -> Vec<f64> {
    let began = tokio::time::Instant::now();
    let call = &call;
    stream::iter(0..calls)
        .then(|turn| async move {
            tokio::time::sleep_until(began + every * turn).await;
            turn
        })
        .map(|turn| async move {
            let started = Instant::now();
            call(turn).await;
            started.elapsed().as_secs_f64() * 1e3
        })
        .buffer_unordered(1024)
        .collect()
        .await
}

/// A thousand SIMs in every way, in turns.
async fn batches(direct: &Direct, gateway: &InventoryClient<Channel>) -> [Vec<f64>; 3] {
    let mut times = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..BATCHES {
        let started = Instant::now();
        stream::iter(0..BATCH)
            .map(|n| async move { drop(direct.read(n).await) })
            .buffer_unordered(AT_ONCE)
            .for_each(|()| async {})
            .await;
        times[0].push(started.elapsed().as_secs_f64() * 1e3);

        let started = Instant::now();
        stream::iter(0..BATCH)
            .map(|n| direct.understand(n))
            .buffer_unordered(AT_ONCE)
            .for_each(|()| async {})
            .await;
        times[1].push(started.elapsed().as_secs_f64() * 1e3);

        let request = api::BatchGetInventoryRequest {
            sims: (0..BATCH).map(sim).collect(),
            ..Default::default()
        };
        let started = Instant::now();
        let mut stream = gateway
            .clone()
            .batch_get_inventory(request)
            .await
            .unwrap()
            .into_inner();
        let mut answers = 0;
        while let Some(answer) = stream.message().await.unwrap() {
            let outcome = answer.outcome.unwrap();
            assert!(matches!(
                outcome,
                api::batch_get_inventory_response::Outcome::Inventory(_)
            ));
            answers += 1;
        }
        assert_eq!(answers, BATCH);
        times[2].push(started.elapsed().as_secs_f64() * 1e3);
    }
    times
}

fn main() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let watch = Surroundings::watch();
    let simulator = Simulator::start(Path::new(GATEWAY));
    let mut server = Gateway::start(Command::new(GATEWAY), &simulator);
    server.ready();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (saturated, every, paced, batched) = runtime.block_on(async {
        let direct = Direct::new(format!("http://{}", simulator.address)).await;
        let channel = Endpoint::from_shared(format!("http://{}", server.grpc))
            .unwrap()
            .connect()
            .await
            .unwrap();
        let gateway = InventoryClient::new(channel);
        // The first round warms connections up.
        saturation(|n| through(gateway.clone(), n)).await;
        saturation(|n| direct.understand(n)).await;
        let saturated = saturation(|n| through(gateway.clone(), n)).await;
        // A quarter of that, for one kind after the other: a load of both at
        // once would be another load.
        let every = Duration::from_secs_f64(4.0 / saturated);
        let mut paced = [Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            paced[0].extend(at_pace(CALLS / ROUNDS, every, |n| direct.understand(n)).await);
            paced[1].extend(at_pace(CALLS / ROUNDS, every, |n| through(gateway.clone(), n)).await);
        }
        let batched = batches(&direct, &gateway).await;
        (saturated, every, paced, batched)
    });

    let mut table = Table::new(&["figure", "direct", "gateway", "added", "wanted"]);
    let pace = 1.0 / every.as_secs_f64();
    for (name, share, wanted) in [("median", 0.5, "≤ 0.3 ms"), ("99th percentile", 0.99, "≤ 1 ms")] {
        let [direct, gateway] = [0, 1].map(|kind| quantile(&paced[kind], share));
        table.row(&[
            format!("GetInventory, {name}, at {pace:.0} calls/s of {saturated:.0}"),
            format!("{direct:.2} ms"),
            format!("{gateway:.2} ms"),
            format!("{:+.2} ms", gateway - direct),
            wanted.to_owned(),
        ]);
    }
    let [bytes, read, gateway] = [0, 1, 2].map(|kind| median(&batched[kind]));
    for (what, direct, wanted) in [("read", read, "≤ 1.2 ×"), ("thrown away", bytes, "")] {
        table.row(&[
            format!("{BATCH} SIMs, {AT_ONCE} at once, direct answers {what}, median of {BATCHES}"),
            format!("{direct:.0} ms"),
            format!("{gateway:.0} ms"),
            format!("× {:.2}", gateway / direct),
            wanted.to_owned(),
        ]);
    }
    let section = format!("{}\n{}", report::circumstances(&watch), table.text());
    report::publish("inventory", &section);
}
