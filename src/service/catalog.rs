//! Catalog: answers from one cached catalog per language, and eligibility live
//! from the provider.
//!
//! Guarantees that no list, filter, sort or page causes a request to the
//! provider, and that a call costs the size of its answer, not of the catalog:
//! everything is indexed once per refresh (`catalog_index`). What a refresh
//! changed is kept in the store (`catalog_history`).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio_util::task::TaskTracker;

use super::Sims;
use super::catalog_history::History;
pub use super::catalog_history::{Changes, Next, Place};
use super::catalog_index::Index;
pub use super::catalog_index::{Destination, Entry, Key, Offers, Order, Prepare, Query};
use super::catalog_loader::Loader;
use crate::cache::{Bounds, Cached, Counts, LoadingCache};
use crate::config;
use crate::domain::catalog_change::Since;
use crate::domain::eligibility::Eligibility;
use crate::domain::error::PageTokenFault;
use crate::domain::product::{Freshness, Product};
use crate::domain::{Deadline, Error, Language, Result, SimRef};
use crate::store::CatalogHistory;
use crate::telemetry::Metrics;
use crate::transatel::Transatel;
use crate::transatel::client::error::Need;
use crate::transatel::client::request::CallOptions;

/// The catalog use cases. Cheap to clone.
#[derive(Clone)]
pub struct Catalog {
    cache: LoadingCache<Loader>,
    provider: Transatel,
    sims: Sims,
    history: History,
    default_language: Language,
}

/// The dependencies of the catalog use cases.
pub struct Parts<'a> {
    /// The provider.
    pub provider: Transatel,
    /// SIMs.
    pub sims: Sims,
    /// The history of the catalog.
    pub history: Arc<dyn CatalogHistory>,
    /// Settings.
    pub config: &'a config::Catalog,
    /// Settings of the provider's client, which bound a load.
    pub outbound: &'a config::Outbound,
    /// How `grpc` encodes a product.
    pub prepare: Prepare,
    /// Instruments.
    pub metrics: Arc<Metrics>,
    /// Runs the loads.
    pub tasks: TaskTracker,
}

/// The start of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The catalog that the listing began on.
    pub snapshot: u64,
    /// Matches before this page.
    pub offset: u32,
}

/// One page of a list.
#[derive(Debug)]
pub struct Page {
    /// The prepared message of each product of the page.
    pub products: Vec<Bytes>,
    /// The start of the next page, when there is one.
    pub next: Option<Position>,
    /// Matches on all pages.
    pub total: u32,
    /// Age of the catalog.
    pub freshness: Freshness,
}

impl Catalog {
    /// Loads nothing yet.
    pub fn new(parts: Parts<'_>) -> Self {
        let Parts {
            provider,
            sims,
            history,
            config,
            outbound,
            prepare,
            metrics,
            tasks,
        } = parts;
        let history = History::new(history, config);
        let loader = Loader::new(provider.clone(), history.clone(), config, prepare, metrics);
        // Every attempt with its token, the waits between them, and the wait for the store.
        let load_within = (outbound.catalog_timeout + outbound.retry_longest_wait) * outbound.read_attempts
            + outbound.attempt_timeout * 2
            + History::WITHIN;
        let bounds = Bounds {
            capacity: u64::from(config.languages),
            load_within,
        };
        let cache = LoadingCache::new(loader, bounds, tasks);
        Self {
            cache,
            provider,
            sims,
            history,
            default_language: config.default_language.clone(),
        }
    }

    /// Loads the catalog in the default language, waiting for the first answer
    /// at most `within`; zero loads nothing. A failure is not reported: the
    /// next call tries again.
    pub async fn warm_up(&self, within: Duration) {
        if within.is_zero() {
            return;
        }
        match tokio::time::timeout(within, self.cache.get(&self.default_language)).await {
            Ok(Ok(_)) => {}
            Ok(Err(failure)) => tracing::warn!(%failure, "serving without a catalog for now"),
            Err(_) => tracing::warn!("serving before the first catalog has come"),
        }
    }

    /// One page of the products that match.
    ///
    /// Cancel-safe.
    ///
    /// # Errors
    /// `PAGE_TOKEN_INVALID` when the catalog has changed since the first page;
    /// the provider's errors when nothing is cached.
    pub async fn list(
        &self,
        language: Option<&Language>,
        query: &Query,
        start: Option<Position>,
        page_size: u32,
    ) -> Result<Page> {
        let cached = self.cached(language).await?;
        let (page, _) = page(&cached, query, start, page_size)?;
        Ok(page)
    }

    /// One page of the products that match, with the verdict on each for a SIM.
    /// The verdicts are live.
    ///
    /// Cancel-safe.
    ///
    /// # Errors
    /// Those of [`list`](Self::list) and
    /// [`check_eligibility`](Self::check_eligibility).
    pub async fn list_eligible(
        &self,
        sim: &SimRef,
        language: Option<&Language>,
        query: &Query,
        start: Option<Position>,
        page_size: u32,
        deadline: Deadline,
    ) -> Result<(Page, Vec<Eligibility>)> {
        let cached = self.cached(language).await?;
        let (page, entries) = page(&cached, query, start, page_size)?;
        let ids: Vec<String> = entries.iter().map(|entry| entry.product.id.clone()).collect();
        let verdicts = self.check_eligibility(sim, &ids, deadline).await?;
        Ok((page, verdicts))
    }

