//! Connections of callers that are not what they should be: silent, half
//! begun, too many, or full of cancelled calls.

use std::net::SocketAddr;
use std::time::Duration;

use prost::Message as _;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tonic::codec::CompressionEncoding::Gzip;
use tonic::transport::Endpoint;
use transatel_gateway_client::connectivity::v1 as api;
use transatel_simulator::{Fault, Script};

use crate::support::gateway::{
    FRANCE, Gateway, ORDERS, SOON, TestEnv, fetch, get, settings, simulator, until,
};
use crate::support::pki::{Authority, Caller, Files, connect};
use crate::support::process::Process;
use crate::writes::orders::{create, order};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// SETTINGS without any.
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];

/// Sends this and waits for the gateway to close the connection.
async fn is_closed_after(mut peer: impl AsyncRead + AsyncWrite + Unpin, sent: &[u8]) {
    peer.write_all(sent).await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(SOON, peer.read_to_end(&mut answer))
        .await
        .unwrap_or_else(|_| panic!("still open after {} bytes", sent.len()))
        .ok();
}

#[tokio::test]
async fn a_peer_that_does_not_begin_in_time_is_disconnected() {
    let env = TestEnv::with(&[
        ("GRPC__HANDSHAKE_TIMEOUT", "50ms"),
        ("GRPC__FIRST_CALL_TIMEOUT", "100ms"),
    ])
    .await;
    let address = env.gateway.addresses.grpc;
    let half_a_head = [PREFACE, SETTINGS, &[0, 0, 99, 1, 4, 0, 0, 0, 1, 0x83]].concat();
    for sent in [
        &b""[..],
        &PREFACE[..12],
        b"GET / HTTP/1.1\r\n",
        PREFACE,
        &[PREFACE, SETTINGS].concat(),
        &half_a_head,
    ] {
        is_closed_after(TcpStream::connect(address).await.unwrap(), sent).await;
    }
    // A connection that was used stays.
    let mut catalog = env.catalog();
    catalog.get_product(get(FRANCE)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(150)).await;
    catalog.get_product(get(FRANCE)).await.unwrap();
}

#[tokio::test]
async fn a_peer_that_falls_silent_after_its_tls_handshake_is_disconnected() {
    let authority = Authority::new();
    let files = Files::new(&authority.server(), None);
    let sandbox = simulator().await;
    // Longer than a handshake takes on a busy machine.
    let limits = [
        ("GRPC__HANDSHAKE_TIMEOUT", "2s"),
        ("GRPC__FIRST_CALL_TIMEOUT", "100ms"),
    ];
    let settings = [&files.settings()[..], &limits].concat();
    let gateway = Gateway::start_with(&sandbox.base_url(), &settings, async |address| {
        connect(address, &authority, None).await.unwrap()
    })
    .await;
    let caller = Caller::new(&authority.pem(), None);
    let begun = [PREFACE, SETTINGS].concat();
    let peers = [&b""[..], &PREFACE[..12], &begun].map(|sent| {
        let caller = &caller;
        async move { is_closed_after(caller.connect(gateway.addresses.grpc).await.unwrap(), sent).await }
    });
    futures_util::future::join_all(peers).await;
}

#[tokio::test]
async fn silent_peers_keep_no_honest_caller_out() {
    let authority = Authority::new();
    let files = Files::new(&authority.server(), None);
    let sandbox = simulator().await;
    // Only the number of silent peers can end one of them.
    let settings = [&files.settings()[..], &[("GRPC__HANDSHAKE_TIMEOUT", "1h")]].concat();
    let gateway = Gateway::start_with(&sandbox.base_url(), &settings, async |address| {
        connect(address, &authority, None).await.unwrap()
    })
    .await;
    let mut silent = Vec::new();
    for _ in 0..600 {
        silent.push(TcpStream::connect(gateway.addresses.grpc).await.unwrap());
    }
    let honest = tokio::time::timeout(SOON, connect(gateway.addresses.grpc, &authority, None));
    let honest = honest.await.expect("the handshake waits").unwrap();
    let mut catalog = api::catalog_client::CatalogClient::new(honest);
    catalog.get_product(get(FRANCE)).await.unwrap();
}

