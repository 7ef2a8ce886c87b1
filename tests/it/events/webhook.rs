//! What is posted to the webhook, by the provider and by others.

use std::time::{Duration, Instant};

use ring::hmac;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use transatel_gateway_client::connectivity::v1::{Event, EventFilter, ListEventsRequest};

use crate::support::gateway::{Events, Gateway, SECRET, SOON, Secret, settings, simulator, until};
use crate::support::process::Process;

/// `X-TSL-Signature-256` of a body.
pub fn signature(secret: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, body);
    let digits: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={digits}")
}

/// An event as the provider writes it.
pub fn envelope(id: &str, event_type: &str, body: Value) -> String {
    let header = json!({ "eventId": id, "eventType": event_type, "eventDate": "2026-11-25T06:00:00Z" });
    json!({ "header": header, "body": body }).to_string()
}

/// Posts bytes with a signature header; gives the status, if there is an
/// answer.
pub async fn post(client: &reqwest::Client, url: &str, body: String, signature: Option<&str>) -> Option<u16> {
    let mut request = client
        .post(url)
        .header("content-type", "application/json")
        .body(body);
    if let Some(signature) = signature {
        request = request.header("x-tsl-signature-256", signature);
    }
    Some(request.send().await.ok()?.status().as_u16())
}

/// Posts an event that is as it should be.
pub async fn deliver(client: &reqwest::Client, url: &str, body: String) -> Option<u16> {
    let signature = signature(SECRET, body.as_bytes());
    post(client, url, body, Some(&signature)).await
}

pub fn client() -> reqwest::Client {
    // No gateway in this process may have done it yet.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// Every event in the log.
pub async fn all(events: &mut Events) -> Vec<Event> {
    let mut listed = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListEventsRequest {
            page_size: 1_000,
            page_token,
            filter: Some(EventFilter {
                include_infrastructure: true,
                ..Default::default()
            }),
        };
        let page = events.list_events(request).await.unwrap().into_inner();
        listed.extend(page.events);
        if page.next_page_token.is_empty() {
            return listed;
        }
        page_token = page.next_page_token;
    }
}

async fn ids(gateway: &Gateway) -> Vec<String> {
    let listed = all(&mut gateway.events()).await;
    listed.into_iter().map(|event| event.event_id).collect()
}

/// Posts signed events to the webhook of a gateway.
pub struct EventSource {
    pub gateway: Gateway,
    url: String,
    client: reqwest::Client,
    _secret: Secret,
}

impl EventSource {
    pub async fn open(settings: &[(&str, &str)]) -> Self {
        let secret = Secret::new(SECRET);
        // Nothing here needs a provider.
        let all = [&secret.settings()[..], settings].concat();
        let gateway = Gateway::start("http://127.0.0.1:9", &all).await;
        Self {
            url: gateway.webhook(),
            client: client(),
            gateway,
            _secret: secret,
        }
    }

    pub async fn deliver(&self, body: String) -> Option<u16> {
        deliver(&self.client, &self.url, body).await
    }

    /// Posts an event that is taken.
    pub async fn send(&self, id: impl std::fmt::Display, event_type: &str, body: Value) {
        let body = envelope(&id.to_string(), event_type, body);
        assert_eq!(self.deliver(body).await, Some(204));
    }

    /// Posts an event for each number.
    pub async fn send_many(&self, ids: std::ops::Range<u32>) {
        for id in ids {
            self.send(id, "T", json!({ "number": id })).await;
        }
    }

    async fn post(&self, body: &str, signature: Option<&str>) -> Option<u16> {
        post(&self.client, &self.url, body.to_owned(), signature).await
    }

    async fn ids(&self) -> Vec<String> {
        ids(&self.gateway).await
    }

    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.gateway.addresses.webhook.unwrap())
            .await
            .unwrap()
    }
}

#[tokio::test]
async fn only_what_is_signed_is_taken_and_only_once() {
    let source = EventSource::open(&[]).await;
    let body = envelope("A", "T", json!({}));
    let right = signature(SECRET, body.as_bytes());
    for wrong in [
        None,
        Some(signature("another secret", body.as_bytes())),
        Some(signature(SECRET, b"another body")),
        Some(right.replace("sha256=", "")),
    ] {
        assert_eq!(source.post(&body, wrong.as_deref()).await, Some(401), "{wrong:?}");
    }
    assert!(source.ids().await.is_empty());
    for _ in 0..3 {
        assert_eq!(source.post(&body, Some(&right)).await, Some(204));
    }
    assert_eq!(source.ids().await, ["A"]);
    let twice = source
        .client
        .post(&source.url)
        .header("x-tsl-signature-256", &right)
        .header("x-tsl-signature-256", &right)
        .body(body.clone());
    assert_eq!(twice.send().await.unwrap().status(), 401);
    let metrics = source.gateway.metrics().await;
    for (outcome, count) in [("new", 1), ("duplicate", 2), ("wrong_signature", 5)] {
        let shown = metrics.lines().any(|line| {
            line.starts_with("transatel_gateway_events_received_total{")
                && line.contains(&format!("outcome=\"{outcome}\""))
                && line.ends_with(&format!(" {count}"))
        });
        assert!(shown, "{outcome} {count} in {metrics}");
    }
}

