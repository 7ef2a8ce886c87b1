//! The ports: the operators' is served from the first moment on, so that a
//! probe and a person see what a gateway waits for. The callers' is reserved,
//! and refuses connections until there is something to serve.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::StartError;
use super::background::{Background, Task};
use crate::admin::{Admin, Page};
use crate::config;
use crate::telemetry::LogLevel;

/// The admin port at work. Ends when dropped.
pub(super) struct Operators {
    pub(super) address: SocketAddr,
    end: CancellationToken,
    task: JoinHandle<()>,
    _guard: DropGuard,
}

impl Operators {
    /// Serves them until the end: neither this nor its requests are among the
    /// tasks that the shutdown waits for before.
    pub(super) async fn serve(
        background: &Background,
        config: &config::Admin,
        page: Option<Page>,
        log_level: Option<LogLevel>,
    ) -> Result<Self, StartError> {
        let setting = "admin.listen";
        let listener = listen(config.listen, setting).await?;
        let address = listener.local_addr();
        let address = address.map_err(|error| StartError::Listen {
            address: config.listen,
            setting,
            error,
        })?;
        let admin = Admin {
            health: background.health.clone(),
            metrics: background.metrics.clone(),
            log_level,
            page,
        };
        let own = Background {
            tasks: TaskTracker::new(),
            ..background.clone()
        };
        let end = CancellationToken::new();
        let work = admin.serve(listener, config.clone(), end.clone());
        tracing::info!(admin = %address, "the admin port is open");
        Ok(Self {
            address,
            task: own.start(Task::Admin, end.clone(), work),
            _guard: end.clone().drop_guard(),
            end,
        })
    }

    /// Ends it.
    pub(super) async fn end(self) {
        self.end.cancel();
        let _ = self.task.await;
    }
}

/// A port that is ours, and on which nobody is accepted yet.
pub(super) struct Reserved {
    socket: TcpSocket,
    address: SocketAddr,
    setting: &'static str,
}

/// Connections that the kernel accepts ahead, as tokio's own listener has it.
const BACKLOG: u32 = 1024;

impl Reserved {
    pub(super) fn port(address: SocketAddr, setting: &'static str) -> Result<Self, StartError> {
        let bind = || {
            let socket = match address {
                SocketAddr::V4(_) => TcpSocket::new_v4(),
                SocketAddr::V6(_) => TcpSocket::new_v6(),
            }?;
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            Ok(socket)
        };
        let socket = bind().map_err(|error: io::Error| StartError::Listen {
            address,
            setting,
            error,
        })?;
        Ok(Self {
            socket,
            address,
            setting,
        })
    }

    pub(super) fn open(self) -> Result<TcpListener, StartError> {
        let Self {
            socket,
            address,
            setting,
        } = self;
        socket.listen(BACKLOG).map_err(|error| StartError::Listen {
            address,
            setting,
            error,
        })
    }
}

pub(super) async fn listen(address: SocketAddr, setting: &'static str) -> Result<TcpListener, StartError> {
    TcpListener::bind(address)
        .await
        .map_err(|error| StartError::Listen {
            address,
            setting,
            error,
        })
}
