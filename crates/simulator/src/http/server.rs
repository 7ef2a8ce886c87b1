//! The listener, its connections, and how both end.
//!
//! The listener can be made to refuse, to reset or to stay silent, and keeps
//! its port meanwhile. It and its connections end with the other tasks of the
//! simulator.

use std::{
    io,
    net::SocketAddr,
    pin::pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::Router;
use http::{HeaderName, HeaderValue, Request};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::{
    http::{
        connection::{Fate, Wire},
        counters::Counters,
        exchange::{Requests, exchange},
        routes,
    },
    lock::lock,
};

/// Connections that wait to be accepted; bursts of tests are larger than the usual 128.
const BACKLOG: u32 = 4096;
/// Pause after a failed `accept`, which is a lack of file handles and does not pass at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// The header of every answer: no real provider has it.
const SIMULATOR: HeaderName = HeaderName::from_static("x-transatel-simulator");

/// How the simulator meets the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Availability {
    /// It listens and answers.
    #[default]
    Up,
    /// Nothing listens: connections are refused, open ones are reset.
    Refusing,
    /// Connections are accepted and reset at once, open ones too.
    Resetting,
    /// Connections are accepted, requests are read, and none is carried out or answered. The control API works.
    Silent,
}

/// What a change of availability has come to: its number, and the error when the port could not be had back.
type Effect = (u64, Option<(io::ErrorKind, String)>);

#[derive(Debug)]
pub(crate) struct Server {
    requests: Arc<Requests>,
    pub(crate) address: SocketAddr,
    wanted: watch::Sender<(u64, Availability)>,
    effect: watch::Sender<Effect>,
    /// Cancelled and replaced when all open connections are reset.
    open: Mutex<CancellationToken>,
}

impl Server {
    /// Binds the address and serves from then on.
    pub(crate) fn start(
        address: SocketAddr,
        requests: Arc<Requests>,
        router: impl FnOnce(Arc<Self>) -> Router,
    ) -> io::Result<Arc<Self>> {
        let listener = listen(address)?;
        let server = Arc::new(Self {
            requests,
            address: listener.local_addr()?,
            wanted: watch::Sender::new((0, Availability::Up)),
            effect: watch::Sender::new((0, None)),
            open: Mutex::default(),
        });
        let router = router(Arc::clone(&server));
        let accepting = Arc::clone(&server);
        server
            .requests
            .tasks
            .spawn(async move { accepting.accept(Port::Open(listener), router).await });
        Ok(server)
    }

    pub(crate) fn availability(&self) -> Availability {
        self.wanted.borrow().1
    }

    /// Returns when the change is in effect for connections to come and open ones.
    pub(crate) async fn set_availability(&self, availability: Availability) -> io::Result<()> {
        let mut number = 0;
        let mut effect = self.effect.subscribe();
        self.wanted.send_modify(|wanted| {
            wanted.0 += 1;
            wanted.1 = availability;
            number = wanted.0;
        });
        let reached = async {
            match effect.wait_for(|effect| effect.0 >= number).await.as_deref() {
                Ok((_, Some((kind, text)))) => Err(io::Error::new(*kind, text.clone())),
                Ok((_, None)) | Err(_) => Ok(()),
            }
        };
        self.requests
            .tasks
            .unless_stopped(reached)
            .await
            .unwrap_or(Ok(()))
    }

    /// Resets every open connection.
    pub(crate) fn reset_connections(&self) {
        std::mem::take(&mut *lock(&self.open)).cancel();
    }

