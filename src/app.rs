//! The composition root: the only place that depends on every part.
//!
//! [`App::build`] serves the operators' port (`operators`), waits for the ledger
//! (`ledger`) and builds the parts (`build`); [`App::run`] serves callers until it is asked to stop (`run`) and then shuts down in phases, each
//! bounded (`phases`). Background work is supervised (`background`).

mod background;
mod build;
mod descriptors;
mod ledger;
mod ledger_command;
mod measured;
mod operators;
mod overview;
mod phases;
mod run;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

pub use ledger_command::{StockInHand, stock_of, writes_of};
use operators::Operators;
pub use phases::CLOSING;

use crate::config::Config;
use crate::domain::Clock;
use crate::grpc::{self, Certificates, Health, Services};
use crate::service::prices::PriceWatch;
use crate::service::writes::steps::Steps;
use crate::service::{Stock, events};
use crate::store;
use crate::telemetry::{LogLevel, Metrics, metrics};
use crate::transatel::client::transport;
use crate::webhook::Webhook;

/// Why the gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A port cannot be bound.
    #[error("cannot listen on {address} ({setting}): {error}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The setting that names it.
        setting: &'static str,
        /// Why.
        error: io::Error,
    },
    /// The client of the provider cannot be built.
    #[error(transparent)]
    Provider(#[from] transport::BuildError),
    /// The ledger of orders cannot be opened.
    #[error(transparent)]
    Store(#[from] store::OpenError),
    /// The ledger of orders cannot be written.
    #[error(transparent)]
    Ledger(#[from] store::Error),
    /// Connections cannot be secured.
    #[error(transparent)]
    Certificates(#[from] grpc::CertificateError),
    /// The metrics cannot be set up.
    #[error("metrics: {0}")]
    Metrics(#[from] metrics::SetupError),
}

/// Why the gateway stopped on its own.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The gRPC side.
    #[error(transparent)]
    Grpc(#[from] grpc::ServeError),
}

/// A gateway that is ready to run: its ports are open.
pub struct App {
    config: Config,
    grpc: TcpListener,
    certificates: Option<Arc<Certificates>>,
    max_connections: usize,
    operators: Operators,
    health: Health,
    services: Services,
    price_watch: Option<Box<PriceWatch>>,
    metrics: Arc<Metrics>,
    tasks: TaskTracker,
    submissions: TaskTracker,
    event_work: events::Work,
    webhook: Option<(TcpListener, Webhook)>,
    task_started: TaskStarted,
}

/// Called with the name of a background task.
pub type TaskStarted = Arc<dyn Fn(&'static str) + Send + Sync>;

/// The environment: what tests substitute, and the log of the process.
#[derive(Clone)]
pub struct Seams {
    /// The wall clock.
    pub clock: Clock,
    /// Hooks at the steps of an order.
    pub steps: Steps,
    /// Called by each background task as it starts, with its name.
    pub task_started: TaskStarted,
    /// The level of the log, for operators to change; `None` when the process's
    /// log is not ours, as in tests.
    pub log_level: Option<LogLevel>,
}

impl Default for Seams {
    fn default() -> Self {
        Self {
            clock: Clock::system(),
            steps: Steps::default(),
            task_started: Arc::new(|_| {}),
            log_level: None,
        }
    }
}

/// The addresses that a gateway listens on.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// For callers.
    pub grpc: SocketAddr,
    /// For operators.
    pub admin: SocketAddr,
    /// For the provider, when events are accepted.
    pub webhook: Option<SocketAddr>,
}

impl App {
    /// The stock that it sells from.
    pub fn stock(&self) -> &Stock {
        &self.services.stock
    }

    /// The addresses with the real ports, also when 0 was configured.
    ///
    /// # Errors
    /// When the operating system does not report them.
    pub fn addresses(&self) -> io::Result<Addresses> {
        Ok(Addresses {
            grpc: self.grpc.local_addr()?,
            admin: self.operators.address,
            webhook: match &self.webhook {
                Some((listener, _)) => Some(listener.local_addr()?),
                None => None,
            },
        })
    }
}
