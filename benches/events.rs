//! How many events a second become durable, how soon they are on a stream, and
//! what a hundred streams cost.
//!
//! `cargo bench --bench events [-- --write] [-- postgres://…]`
//!
//! The log is SQLite in a file on the local disk, as `store.url` has it by
//! default; with the address of a server also PostgreSQL, with one replica and
//! with two. Events are posted to all replicas and followed at the last one.
//! `SECONDS=60` makes the fan-out longer.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
#![allow(missing_docs)]

mod support;

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use ring::hmac;
use serde_json::json;
use support::ports::reserved;
use support::process::{GATEWAY, Gateway, Simulator};
use support::report::{self, Surroundings, Table, median, quantile};
use support::stores::{Store, over};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use tonic::transport::Endpoint;
use transatel_gateway_client::connectivity::v1 as api;
use transatel_gateway_client::connectivity::v1::events_client::EventsClient;
use transatel_gateway_client::connectivity::v1::stream_events_response::Message;

const SECRET: &str = "the bench's secret";
/// Events while the most that is taken in is looked for, in rounds: stores take
/// turns.
const MANY: u64 = 30_000;
const ROUNDS: u64 = 5;
/// Connections of the sender.
const SENDERS: usize = 64;
/// Events whose way to a stream is timed.
const TIMED: u64 = 2_000;
/// Streams of the fan-out, and connections that they share.
const STREAMS: usize = 100;
const CONNECTIONS: usize = 4;
/// Events a second that each of them gets.
const FAN_OUT: u64 = 1_000;

/// One connection to the webhook.
struct Sender {
    address: SocketAddr,
    key: hmac::Key,
    connection: SendRequest<Full<Bytes>>,
}

impl Sender {
    async fn connect(address: SocketAddr, tasks: &TaskTracker) -> Self {
        let socket = TcpStream::connect(address).await.unwrap();
        socket.set_nodelay(true).unwrap();
        let (connection, driver) = hyper::client::conn::http1::handshake(TokioIo::new(socket))
            .await
            .unwrap();
        tasks.spawn(driver);
        Self {
            address,
            key: hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()),
            connection,
        }
    }

    /// Posts an event and waits until it is durable.
    async fn post(&mut self, id: &str) {
        let body = json!({
            "header": {
                "eventId": id, "eventType": "OCS/PRODUCT/ACTIVATED", "eventDate": "2026-11-25T06:31:45Z"
            },
            "body": {
                "mvnoRef": "M2MA_WW_TSL_SANDBOX", "cos": "WW_M2MA_COS_SPC", "msisdn": "882470000000001",
                "iccid": "8988247000000000019",
                "externalReference": "01a21167-3364-766f-86ae-ef571babbdfa",
                "productSubscription": {
                    "subscriptionId": "56ed021a-fe65-45f7-bbb5-9137f36c9fda",
                    "subscriptionDate": "2026-11-25T06:31:45Z",
                    "activationDate": "2026-11-25T06:31:45Z",
                    "expirationDate": "2026-12-02T06:31:45Z",
                    "productDefinition": { "productId": "WW_901O_STACK_ONEOFF_FRANCE_1GB_7D" }
                }
            }
        })
        .to_string();
        let tag = hmac::sign(&self.key, body.as_bytes());
        let digits: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let request = http::Request::post("/webhooks/transatel")
            .header("host", self.address.to_string())
            .header("content-type", "application/json")
            .header("x-tsl-signature-256", format!("sha256={digits}"))
            .body(Full::new(Bytes::from(body)))
            .unwrap();
        self.connection.ready().await.unwrap();
        let answer = self.connection.send_request(request).await.unwrap();
        assert_eq!(answer.status(), 204);
    }
}

/// Posts at a steady rate, from as many connections as it takes; gives the
/// moment at which each was due.
async fn steadily(
    webhooks: &[SocketAddr],
    tasks: &TaskTracker,
    name: &'static str,
    rate: f64,
    count: u64,
) -> Instant {
    let began = Instant::now() + Duration::from_millis(100);
    let next = Arc::new(AtomicU64::new(0));
    let mut senders = Vec::new();
    for webhook in webhooks.iter().cycle().take(SENDERS) {
        let mut sender = Sender::connect(*webhook, tasks).await;
        let next = Arc::clone(&next);
        senders.push(tasks.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return;
                }
                tokio::time::sleep_until(due(began, rate, number)).await;
                sender.post(&format!("{name}-{number}")).await;
            }
        }));
    }
    for sender in senders {
        sender.await.unwrap();
    }
    began
}

