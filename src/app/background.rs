//! Supervised background work: reconciliation, events, the webhook, the admin
//! port, the price list and the rotation of certificates.
//!
//! Such work ends only when it is asked to. If it ends otherwise, which takes a
//! defect, the process continues to serve what it can, but it must not count as
//! healthy: orders would stay unknown, or events would not arrive. So that is
//! logged and counted, and the process is no longer ready.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::TaskStarted;
use crate::grpc::Health;
use crate::telemetry::Metrics;

/// The background tasks.
#[derive(Clone, Copy)]
pub(super) enum Task {
    Reconciliation,
    Stock,
    Prices,
    Events,
    Webhook,
    Certificates,
    Admin,
}

impl Task {
    fn name(self) -> &'static str {
        match self {
            Self::Reconciliation => "reconciliation",
            Self::Stock => "stock",
            Self::Prices => "prices",
            Self::Events => "events",
            Self::Webhook => "webhook",
            Self::Certificates => "certificates",
            Self::Admin => "admin",
        }
    }
}

/// Starts and supervises such work.
#[derive(Clone)]
pub(super) struct Background {
    pub(super) tasks: TaskTracker,
    pub(super) health: Health,
    pub(super) metrics: Arc<Metrics>,
    pub(super) started: TaskStarted,
}

impl Background {
    /// Runs work that ends once `stop` is cancelled.
    pub(super) fn start<F>(&self, task: Task, stop: CancellationToken, work: F) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (health, metrics) = (self.health.clone(), Arc::clone(&self.metrics));
        let started = Arc::clone(&self.started);
        let work = async move {
            started(task.name());
            work.await;
        };
        let work = Box::pin(AssertUnwindSafe(work).catch_unwind());
        self.tasks.spawn(async move {
            let ended = work.await;
            if ended.is_ok() && stop.is_cancelled() {
                return;
            }
            let (task, panicked) = (task.name(), ended.is_err());
            tracing::error!(
                task,
                panicked,
                "background work ended by a defect: this process is not ready any more, restart it"
            );
            metrics.background_failed(task);
            health.fail().await;
        })
    }
}
