//! Serves, and shuts down when asked to.

use std::pin::pin;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::background::{Background, Task};
use super::build::starting;
use super::operators::Operators;
use super::phases::{self, Phase, TASKS_WITHIN, stopping};
use super::{App, RunError};
use crate::config;
use crate::grpc::{self, Certificates, EveryCall, Health, Server};
use crate::service::prices::PriceWatch;
use crate::service::{Events, Stock, Writes, events};
use crate::telemetry::{FLUSH_WITHIN, Metrics, Sampling};
use crate::webhook::Webhook;

impl App {
    /// Serves until `stop` is ready, then drains and returns.
    ///
    /// # Errors
    /// When a server ends by itself.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<(), RunError> {
        let health = self.health;
        let ends = Ends::default();
        let background = Background {
            tasks: self.tasks.clone(),
            health: health.clone(),
            metrics: Arc::clone(&self.metrics),
            started: self.task_started,
        };
        let started = Started {
            reconciliation: reconcile(&background, &self.services.orders, &ends),
            stock: keep_stock(&background, &self.services.stock, &ends),
            event_work: take_events_in(&background, self.event_work, &ends),
            webhook: open_webhook(&background, self.webhook, &ends),
            rotation: rotate(&background, self.certificates.clone()),
            prices: watch_prices(&background, self.price_watch),
        };
        let (catalog, events) = (self.services.catalog.clone(), self.services.events.clone());
        let orders = self.services.orders.clone();
        let server = Server {
            listener: self.grpc,
            certificates: self.certificates,
            max_connections: self.max_connections,
            services: self.services,
            health: health.server(),
            every_call: EveryCall {
                metrics: Arc::clone(&self.metrics),
                sampling: Sampling::new(&self.config.telemetry),
                simulated: self.config.transatel.simulated,
                deadlines: Arc::new([
                    (grpc::BATCH_GET_INVENTORY, self.config.inventory.batch_deadline),
                    (grpc::STREAM_EVENTS, self.config.events.max_stream_age),
                ]),
                callers: self.config.callers,
                limits: self.config.limits,
            },
        };
        let calls = server.serve(&self.config.grpc, ends.new_work.clone().cancelled_owned());
        let mut calls = pin!(calls);
        let shutdown = self.config.shutdown;
        let noticed = async {
            let warm_up = Box::pin(catalog.warm_up(self.config.catalog.warm_up));
            health.explain("loading the catalog");
            starting("catalog", warm_up).await;
            health.set(true).await;
            tracing::info!("ready");
            stop.await;
            health.explain("stopping");
            health.set(false).await;
            tracing::info!("stopping: still serving while callers notice");
            stopping("notice", tokio::time::sleep(shutdown.propagation_delay)).await;
        };
        tokio::select! {
            result = &mut calls => return Ok(result?),
            () = noticed => {}
        }
        let running = Running {
            ends,
            started,
            health,
            orders,
            events,
            submissions: self.submissions,
            tasks: self.tasks,
            metrics: self.metrics,
        };
        phases::run(running.phases(shutdown, calls, self.operators)).await
    }
}

/// Tokens that stop the parts.
#[derive(Default)]
struct Ends {
    /// New calls, and new requests to the webhook.
    new_work: CancellationToken,
    reconciliation: CancellationToken,
    event_work: CancellationToken,
}

/// The background work of this process.
struct Started {
    reconciliation: JoinHandle<()>,
    stock: JoinHandle<()>,
    event_work: JoinHandle<()>,
    webhook: Option<JoinHandle<()>>,
    rotation: Option<JoinHandle<()>>,
    prices: Option<JoinHandle<()>>,
}

fn reconcile(background: &Background, orders: &Writes, ends: &Ends) -> JoinHandle<()> {
    let end = ends.reconciliation.clone();
    let work = orders.clone().reconcile(end.clone());
    background.start(Task::Reconciliation, end, work)
}

/// Aborted at the end: each of its steps is one transaction.
fn keep_stock(background: &Background, stock: &Stock, ends: &Ends) -> JoinHandle<()> {
    let end = ends.reconciliation.clone();
    let (upkeep, search) = (
        stock.clone().upkeep(end.clone()),
        stock.clone().search(end.clone()),
    );
    background.start(Task::Stock, end, async {
        tokio::join!(upkeep, search);
    })
}