    async fn accept(self: Arc<Self>, mut port: Port, router: Router) {
        let mut wanted = self.wanted.subscribe();
        // A change that was wanted before this task first ran counts too.
        wanted.mark_changed();
        loop {
            tokio::select! {
                changed = wanted.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let (number, availability) = *wanted.borrow_and_update();
                    let error;
                    (port, error) = port.for_availability(availability, self.address);
                    if matches!(availability, Availability::Refusing | Availability::Resetting) {
                        self.reset_connections();
                    }
                    self.effect.send_replace((number, error.map(|error| (error.kind(), error.to_string()))));
                }
                accepted = port.accept() => match accepted {
                    Ok(stream) => self.admit(stream, &router),
                    Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
                },
            }
        }
    }

    fn admit(self: &Arc<Self>, stream: TcpStream, router: &Router) {
        Counters::bump(&self.requests.counters.connections_accepted);
        let fate = Fate::default();
        if self.availability() == Availability::Resetting {
            fate.reset();
            drop(Wire::new(stream, fate));
            return;
        }
        // Answers are small and written whole; without this the kernel may hold the last part back. A failure
        // costs only that.
        let _ = stream.set_nodelay(true);
        let open = lock(&self.open).clone();
        let server = Arc::clone(self);
        let router = router.clone();
        self.requests.tasks.spawn(async move {
            let _counted = Open::new(&server.requests.counters);
            let service = service_fn(|request: Request<Incoming>| {
                let (server, fate, router) = (Arc::clone(&server), fate.clone(), router.clone());
                async move { Ok::<_, std::convert::Infallible>(answer(server, fate, router, request).await) }
            });
            let io = TokioIo::new(Wire::new(stream, fate.clone()));
            // No timers: with a paused clock they would end idle connections.
            let mut connection = pin!(
                http1::Builder::new()
                    .header_read_timeout(None)
                    .serve_connection(io, service)
            );
            tokio::select! {
                () = open.cancelled() => fate.reset(),
                () = fate.ended() => {}
                // An error is a caller that has gone, or a fault that ended its own answer.
                _ = connection.as_mut() => {}
            }
        });
    }
}

async fn answer(
    server: Arc<Server>,
    fate: Fate,
    router: Router,
    request: Request<Incoming>,
) -> http::Response<axum::body::Body> {
    let mut response = if routes::is_control(request.uri().path()) {
        match router.oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    } else {
        let silent = server.availability() == Availability::Silent;
        exchange(Arc::clone(&server.requests), silent, fate, request).await
    };
    let version = HeaderValue::from_static(env!("CARGO_PKG_VERSION"));
    response.headers_mut().insert(SIMULATOR, version);
    response
}

/// Counts a connection as open while it lives.
struct Open<'a>(&'a Counters);

impl<'a> Open<'a> {
    fn new(counters: &'a Counters) -> Self {
        Counters::bump(&counters.connections_open);
        Self(counters)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0
            .connections_open
            .fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
    }
}

/// The simulator's port, whether it listens or not.
#[derive(Debug)]
enum Port {
    Open(TcpListener),
    /// Bound without listening, so that connections are refused and nobody else gets the port. `None` when the
    /// system does not let us hold it.
    Refusing(Option<TcpSocket>),
}

impl Port {
    async fn accept(&self) -> io::Result<TcpStream> {
        match self {
            Self::Open(listener) => listener.accept().await.map(|(stream, _)| stream),
            Self::Refusing(_) => std::future::pending().await,
        }
    }

    fn for_availability(self, availability: Availability, address: SocketAddr) -> (Self, Option<io::Error>) {
        match (self, availability == Availability::Refusing) {
            (Self::Open(listener), true) => {
                drop(listener);
                (Self::Refusing(bind(address).ok()), None)
            }
            (Self::Refusing(held), false) => {
                // Where a bound socket stands in the way it is given up first.
                let listener = listen(address).or_else(|_| {
                    drop(held);
                    listen(address)
                });
                match listener {
                    Ok(listener) => (Self::Open(listener), None),
                    Err(error) => (Self::Refusing(None), Some(error)),
                }
            }
            (port, _) => (port, None),
        }
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // Connections of an earlier run that are still closing must not keep the port.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    bind(address)?.listen(BACKLOG)
}
