//! The composition root: the only place that knows every part.
//!
//! [`App::build`] binds the ports and puts the parts together; [`App::run`]
//! serves until it is told to stop and then goes down in phases, each bounded.

mod background;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use background::{Background, Task};

use crate::admin;
use crate::config::Config;
use crate::domain::Clock;
use crate::grpc::{self, Certificates, EveryCall, Health, Services};
use crate::service::events::Work;
use crate::service::writes::Parts;
use crate::service::writes::steps::Steps;
use crate::service::{Catalog, Esims, Events, Inventory, Sims, Writes};
use crate::store;
use crate::telemetry::{self, FLUSH_WITHIN, LogLevel, Metrics, Sampling, metrics};
use crate::transatel::Transatel;
use crate::transatel::client::transport;
use crate::webhook::Webhook;

/// Why the gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A port cannot be had.
    #[error("cannot listen on {address} ({setting}): {error}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The setting that names it.
        setting: &'static str,
        /// Why not.
        error: io::Error,
    },
    /// The way to the provider cannot be prepared.
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
    /// The admin side.
    #[error("admin server: {0}")]
    Admin(io::Error),
}

/// A gateway that is ready to run: its ports are bound.
pub struct App {
    config: Config,
    grpc: TcpListener,
    certificates: Option<Arc<Certificates>>,
    admin: TcpListener,
    services: Services,
    metrics: Arc<Metrics>,
    log_level: Option<LogLevel>,
    tasks: TaskTracker,
    submissions: TaskTracker,
    event_work: Work,
    webhook: Option<(TcpListener, Webhook)>,
    task_started: TaskStarted,
}

/// Called with the name of a background task.
pub type TaskStarted = Arc<dyn Fn(&'static str) + Send + Sync>;

/// What tests put in the place of the real world.
#[derive(Clone)]
pub struct Seams {
    /// The wall clock.
    pub clock: Clock,
    /// What happens at the steps of an order.
    pub steps: Steps,
    /// Called by each background task as it starts, with its name.
    pub task_started: TaskStarted,
}

impl Default for Seams {
    fn default() -> Self {
        Self {
            clock: Clock::system(),
            steps: Steps::default(),
            task_started: Arc::new(|_| {}),
        }
    }
}

/// Where a gateway listens.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// Callers.
    pub grpc: SocketAddr,
    /// Operators.
    pub admin: SocketAddr,
    /// The provider, when events are taken in.
    pub webhook: Option<SocketAddr>,
}

impl App {
    /// Puts the parts together and binds the ports, so that a port that is
    /// taken is known before anything else happens.
    ///
    /// # Errors
    /// When a port is taken or the provider's client cannot be made.
    pub async fn build(config: Config) -> Result<Self, StartError> {
        Self::build_with(config, Seams::default()).await
    }