fn due(began: Instant, rate: f64, number: u64) -> Instant {
    began + Duration::from_secs_f64(number as f64 / rate)
}

async fn client(grpc: SocketAddr) -> EventsClient<tonic::transport::Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{grpc}")).unwrap();
    EventsClient::new(endpoint.connect().await.unwrap())
}

/// Follows what is new; gives when each event came, in order.
async fn times(mut client: EventsClient<tonic::transport::Channel>, count: u64) -> Vec<(String, Instant)> {
    let stream = client.stream_events(api::StreamEventsRequest::default()).await;
    let mut stream = stream.unwrap().into_inner();
    let mut times = Vec::new();
    while times.len() < count as usize {
        let message = stream.message().await.unwrap().unwrap();
        if let Some(Message::Event(event)) = message.message {
            times.push((event.event_id, Instant::now()));
        }
    }
    times
}

/// The gateways of a store.
struct Side {
    store: Store,
    gateways: Vec<Gateway>,
    webhooks: Vec<SocketAddr>,
    tasks: TaskTracker,
    /// A second, one per round.
    per_second: Vec<f64>,
}

impl Side {
    async fn start(mut store: Store, simulator: &Simulator, secret: &Path) -> Self {
        let webhooks: Vec<SocketAddr> = (0..store.replicas).map(|_| reserved()).collect();
        let command = |replica: usize| {
            let mut command = Command::new(GATEWAY);
            command
                .env("GATEWAY__WEBHOOK__LISTEN", webhooks[replica].to_string())
                .env("GATEWAY__WEBHOOK__SECRET_FILES", secret);
            command
        };
        let gateways = store.start(simulator, command).await;
        Self {
            store,
            gateways,
            webhooks,
            tasks: TaskTracker::new(),
            per_second: Vec::new(),
        }
    }

    /// As many as it takes in.
    async fn many(&mut self, round: u64) {
        let next = Arc::new(AtomicU64::new(0));
        let mut senders = Vec::new();
        for webhook in self.webhooks.iter().cycle().take(SENDERS) {
            senders.push(Sender::connect(*webhook, &self.tasks).await);
        }
        let started = Instant::now();
        let senders = senders.into_iter().map(|mut sender| {
            let next = Arc::clone(&next);
            self.tasks.spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= MANY / ROUNDS {
                        return;
                    }
                    sender.post(&format!("many-{round}-{number}")).await;
                }
            })
        });
        for sender in senders.collect::<Vec<_>>() {
            sender.await.unwrap();
        }
        let per_second = (MANY / ROUNDS) as f64 / started.elapsed().as_secs_f64();
        self.per_second.push(per_second);
    }

    /// Milliseconds from a post to a stream, at this rate.
    async fn delays(&self, rate: f64) -> Vec<f64> {
        let follower = &self.gateways[self.gateways.len() - 1];
        let followed = self.tasks.spawn(times(client(follower.grpc).await, TIMED));
        let began = steadily(&self.webhooks, &self.tasks, "timed", rate, TIMED).await;
        let delay = |(id, at): (String, Instant)| {
            let number: u64 = id.rsplit('-').next().unwrap().parse().unwrap();
            let delay = at.saturating_duration_since(due(began, rate, number));
            delay.as_secs_f64() * 1e3
        };
        followed.await.unwrap().into_iter().map(delay).collect()
    }
}

struct FanOut {
    seconds: u64,
    delivered: f64,
    early: u64,
    late: u64,
    processor: f64,
}

