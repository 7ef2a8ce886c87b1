//! What a gateway costs on a ledger that holds millions, beside an empty one in
//! the same run.
//!
//! `cargo bench --bench scale [-- ROWS] [-- postgres://…]`
//!
//! Rows are orders and as many events, 10,000,000 unless the first number says
//! less; they are made by SQL. They are in a SQLite file, or in PostgreSQL when the
//! address of a server is given that allows databases to be created: a run each, so
//! that the rows of one do not take the memory that caches those of the other.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "being idle is waiting for nothing"
)]
#![allow(missing_docs)]

mod scale_rows;
mod support;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use support::process::{GATEWAY, Gateway, Simulator, output_of};
use support::report::{self, Surroundings, Table, quantile};
use tempfile::TempDir;
use tonic::transport::{Channel, Endpoint};
use transatel_gateway::config::{Store, StoreUrl};
use transatel_gateway::domain::Clock;
use transatel_gateway::store;
use transatel_gateway_client::connectivity::v1 as api;
use transatel_gateway_client::connectivity::v1::events_client::EventsClient;
use transatel_gateway_client::connectivity::v1::provisioning_client::ProvisioningClient;
use uuid::Uuid;

/// For how long an idle gateway is watched.
const IDLE: Duration = Duration::from_secs(10);
/// Orders on each ledger, taking turns.
const ORDERS: usize = 1_000;
/// Calls of each list; the worst of them counts.
const CALLS: usize = 5;
const STARTS: usize = 5;
const PRODUCT: &str = "WW_901O_STACK_ONEOFF_FRANCE_1GB_7D";

/// An empty ledger and a full one, in one kind of store.
struct Pair {
    /// Of the store.
    name: &'static str,
    urls: [String; 2],
}

struct Client {
    orders: ProvisioningClient<Channel>,
    events: EventsClient<Channel>,
}

impl Client {
    async fn of(gateway: &Gateway) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{}", gateway.grpc)).unwrap();
        let channel = endpoint.connect().await.unwrap();
        Self {
            orders: ProvisioningClient::new(channel.clone()),
            events: EventsClient::new(channel),
        }
    }
}

fn start(url: &str, simulator: &Simulator) -> (Gateway, f64) {
    let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut gateway = Gateway::start_on(url, Command::new(GATEWAY), simulator, folder);
    let ready = gateway.ready().as_secs_f64() * 1e3;
    (gateway, ready)
}

/// Numbers of SIMs that can be ordered for.
async fn sims(simulator: &Simulator) -> Vec<String> {
    let url = format!(
        "http://{}/__sandbox/sims?status=Pre-Activated&limit=500",
        simulator.address
    );
    let answer = reqwest::get(url).await.unwrap().bytes().await.unwrap();
    let sims: serde_json::Value = serde_json::from_slice(&answer).unwrap();
    let number = |sim: &serde_json::Value| sim["msisdn"].as_str().unwrap().to_owned();
    sims.as_array().unwrap().iter().map(number).collect()
}

fn order(msisdn: &str) -> api::CreateOrderRequest {
    api::CreateOrderRequest {
        request_id: Uuid::new_v4().to_string(),
        sim: Some(sim(msisdn)),
        product_id: PRODUCT.into(),
        ..Default::default()
    }
}

fn sim(msisdn: &str) -> api::SimRef {
    api::SimRef {
        id: Some(api::sim_ref::Id::Msisdn(msisdn.to_owned())),
    }
}

/// A third of the way from the oldest row.
fn early() -> Option<prost_types::Timestamp> {
    let seconds = scale_rows::FIRST_AT / 1_000_000 + scale_rows::SPAN / 3_000_000;
    Some(prost_types::Timestamp { seconds, nanos: 0 })
}

