//! What a sale from the stock costs, and that it does not grow with the pool.
//!
//! `cargo bench --bench stock [-- --write]`
//!
//! Two gateways, each with a simulated provider of its own and a ledger in a file
//! on the local disk: one with a pool of the SIMs that are sold, and one with
//! 100,000 more behind them. They take turns.

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
use std::time::Instant;

use futures_util::stream::{self, StreamExt as _};
use serde_json::Value;
use support::process::{GATEWAY, Gateway, Simulator};
use support::report::{self, Surroundings, Table, quantile};
use tonic::transport::{Channel, Endpoint};
use transatel_gateway_client::connectivity::v1 as api;
use transatel_gateway_client::connectivity::v1::inventory_client::InventoryClient;
use transatel_gateway_client::connectivity::v1::provisioning_client::ProvisioningClient;
use uuid::Uuid;

/// SIMs in the large pool, besides those that are sold.
const MORE: u64 = 100_000;
/// Sales one at a time.
const ALONE: usize = 100;
/// Sales in flight, for the rest of the SIMs.
const AT_ONCE: usize = 64;
const POOL: &str = "shop";
const PRODUCT: &str = "WW_901O_STACK_ONEOFF_FRANCE_1GB_7D";

struct Side {
    channel: Channel,
    sims: usize,
    alone: Vec<f64>,
    per_second: f64,
    _gateway: Gateway,
    _simulator: Simulator,
}

impl Side {
    async fn start(more: u64) -> Self {
        let simulator = Simulator::start(Path::new(GATEWAY));
        let mut gateway = Gateway::start(Command::new(GATEWAY), &simulator);
        gateway.ready();
        let endpoint = Endpoint::from_shared(format!("http://{}", gateway.grpc)).unwrap();
        let channel = endpoint.connect().await.unwrap();
        let cards = sellable(&simulator).await;
        let sims = cards.len();
        let mut inventory = InventoryClient::new(channel.clone());
        let behind = (0..more).map(|n| (8_988_000_000_000_000_000 + 10 * n).to_string());
        let all: Vec<String> = cards.into_iter().chain(behind).collect();
        for some in all.chunks(1_000) {
            let sim = |iccid: &String| api::DeliveredSim {
                iccid: iccid.clone(),
                msisdn: String::new(),
            };
            let request = api::ImportStockRequest {
                pool: POOL.into(),
                sims: some.iter().map(sim).collect(),
                validate_only: false,
            };
            inventory.import_stock(request).await.unwrap();
        }
        Self {
            channel,
            sims,
            alone: Vec::new(),
            per_second: 0.0,
            _gateway: gateway,
            _simulator: simulator,
        }
    }

    async fn sell(&self) {
        let request = api::CreateOrderRequest {
            request_id: Uuid::new_v4().to_string(),
            product_id: PRODUCT.into(),
            pool: POOL.into(),
            ..Default::default()
        };
        let mut orders = ProvisioningClient::new(self.channel.clone());
        let order = orders
            .create_order(request)
            .await
            .unwrap()
            .into_inner()
            .order
            .unwrap();
        assert_eq!(order.state(), api::OrderState::Placed);
    }

    async fn alone(&mut self) {
        let started = Instant::now();
        self.sell().await;
        self.alone.push(started.elapsed().as_secs_f64() * 1e3);
    }

    async fn many(&mut self) {
        let rest = self.sims - ALONE;
        let started = Instant::now();
        stream::iter(0..rest)
            .map(|_| self.sell())
            .buffer_unordered(AT_ONCE)
            .for_each(|()| async {})
            .await;
        self.per_second = rest as f64 / started.elapsed().as_secs_f64();
    }
}

/// Cards that can be sold.
async fn sellable(simulator: &Simulator) -> Vec<String> {
    let url = format!(
        "http://{}/__sandbox/sims?status=Pre-Activated&esim_status=released&bundles=false&physical=false&limit=100000",
        simulator.address
    );
    let answer = reqwest::get(url).await.unwrap().bytes().await.unwrap();
    let sims: Value = serde_json::from_slice(&answer).unwrap();
    let sims = sims.as_array().unwrap_or_else(|| panic!("{sims}"));
    let free = sims.iter().filter(|sim| sim["eid"].is_null());
    free.map(|sim| sim["iccid"].as_str().unwrap().to_owned())
        .collect()
}

fn main() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let watch = Surroundings::watch();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let sides = runtime.block_on(async {
        let mut sides = [Side::start(0).await, Side::start(MORE).await];
        assert!(sides[0].sims > 3 * ALONE, "{}", sides[0].sims);
        for _ in 0..ALONE {
            for side in &mut sides {
                side.alone().await;
            }
        }
        for side in &mut sides {
            side.many().await;
        }
        sides
    });
    let mut table = Table::new(&[
        "figure",
        "pool of its sales",
        "100,000 more behind",
        "ratio",
        "wanted",
    ]);
    for (name, share) in [("median", 0.5), ("99th percentile", 0.99)] {
        let [small, large] = [0, 1].map(|side| quantile(&sides[side].alone, share));
        table.row(&[
            format!("CreateOrder from a pool, one at a time, {name} of {ALONE}"),
            format!("{small:.2} ms"),
            format!("{large:.2} ms"),
            format!("{:.2}×", large / small),
            String::new(),
        ]);
    }
    let [small, large] = [0, 1].map(|side| sides[side].per_second);
    table.row(&[
        format!(
            "sales a second, {AT_ONCE} in flight, {} in all",
            sides[0].sims - ALONE
        ),
        format!("{small:.0}"),
        format!("{large:.0}"),
        format!("{:.2}×", large / small),
        "≥ 500".to_owned(),
    ]);
    let section = format!("{}\n{}", report::circumstances(&watch), table.text());
    report::publish("stock", &section);
}