    /// One product, whether it is on sale or not.
    ///
    /// Cancel-safe.
    ///
    /// # Errors
    /// `PRODUCT_NOT_FOUND`; the provider's errors when nothing is cached.
    pub async fn product(&self, language: Option<&Language>, id: &str) -> Result<(Entry, Freshness)> {
        let cached = self.cached(language).await?;
        let entry = cached
            .value
            .entry(id)
            .cloned()
            .ok_or_else(|| Error::ProductNotFound {
                product_id: id.to_owned(),
            })?;
        Ok((entry, freshness(&cached)))
    }

    /// A product in a catalog that is not stale, whether it is on sale or not.
    ///
    /// Cancel-safe.
    ///
    /// # Errors
    /// `PRODUCT_NOT_FOUND`; the provider's errors when a fresh catalog cannot
    /// be loaded.
    pub async fn fresh_product(&self, id: &str) -> Result<(Arc<Product>, Freshness)> {
        let cached = self
            .cache
            .get_fresh(&self.default_language)
            .await
            .map_err(|failure| failure.into_error(Need::Required))?;
        let entry = cached.value.entry(id);
        let found = entry.map(|entry| Arc::clone(&entry.product));
        let product = found.ok_or_else(|| Error::ProductNotFound {
            product_id: id.to_owned(),
        })?;
        Ok((product, freshness(&cached)))
    }

    /// The products in the default language.
    ///
    /// Cancel-safe.
    ///
    /// # Errors
    /// The provider's errors when nothing is cached.
    pub(super) async fn products(&self) -> Result<Arc<Index>> {
        Ok(self.cached(None).await?.value)
    }

    /// Every country in which something on sale works, sorted.
    ///
    /// Cancel-safe.
    ///
    /// # Errors
    /// The provider's errors when nothing is cached.
    pub async fn destinations(&self, language: Option<&Language>) -> Result<(Arc<[Destination]>, Freshness)> {
        let cached = self.cached(language).await?;
        Ok((cached.value.destinations(), freshness(&cached)))
    }

    /// What changed in the catalog after a place, or since a version or time. A
    /// stale catalog is refreshed in the background, as by every read.
    ///
    /// Cancel-safe.
    ///
    /// # Errors
    /// `CATALOG_VERSION_UNKNOWN`, `LEDGER_UNAVAILABLE`; the provider's errors
    /// when nothing is cached.
    pub async fn changes(
        &self,
        language: Option<&Language>,
        since: &Since,
        start: Option<Place>,
        page_size: u32,
    ) -> Result<Changes> {
        self.cached(language).await?;
        let language = language.unwrap_or(&self.default_language);
        self.history.changes(language, since, start, page_size).await
    }

    /// Which of these products the SIM can get now. Live.
    ///
    /// # Errors
    /// `SIM_NOT_FOUND`, `SIM_NOT_RESOLVABLE`, and the provider's errors.
    pub async fn check_eligibility(
        &self,
        sim: &SimRef,
        product_ids: &[String],
        deadline: Deadline,
    ) -> Result<Vec<Eligibility>> {
        let msisdn = self.sims.msisdn(sim).await?;
        self.provider
            .eligibility(&msisdn, product_ids, CallOptions::until(deadline))
            .await
    }

    /// The products in the default language, if they are cached. Loads nothing.
    pub(super) async fn loaded(&self) -> Option<Arc<Index>> {
        self.cache.peek(&self.default_language).await
    }

    /// Counters of the cache, for the metrics.
    pub fn counts(&self) -> Arc<Counts> {
        self.cache.counts()
    }

    async fn cached(&self, language: Option<&Language>) -> Result<Cached<Index>> {
        let language = language.unwrap_or(&self.default_language);
        self.cache
            .get(language)
            .await
            .map_err(|failure| failure.into_error(Need::Required))
    }
}

/// A page, and the products on it.
fn page<'a>(
    cached: &'a Cached<Index>,
    query: &Query,
    start: Option<Position>,
    page_size: u32,
) -> Result<(Page, Vec<&'a Entry>)> {
    let index = &cached.value;
    if start.is_some_and(|start| start.snapshot != index.snapshot()) {
        return Err(Error::PageTokenInvalid(PageTokenFault::Outdated));
    }
    let offset = start.map_or(0, |start| start.offset);
    let (entries, total) = index.select(query, offset as usize, page_size as usize);
    let products: Vec<Bytes> = entries.iter().map(|entry| entry.prepared.clone()).collect();
    let after = offset.saturating_add(u32::try_from(products.len()).unwrap_or(u32::MAX));
    let total = u32::try_from(total).unwrap_or(u32::MAX);
    let next = (after < total).then_some(Position {
        snapshot: index.snapshot(),
        offset: after,
    });
    let page = Page {
        products,
        next,
        total,
        freshness: freshness(cached),
    };
    Ok((page, entries))
}

fn freshness(cached: &Cached<Index>) -> Freshness {
    Freshness {
        as_of: cached.as_of,
        stale: cached.stale,
        version: cached.value.version(),
        language: cached.value.language(),
    }
}
