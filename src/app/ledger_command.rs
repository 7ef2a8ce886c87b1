//! The ledger in the hands of a command: the use cases of orders and of the
//! stock as the gateway builds them, without ports and without background work.

use std::sync::Arc;

use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

use super::StartError;
use super::build::Reads;
use crate::config::Config;
use crate::domain::Clock;
use crate::domain::limit_use::Watched;
use crate::domain::limits::AllLimits;
use crate::service::writes::steps::Steps;
use crate::service::{Sims, Stock, Writes, writes};
use crate::store::{self, Opened};
use crate::telemetry::Metrics;

/// The orders and operations on SIMs of the ledger that the settings name, which
/// gateways may be using. Nothing is taken over from them, and nothing is sent
/// unless a use case says so. Has to be called within a runtime.
///
/// # Errors
/// When the ledger cannot be used, or the settings of the provider cannot.
pub async fn writes_of(config: Config) -> Result<Writes, StartError> {
    let Visit {
        opened,
        reads,
        metrics,
        clock,
    } = visit(&config).await?;
    Ok(Writes::new(writes::Parts {
        provider: reads.provider,
        sims: reads.sims,
        catalog: reads.catalog,
        ledger: opened.ledger,
        log: opened.events,
        outcomes: Arc::new(Notify::new()),
        config: config.orders,
        // Nothing is ordered.
        limits: AllLimits::default(),
        watched: Watched::default(),
        metrics,
        submissions: TaskTracker::new(),
        clock,
        steps: Steps::default(),
    }))
}

/// The stock, and the SIMs that the provider shows.
pub struct StockInHand {
    /// Of the ledger.
    pub stock: Stock,
    /// Of the account.
    pub sims: Sims,
}

/// The same for the stock.
///
/// # Errors
/// As [`writes_of`].
pub async fn stock_of(config: Config) -> Result<StockInHand, StartError> {
    let Visit {
        opened,
        reads,
        metrics,
        ..
    } = visit(&config).await?;
    let sims = reads.sims.clone();
    let stock = Stock::new(opened.stock, reads.provider, reads.sims, *config.stock, metrics);
    Ok(StockInHand { stock, sims })
}

/// A ledger that is opened beside the gateways that use it.
struct Visit {
    opened: Opened,
    reads: Reads,
    metrics: Arc<Metrics>,
    clock: Clock,
}

async fn visit(config: &Config) -> Result<Visit, StartError> {
    let metrics = Arc::new(Metrics::new(&config.telemetry)?);
    let clock = Clock::system();
    let opened = store::visit(&config.store, clock.clone()).await?;
    let history = Arc::clone(&opened.catalog);
    let reads = Reads::new(config, history, &metrics, &TaskTracker::new())?;
    Ok(Visit {
        opened,
        reads,
        metrics,
        clock,
    })
}