async fn fan_out(side: &Side) -> FanOut {
    let (server, tasks) = (&side.gateways[0], &side.tasks);
    let seconds = std::env::var("SECONDS")
        .ok()
        .and_then(|seconds| seconds.parse().ok());
    let seconds: u64 = seconds.unwrap_or(20);
    let count = FAN_OUT * seconds;
    let received = Arc::new(AtomicU64::new(0));
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        clients.push(client(server.grpc).await);
    }
    let mut followers = Vec::new();
    for at in 0..STREAMS {
        let mut client = clients[at % CONNECTIONS].clone();
        let received = Arc::clone(&received);
        let stream = client.stream_events(api::StreamEventsRequest::default()).await;
        let mut stream = stream.unwrap().into_inner();
        // From here on it sees everything.
        stream.message().await.unwrap().unwrap();
        followers.push(tasks.spawn(async move {
            let mut own = 0;
            while own < count {
                let message = stream.message().await.unwrap().unwrap();
                if matches!(message.message, Some(Message::Event(_))) {
                    own += 1;
                    received.fetch_add(1, Ordering::Relaxed);
                }
            }
        }));
    }
    let (before, started) = (server.process.processor_time(), Instant::now());
    let resident = async |at: Duration| {
        tokio::time::sleep_until(started + at).await;
        server.process.memory("VmRSS")
    };
    let whole = Duration::from_secs(seconds);
    let all = async {
        steadily(&side.webhooks, tasks, "fan", FAN_OUT as f64, count).await;
        for follower in followers {
            follower.await.unwrap();
        }
        started.elapsed()
    };
    let (took, early, late) = tokio::join!(all, resident(whole / 5), resident(whole));
    FanOut {
        seconds,
        delivered: received.load(Ordering::Relaxed) as f64 / took.as_secs_f64(),
        early,
        late,
        processor: (server.process.processor_time() - before).as_secs_f64() / took.as_secs_f64(),
    }
}

fn main() {
    let watch = Surroundings::watch();
    let simulator = Simulator::start(Path::new(GATEWAY));
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&secret, SECRET).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut sides = Vec::new();
    let fan_out = runtime.block_on(async {
        for store in Store::asked_for() {
            sides.push(Side::start(store, &simulator, secret.path()).await);
        }
        for round in 0..ROUNDS {
            for side in &mut sides {
                side.many(round).await;
            }
        }
        // The same load for all.
        let rate = median(&sides[0].per_second) / 10.0;
        let mut delays = Vec::new();
        for side in &sides {
            delays.push(side.delays(rate).await);
        }
        (fan_out(&sides[0]).await, rate, delays)
    });
    let (fan_out, rate, delays) = fan_out;

    let mut table = Table::new(&["figure", "store", "measured", "× SQLite", "wanted"]);
    let mut row = |figure: String, store: &str, measured: String, ratio: String, wanted: &str| {
        table.row(&[figure, store.to_owned(), measured, ratio, wanted.to_owned()]);
    };
    for (at, side) in sides.iter().enumerate() {
        row(
            format!(
                "durable events a second, {SENDERS} connections, median of {ROUNDS} rounds of {}",
                MANY / ROUNDS
            ),
            side.store.name,
            format!("{:.0}", median(&side.per_second)),
            match at {
                0 => String::new(),
                _ => over(&side.per_second, &sides[0].per_second),
            },
            if at == 0 { "≥ 2,000" } else { "≥ 0.8×" },
        );
    }
    for (name, share, wanted) in [("median", 0.5, "≤ 20 ms"), ("99th percentile", 0.99, "")] {
        for (side, delays) in sides.iter().zip(&delays) {
            row(
                format!("from POST to stream at {rate:.0} events/s, {name} of {TIMED}"),
                side.store.name,
                format!("{:.1} ms", quantile(delays, share)),
                String::new(),
                wanted,
            );
        }
    }
    let first = sides[0].store.name;
    row(
        format!(
            "messages a second on {STREAMS} streams, {FAN_OUT} events/s for {} s",
            fan_out.seconds
        ),
        first,
        format!("{:.0}", fan_out.delivered),
        String::new(),
        "100,000",
    );
    let mib = |bytes: u64| format!("{:.1}", bytes as f64 / f64::from(1 << 20));
    row(
        "resident memory meanwhile, MiB, after a fifth of it and at its end".to_owned(),
        first,
        format!("{}, {}", mib(fan_out.early), mib(fan_out.late)),
        String::new(),
        "no growth",
    );
    row(
        "cores that the gateway used meanwhile".to_owned(),
        first,
        format!("{:.2}", fan_out.processor),
        String::new(),
        "",
    );
    let section = format!("{}\n{}", report::circumstances(&watch), table.text());
    report::publish("events", &section);
}