fn take_events_in(background: &Background, work: events::Work, ends: &Ends) -> JoinHandle<()> {
    let end = ends.event_work.clone();
    background.start(Task::Events, end.clone(), work.run(end))
}

fn open_webhook(
    background: &Background,
    webhook: Option<(TcpListener, Webhook)>,
    ends: &Ends,
) -> Option<JoinHandle<()>> {
    let (listener, webhook) = webhook?;
    let end = ends.new_work.clone();
    Some(background.start(Task::Webhook, end.clone(), webhook.serve(listener, end)))
}

/// Aborted at the end: it leaves nothing unfinished.
fn rotate(background: &Background, certificates: Option<Arc<Certificates>>) -> Option<JoinHandle<()>> {
    let certificates = certificates?;
    let work = async move { certificates.keep_current().await };
    Some(background.start(Task::Certificates, CancellationToken::new(), work))
}

/// Aborted at the end, as the rotation.
fn watch_prices(background: &Background, watch: Option<Box<PriceWatch>>) -> Option<JoinHandle<()>> {
    let work = watch?.keep_current();
    Some(background.start(Task::Prices, CancellationToken::new(), work))
}

/// A running gateway, to be shut down.
struct Running {
    ends: Ends,
    started: Started,
    health: Health,
    orders: Writes,
    events: Events,
    submissions: TaskTracker,
    tasks: TaskTracker,
    metrics: Arc<Metrics>,
}

impl Running {
    /// The shutdown after callers had time to notice: first calls and requests,
    /// then orders and events in flight, then work without a waiting caller,
    /// and the metrics last, so that they count all of it.
    fn phases<'a>(
        self,
        shutdown: config::Shutdown,
        calls: impl Future<Output = Result<(), grpc::ServeError>> + Send + 'a,
        operators: Operators,
    ) -> Vec<Phase<'a>> {
        let Self {
            ends,
            started,
            health,
            orders,
            events,
            submissions,
            tasks,
            metrics,
        } = self;
        let on_their_way = submissions.clone();
        let mut phases = vec![
            Phase::new("calls", shutdown.drain, async move {
                ends.new_work.cancel();
                events.end_streams();
                orders.end_waits();
                health.end().await;
                Ok(calls.await?)
            })
            .when_overdue(|| tracing::warn!("calls that did not finish in time are cut off")),
            Phase::new("orders", shutdown.order_drain, async move {
                ends.reconciliation.cancel();
                submissions.close();
                submissions.wait().await;
                Ok(())
            })
            .when_overdue(move || {
                let orders = on_their_way.len();
                tracing::warn!(orders, "orders in flight are left to the next process");
            }),
        ];
        phases.extend(started.webhook.map(|webhook| {
            Phase::new("webhook", TASKS_WITHIN, ended(webhook))
                .when_overdue(|| tracing::debug!("events that were not accepted are sent again"))
        }));
        phases.extend([
            Phase::new("events", TASKS_WITHIN, async move {
                ends.event_work.cancel();
                ended(started.event_work).await
            }),
            Phase::new("background loads", TASKS_WITHIN, async move {
                // What it is checking, the next process checks again.
                started.reconciliation.abort();
                started.stock.abort();
                for watch in [started.rotation, started.prices].into_iter().flatten() {
                    watch.abort();
                }
                tasks.close();
                tasks.wait().await;
                Ok(())
            })
            .when_overdue(|| tracing::debug!("background loads are cut off")),
            Phase::new("admin", TASKS_WITHIN, async move {
                operators.end().await;
                Ok(())
            }),
            Phase::new("metrics", FLUSH_WITHIN, async move {
                // Blocks, and is bounded by the same time itself.
                let _ = tokio::task::spawn_blocking(move || metrics.shutdown()).await;
                Ok(())
            }),
        ]);
        phases
    }
}

async fn ended(task: JoinHandle<()>) -> Result<(), RunError> {
    let _ = task.await;
    Ok(())
}
