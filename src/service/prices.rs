//! The company's own price list: read again when its file changes.
//!
//! It is shown beside list prices, as it is at that moment, and nothing of it is
//! stored.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::config;
use crate::domain::PriceList;
use crate::telemetry::Metrics;

/// Problems of a changed list that are logged; `check-config` names all.
const MOST_LOGGED: usize = 10;

/// The list as it is now. Cheap to clone.
#[derive(Clone, Default)]
pub struct Prices(Arc<ArcSwap<PriceList>>);

/// Keeps a list current.
pub struct PriceWatch {
    prices: Prices,
    file: PathBuf,
    interval: Duration,
    /// As last read, valid or not; `None` when it could not be read.
    seen: Option<String>,
    metrics: Arc<Metrics>,
}

impl Prices {
    /// The list of the settings, and what keeps it current; without one an empty
    /// list.
    pub fn new(config: Option<&config::Prices>, metrics: &Arc<Metrics>) -> (Self, Option<Box<PriceWatch>>) {
        let Some(config) = config else {
            return (Self::default(), None);
        };
        let prices = Self(Arc::new(ArcSwap::from_pointee(config.list.clone())));
        let watch = PriceWatch {
            prices: prices.clone(),
            file: config.file.clone(),
            interval: config.reload_interval,
            seen: Some(config.content.clone()),
            metrics: Arc::clone(metrics),
        };
        (prices, Some(Box::new(watch)))
    }

    /// The list as it is now.
    pub fn list(&self) -> Arc<PriceList> {
        self.0.load_full()
    }
}

impl PriceWatch {
    /// Watches the file; never returns.
    pub async fn keep_current(mut self) {
        loop {
            tokio::time::sleep(self.interval).await;
            self.look().await;
        }
    }

    /// An invalid list is reported once, an unreadable file every time.
    async fn look(&mut self) {
        let content = match tokio::fs::read_to_string(&self.file).await {
            Ok(content) => content,
            Err(error) => {
                self.seen = None;
                return self.refuse(&error.to_string());
            }
        };
        if self.seen.as_ref() == Some(&content) {
            return;
        }
        match config::prices::parse(&content) {
            Ok(list) => {
                let products = list.products();
                self.prices.0.store(Arc::new(list));
                tracing::info!(products, "the price list has changed and is used");
                self.metrics.price_list(true);
            }
            Err(problems) => {
                let more = problems.len().saturating_sub(MOST_LOGGED);
                let mut named: Vec<String> = problems.into_iter().take(MOST_LOGGED).collect();
                if more > 0 {
                    named.push(format!("and {more} more"));
                }
                self.refuse(&named.join("; "));
            }
        }
        self.seen = Some(content);
    }

    fn refuse(&self, error: &str) {
        tracing::warn!(error, "the price list cannot be used: the last one stays");
        self.metrics.price_list(false);
    }
}