/// One frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The head of a call, without compression.
fn head(path: &str) -> Vec<u8> {
    let mut head = Vec::new();
    for (name, value) in [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "localhost"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ] {
        head.push(0);
        for text in [name, value] {
            head.push(u8::try_from(text.len()).unwrap());
            head.extend(text.as_bytes());
        }
    }
    head
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const CANCEL: &[u8] = &[0, 0, 0, 8];

/// What came of a call: its first message.
async fn answer(peer: &mut TcpStream, call: u32) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let mut header = [0; 9];
        peer.read_exact(&mut header)
            .await
            .expect("the connection was closed");
        let length = u32::from_be_bytes([0, header[0], header[1], header[2]]) as usize;
        let stream = u32::from_be_bytes([header[5], header[6], header[7], header[8]]);
        let mut payload = vec![0; length];
        peer.read_exact(&mut payload).await.unwrap();
        assert_ne!(header[3], GOAWAY, "{}", String::from_utf8_lossy(&payload));
        if stream == call && header[3] == DATA {
            body.extend(payload);
        }
        if stream == call && header[4] & END_STREAM != 0 && header[3] != RST_STREAM {
            return body.split_off(5.min(body.len()));
        }
    }
}

#[tokio::test]
async fn cancelled_calls_cost_no_neighbour_its_connection() {
    let env = TestEnv::open().await;
    let control = env.control();
    let hold = Fault::Hold { gate: "storm".into() };
    control.queue(Script::on("POST", ORDERS).then(hold.step()));
    let mut peer = TcpStream::connect(env.gateway.addresses.grpc).await.unwrap();
    let request = order("882470000000001");
    let message = request.encode_to_vec();
    let mut data = vec![0];
    data.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    data.extend(message);
    let buying = [
        PREFACE,
        SETTINGS,
        &frame(
            HEADERS,
            END_HEADERS,
            1,
            &head("/connectivity.v1.Provisioning/CreateOrder"),
        ),
        &frame(DATA, END_STREAM, 1, &data),
    ];
    peer.write_all(&buying.concat()).await.unwrap();
    until("the order is sent", async || {
        control.received("POST", ORDERS) == 1
    })
    .await;

    // As from a proxy whose callers give up all at once.
    let cancelled = (1..=200).flat_map(|call| {
        let stream = 2 * call + 1;
        let head = head("/connectivity.v1.Catalog/GetProduct");
        [
            frame(HEADERS, END_HEADERS, stream, &head),
            frame(RST_STREAM, 0, stream, CANCEL),
        ]
        .concat()
    });
    peer.write_all(&cancelled.collect::<Vec<u8>>()).await.unwrap();
    control.release("storm");
    let answer = tokio::time::timeout(SOON, answer(&mut peer, 1)).await.unwrap();
    let order = api::CreateOrderResponse::decode(answer.as_slice())
        .unwrap()
        .order
        .unwrap();
    assert_eq!(order.state(), api::OrderState::Placed);

    // So many more end the connection, and the order is known.
    let again = create(&mut env.provisioning(), &request).await.unwrap();
    assert_eq!(again.order_id, order.order_id);
    assert_eq!(control.received("POST", ORDERS), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_descriptors_new_callers_wait_and_the_process_stays_well() {
    let sandbox = simulator().await;
    let environment = settings(&sandbox.base_url(), &[("TELEMETRY__LOG_FORMAT", "json")]);
    let mut process = Process::start_with_descriptors(128, &["serve"], &environment);
    let listening: Value = serde_json::from_str(&process.logged("\"listening\"").await).unwrap();
    let address = |of: &str| listening[of].as_str().unwrap().parse::<SocketAddr>().unwrap();
    let (grpc, admin) = (address("grpc"), address("admin"));
    process.logged("ready").await;
    let endpoint = Endpoint::from_shared(format!("http://{grpc}")).unwrap();
    let early = endpoint.connect().await.unwrap();
    api::catalog_client::CatalogClient::new(early.clone())
        .get_product(get(FRANCE))
        .await
        .unwrap();

    let mut silent = Vec::new();
    for _ in 0..500 {
        silent.push(TcpStream::connect(grpc).await.unwrap());
    }
    process.logged("no room for more connections").await;
    let (began, spent) = (Instant::now(), process.processor_time());
    let mut provisioning = api::provisioning_client::ProvisioningClient::new(early);
    let placed = create(&mut provisioning, &order("882470000000001"))
        .await
        .unwrap();
    assert_eq!(placed.state(), api::OrderState::Placed);
    while began.elapsed() < Duration::from_millis(400) {
        let alive = tokio::time::timeout(SOON, fetch(&format!("http://{admin}/livez"))).await;
        assert_eq!(alive.unwrap(), "ok\n");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let spent = process.processor_time() - spent;
    assert!(spent < Duration::from_millis(300), "{spent:?} of processor time");

    drop(silent);
    let late = api::catalog_client::CatalogClient::new(endpoint.connect().await.unwrap())
        .get_product(get(FRANCE))
        .await;
    late.unwrap();
}

#[tokio::test]
async fn a_compressed_request_is_read() {
    let env = TestEnv::open().await;
    let mut catalog = env.catalog().send_compressed(Gzip);
    let product = catalog.get_product(get(FRANCE)).await.unwrap().into_inner();
    assert_eq!(product.product.unwrap().product_id, FRANCE);
}
