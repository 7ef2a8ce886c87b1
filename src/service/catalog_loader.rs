//! Loads the catalog of a language: reads it, indexes it, and has its version
//! recorded before it is answered.

use std::collections::{BTreeSet, HashSet};
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::catalog_history::{History, Seen};
use super::catalog_index::{Index, Prepare};
use crate::cache::{Load, Loaded};
use crate::config;
use crate::domain::Language;
use crate::telemetry::{Metrics, metrics};
use crate::transatel::api::catalog::Dropped;
use crate::transatel::{CallError, Transatel};

/// Loads catalogs.
pub(super) struct Loader {
    provider: Transatel,
    history: History,
    fresh_for: Duration,
    usable_for: Duration,
    default_language: Language,
    prepare: Prepare,
    metrics: Arc<Metrics>,
    dropped: Logged<Dropped>,
    unknown_countries: Logged<String>,
}

/// What has been logged: each once, not once per refresh.
#[derive(Debug)]
struct Logged<T>(Mutex<HashSet<T>>);

/// As many are remembered; beyond that they are only counted.
const MOST_LOGGED: usize = 1000;

impl<T> Default for Logged<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone + Eq + Hash> Logged<T> {
    /// Whether it has to be logged now.
    fn is_new(&self, item: &T) -> bool {
        let mut logged = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        logged.len() < MOST_LOGGED && logged.insert(item.clone())
    }
}

impl Loader {
    pub(super) fn new(
        provider: Transatel,
        history: History,
        config: &config::Catalog,
        prepare: Prepare,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            provider,
            history,
            fresh_for: config.fresh_for,
            usable_for: config.usable_for,
            default_language: config.default_language.clone(),
            prepare,
            metrics,
            dropped: Logged::default(),
            unknown_countries: Logged::default(),
        }
    }

    fn report(&self, dropped: &[Dropped], unknown_countries: &BTreeSet<String>) {
        for product in dropped.iter().filter(|product| self.dropped.is_new(product)) {
            tracing::warn!(
                product_id = product.id,
                reason = product.reason,
                "a product cannot be read"
            );
        }
        let countries = unknown_countries.iter();
        for code in countries.filter(|code| self.unknown_countries.is_new(code)) {
            tracing::warn!(code, "products of the catalog name a country that is not known");
        }
    }
}

impl Load for Loader {
    type Key = Language;
    type Value = Index;
    type Error = CallError;
    const NAME: &'static str = "catalog";

    async fn load(&self, language: &Language) -> std::result::Result<Loaded<Index>, CallError> {
        let (listing, at) = tokio::join!(self.provider.products(language), self.history.now());
        let listing = listing?;
        let (read, dropped) = (listing.products.len(), listing.dropped.len());
        let with_unknown_country = listing.with_unknown_country;
        self.report(&listing.dropped, &listing.unknown_countries);
        let prepare = self.prepare;
        let indexing =
            tokio::task::spawn_blocking(move || Index::new(listing.products, listing.language, prepare));
        let index = indexing.await.map_err(|_| CallError::Unreadable {
            why: "indexing was ended".into(),
            truncated: false,
            request_id: None,
        })?;
        let listed = index.len();
        self.metrics.catalog(metrics::Catalog {
            listed,
            dropped,
            infrastructure: read - listed,
            with_unknown_country,
        });
        tracing::info!(language = language.as_str(), listed, dropped, "catalog loaded");
        let seen = Seen {
            language: language.clone(),
            version: index.version(),
            at,
            on_sale: index.on_sale(),
        };
        self.history.note(seen).await;
        Ok(Loaded {
            value: index,
            fresh_for: self.fresh_for,
            usable_for: self.usable_for,
        })
    }

    /// A second for a start, then longer, so that a provider that is down does
    /// not get a request per call; never so long that its recovery is noticed
    /// late.
    fn hold(&self, failure: &CallError, failures: u32) -> Duration {
        let retry_after = match failure {
            CallError::Refused(refusal) => refusal.retry_after.unwrap_or_default(),
            _ => Duration::ZERO,
        };
        Duration::from_secs(u64::from(failures.min(5))).max(retry_after)
    }

    fn timed_out(&self) -> CallError {
        CallError::Timeout { by_deadline: false }
    }

    fn resident(&self) -> Option<Language> {
        Some(self.default_language.clone())
    }
}
