//! The HTTP ports, for the provider and for operators: how long connections
//! may stay, how many there are, and what happens when nothing is left to
//! accept one with.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use transatel_simulator::{Fault, Script};

use crate::events::webhook::{EventSource, client, deliver, envelope, signature};
use crate::support::gateway::{
    FRANCE, Gateway, PRODUCTS, SECRET, SOON, Secret, fetch, settings, simulator, until,
};
use crate::support::process::Process;

/// Limit of a head where the tests wait for its end.
const QUICK: Duration = Duration::from_millis(400);

/// Sends bytes and reads the head of the answer; gives its status.
async fn exchange(socket: &mut TcpStream, request: &[u8]) -> String {
    socket.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let byte = tokio::time::timeout(SOON, socket.read_u8()).await;
        answer.push(
            byte.expect("there is no answer")
                .expect("the connection is closed"),
        );
    }
    let head = String::from_utf8(answer).unwrap();
    head.split(' ').nth(1).unwrap().to_owned()
}

/// An event as a proxy passes it on over a kept connection.
fn event(id: &str) -> Vec<u8> {
    let body = envelope(id, "T", json!({}));
    let head = format!(
        "POST /webhooks/transatel HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\nx-tsl-signature-256: {}\r\n\r\n",
        body.len(),
        signature(SECRET, body.as_bytes()),
    );
    [head, body].concat().into_bytes()
}

/// Waits for the end of a connection; gives what came before.
async fn closed(mut socket: TcpStream) -> String {
    let mut rest = Vec::new();
    let read = tokio::time::timeout(SOON, socket.read_to_end(&mut rest)).await;
    // A reset is an end, too.
    let _ = read.expect("the connection is still open");
    String::from_utf8(rest).unwrap()
}

/// Whether a connection stays open and silent for as long.
async fn stays(socket: &mut TcpStream, time: Duration) -> bool {
    tokio::time::timeout(time, socket.read_u8()).await.is_err()
}

#[tokio::test]
async fn a_connection_that_a_balancer_keeps_is_not_under_the_limit_of_a_head() {
    let source = EventSource::open(&[("WEBHOOK__READ_TIMEOUT", "400ms")]).await;
    let mut kept = source.connect().await;
    assert_eq!(exchange(&mut kept, &event("A")).await, "204");
    assert!(stays(&mut kept, 2 * QUICK).await);
    assert_eq!(exchange(&mut kept, &event("B")).await, "204");
    // A head that begins on it is.
    kept.write_all(b"POST /webhooks/tra").await.unwrap();
    assert_eq!(closed(kept).await, "");
    // So is the first one, and the wait for it.
    assert_eq!(closed(source.connect().await).await, "");
}

#[tokio::test]
async fn a_kept_connection_is_closed_when_its_time_is_over() {
    let source = EventSource::open(&[
        ("WEBHOOK__READ_TIMEOUT", "1h"),
        ("WEBHOOK__IDLE_TIMEOUT", "100ms"),
    ])
    .await;
    let mut kept = source.connect().await;
    assert_eq!(exchange(&mut kept, &event("A")).await, "204");
    assert_eq!(closed(kept).await, "");
}

#[tokio::test]
async fn peers_that_only_connect_do_not_displace_a_kept_connection() {
    let source =
        EventSource::open(&[("WEBHOOK__READ_TIMEOUT", "1h"), ("WEBHOOK__MAX_CONNECTIONS", "8")]).await;
    let mut kept = source.connect().await;
    assert_eq!(exchange(&mut kept, &event("A")).await, "204");
    let mut silent = Vec::new();
    for _ in 0..40 {
        silent.push(source.connect().await);
    }
    for first in silent.drain(..30) {
        assert_eq!(closed(first).await, "");
    }
    assert_eq!(exchange(&mut kept, &event("B")).await, "204");
}

#[tokio::test]
async fn a_peer_of_the_admin_port_that_sends_half_a_request_is_closed() {
    let gateway = Gateway::start("http://127.0.0.1:9", &[("ADMIN__READ_TIMEOUT", "400ms")]).await;
    let url = format!("http://{}/livez", gateway.addresses.admin);
    for (half, answer) in [
        (&b""[..], ""),
        (b"GET /li", ""),
        (b"GET /livez HTTP/1.1\r\nhost: ", ""),
        (
            b"PUT /loglevel HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\ninf",
            "HTTP/1.1 408",
        ),
    ] {
        let mut socket = TcpStream::connect(gateway.addresses.admin).await.unwrap();
        socket.write_all(half).await.unwrap();
        assert_eq!(fetch(&url).await, "ok\n");
        let rest = closed(socket).await;
        assert!(
            rest.starts_with(answer) && rest.is_empty() == answer.is_empty(),
            "{rest}"
        );
    }
    // A scraper's connection is kept for longer.
    let mut kept = TcpStream::connect(gateway.addresses.admin).await.unwrap();
    let scrape = b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n";
    assert_eq!(exchange(&mut kept, scrape).await, "200");
    assert_eq!(kept.read_exact(&mut [0; 3]).await.unwrap(), 3);
    assert!(stays(&mut kept, 2 * QUICK).await);
    assert_eq!(exchange(&mut kept, scrape).await, "200");
}

#[tokio::test]
async fn silent_peers_of_the_admin_port_make_room_for_a_probe() {
    let limits = [("ADMIN__READ_TIMEOUT", "1h"), ("ADMIN__MAX_CONNECTIONS", "8")];
    let gateway = Gateway::start("http://127.0.0.1:9", &limits).await;
    let url = format!("http://{}/livez", gateway.addresses.admin);
    let mut silent = Vec::new();
    for _ in 0..40 {
        silent.push(TcpStream::connect(gateway.addresses.admin).await.unwrap());
        assert_eq!(fetch(&url).await, "ok\n");
    }
    for first in silent.drain(..30) {
        assert_eq!(closed(first).await, "");
    }
}

