//! Accepts connections of callers: a bounded number, and only those that begin
//! HTTP/2 in time.
//!
//! Guarantees that peers which connect and stay silent keep nobody else out,
//! and that a lack of descriptors pauses accepting and nothing else.

use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::{Stream, stream};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use super::certificates::Certificates;
use super::connection::{Connection, Socket};
use crate::listener::Listener;
use crate::telemetry::LogLimit;

/// Connections that have not begun HTTP/2 yet. One more, and the oldest of
/// them is closed: an honest caller needs milliseconds.
const OPENING: usize = 512;

/// What a client of HTTP/2 sends first (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bounds on connections.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Open at once.
    pub connections: usize,
    /// From the connection to the HTTP/2 preface, TLS included.
    pub handshake: Duration,
    /// From the preface to the first call.
    pub first_call: Duration,
}

/// The listener and the connections that are being opened.
pub struct Incoming {
    accepting: Accepting,
    certificates: Option<Arc<Certificates>>,
    limits: Limits,
    opening: JoinSet<Option<Connection>>,
    /// Of `opening`, the oldest first; some of them have ended.
    order: VecDeque<AbortHandle>,
}

impl Incoming {
    /// Plain text without certificates.
    pub fn new(listener: TcpListener, certificates: Option<Arc<Certificates>>, limits: Limits) -> Self {
        Self {
            accepting: Accepting {
                listener: Listener::new(listener, "grpc"),
                room: Arc::new(Semaphore::new(limits.connections)),
                most: limits.connections,
                full: LogLimit::a_minute(1),
            },
            certificates,
            limits,
            opening: JoinSet::new(),
            order: VecDeque::new(),
        }
    }

    /// Connections on which HTTP/2 has begun. Never ends, never fails.
    pub fn connections(self) -> impl Stream<Item = io::Result<Connection>> {
        stream::unfold(self, |mut incoming| async move {
            let connection = incoming.next().await;
            Some((Ok(connection), incoming))
        })
    }

    async fn next(&mut self) -> Connection {
        loop {
            let accepted = tokio::select! {
                Some(opened) = self.opening.join_next() => {
                    if let Ok(Some(connection)) = opened {
                        return connection;
                    }
                    continue;
                }
                accepted = self.accepting.next() => accepted,
            };
            self.open(accepted);
        }
    }

    fn open(&mut self, (socket, place): (TcpStream, OwnedSemaphorePermit)) {
        if self.order.len() >= OPENING {
            self.order.retain(|task| !task.is_finished());
        }
        if self.order.len() >= OPENING
            && let Some(oldest) = self.order.pop_front()
        {
            oldest.abort();
        }
        let (certificates, limits) = (self.certificates.clone(), self.limits);
        let opened = self.opening.spawn(async move {
            let opening = begin(socket, certificates.as_deref());
            let Ok(begun) = tokio::time::timeout(limits.handshake, opening).await else {
                if let Some(certificates) = certificates {
                    certificates.metrics().handshake("timed_out");
                }
                tracing::debug!("a connection was closed: it did not begin HTTP/2 in time");
                return None;
            };
            let (socket, preface) = begun?;
            Some(Connection::new(socket, preface, limits.first_call, place))
        });
        self.order.push_back(opened);
    }
}

/// Accepts as long as there is room.
struct Accepting {
    listener: Listener,
    room: Arc<Semaphore>,
    most: usize,
    full: LogLimit,
}

impl Accepting {
    /// The next connection, once there is room for it. Cancel-safe.
    async fn next(&mut self) -> (TcpStream, OwnedSemaphorePermit) {
        let room = Arc::clone(&self.room);
        if room.available_permits() == 0 && self.full.add(Instant::now()).is_some() {
            tracing::warn!(
                connections = self.most,
                "no room for more connections: accepting pauses until one of them ends"
            );
        }
        let Ok(place) = room.acquire_owned().await else {
            return pending().await;
        };
        let (socket, _) = self.listener.accept().await;
        (socket, place)
    }
}

/// Waits for the handshake and the preface.
async fn begin(socket: TcpStream, certificates: Option<&Certificates>) -> Option<(Socket, Bytes)> {
    // Without it, small answers would wait for the acknowledgement of others.
    let _ = socket.set_nodelay(true);
    let mut socket = match certificates {
        Some(certificates) => secure(socket, certificates).await?,
        None => Socket::Plain(socket),
    };
    let mut preface = BytesMut::with_capacity(PREFACE.len());
    // What is no preface is for the server to reject.
    while preface.len() < PREFACE.len() && PREFACE.starts_with(&preface) {
        let left = PREFACE.len() - preface.len();
        if socket.read_buf(&mut (&mut preface).limit(left)).await.ok()? == 0 {
            return None;
        }
    }
    Some((socket, preface.freeze()))
}

async fn secure(socket: TcpStream, certificates: &Certificates) -> Option<Socket> {
    let acceptor: TlsAcceptor = certificates.acceptor();
    let peer = socket.peer_addr().ok();
    let peer = peer.map(tracing::field::display);
    match acceptor.accept(socket).await {
        Ok(stream) => {
            certificates.metrics().handshake("ok");
            Some(Socket::Secured(Box::new(stream)))
        }
        // A port probe.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            certificates.metrics().handshake("left");
            None
        }
        Err(error) => {
            tracing::info!(peer, %error, "a connection was refused in its TLS handshake");
            certificates.metrics().handshake("failed");
            None
        }
    }
}
