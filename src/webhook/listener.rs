//! Connections: who may connect, how many at once, and how long they may stay
//! without a request.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::answer::Endpoint;
use crate::config;

/// Pause after a failed `accept`, which is a lack of file handles.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);
/// Longest headers of a request. The provider's have a few hundred bytes.
const MAX_HEAD_BYTES: usize = 16_384;
const MAX_HEADERS: usize = 64;

/// A connection: it can be closed, unless a request on it is being answered.
#[derive(Default)]
struct Connection {
    close: CancellationToken,
    busy: AtomicBool,
    closed: AtomicBool,
}

/// Accepts until asked to stop, then waits for requests that are being
/// answered.
pub(super) async fn accept(
    listener: TcpListener,
    config: &config::Webhook,
    endpoint: Arc<Endpoint>,
    stop: CancellationToken,
) {
    let tasks = TaskTracker::new();
    let mut connections: VecDeque<Arc<Connection>> = VecDeque::new();
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        let (socket, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "the webhook cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let allowed = &config.allowed_addresses;
        if !allowed.is_empty() && !allowed.iter().any(|range| range.contains(peer.ip())) {
            tracing::warn!(address = %peer.ip(), "an address that is not allowed connected to the webhook");
            continue;
        }
        connections.retain(|connection| !connection.closed.load(Ordering::Relaxed));
        if connections.len() >= config.max_connections {
            let idle = connections
                .iter()
                .position(|connection| !connection.busy.load(Ordering::Relaxed));
            // All are busy: the newest connection is closed.
            let Some(oldest) = idle.and_then(|at| connections.remove(at)) else {
                continue;
            };
            oldest.close.cancel();
        }
        let connection = Arc::new(Connection::default());
        connections.push_back(Arc::clone(&connection));
        let serve = serve(socket, connection, Arc::clone(&endpoint), stop.clone());
        tasks.spawn(serve);
    }
    tasks.close();
    tasks.wait().await;
}

async fn serve(
    socket: TcpStream,
    connection: Arc<Connection>,
    endpoint: Arc<Endpoint>,
    stop: CancellationToken,
) {
    let _ = socket.set_nodelay(true);
    let service = service_fn(|request| {
        let (endpoint, connection) = (Arc::clone(&endpoint), Arc::clone(&connection));
        async move {
            let whole = || connection.busy.store(true, Ordering::Relaxed);
            let answer = endpoint.answer(request, whole).await;
            connection.busy.store(false, Ordering::Relaxed);
            Ok::<_, Infallible>(answer)
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        // From the first byte that is waited for, also between requests.
        .header_read_timeout(endpoint.read_timeout)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(socket), service);
    let mut served = pin!(served);
    tokio::select! {
        // Errors of a peer are not worth a log line.
        _ = served.as_mut() => {}
        () = connection.close.cancelled() => {}
        () = stop.cancelled() => {
            served.as_mut().graceful_shutdown();
            let _ = served.await;
        }
    }
    connection.closed.store(true, Ordering::Relaxed);
}
