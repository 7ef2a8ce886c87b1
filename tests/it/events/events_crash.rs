//! A gateway that is killed (`kill -9`) again and again while events are
//! posted to it: each is in the log once, and a follower that resumes
//! sees each at least once and none out of order.
//!
//! `EVENTS=200000` posts more.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::json;
use tonic::transport::Endpoint;
use transatel_gateway_client::connectivity::v1::stream_events_response::Message;
use transatel_gateway_client::connectivity::v1::{StreamEventsRequest, StreamStart};

use crate::events::webhook::{all, client, deliver, envelope};
use crate::support::gateway::{Events, SECRET, Secret, settings, spawn};
use crate::support::ports::reserved;
use crate::support::postgres;
use crate::support::process::Process;

const DEATHS: u32 = 10;
/// Posts in flight.
const SENDERS: u32 = 64;

fn events() -> u32 {
    let wanted = std::env::var("EVENTS")
        .ok()
        .and_then(|events| events.parse().ok());
    wanted.unwrap_or(20_000).max(20_000)
}

/// Where the present process listens; the ports stay the same.
#[derive(Clone, Copy)]
struct Ports {
    grpc: SocketAddr,
    webhook: SocketAddr,
}

impl Ports {
    fn reserved() -> Self {
        Self {
            grpc: reserved(),
            webhook: reserved(),
        }
    }

    async fn events(self) -> Option<Events> {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.grpc)).unwrap();
        Some(Events::new(endpoint.connect().await.ok()?))
    }
}

struct Crashes {
    ports: Ports,
    environment: Vec<(String, String)>,
    posted: AtomicU32,
    accepted: AtomicU32,
}

impl Crashes {
    async fn start(&self) -> Process {
        let mut process = Process::start(&["serve"], &self.environment);
        process.logged("ready").await;
        process
    }

    /// Posts the next event until there is none, each until it is taken.
    async fn send(self: Arc<Self>) {
        let url = format!("http://{}/webhooks/transatel", self.ports.webhook);
        let client = client();
        loop {
            let id = self.posted.fetch_add(1, Ordering::Relaxed);
            if id >= events() {
                return;
            }
            let body = envelope(&id.to_string(), "T", json!({ "number": id }));
            while deliver(&client, &url, body.clone()).await != Some(204) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            self.accepted.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Follows the log from its beginning through every death; gives what it
    /// saw, with the place of each in what it saw first.
    async fn follow(self: Arc<Self>) -> Vec<String> {
        let mut seen = Vec::new();
        let mut first = BTreeMap::new();
        let mut token = String::new();
        while first.len() < events() as usize {
            let request = StreamEventsRequest {
                resume_token: token.clone(),
                start: StreamStart::Earliest.into(),
                filter: None,
            };
            let stream = match self.ports.events().await {
                Some(mut events) => events.stream_events(request).await.ok(),
                None => None,
            };
            let Some(stream) = stream else {
                tokio::time::sleep(Duration::from_millis(5)).await;
                continue;
            };
            let mut stream = stream.into_inner();
            while let Ok(Some(message)) = stream.message().await {
                if let Some(Message::Event(event)) = message.message {
                    first.entry(event.event_id.clone()).or_insert(seen.len());
                    seen.push(event.event_id);
                    // Dealt with: everything since the last token comes again
                    // after a death in between.
                    if seen.len() % 7 == 0 {
                        token = message.resume_token;
                    }
                }
                if first.len() == events() as usize {
                    break;
                }
            }
        }
        seen
    }
}

async fn survives(store: &str) {
    let secret = Secret::new(SECRET);
    let ports = Ports::reserved();
    let (grpc, webhook) = (ports.grpc.to_string(), ports.webhook.to_string());
    let more = [
        ("STORE__URL", store),
        ("GRPC__LISTEN", &grpc),
        ("TELEMETRY__LOG_LEVEL", "info"),
    ];
    let mut more = [&secret.settings()[..], &more].concat();
    more.push(("WEBHOOK__LISTEN", &webhook));
    let crashes = Arc::new(Crashes {
        ports,
        environment: settings("http://127.0.0.1:9", &more),
        posted: AtomicU32::new(0),
        accepted: AtomicU32::new(0),
    });
    let mut process = crashes.start().await;
    let senders: Vec<_> = (0..SENDERS).map(|_| spawn(Arc::clone(&crashes).send())).collect();
    let follower = spawn(Arc::clone(&crashes).follow());
    for death in 1..=DEATHS {
        let until = events() / (DEATHS + 1) * death;
        while crashes.accepted.load(Ordering::Relaxed) < until {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        process.signal("KILL").await;
        assert_eq!(process.ended().await, None);
        process = crashes.start().await;
    }
    for sender in senders {
        sender.await.unwrap();
    }
    let seen = follower.await.unwrap();
    let log: Vec<String> = all(&mut ports.events().await.unwrap())
        .await
        .into_iter()
        .map(|event| event.event_id)
        .collect();
    let places: BTreeMap<&String, usize> = log.iter().zip(0..).collect();
    assert_eq!(log.len(), events() as usize, "each is in the log");
    assert_eq!(places.len(), log.len(), "and once");
    // What comes again is what came after the last token: a stream goes back
    // by less than that, and never skips.
    let mut furthest = None;
    let mut last = None;
    for id in &seen {
        let place = places[id];
        let follows = last.map_or(0, |last: usize| last + 1);
        assert!(place <= follows, "{place} came after {last:?}");
        assert!(
            furthest.is_none_or(|furthest: usize| furthest < place + 7),
            "goes back further"
        );
        furthest = furthest.max(Some(place));
        last = Some(place);
    }
    assert_eq!(furthest, Some(log.len() - 1));
    process.signal("TERM").await;
    assert_eq!(process.ended().await, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_events_are_posted_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    survives(&format!("sqlite://{}", folder.path().join("store.db").display())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_events_are_posted_on_postgres() {
    if let Some(store) = postgres::database().await {
        survives(&store).await;
    }
}