fn order_lists() -> Vec<(&'static str, api::ListOrdersRequest)> {
    let page = || api::ListOrdersRequest {
        page_size: 50,
        ..Default::default()
    };
    let states = |states: &[api::OrderState]| api::ListOrdersRequest {
        states: states.iter().map(|state| i32::from(*state)).collect(),
        ..page()
    };
    // What a caller asks for that sees only its own.
    let own = || api::ListOrdersRequest {
        caller: "caller-3".into(),
        ..page()
    };
    use api::OrderState::{NeedsOperator, NotPlaced, Placed, Rejected, Unknown};
    vec![
        ("newest", page()),
        (
            "created before",
            api::ListOrdersRequest {
                created_before: early(),
                ..page()
            },
        ),
        (
            "SIM",
            api::ListOrdersRequest {
                sim: Some(sim("882470000000777")),
                ..page()
            },
        ),
        (
            "placed, created before",
            api::ListOrdersRequest {
                created_before: early(),
                ..states(&[Placed])
            },
        ),
        ("rejected", states(&[Rejected])),
        ("open states, none", states(&[Unknown, NeedsOperator])),
        ("all settled states", states(&[Placed, Rejected, NotPlaced])),
        (
            "reference, none",
            api::ListOrdersRequest {
                reference: "none".into(),
                ..page()
            },
        ),
        (
            "product",
            api::ListOrdersRequest {
                product_id: "P7".into(),
                ..page()
            },
        ),
        (
            "product, none",
            api::ListOrdersRequest {
                product_id: "none".into(),
                ..page()
            },
        ),
        (
            "caller",
            api::ListOrdersRequest {
                caller: "caller-3".into(),
                ..page()
            },
        ),
        (
            "caller, none",
            api::ListOrdersRequest {
                caller: "none".into(),
                ..page()
            },
        ),
        (
            "caller, SIM",
            api::ListOrdersRequest {
                sim: Some(sim("882470000000777")),
                ..own()
            },
        ),
        (
            "caller, product",
            api::ListOrdersRequest {
                product_id: "P7".into(),
                ..own()
            },
        ),
        (
            "caller, product, none",
            api::ListOrdersRequest {
                product_id: "none".into(),
                ..own()
            },
        ),
        (
            "caller, reference, none",
            api::ListOrdersRequest {
                reference: "none".into(),
                ..own()
            },
        ),
        (
            "caller, all settled states",
            api::ListOrdersRequest {
                states: states(&[Placed, Rejected, NotPlaced]).states,
                ..own()
            },
        ),
        (
            "caller, kind, none",
            api::ListOrdersRequest {
                kind: api::OrderKind::TerminateSubscription.into(),
                ..own()
            },
        ),
        (
            "kind",
            api::ListOrdersRequest {
                kind: api::OrderKind::CancelRenewal.into(),
                ..page()
            },
        ),
        (
            "kind, none",
            api::ListOrdersRequest {
                kind: api::OrderKind::TerminateSubscription.into(),
                ..page()
            },
        ),
    ]
}

fn operation_lists() -> Vec<(&'static str, api::ListSimOperationsRequest)> {
    let page = || api::ListSimOperationsRequest {
        page_size: 50,
        ..Default::default()
    };
    let states = |state: api::SimOperationState| api::ListSimOperationsRequest {
        states: vec![state.into()],
        ..page()
    };
    vec![
        ("newest", page()),
        (
            "created before",
            api::ListSimOperationsRequest {
                created_before: early(),
                ..page()
            },
        ),
        (
            "SIM",
            api::ListSimOperationsRequest {
                sim: Some(sim("882470000000700")),
                ..page()
            },
        ),
        ("succeeded", states(api::SimOperationState::Succeeded)),
        ("failed, none", states(api::SimOperationState::Failed)),
        ("pending, none", states(api::SimOperationState::Pending)),
        (
            "for an operator, none",
            api::ListSimOperationsRequest {
                needs_operator: true,
                ..page()
            },
        ),
    ]
}

