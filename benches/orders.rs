//! What a durable order costs over the provider's own time, how many a second
//! one gateway carries, and how fast it answers repeats.
//!
//! `cargo bench --bench orders [-- --write] [-- postgres://…]`
//!
//! The ledger is SQLite in a file on the local disk, as `store.url` has it by
//! default; with the address of a server also PostgreSQL, with one replica and
//! with two, in turns. A direct order is what the gateway does for one: the SIM's
//! status and its subscriptions read at once, then the order on a connection of
//! its own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
#![allow(missing_docs)]

mod support;

use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use futures_util::stream::{self, StreamExt as _};
use serde_json::{Value, json};
use support::process::{GATEWAY, Gateway, Simulator};
use support::report::{self, Surroundings, Table, median, quantile};
use support::stores::{Store, over};
use tonic::transport::{Channel, Endpoint};
use transatel_gateway_client::connectivity::v1 as api;
use transatel_gateway_client::connectivity::v1::provisioning_client::ProvisioningClient;
use transatel_simulator::Options;
use uuid::Uuid;

/// Orders of each kind, one at a time.
const ORDERS: usize = 600;
/// Orders while the most that a store carries is looked for, in rounds: stores
/// take turns.
const MANY: usize = 6_000;
const ROUNDS: usize = 5;
/// Of these in flight.
const AT_ONCE: usize = 64;
/// Repeats of known orders.
const REPEATS: usize = 40_000;
/// Pieces written and made durable to know the disk.
const WRITES: usize = 300;

const PRODUCT: &str = "WW_901O_STACK_ONEOFF_FRANCE_1GB_7D";

#[derive(Clone)]
struct Direct {
    reads: reqwest::Client,
    writes: reqwest::Client,
    base_url: String,
    token: String,
}

impl Direct {
    async fn new(base_url: String) -> Self {
        let client = || reqwest::Client::builder().http1_only();
        let reads = client().build().unwrap();
        let options = Options::default();
        let answer = reads
            .post(format!("{base_url}/authentication/api/token"))
            .basic_auth(options.client_id, Some(options.client_secret))
            .form(&[("grant_type", "client_credentials")])
            .send()
            .await
            .unwrap();
        let answer: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        Self {
            reads,
            writes: client().pool_max_idle_per_host(0).build().unwrap(),
            base_url,
            token: answer["access_token"].as_str().unwrap().to_owned(),
        }
    }

    async fn get(&self, path: &str) -> Value {
        let url = format!("{}{path}", self.base_url);
        let answer = self.reads.get(url).bearer_auth(&self.token).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}");
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    }

    /// Numbers of SIMs that can be ordered for.
    async fn sims(&self) -> Vec<String> {
        let sims = self.get("/__sandbox/sims?status=Pre-Activated&limit=5000").await;
        let number = |sim: &Value| sim["msisdn"].as_str().unwrap().to_owned();
        sims.as_array().unwrap().iter().map(number).collect()
    }

    async fn order(&self, msisdn: &str) {
        let status = format!("/sim-search/api/sim/search?msisdn=eq:{msisdn}&size=2&page=1");
        let statuses = [
            "pending",
            "scheduled",
            "readyForUse",
            "pendingForFirstUse",
            "active",
            "suspended",
            "canceled",
            "expired",
            "terminated",
        ];
        let statuses: String = statuses
            .iter()
            .map(|status| format!("&statuses={status}"))
            .collect();
        let subscriptions =
            format!("/ocs/inventory/api/subscriptions/products?msisdn={msisdn}&withBalances=true{statuses}");
        tokio::join!(self.get(&status), self.get(&subscriptions));
        let options = Options::default();
        let body = json!({
            "orderType": "preload",
            "bind": { "msisdn": msisdn },
            "product": { "productId": PRODUCT },
            "payment": { "provider": "customer" },
            "source": "bench",
            "mvnoRef": options.mvno_ref,
            "transactionReference": Uuid::now_v7(),
        });
        let url = format!("{}/ocs/subscriptions/api/orders/products", self.base_url);
        let answer = self
            .writes
            .post(url)
            .bearer_auth(&self.token)
            .header("content-type", "application/json")
            .body(body.to_string())
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 201);
        let receipt: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        assert!(receipt["subscriptionId"].is_string());
    }
}

fn request(msisdn: &str) -> api::CreateOrderRequest {
    api::CreateOrderRequest {
        request_id: Uuid::new_v4().to_string(),
        sim: Some(api::SimRef {
            id: Some(api::sim_ref::Id::Msisdn(msisdn.to_owned())),
        }),
        product_id: PRODUCT.into(),
        ..Default::default()
    }
}

async fn through(mut gateway: ProvisioningClient<Channel>, request: api::CreateOrderRequest) {
    let answer = gateway.create_order(request).await.unwrap().into_inner();
    assert_eq!(answer.order.unwrap().state(), api::OrderState::Placed);
}

/// Milliseconds to append 4 KiB to a file and make it durable.
fn durable_writes(folder: &Path) -> Vec<f64> {
    let mut file = std::fs::File::create(folder.join("written")).unwrap();
    file.set_len(1 << 22).unwrap();
    file.sync_all().unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    let mut times = Vec::new();
    for _ in 0..WRITES {
        let started = Instant::now();
        file.write_all(&[7; 4096]).unwrap();
        file.sync_data().unwrap();
        times.push(started.elapsed().as_secs_f64() * 1e3);
    }
    times
}

/// The gateways of a store, with a simulated provider of their own.
struct Side {
    store: Store,
    direct: Direct,
    gateways: Vec<Gateway>,
    channels: Vec<ProvisioningClient<Channel>>,
    sims: Vec<String>,
    _simulator: Simulator,
    figures: Figures,
}