#[tokio::test]
async fn what_is_signed_and_cannot_be_read_is_kept_apart() {
    let source = EventSource::open(&[]).await;
    for body in ["{", "", "[]", r#"{"header":{"eventType":"T"},"body":{}}"#] {
        assert_eq!(source.deliver(body.into()).await, Some(204), "{body}");
        assert_eq!(source.post(body, None).await, Some(401), "{body}");
    }
    assert!(source.ids().await.is_empty());
    assert!(source.gateway.metrics().await.lines().any(|line| {
        line.starts_with("transatel_gateway_events_received_total{")
            && line.contains("unreadable")
            && line.ends_with(" 4")
    }));
    assert_eq!(source.deliver(envelope("A", "T", json!({}))).await, Some(204));
    assert_eq!(source.ids().await, ["A"]);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_not_read_to_its_end() {
    let source = EventSource::open(&[("WEBHOOK__MAX_BODY_BYTES", "2048")]).await;
    let large = |bytes| envelope("A", "T", json!({ "text": "x".repeat(bytes) }));
    assert_eq!(source.deliver(large(1_500)).await, Some(204));
    assert_eq!(source.deliver(large(3_000)).await, Some(413));
    // Without a length, and endless.
    let mut socket = source.connect().await;
    socket
        .write_all(b"POST /webhooks/transatel HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        .await
        .unwrap();
    let chunk = [b"400\r\n".as_slice(), &[b'x'; 0x400], b"\r\n"].concat();
    // The gateway stops reading; what it answered is there all the same.
    while socket.write_all(&chunk).await.is_ok() {
        let mut head = [0; 12];
        if let Ok(Ok(12)) = tokio::time::timeout(Duration::from_millis(20), socket.peek(&mut head)).await {
            assert_eq!(&head, b"HTTP/1.1 413");
            return;
        }
    }
    panic!("no answer");
}

#[tokio::test]
async fn anything_but_a_post_to_the_path_is_refused() {
    let source = EventSource::open(&[("WEBHOOK__PATH", "/events/here")]).await;
    let base = format!("http://{}", source.gateway.addresses.webhook.unwrap());
    let body = envelope("A", "T", json!({}));
    let here = format!("{base}/events/here");
    assert_eq!(
        deliver(&source.client, &source.url, body.clone()).await,
        Some(404)
    );
    assert_eq!(source.client.get(&here).send().await.unwrap().status(), 405);
    assert_eq!(deliver(&source.client, &here, body).await, Some(204));
}

#[tokio::test]
async fn a_secret_is_rotated_without_a_restart() {
    let (old, new) = (Secret::new("old"), Secret::new("new"));
    let files = format!("{},{}", old.file.path().display(), new.file.path().display());
    let source = EventSource::open(&[("WEBHOOK__SECRET_FILES", &files)]).await;
    let body = envelope("A", "T", json!({}));
    let status = async |secret: &str| {
        source
            .post(&body, Some(&signature(secret, body.as_bytes())))
            .await
    };
    assert_eq!(status("old").await, Some(204));
    assert_eq!(status("new").await, Some(204));
    assert_eq!(status("newest").await, Some(401));
    std::fs::write(old.file.path(), "newest").unwrap();
    until("the newest is good", async || {
        tokio::time::sleep(Duration::from_millis(20)).await;
        status("newest").await == Some(204)
    })
    .await;
    assert_eq!(status("old").await, Some(401));
    assert_eq!(status("new").await, Some(204));
    // While a file is replaced its secret stays good.
    std::fs::write(old.file.path(), "").unwrap();
    std::fs::write(new.file.path(), "next").unwrap();
    until("the next is good", async || {
        tokio::time::sleep(Duration::from_millis(20)).await;
        status("next").await == Some(204)
    })
    .await;
    assert_eq!(status("newest").await, Some(204));
}

#[tokio::test]
async fn an_event_that_cannot_be_made_durable_is_refused_and_comes_again() {
    use sqlx::{Connection as _, Executor as _, SqliteConnection};
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.db");
    let store = format!("sqlite://{}", file.display());
    let source = EventSource::open(&[("STORE__URL", &store), ("WEBHOOK__COMMIT_TIMEOUT", "100ms")]).await;
    let mut other = SqliteConnection::connect(&store).await.unwrap();
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    let body = envelope("A", "T", json!({}));
    assert_eq!(source.deliver(body.clone()).await, Some(503));
    assert!(source.ids().await.is_empty());
    other.execute("ROLLBACK").await.unwrap();
    until("it is taken", async || {
        source.deliver(body.clone()).await == Some(204)
    })
    .await;
    assert_eq!(source.ids().await, ["A"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_slow_or_endless_costs_nobody_else_anything() {
    let source = EventSource::open(&[
        ("WEBHOOK__MAX_CONNECTIONS", "16"),
        ("WEBHOOK__READ_TIMEOUT", "3s"),
    ])
    .await;
    let beginnings: [&[u8]; 5] = [
        b"",
        b"POST /webhooks/tra",
        b"POST /webhooks/transatel HTTP/1.1\r\nhost: x\r\nx-slow: ",
        b"POST /webhooks/transatel HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{",
        b"POST /webhooks/transatel HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{",
    ];
    let mut slow = Vec::new();
    for turn in 0..60 {
        let mut socket = source.connect().await;
        let _ = socket.write_all(beginnings[turn % beginnings.len()]).await;
        slow.push(socket);
        let started = Instant::now();
        // A connection of its own every time, as a provider's would be.
        let client = client();
        let body = envelope(&turn.to_string(), "T", json!({}));
        assert_eq!(deliver(&client, &source.url, body).await, Some(204), "{turn}");
        assert!(started.elapsed() < SOON, "{turn}");
    }
    assert_eq!(source.ids().await.len(), 60);
    // Each is sent away, whether it made room or its time was over.
    for mut socket in slow {
        let mut rest = Vec::new();
        tokio::time::timeout(SOON, socket.read_to_end(&mut rest))
            .await
            .expect("it is sent away")
            .ok();
    }
    // Endless heads end too.
    for endless in [
        b"POST /webhooks/transatel?".as_slice(),
        b"POST / HTTP/1.1\r\nx-endless: ",
    ] {
        let mut socket = source.connect().await;
        socket.write_all(endless).await.unwrap();
        let written = async { while socket.write_all(&[b'x'; 4096]).await.is_ok() {} };
        tokio::time::timeout(SOON, written)
            .await
            .expect("it is sent away");
    }
    assert_eq!(source.deliver(envelope("last", "T", json!({}))).await, Some(204));
}

#[tokio::test]
async fn addresses_that_are_not_allowed_get_no_answer() {
    let source = EventSource::open(&[("WEBHOOK__ALLOWED_ADDRESSES", "192.0.2.0/24,2001:db8::1")]).await;
    assert_eq!(source.deliver(envelope("A", "T", json!({}))).await, None);
    let source = EventSource::open(&[("WEBHOOK__ALLOWED_ADDRESSES", "192.0.2.0/24,127.0.0.0/8")]).await;
    assert_eq!(source.deliver(envelope("A", "T", json!({}))).await, Some(204));
}

#[tokio::test]
async fn nothing_listens_without_a_secret_unless_it_is_told_to_trust_everybody() {
    let sandbox = simulator().await;
    let gateway = Gateway::start(&sandbox.base_url(), &[]).await;
    assert_eq!(gateway.addresses.webhook, None);
    let trusting = [
        ("WEBHOOK__LISTEN", "127.0.0.1:0"),
        ("WEBHOOK__SIGNATURES", "not_checked"),
    ];
    let gateway = Gateway::start(&sandbox.base_url(), &trusting).await;
    let body = envelope("A", "T", json!({}));
    assert_eq!(post(&client(), &gateway.webhook(), body, None).await, Some(204));
    assert_eq!(ids(&gateway).await, ["A"]);
}

#[tokio::test]
async fn nothing_of_an_event_or_a_secret_is_logged() {
    let secret = Secret::new(SECRET);
    let more = [
        &secret.settings()[..],
        &[("TELEMETRY__LOG_LEVEL", "info,transatel_gateway=trace")],
    ]
    .concat();
    let mut process = Process::start(&["serve"], &settings("http://127.0.0.1:9", &more));
    let line = process.logged("listening").await;
    let address = line.split("webhook=").nth(1).unwrap().split(' ').next().unwrap();
    let url = format!("http://{address}/webhooks/transatel");
    let (client, body) = (
        client(),
        json!({ "iccid": "8988247000000000019", "msisdn": "882470000000001" }),
    );
    let event = envelope("A", "T", body);
    assert_eq!(deliver(&client, &url, event.clone()).await, Some(204));
    assert_eq!(
        deliver(&client, &url, event[..event.len() - 1].into()).await,
        Some(204)
    );
    assert_eq!(post(&client, &url, event, None).await, Some(401));
    process.signal("TERM").await;
    let mut lines = 0;
    while let Some(line) = process.stderr.next_line().await.unwrap() {
        lines += 1;
        for hidden in ["8988247000000000019", "882470000000001", SECRET] {
            assert!(!line.contains(hidden), "{line}");
        }
    }
    assert!(lines > 2, "{lines}");
    assert_eq!(process.ended().await, Some(0));
}