#[tokio::test]
async fn a_balancer_asks_the_webhook_for_its_health_without_a_signature() {
    let source = EventSource::open(&[]).await;
    let mut kept = source.connect().await;
    for (request, status) in [
        ("GET /", "200"),
        ("HEAD /", "200"),
        ("GET /healthz", "200"),
        ("HEAD /healthz", "200"),
        ("GET /?from=balancer", "200"),
    ] {
        let request = format!("{request} HTTP/1.1\r\nhost: x\r\n\r\n");
        assert_eq!(exchange(&mut kept, request.as_bytes()).await, status, "{request}");
        if request.starts_with("GET") {
            assert_eq!(kept.read_exact(&mut [0; 3]).await.unwrap(), 3);
        }
    }
    // The connection is kept, for checks and for events.
    assert_eq!(exchange(&mut kept, &event("A")).await, "204");
    for (request, status) in [
        ("POST /", "404"),
        ("POST /healthz", "404"),
        ("PUT /", "404"),
        ("GET /health", "404"),
        ("GET /webhooks/transatel", "405"),
    ] {
        let request = format!("{request} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n");
        let mut socket = source.connect().await;
        assert_eq!(
            exchange(&mut socket, request.as_bytes()).await,
            status,
            "{request}"
        );
    }
}

#[tokio::test]
async fn without_file_descriptors_the_ports_pause_and_say_so_once() {
    const LINE: &str = "connections cannot be accepted";
    let secret = Secret::new(SECRET);
    let limits = [
        ("WEBHOOK__MAX_CONNECTIONS", "1000"),
        ("WEBHOOK__READ_TIMEOUT", "1h"),
    ];
    let all = [&secret.settings()[..], &limits].concat();
    let environment = settings("http://127.0.0.1:9", &all);
    let mut process = Process::start_with_descriptors(64, &["serve"], &environment);
    let line = process.logged("listening").await;
    let address = |name: &str| {
        let rest = line.split(&format!("{name}=")).nth(1).unwrap();
        rest.split(' ').next().unwrap().to_owned()
    };
    let (admin, webhook) = (address("admin"), address("webhook"));
    process.logged("ready").await;
    let mut kept = TcpStream::connect(&admin).await.unwrap();
    let probe = b"HEAD /livez HTTP/1.1\r\nhost: x\r\n\r\n";
    assert_eq!(exchange(&mut kept, probe).await, "200");

    let mut waiting = Vec::new();
    for _ in 0..100 {
        waiting.push(TcpStream::connect(&webhook).await.unwrap());
    }
    let line = process.logged(LINE).await;
    assert!(line.contains("webhook") && line.contains("ERROR"), "{line}");
    let mut unanswered = TcpStream::connect(&admin).await.unwrap();
    unanswered.write_all(probe).await.unwrap();
    let line = process.logged(LINE).await;
    assert!(line.contains("admin"), "{line}");
    // What was accepted is served, and nothing more is logged.
    assert_eq!(exchange(&mut kept, probe).await, "200");
    let again = tokio::time::timeout(2 * QUICK, process.logged(LINE)).await;
    assert!(again.is_err(), "{again:?}");

    drop(waiting);
    assert_eq!(exchange(&mut unanswered, b"").await, "200");
    let url = format!("http://{webhook}/webhooks/transatel");
    let body = envelope("A", "T", json!({}));
    until("an event is taken", async || {
        deliver(&client(), &url, body.clone()).await == Some(204)
    })
    .await;
    process.signal("TERM").await;
    assert_eq!(process.ended().await, Some(0));
}

#[tokio::test]
async fn probes_and_scrapes_are_answered_while_calls_are_drained() {
    let sandbox = simulator().await;
    let control = sandbox.control();
    control.queue(Script::on("GET", PRODUCTS).then(Fault::hold("busy").step()));
    let drain = [("SHUTDOWN__DRAIN", "1h"), ("GRPC__MAX_DEADLINE", "1h")];
    let mut process = Process::start(&["serve"], &settings(&sandbox.base_url(), &drain));
    let line = process.logged("listening").await;
    let address = |name: &str| {
        let rest = line.split(&format!("{name}=")).nth(1).unwrap();
        rest.split(' ').next().unwrap().to_owned()
    };
    let (grpc, admin) = (address("grpc"), address("admin"));
    process.logged("ready").await;
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{grpc}")).unwrap();
    let channel = endpoint.connect().await.unwrap();
    let call = crate::support::gateway::spawn(async move {
        use transatel_gateway_client::connectivity::v1::CheckEligibilityRequest;
        use transatel_gateway_client::connectivity::v1::catalog_client::CatalogClient;
        let request = CheckEligibilityRequest {
            product_ids: vec![FRANCE.into()],
            sim: crate::support::gateway::by_msisdn("882470000000001"),
        };
        CatalogClient::new(channel)
            .check_eligibility(request)
            .await
            .is_ok()
    });
    control.until_held("busy", 1).await;
    process.signal("TERM").await;
    process.logged("phase=notice").await;
    assert_eq!(fetch(&format!("http://{admin}/livez")).await, "ok\n");
    let readiness = fetch(&format!("http://{admin}/readyz")).await;
    assert!(readiness.starts_with("not ready: "), "{readiness}");
    assert!(!call.is_finished());
    control.release("busy");
    assert!(call.await.unwrap());
    assert_eq!(process.ended().await, Some(0));
}