#[derive(Default)]
struct Figures {
    /// Milliseconds, of an order made directly and through the gateway.
    alone: [Vec<f64>; 2],
    /// A second, one per round.
    orders: Vec<f64>,
    repeats: Vec<f64>,
}

impl Side {
    async fn start(mut store: Store) -> Self {
        let simulator = Simulator::start(Path::new(GATEWAY));
        let gateways = store.start(&simulator, |_| Command::new(GATEWAY)).await;
        let direct = Direct::new(format!("http://{}", simulator.address)).await;
        let sims = direct.sims().await;
        assert!(sims.len() > 500, "{}", sims.len());
        let mut channels = Vec::new();
        for n in 0..4 {
            let gateway = &gateways[n % gateways.len()];
            let endpoint = Endpoint::from_shared(format!("http://{}", gateway.grpc)).unwrap();
            channels.push(ProvisioningClient::new(endpoint.connect().await.unwrap()));
        }
        Self {
            store,
            direct,
            gateways,
            channels,
            sims,
            _simulator: simulator,
            figures: Figures::default(),
        }
    }

    fn gateway(&self, n: usize) -> ProvisioningClient<Channel> {
        self.channels[n % self.channels.len()].clone()
    }

    fn sim(&self, n: usize) -> &str {
        &self.sims[n % self.sims.len()]
    }

    /// One order at a time, directly and through the gateway.
    async fn alone(&mut self, n: usize) {
        let started = Instant::now();
        self.direct.order(self.sim(n)).await;
        let halfway = Instant::now();
        through(self.gateway(n), request(self.sim(n))).await;
        let through = halfway.elapsed();
        // The first ones warm up.
        if n >= 50 {
            let times = &mut self.figures.alone;
            times[0].push((halfway - started).as_secs_f64() * 1e3);
            times[1].push(through.as_secs_f64() * 1e3);
        }
    }

    /// As many as it carries, and their repeats. Each SIM has one order in
    /// flight.
    async fn many(&mut self, round: usize) {
        let orders = MANY / ROUNDS;
        let requests: Vec<_> = (0..orders)
            .map(|n| request(self.sim(round * orders + n)))
            .collect();
        let per_second = async |count: usize| {
            let started = Instant::now();
            stream::iter((0..count).map(|n| (n, requests[n % orders].clone())))
                .map(|(n, request)| through(self.gateway(n), request))
                .buffer_unordered(AT_ONCE)
                .for_each(|()| async {})
                .await;
            count as f64 / started.elapsed().as_secs_f64()
        };
        let (sent, repeated) = (per_second(orders).await, per_second(REPEATS / ROUNDS).await);
        self.figures.orders.push(sent);
        self.figures.repeats.push(repeated);
    }
}

fn main() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let watch = Surroundings::watch();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut sides = Vec::new();
    runtime.block_on(async {
        for store in Store::asked_for() {
            sides.push(Side::start(store).await);
        }
        for n in 0..ORDERS + 50 {
            for side in &mut sides {
                side.alone(n).await;
            }
        }
        for side in &sides {
            side.store.analyze().await;
        }
        for round in 0..ROUNDS {
            for side in &mut sides {
                side.many(round).await;
            }
        }
    });
    let disk = durable_writes(sides[0].gateways[0].folder());

    let mut table = Table::new(&[
        "figure",
        "store",
        "direct",
        "gateway",
        "added",
        "× SQLite",
        "wanted",
    ]);
    for (name, share, wanted) in [("median", 0.5, "≤ 3 ms"), ("99th percentile", 0.99, "")] {
        for side in &sides {
            let [direct, gateway] = [0, 1].map(|kind| quantile(&side.figures.alone[kind], share));
            table.row(&[
                format!("CreateOrder, one at a time, {name} of {ORDERS}"),
                side.store.name.to_owned(),
                format!("{direct:.2} ms"),
                format!("{gateway:.2} ms"),
                format!("{:+.2} ms", gateway - direct),
                String::new(),
                wanted.to_owned(),
            ]);
        }
    }
    table.row(&[
        format!("of it: two durable writes; 4 KiB and fdatasync here, median of {WRITES}"),
        String::new(),
        String::new(),
        String::new(),
        format!("2 × {:.2} ms", quantile(&disk, 0.5)),
        String::new(),
        String::new(),
    ]);
    let mut rows = |name: String, figures: fn(&Figures) -> &[f64], wanted: &str, least: &str| {
        let first = figures(&sides[0].figures);
        for (at, side) in sides.iter().enumerate() {
            let own = figures(&side.figures);
            let (ratio, wanted) = match at {
                0 => (String::new(), wanted),
                _ => (over(own, first), least),
            };
            table.row(&[
                name.clone(),
                side.store.name.to_owned(),
                String::new(),
                format!("{:.0}", median(own)),
                String::new(),
                ratio,
                wanted.to_owned(),
            ]);
        }
    };
    rows(
        format!(
            "orders a second, {AT_ONCE} at once, median of {ROUNDS} rounds of {}",
            MANY / ROUNDS
        ),
        |figures| &figures.orders,
        "≥ 500",
        "≥ 0.8×",
    );
    rows(
        format!(
            "repeats of known orders a second, {AT_ONCE} at once, median of {ROUNDS} rounds of {}",
            REPEATS / ROUNDS
        ),
        |figures| &figures.repeats,
        "≥ 5,000",
        "",
    );
    let section = format!("{}\n{}", report::circumstances(&watch), table.text());
    report::publish("orders", &section);
}
