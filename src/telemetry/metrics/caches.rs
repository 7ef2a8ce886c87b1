//! Metrics of the caches.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

use super::Metrics;
use super::moment::Moment;

/// Counters of a cache since the start. The cache counts by itself, so that a
/// hit costs one atomic addition.
#[derive(Debug, Default)]
pub struct CacheCounts {
    /// Answers from a fresh value.
    pub fresh: AtomicU64,
    /// Answers from a stale value.
    pub stale: AtomicU64,
    /// Answers that had to wait for a load.
    pub missed: AtomicU64,
    /// Answers with the failure of a load that is not yet repeated.
    pub held: AtomicU64,
    /// Loads that succeeded.
    pub loaded: AtomicU64,
    /// Loads that failed.
    pub failed: AtomicU64,
}

/// Products of the catalog that was loaded last.
#[derive(Debug)]
pub(super) struct Products {
    last_loaded: Moment,
    counts: Arc<ProductCounts>,
}

#[derive(Debug, Default)]
struct ProductCounts {
    listed: AtomicU64,
    dropped: AtomicU64,
    infrastructure: AtomicU64,
    unknown_country: AtomicU64,
}

/// What became of the products of a catalog.
#[derive(Clone, Copy, Debug)]
pub struct Catalog {
    /// Shown to callers.
    pub listed: usize,
    /// Unreadable.
    pub dropped: usize,
    /// The provider's own.
    pub infrastructure: usize,
    /// Shown without a country whose code is not known.
    pub with_unknown_country: usize,
}

impl Products {
    pub(super) fn new(meter: &Meter) -> Self {
        let counts = Arc::new(ProductCounts::default());
        let shown = Arc::clone(&counts);
        meter
            .u64_observable_gauge("transatel_gateway.catalog.products")
            .with_description("Products of the catalog loaded last, by what became of them; unknown_country: listed without a country whose code is not known")
            .with_callback(move |observer| {
                for (kind, count) in [
                    ("listed", &shown.listed),
                    ("dropped", &shown.dropped),
                    ("infrastructure", &shown.infrastructure),
                    ("unknown_country", &shown.unknown_country),
                ] {
                    observer.observe(count.load(Ordering::Relaxed), &[KeyValue::new("kind", kind)]);
                }
            })
            .build();
        Self {
            last_loaded: Moment::now(
                meter,
                "transatel_gateway.catalog.last_loaded",
                "When a catalog was loaded last, or when this process began; seconds since 1970",
            ),
            counts,
        }
    }
}

impl Metrics {
    /// A catalog was loaded.
    pub fn catalog(&self, catalog: Catalog) {
        let store = |counter: &AtomicU64, count| counter.store(count as u64, Ordering::Relaxed);
        let counts = &self.products.counts;
        store(&counts.listed, catalog.listed);
        store(&counts.dropped, catalog.dropped);
        store(&counts.infrastructure, catalog.infrastructure);
        store(&counts.unknown_country, catalog.with_unknown_country);
        self.products.last_loaded.set(jiff::Timestamp::now());
    }

    /// Shows what the caches did.
    pub fn watch_caches(&self, caches: Vec<(&'static str, Arc<CacheCounts>)>) {
        let watched = caches.clone();
        self.meter
            .u64_observable_counter("transatel_gateway.cache.answers")
            .with_description("Answers of the loading caches, by kind")
            .with_callback(move |observer| {
                for (cache, counts) in &watched {
                    for (kind, count) in [
                        ("fresh", &counts.fresh),
                        ("stale", &counts.stale),
                        ("missed", &counts.missed),
                        ("held", &counts.held),
                    ] {
                        let labels = [KeyValue::new("cache", *cache), KeyValue::new("kind", kind)];
                        observer.observe(count.load(Ordering::Relaxed), &labels);
                    }
                }
            })
            .build();
        self.meter
            .u64_observable_counter("transatel_gateway.cache.loads")
            .with_description("Loads of the loading caches, by outcome")
            .with_callback(move |observer| {
                for (cache, counts) in &caches {
                    for (outcome, count) in [("ok", &counts.loaded), ("failed", &counts.failed)] {
                        let labels = [KeyValue::new("cache", *cache), KeyValue::new("outcome", outcome)];
                        observer.observe(count.load(Ordering::Relaxed), &labels);
                    }
                }
            })
            .build();
    }
}