fn event_lists() -> Vec<(&'static str, api::EventFilter)> {
    let filter = api::EventFilter::default;
    vec![
        ("oldest", filter()),
        (
            "type, none",
            api::EventFilter {
                types: vec![api::EventType::SmsReceived.into()],
                ..filter()
            },
        ),
        (
            "raw type, none",
            api::EventFilter {
                raw_types: vec!["NONE".into()],
                ..filter()
            },
        ),
        (
            "SIM",
            api::EventFilter {
                sims: vec![sim("882470000000777")],
                ..filter()
            },
        ),
        (
            "request, none",
            api::EventFilter {
                request_ids: vec![Uuid::new_v4().to_string()],
                ..filter()
            },
        ),
        (
            "subscription, none",
            api::EventFilter {
                subscription_ids: vec!["none".into()],
                ..filter()
            },
        ),
    ]
}

/// The longest of a few calls, in milliseconds.
async fn longest<F: Future>(mut call: impl FnMut() -> F) -> f64 {
    let mut longest = 0.0_f64;
    for _ in 0..CALLS {
        let started = Instant::now();
        call().await;
        longest = longest.max(started.elapsed().as_secs_f64() * 1e3);
    }
    longest
}

async fn lists(client: &Client) -> Vec<(String, f64)> {
    let mut figures = Vec::new();
    for (name, request) in order_lists() {
        let call = || async { client.orders.clone().list_orders(request.clone()).await.unwrap() };
        figures.push((format!("ListOrders, {name}"), longest(call).await));
    }
    for (name, request) in operation_lists() {
        let call = || async {
            client
                .orders
                .clone()
                .list_sim_operations(request.clone())
                .await
                .unwrap()
        };
        figures.push((format!("ListSimOperations, {name}"), longest(call).await));
    }
    for (name, filter) in event_lists() {
        let request = api::ListEventsRequest {
            filter: Some(filter),
            page_size: 50,
            ..Default::default()
        };
        let call = || async { client.events.clone().list_events(request.clone()).await.unwrap() };
        figures.push((format!("ListEvents, {name}"), longest(call).await));
    }
    figures
}

/// Milliseconds until the first message of a stream that is resumed at the
/// beginning of the log.
async fn resume(client: &Client) -> f64 {
    let follow = async |request: api::StreamEventsRequest| {
        let mut stream = client
            .events
            .clone()
            .stream_events(request)
            .await
            .unwrap()
            .into_inner();
        stream.message().await.unwrap().unwrap()
    };
    let beginning = api::StreamEventsRequest {
        start: api::StreamStart::Earliest.into(),
        ..Default::default()
    };
    let resume_token = follow(beginning).await.resume_token;
    longest(|| {
        follow(api::StreamEventsRequest {
            resume_token: resume_token.clone(),
            ..Default::default()
        })
    })
    .await
}

/// The longest that a writer waits while the oldest are forgotten.
async fn purge(url: &str) -> f64 {
    let config = Store {
        url: StoreUrl::parse(url).unwrap(),
        connections: 10,
        operation_timeout: Duration::from_secs(10),
    };
    let opened = store::open(&config, Clock::system()).await.unwrap();
    let until = jiff::Timestamp::from_microsecond(scale_rows::FIRST_AT + scale_rows::SPAN / 100).unwrap();
    let purging = async {
        opened.ledger.purge(until).await.unwrap();
        opened.events.forget_events(until).await.unwrap();
    };
    let mut longest = 0.0_f64;
    let writing = async {
        loop {
            let started = Instant::now();
            let write = opened
                .events
                .aged_until(jiff::Timestamp::UNIX_EPOCH, Duration::ZERO);
            write.await.unwrap();
            longest = longest.max(started.elapsed().as_secs_f64() * 1e3);
        }
    };
    tokio::select! {
        () = purging => {}
        () = writing => {}
    }
    longest
}

