//! A relay between a gateway and its PostgreSQL that fails as networks fail:
//! it stops forwarding while connections stay open, forgets connections,
//! resets them, delays what it forwards, or leads to another server.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::trips::{Reader, Trips};

/// Ends with all its connections when dropped.
pub struct Relay {
    address: SocketAddr,
    shared: Arc<Shared>,
    _running: JoinSet<()>,
}

struct Shared {
    flow: watch::Sender<Flow>,
    accepted: AtomicU64,
    /// Parts from clients that are still forwarded; the relay is silent after
    /// the last of them.
    parts_left: AtomicU64,
    trips: OnceLock<Trips>,
}

struct Flow {
    /// The socket of the server.
    target: PathBuf,
    silent: bool,
    /// Each part is forwarded so much later.
    lag: Duration,
    /// Connections with a smaller number are silent for good.
    forgotten_before: u64,
    /// Connections with a smaller number are reset.
    reset_before: u64,
}

impl Relay {
    /// Forwards to the server at this Unix socket.
    pub async fn start(target: &Path) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), target)
    }

    /// The same, on a port that is open already.
    pub fn on(listener: TcpListener, target: &Path) -> Self {
        let address = listener.local_addr().unwrap();
        let flow = watch::Sender::new(Flow {
            target: target.to_owned(),
            silent: false,
            lag: Duration::ZERO,
            forgotten_before: 0,
            reset_before: 0,
        });
        let shared = Arc::new(Shared {
            flow,
            accepted: AtomicU64::new(0),
            parts_left: AtomicU64::new(u64::MAX),
            trips: OnceLock::new(),
        });
        let mut running = JoinSet::new();
        running.spawn(accept(listener, shared.clone()));
        Self {
            address,
            shared,
            _running: running,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections made through it so far.
    pub fn accepted(&self) -> u64 {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// What new connections ask the server.
    pub fn read_along(&self) -> Trips {
        self.shared.trips.get_or_init(Trips::default).clone()
    }

    /// Forwards nothing any more; connections stay open, and new ones are
    /// accepted.
    pub fn silence(&self) {
        self.shared.silence();
    }

    /// The same, after so many more parts from clients.
    pub fn silence_after(&self, parts: u64) {
        self.shared.parts_left.store(parts, Ordering::SeqCst);
    }

    /// Forwards again, and what was held back first.
    pub fn forward(&self) {
        self.shared.parts_left.store(u64::MAX, Ordering::SeqCst);
        self.shared.flow.send_modify(|flow| flow.silent = false);
    }

    /// Forwards new connections; those made so far stay open and silent.
    pub fn forget(&self) {
        let next = self.accepted();
        self.shared.flow.send_modify(|flow| flow.forgotten_before = next);
        self.forward();
    }

    /// Resets every connection.
    pub fn reset(&self) {
        let next = self.accepted();
        self.shared.flow.send_modify(|flow| flow.reset_before = next);
    }

    /// Resets every connection, with what was held back, and forwards new ones.
    pub fn forward_anew(&self) {
        self.reset();
        self.forward();
    }

    /// Leads new connections to another server and keeps the others.
    pub fn lead(&self, target: &Path) {
        self.shared
            .flow
            .send_modify(|flow| target.clone_into(&mut flow.target));
    }

    /// Resets every connection and leads new ones to another server.
    pub fn switch(&self, target: &Path) {
        self.lead(target);
        self.reset();
    }

    /// Delays every part by so much.
    pub fn delay(&self, lag: Duration) {
        self.shared.flow.send_modify(|flow| flow.lag = lag);
    }
}

impl Shared {
    fn silence(&self) {
        self.flow.send_modify(|flow| flow.silent = true);
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let number = shared.accepted.fetch_add(1, Ordering::SeqCst);
        let shared = shared.clone();
        connections.spawn(async move {
            // However it ends, both sides are closed.
            let _ = relay(client, number, &shared).await;
        });
    }
}

async fn relay(mut client: TcpStream, number: u64, shared: &Shared) -> io::Result<()> {
    client.set_nodelay(true)?;
    let target = shared.flow.borrow().target.clone();
    let mut server = UnixStream::connect(target).await?;
    let mut resets = shared.flow.subscribe();
    {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let there = copy(from_client, to_server, number, shared, true);
        let back = copy(from_server, to_client, number, shared, false);
        tokio::select! {
            ended = async { tokio::try_join!(there, back) } => return ended.map(drop),
            _ = resets.wait_for(|flow| number < flow.reset_before) => {}
        }
    }
    client.set_zero_linger()
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    number: u64,
    shared: &Shared,
    from_client: bool,
) -> io::Result<()> {
    let mut flow = shared.flow.subscribe();
    let mut part = vec![0; 64 << 10];
    let trips = shared.trips.get().filter(|_| from_client);
    let mut reader = trips.cloned().map(Reader::new);
    loop {
        let length = from.read(&mut part).await?;
        if let Some(reader) = &mut reader {
            reader.read(&part[..length]);
        }
        let lag = flow.borrow().lag;
        if !lag.is_zero() {
            tokio::time::sleep(lag).await;
        }
        let open = |flow: &Flow| !flow.silent && number >= flow.forgotten_before;
        if flow.wait_for(open).await.is_err() {
            return Ok(());
        }
        if length == 0 {
            return to.shutdown().await;
        }
        to.write_all(&part[..length]).await?;
        if from_client && shared.parts_left.fetch_sub(1, Ordering::SeqCst) == 1 {
            shared.silence();
        }
    }
}
