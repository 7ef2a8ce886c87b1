//! The ledger in the hands of a command: the use cases of orders as the gateway
//! builds them, without ports and without background work.

use std::sync::Arc;

use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

use super::StartError;
use super::build::Reads;
use crate::config::Config;
use crate::domain::Clock;
use crate::service::writes::steps::Steps;
use crate::service::{Writes, writes};
use crate::store::{self, Opened};
use crate::telemetry::Metrics;

/// The orders and operations on SIMs of the ledger that the settings name, which
/// gateways may be using. Nothing is taken over from them, and nothing is sent
/// unless a use case says so. Has to be called within a runtime.
///
/// # Errors
/// When the ledger cannot be used, or the settings of the provider cannot.
pub async fn writes_of(config: Config) -> Result<Writes, StartError> {
    let metrics = Arc::new(Metrics::new(&config.telemetry)?);
    let clock = Clock::system();
    let Opened {
        ledger,
        events: log,
        catalog: history,
        stock: _,
        exclusive: _,
        connections: _,
    } = store::visit(&config.store, clock.clone()).await?;
    let reads = Reads::new(&config, history, &metrics, &TaskTracker::new())?;
    Ok(Writes::new(writes::Parts {
        provider: reads.provider,
        sims: reads.sims,
        catalog: reads.catalog,
        ledger,
        log,
        appended: Arc::new(Notify::new()),
        config: config.orders,
        metrics,
        submissions: TaskTracker::new(),
        clock,
        steps: Steps::default(),
    }))
}