/// Figures of an empty and of a full ledger.
async fn measure(pair: &Pair, simulator: &Simulator) -> Vec<(String, [f64; 2], &'static str)> {
    // The rows that were made are on disk before anything waits for it.
    let _ = output_of(&mut Command::new("sync"));
    let mut figures = Vec::new();
    let mut starts = [Vec::new(), Vec::new()];
    for _ in 0..STARTS {
        for (url, starts) in pair.urls.iter().zip(&mut starts) {
            starts.push(start(url, simulator).1);
        }
    }
    figures.push((
        format!("start, ms: median of {STARTS}"),
        starts.map(|all| quantile(&all, 0.5)),
        "≤ 2×",
    ));
    let gateways = [0, 1].map(|ledger| start(&pair.urls[ledger], simulator).0);
    std::thread::sleep(Duration::from_secs(3));
    let before = [0, 1].map(|ledger: usize| gateways[ledger].process.processor_time());
    std::thread::sleep(IDLE);
    let idle = [0, 1].map(|ledger: usize| {
        let used = gateways[ledger].process.processor_time() - before[ledger];
        100.0 * used.as_secs_f64() / IDLE.as_secs_f64()
    });
    figures.push(("idle, % of a core".into(), idle, "≤ 1 %"));
    let clients = [Client::of(&gateways[0]).await, Client::of(&gateways[1]).await];
    let sims = sims(simulator).await;
    let mut times = [Vec::new(), Vec::new()];
    for number in 0..ORDERS + 20 {
        for (client, times) in clients.iter().zip(&mut times) {
            let started = Instant::now();
            let answer = client
                .orders
                .clone()
                .create_order(order(&sims[number % sims.len()]))
                .await
                .unwrap();
            assert_eq!(
                answer.into_inner().order.unwrap().state(),
                api::OrderState::Placed
            );
            if number >= 20 {
                times.push(started.elapsed().as_secs_f64() * 1e3);
            }
        }
    }
    for (name, share, wanted) in [("median", 0.5, "≤ 1.2×"), ("99th percentile", 0.99, "≤ 2×")] {
        let figure = [0, 1].map(|ledger: usize| quantile(&times[ledger], share));
        figures.push((format!("CreateOrder, ms: {name} of {ORDERS}"), figure, wanted));
    }
    let [empty, full] = [lists(&clients[0]).await, lists(&clients[1]).await];
    for ((name, empty), (_, full)) in empty.into_iter().zip(full) {
        figures.push((
            format!("{name}, ms: longest of {CALLS}"),
            [empty, full],
            "≤ 20 ms",
        ));
    }
    let resumed = [resume(&clients[0]).await, resume(&clients[1]).await];
    figures.push((
        format!("resuming a stream, ms: longest of {CALLS}"),
        resumed,
        "≤ 50 ms",
    ));
    drop(gateways);
    let purged = [purge(&pair.urls[0]).await, purge(&pair.urls[1]).await];
    figures.push(("a writer during a purge, ms: longest".into(), purged, "≤ 50 ms"));
    figures
}

fn main() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let watch = Surroundings::watch();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let rows = arguments.iter().find_map(|argument| argument.parse::<i64>().ok());
    let rows = rows.unwrap_or(10_000_000);
    let server = arguments.iter().find(|argument| argument.starts_with("postgres"));
    let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let simulator = Simulator::start(Path::new(GATEWAY));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let file = |name: &str| format!("sqlite://{}", folder.path().join(name).display());
    let pair = match server {
        None => Pair {
            name: "sqlite",
            urls: [file("empty.db"), file("full.db")],
        },
        Some(server) => Pair {
            name: "postgresql",
            urls: runtime.block_on(scale_rows::databases(server)),
        },
    };
    for url in &pair.urls {
        drop(start(url, &simulator));
    }
    runtime.block_on(scale_rows::fill(&pair.urls[1], rows));
    let mut table = Table::new(&["figure", "empty", "full", "ratio", "wanted"]);
    for (figure, [empty, full], wanted) in runtime.block_on(measure(&pair, &simulator)) {
        let ratio = format!("{:.2}×", full / empty.max(0.01));
        let cells = [
            figure.as_str(),
            &format!("{empty:.2}"),
            &format!("{full:.2}"),
            &ratio,
            wanted,
        ];
        table.row(&cells);
    }
    let rows = report::grouped(rows as f64);
    let section = format!(
        "{}\n{rows} orders and {rows} events\n\n{}",
        report::circumstances(&watch),
        table.text()
    );
    report::publish(&format!("scale-{}", pair.name), &section);
}
