//! Builds the parts, from the ports up to the webhook.

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

use super::background::Background;
use super::measured::Measured;
use super::operators::{Operators, Reserved, listen};
use super::overview::Overview;
use super::{App, Seams, StartError, descriptors, ledger};
use crate::config::{self, Config};
use crate::grpc::{self, Certificates, Health, Services};
use crate::service::{
    Catalog, Esims, Events, Inventory, Prices, Sales, Sims, Stock, Writes, catalog, events, writes,
};
use crate::store::{CatalogHistory, Opened};
use crate::telemetry::{self, Metrics};
use crate::transatel::Transatel;
use crate::webhook::Webhook;

impl App {
    /// Binds the ports, so that a port in use is known before anything else
    /// happens, waits for the ledger, and builds the parts.
    ///
    /// # Errors
    /// When a port is in use, or a part cannot be built from its settings.
    pub async fn build(config: Config) -> Result<Self, StartError> {
        Self::build_with(config, Seams::default()).await
    }

    /// [`build`](Self::build) with the substitutes of a test.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub async fn build_with(config: Config, seams: Seams) -> Result<Self, StartError> {
        if config.transatel.simulated {
            tracing::warn!("the provider is simulated: nothing is bought, and no SIM is real");
        }
        let grpc = Reserved::port(config.grpc.listen, "grpc.listen")?;
        let metrics = Arc::new(Metrics::new(&config.telemetry)?);
        let certificates = certificates(&config.grpc, &metrics).await?;
        let tasks = TaskTracker::new();
        let health = Health::new(&Services::NAMES).await;
        let watched = health.clone();
        metrics.watch_readiness(move || watched.not_ready().is_none());
        let background = Background {
            tasks: tasks.clone(),
            health: health.clone(),
            metrics: Arc::clone(&metrics),
            started: seams.task_started.clone(),
        };
        let overview = Overview::new(&health, &metrics, &config);
        let page = overview.page(&config.admin);
        let operators = Operators::serve(&background, &config.admin, page, seams.log_level).await?;
        let opening = Box::pin(ledger::open(&config.store, seams.clock.clone(), &health));
        let opened = starting("store", opening).await?;
        let (measured_store, measured) = Measured::over(opened, &config.store.url, &metrics);
        overview.opened(&measured_store, measured);
        let Opened {
            ledger,
            events: log,
            catalog: history,
            stock,
            exclusive,
            ..
        } = measured_store;
        let reads = Reads::new(&config, history, &metrics, &tasks)?;
        let submissions = TaskTracker::new();
        let outcomes = Arc::new(Notify::new());
        let stock = Stock::new(
            stock,
            reads.provider.clone(),
            reads.sims.clone(),
            (*config.stock).clone(),
            Arc::clone(&metrics),
        );
        let orders = Writes::new(writes::Parts {
            provider: reads.provider,
            sims: reads.sims.clone(),
            catalog: reads.catalog.clone(),
            ledger,
            log: Arc::clone(&log),
            outcomes: Arc::clone(&outcomes),
            config: config.orders,
            limits: config.limits.all(),
            watched: config.limits.watched(config.callers.policy.as_ref()),
            metrics: Arc::clone(&metrics),
            submissions: submissions.clone(),
            clock: seams.clock,
            steps: seams.steps,
        });
        match starting("orders left by others", orders.take_over(exclusive)).await {
            // Reconciliation does it again.
            Err(error) if !exclusive => tracing::warn!(%error, "the ledger was lost while starting"),
            taken_over => taken_over?,
        }
        let (events, mut event_work) = Events::new(events::Parts {
            log,
            sims: reads.sims.clone(),
            orders: orders.clone(),
            outcomes,
            config: config.events.clone(),
            encode: grpc::prepare_event,
            metrics: Arc::clone(&metrics),
        });
        event_work.begin().await;
        let webhook = webhook(&config.webhook, &events, &metrics).await?;
        let (prices, price_watch) = Prices::new(config.prices.as_deref(), &metrics);
        Ok(Self {
            config,
            grpc: grpc.open()?,
            certificates,
            max_connections: descriptors::for_callers(),
            operators,
            health,
            services: Services {
                catalog: reads.catalog,
                inventory: reads.inventory,
                sims: reads.sims,
                esims: reads.esims,
                sales: Sales::new(stock.clone(), orders.clone()),
                stock,
                orders,
                prices,
                events,
            },
            price_watch,
            metrics,
            tasks,
            submissions,
            event_work,
            webhook,
            task_started: seams.task_started,
        })
    }
}

/// The provider's client, and the use cases that only read.
pub(super) struct Reads {
    pub(super) provider: Transatel,
    pub(super) sims: Sims,
    inventory: Inventory,
    pub(super) catalog: Catalog,
    esims: Esims,
}

impl Reads {
    /// Their loads run on `tasks`, their caches show in the metrics.
    pub(super) fn new(
        config: &Config,
        history: Arc<dyn CatalogHistory>,
        metrics: &Arc<Metrics>,
        tasks: &TaskTracker,
    ) -> Result<Self, StartError> {
        let outbound = &config.outbound;
        let provider = Transatel::new(&config.transatel, outbound, Arc::clone(metrics), tasks.clone())?;
        let sims = Sims::new(provider.clone(), config.inventory, outbound, tasks.clone());
        let catalog = Catalog::new(catalog::Parts {
            provider: provider.clone(),
            sims: sims.clone(),
            history,
            config: &config.catalog,
            outbound,
            prepare: grpc::prepare_product,
            metrics: Arc::clone(metrics),
            tasks: tasks.clone(),
        });
        let inventory = Inventory::new(
            provider.clone(),
            sims.clone(),
            catalog.clone(),
            config.inventory,
            outbound,
            tasks.clone(),
        );
        let esims = Esims::new(provider.clone(), sims.clone(), config.esim.clone());
        metrics.watch_caches(vec![
            ("token", provider.token_counts()),
            ("catalog", catalog.counts()),
            ("sim_ids", sims.counts()),
            ("inventory", inventory.counts()),
        ]);
        Ok(Self {
            provider,
            sims,
            inventory,
            catalog,
            esims,
        })
    }
}

async fn certificates(
    config: &config::Grpc,
    metrics: &Arc<Metrics>,
) -> Result<Option<Arc<Certificates>>, StartError> {
    let Some(files) = config.tls.clone() else {
        return Ok(None);
    };
    let certificates = Certificates::load(files, Arc::clone(metrics)).await?;
    Ok(Some(Arc::new(certificates)))
}

/// `None` when events are not received.
async fn webhook(
    config: &config::Webhook,
    events: &Events,
    metrics: &Arc<Metrics>,
) -> Result<Option<(TcpListener, Webhook)>, StartError> {
    let webhook = Webhook::new(config.clone(), events.clone(), Arc::clone(metrics)).await;
    let Some(webhook) = webhook else {
        return Ok(None);
    };
    let listener = listen(config.listen, "webhook.listen").await?;
    Ok(Some((listener, webhook)))
}

/// One phase of the start, logged with its duration.
pub(super) async fn starting<T>(phase: &'static str, work: impl Future<Output = T>) -> T {
    let (result, milliseconds) = telemetry::timed(work).await;
    tracing::info!(phase, milliseconds, "starting: a phase ended");
    result
}