    /// [`build`](Self::build) with what tests put in the place of the real
    /// world.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub async fn build_with(config: Config, seams: Seams) -> Result<Self, StartError> {
        let grpc = listen(config.grpc.listen, "grpc.listen").await?;
        let admin = listen(config.admin.listen, "admin.listen").await?;
        let metrics = Arc::new(Metrics::new(&config.telemetry)?);
        let certificates = match config.grpc.tls.clone() {
            Some(files) => Some(Arc::new(Certificates::load(files, Arc::clone(&metrics)).await?)),
            None => None,
        };
        let tasks = TaskTracker::new();
        let provider = Transatel::new(
            &config.transatel,
            &config.outbound,
            Arc::clone(&metrics),
            tasks.clone(),
        )?;
        let sims = Sims::new(
            provider.clone(),
            config.inventory,
            &config.outbound,
            tasks.clone(),
        );
        let inventory = Inventory::new(
            provider.clone(),
            sims.clone(),
            config.inventory,
            &config.outbound,
            tasks.clone(),
        );
        let catalog = Catalog::new(
            provider.clone(),
            sims.clone(),
            &config.catalog,
            &config.outbound,
            grpc::prepare_product,
            Arc::clone(&metrics),
            tasks.clone(),
        );
        let esims = Esims::new(provider.clone(), sims.clone());
        let opened = starting("store", Box::pin(store::open(&config.store, seams.clock.clone()))).await?;
        let submissions = TaskTracker::new();
        let orders = Writes::new(Parts {
            provider: provider.clone(),
            sims: sims.clone(),
            catalog: catalog.clone(),
            ledger: opened.ledger,
            log: Arc::clone(&opened.events),
            config: config.orders,
            metrics: Arc::clone(&metrics),
            submissions: submissions.clone(),
            clock: seams.clock,
            steps: seams.steps,
        });
        starting("orders left by others", orders.take_over(opened.exclusive)).await?;
        let (events, mut event_work) = Events::new(
            opened.events,
            sims.clone(),
            orders.clone(),
            config.events.clone(),
            grpc::prepare_event,
            Arc::clone(&metrics),
        );
        event_work.begin().await;
        let webhook = Webhook::new(config.webhook.clone(), events.clone(), Arc::clone(&metrics)).await;
        let webhook = match webhook {
            Some(webhook) => Some((listen(config.webhook.listen, "webhook.listen").await?, webhook)),
            None => None,
        };
        metrics.watch_caches(vec![
            ("token", provider.token_counts()),
            ("catalog", catalog.counts()),
            ("sim_ids", sims.counts()),
            ("inventory", inventory.counts()),
        ]);
        Ok(Self {
            config,
            grpc,
            certificates,
            admin,
            services: Services {
                catalog,
                inventory,
                sims,
                esims,
                orders,
                events,
            },
            metrics,
            log_level: None,
            tasks,
            submissions,
            event_work,
            webhook,
            task_started: seams.task_started,
        })
    }

    /// Lets operators change the level of the process's log.
    #[must_use]
    pub fn with_log_level(self, log_level: LogLevel) -> Self {
        Self {
            log_level: Some(log_level),
            ..self
        }
    }

    /// Where it listens: the real ports, also when 0 was configured.
    ///
    /// # Errors
    /// When the operating system does not say.
    pub fn addresses(&self) -> io::Result<Addresses> {
        Ok(Addresses {
            grpc: self.grpc.local_addr()?,
            admin: self.admin.local_addr()?,
            webhook: match &self.webhook {
                Some((listener, _)) => Some(listener.local_addr()?),
                None => None,
            },
        })
    }

    /// Serves until `stop` is ready, then drains and returns.
    ///
    /// # Errors
    /// When a server ends by itself.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<(), RunError> {
        let (health, health_server) = Health::new(&Services::NAMES).await;
        let end = CancellationToken::new();
        let catalog = self.services.catalog.clone();
        let background = Background {
            tasks: self.tasks.clone(),
            health: health.clone(),
            metrics: Arc::clone(&self.metrics),
            started: self.task_started,
        };
        let reconciling = CancellationToken::new();
        let reconcile = self.services.orders.clone().reconcile(reconciling.clone());
        let reconciliation = background.start(Task::Reconciliation, reconciling.clone(), reconcile);
        let events = self.services.events.clone();
        let taking_in = CancellationToken::new();
        let take_in = self.event_work.run(taking_in.clone());
        let event_work = background.start(Task::Events, taking_in.clone(), take_in);
        let door = self.webhook.map(|(listener, webhook)| {
            let serve = webhook.serve(listener, end.clone());
            background.start(Task::Webhook, end.clone(), serve)
        });
        let every_call = EveryCall {
            metrics: Arc::clone(&self.metrics),
            sampling: Sampling::new(&self.config.telemetry),
            deadlines: Arc::new([
                (grpc::BATCH_GET_INVENTORY, self.config.inventory.batch_deadline),
                (grpc::STREAM_EVENTS, self.config.events.max_stream_age),
            ]),
            callers: self.config.callers,
        };
        let rotation = self.certificates.clone().map(|certificates| {
            let rotate = async move { certificates.keep_current().await };
            background.start(Task::Certificates, CancellationToken::new(), rotate)
        });
        let calls = grpc::serve(
            self.grpc,
            self.certificates,
            &self.config.grpc,
            self.services,
            health_server,
            every_call,
            end.clone().cancelled_owned(),
        );
        let side_end = CancellationToken::new();
        let side_door = admin::serve(
            self.admin,
            health.clone(),
            Arc::clone(&self.metrics),
            self.log_level,
            side_end.clone().cancelled_owned(),
        );
        let mut calls = std::pin::pin!(calls);
        let mut side_door = std::pin::pin!(side_door);
        let stop = async {
            starting("catalog", catalog.warm_up(self.config.catalog.warm_up)).await;
            health.set(true).await;
            tracing::info!("ready");
            stop.await;
            health.set(false).await;
            tracing::info!("stopping: still serving while callers learn of it");
            let delay = tokio::time::sleep(self.config.shutdown.propagation_delay);
            stopping("notice", delay).await;
        };
        tokio::select! {
            result = &mut calls => return Ok(result?),
            result = &mut side_door => return result.map_err(RunError::Admin),
            () = stop => {}
        }
        end.cancel();
        events.end_streams();
        health.end().await;
        let drained = stopping("calls", tokio::time::timeout(self.config.shutdown.drain, calls)).await;
        match drained {
            Ok(result) => result?,
            Err(_) => tracing::warn!("calls that did not finish in time are cut off"),
        }
        reconciling.cancel();
        self.submissions.close();
        let settled = tokio::time::timeout(self.config.shutdown.order_drain, self.submissions.wait());
        if stopping("orders", settled).await.is_err() {
            let orders = self.submissions.len();
            tracing::warn!(orders, "orders on their way are left to the next process");
        }
        if let Some(door) = door
            && stopping("webhook", tokio::time::timeout(TASKS_WITHIN, door))
                .await
                .is_err()
        {
            tracing::debug!("events that were not taken in come again");
        }
        taking_in.cancel();
        let _ = stopping("events", tokio::time::timeout(TASKS_WITHIN, event_work)).await;
        // What it is looking at, the next process looks at again.
        reconciliation.abort();
        let _ = reconciliation.await;
        if let Some(rotation) = rotation {
            rotation.abort();
        }
        self.tasks.close();
        let loaded = tokio::time::timeout(TASKS_WITHIN, self.tasks.wait());
        if stopping("background loads", loaded).await.is_err() {
            tracing::debug!("background loads are cut off");
        }
        side_end.cancel();
        let metrics = self.metrics;
        let _ = stopping("admin", tokio::time::timeout(TASKS_WITHIN, side_door)).await;
        // Bounded in itself.
        let flush = tokio::task::spawn_blocking(move || metrics.shutdown());
        let _ = stopping("metrics", flush).await;
        Ok(())
    }
}

/// One phase of the way up, logged with its duration.
async fn starting<T>(phase: &'static str, work: impl Future<Output = T>) -> T {
    let (result, milliseconds) = telemetry::timed(work).await;
    tracing::info!(phase, milliseconds, "starting: a phase ended");
    result
}

/// One phase of the way down, logged with its duration.
async fn stopping<T>(phase: &'static str, work: impl Future<Output = T>) -> T {
    let (result, milliseconds) = telemetry::timed(work).await;
    tracing::info!(phase, milliseconds, "stopping: a phase ended");
    result
}

/// Work beside the calls that nobody waits for any more.
const TASKS_WITHIN: Duration = Duration::from_millis(500);

/// What the way down takes at most beside the phases that are settings: four
/// kinds of such work, then the last metrics and the last spans.
pub const CLOSING: Duration = TASKS_WITHIN
    .saturating_mul(4)
    .saturating_add(FLUSH_WITHIN)
    .saturating_add(FLUSH_WITHIN);

async fn listen(address: SocketAddr, setting: &'static str) -> Result<TcpListener, StartError> {
    TcpListener::bind(address)
        .await
        .map_err(|error| StartError::Listen {
            address,
            setting,
            error,
        })
}
