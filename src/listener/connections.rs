//! Connections: how many at once, which is closed to make room, and how long
//! each may stay.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_util::io::InspectReader;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::accept::Listener;
use super::clock::Clock;

/// Longest head of a request. Those of a provider, a scraper or a proxy have a
/// few hundred bytes.
const MAX_HEAD_BYTES: usize = 16_384;
const MAX_HEADERS: usize = 64;

/// Bounds on the connections of a port.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once.
    pub connections: usize,
    /// How long the head of a request may take, from its first byte; that of
    /// the first request from the beginning of the connection.
    pub head: Duration,
    /// How long a connection is kept between two requests.
    pub idle: Duration,
}

/// What a port answers.
pub trait Endpoint: Send + Sync + 'static {
    /// The body of an answer.
    type Body: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static;

    /// Whether a peer may connect.
    fn admits(&self, peer: IpAddr) -> bool;

    /// Answers one request within bounds of its own. Calls
    /// [`Connection::request_is_complete`] once the body is read.
    fn answer(
        &self,
        request: Request<Incoming>,
        connection: &Connection,
    ) -> impl Future<Output = Response<Self::Body>> + Send;
}

/// A connection. It can be closed to make room, unless a request that was
/// received as a whole is being answered.
pub struct Connection {
    clock: Clock,
    close: CancellationToken,
    busy: AtomicBool,
    has_served: AtomicBool,
    closed: AtomicBool,
}

impl Connection {
    fn new(limits: Limits) -> Self {
        Self {
            clock: Clock::start(limits.head, limits.idle),
            close: CancellationToken::new(),
            busy: AtomicBool::new(false),
            has_served: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        }
    }

    /// A request was received as a whole: until it is answered its connection
    /// is not closed.
    pub fn request_is_complete(&self) {
        self.clock.request_is_complete();
        self.busy.store(true, Ordering::Relaxed);
    }

    fn answered(&self) {
        self.clock.answered();
        self.busy.store(false, Ordering::Relaxed);
        self.has_served.store(true, Ordering::Relaxed);
    }

    fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Relaxed)
    }
}

/// Accepts until asked to stop, then waits for requests that are being
/// answered.
pub async fn serve<E: Endpoint>(
    mut listener: Listener,
    limits: Limits,
    endpoint: Arc<E>,
    stop: CancellationToken,
) {
    let tasks = TaskTracker::new();
    let mut connections = VecDeque::new();
    while let Some((socket, peer)) = stop.run_until_cancelled(listener.accept()).await {
        if !endpoint.admits(peer.ip()) {
            continue;
        }
        if !make_room(&mut connections, limits.connections) {
            // All are busy: the newest connection is closed.
            continue;
        }
        let connection = Arc::new(Connection::new(limits));
        connections.push_back(Arc::clone(&connection));
        tasks.spawn(keep(socket, connection, Arc::clone(&endpoint), stop.clone()));
    }
    tasks.close();
    tasks.wait().await;
}

/// Whether there is room for one more. The oldest connection is closed on which
/// nothing was answered yet, else the oldest that is idle: peers that only
/// connect do not displace a proxy's connections.
fn make_room(connections: &mut VecDeque<Arc<Connection>>, most: usize) -> bool {
    connections.retain(|connection| !connection.closed.load(Ordering::Relaxed));
    if connections.len() < most {
        return true;
    }
    let find = |has_served: bool| {
        connections.iter().position(|connection| {
            !connection.is_busy() && connection.has_served.load(Ordering::Relaxed) == has_served
        })
    };
    let Some(oldest) = find(false).or_else(|| find(true)) else {
        return false;
    };
    if let Some(oldest) = connections.remove(oldest) {
        oldest.close.cancel();
    }
    true
}

/// Serves one connection until it ends, its time is over, or it has to make
/// room.
async fn keep<E: Endpoint>(
    socket: TcpStream,
    connection: Arc<Connection>,
    endpoint: Arc<E>,
    stop: CancellationToken,
) {
    let _ = socket.set_nodelay(true);
    let received = Arc::clone(&connection);
    let socket = InspectReader::new(socket, move |bytes: &[u8]| {
        if !bytes.is_empty() {
            received.clock.received();
        }
    });
    let service = service_fn(|request| {
        let (endpoint, connection) = (Arc::clone(&endpoint), Arc::clone(&connection));
        async move {
            connection.clock.request_began();
            let answer = endpoint.answer(request, &connection).await;
            connection.answered();
            Ok::<_, Infallible>(answer)
        }
    });
    let served = http1::Builder::new()
        // The clock's, not hyper's.
        .header_read_timeout(None)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(socket), service);
    let mut served = pin!(served);
    let clock = &connection.clock;
    // Errors of a peer are not worth a log line.
    let last_answer = tokio::select! {
        () = in_time(served.as_mut(), clock) => false,
        // A request may have become complete meanwhile.
        () = connection.close.cancelled() => connection.is_busy(),
        () = stop.cancelled() => true,
    };
    if last_answer {
        served.as_mut().graceful_shutdown();
        in_time(served, clock).await;
    }
    connection.closed.store(true, Ordering::Relaxed);
}

/// Serves until the connection ends or its time is over.
async fn in_time<R>(mut served: Pin<&mut impl Future<Output = R>>, clock: &Clock) {
    let mut timer = pin!(tokio::time::sleep_until(Instant::now()));
    std::future::poll_fn(|context| {
        if served.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        let Some(deadline) = clock.deadline() else {
            return Poll::Pending;
        };
        if timer.deadline() != deadline {
            timer.as_mut().reset(deadline);
        }
        timer.as_mut().poll(context)
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_that_never_served_makes_room_before_an_idle_one_and_a_busy_one_never() {
        const LIMITS: Limits = Limits {
            connections: 4,
            head: Duration::from_secs(5),
            idle: Duration::from_secs(600),
        };
        let all: Vec<Arc<Connection>> = (0..4).map(|_| Arc::new(Connection::new(LIMITS))).collect();
        let mut open: VecDeque<_> = all.iter().cloned().collect();
        all[0].request_is_complete();
        all[1].answered();
        for next in [2, 3, 1] {
            let most = open.len();
            assert!(make_room(&mut open, most));
            assert!(all[next].close.is_cancelled(), "{next}");
        }
        assert!(!make_room(&mut open, 1));
        all[0].closed.store(true, Ordering::Relaxed);
        assert!(make_room(&mut open, 1));
    }
}
