//! Load over plain or secured connections: h2load cannot show a certificate.
//!
//! A process of its own on core 1, on one thread, that frames a call once and
//! reads no more of an answer than that it is one.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::pki::{Caller, Pair};
use crate::support::calls::{self, Call};
use crate::support::process::{on_core, output_of};
use crate::support::report::quantile;

/// Connections at once.
pub const CONNECTIONS: usize = 32;
/// Calls in flight on each.
pub const STREAMS: usize = 4;

/// What one run showed.
pub struct Outcome {
    /// Calls answered in a second.
    pub per_second: f64,
    /// Microseconds at the median.
    pub median: f64,
}

/// Makes `count` calls; with the certificates in `folder`, when there is one.
pub fn run(address: SocketAddr, count: u32, folder: Option<&Path>) -> Outcome {
    let mut command: Command = on_core(1, std::env::current_exe().expect("this program"));
    command
        .args(["load", &address.to_string(), &count.to_string()])
        .args(folder);
    let output = output_of(&mut command);
    let figures: Vec<f64> = output
        .split_whitespace()
        .map(|text| text.parse().expect("a figure"))
        .collect();
    Outcome {
        per_second: figures[0],
        median: figures[1],
    }
}

/// The process: `ADDRESS COUNT [FOLDER]`.
pub fn process(arguments: &[String]) {
    let address: SocketAddr = arguments[0].parse().expect("an address");
    let count: u32 = arguments[1].parse().expect("a count");
    let caller = arguments.get(2).map(|folder| {
        let read = |name: &str| std::fs::read_to_string(Path::new(folder).join(name)).expect("a PEM file");
        let own = Pair {
            certificate: read("own.crt"),
            key: read("own.key"),
        };
        Caller::new(&read("ca.crt"), Some(&own))
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(load(address, count, caller));
}

async fn load(address: SocketAddr, count: u32, caller: Option<Caller>) {
    let tasks = tokio_util::task::TaskTracker::new();
    let mut senders = Vec::new();
    for _ in 0..CONNECTIONS {
        senders.push(match &caller {
            Some(caller) => open(&tasks, caller.connect(address).await.expect("it connects")).await,
            None => {
                let socket = TcpStream::connect(address).await.expect("it connects");
                socket.set_nodelay(true).expect("a socket");
                open(&tasks, socket).await
            }
        });
    }
    let (call, senders) = (calls::get_product(), &senders);
    let frame = call.frame();
    let (call, frame) = (&call, &frame);
    let started = Instant::now();
    let latencies: Vec<f64> = stream::iter(0..count as usize)
        .map(|turn| async move {
            let began = Instant::now();
            one(senders[turn % CONNECTIONS].clone(), address, call, frame.clone()).await;
            began.elapsed().as_secs_f64() * 1e6
        })
        .buffer_unordered(CONNECTIONS * STREAMS)
        .collect()
        .await;
    let per_second = f64::from(count) / started.elapsed().as_secs_f64();
    println!("{per_second} {}", quantile(&latencies, 0.5));
}

async fn open<I>(tasks: &tokio_util::task::TaskTracker, io: I) -> SendRequest<Full<Bytes>>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(io))
        .await
        .expect("HTTP/2");
    tasks.spawn(connection);
    sender
}

async fn one(mut sender: SendRequest<Full<Bytes>>, address: SocketAddr, call: &Call, frame: Bytes) {
    let request = http::Request::post(format!("http://{address}{}", call.path))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Full::new(frame))
        .expect("a request");
    let answer = sender.send_request(request).await.expect("an answer");
    let body = answer.into_body().collect().await.expect("all of it").to_bytes();
    assert!(body.len() as u64 >= call.least_reply, "an error, no answer");
}
