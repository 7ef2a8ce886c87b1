//! Connections: who may have one, how many there are, and how long they may
//! stay without a request.

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

use super::answer::Desk;
use crate::config;

/// Pause after a failed `accept`, which is a lack of file handles.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);
/// Longest head of a request. The provider's have some hundred bytes.
const MAX_HEAD_BYTES: usize = 16_384;
const MAX_HEADERS: usize = 64;

/// A connection from outside: it can be told to go, unless it is our turn.
#[derive(Default)]
struct Guest {
    leave: CancellationToken,
    served: AtomicBool,
    gone: AtomicBool,
}

/// Accepts until told to stop, then waits for requests that are being
/// answered.
pub(super) async fn accept(
    listener: TcpListener,
    config: &config::Webhook,
    desk: Arc<Desk>,
    stop: CancellationToken,
) {
    let connections = TaskTracker::new();
    let mut guests: VecDeque<Arc<Guest>> = VecDeque::new();
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
        guests.retain(|guest| !guest.gone.load(Ordering::Relaxed));
        if guests.len() >= config.max_connections {
            let idle = guests
                .iter()
                .position(|guest| !guest.served.load(Ordering::Relaxed));
            // Everybody is being served: the newest has to come again.
            let Some(oldest) = idle.and_then(|at| guests.remove(at)) else {
                continue;
            };
            oldest.leave.cancel();
        }
        let guest = Arc::new(Guest::default());
        guests.push_back(Arc::clone(&guest));
        let serve = serve(socket, guest, Arc::clone(&desk), stop.clone());
        connections.spawn(serve);
    }
    connections.close();
    connections.wait().await;
}

async fn serve(socket: TcpStream, guest: Arc<Guest>, desk: Arc<Desk>, stop: CancellationToken) {
    let _ = socket.set_nodelay(true);
    let service = service_fn(|request| {
        let (desk, guest) = (Arc::clone(&desk), Arc::clone(&guest));
        async move {
            let whole = || guest.served.store(true, Ordering::Relaxed);
            let answer = desk.answer(request, whole).await;
            guest.served.store(false, Ordering::Relaxed);
            Ok::<_, Infallible>(answer)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // From the first byte that is waited for, also between requests.
        .header_read_timeout(desk.read_timeout)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(socket), service);
    let mut connection = pin!(connection);
    tokio::select! {
        // A peer that misbehaves is no news.
        _ = connection.as_mut() => {}
        () = guest.leave.cancelled() => {}
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
    guest.gone.store(true, Ordering::Relaxed);
}
