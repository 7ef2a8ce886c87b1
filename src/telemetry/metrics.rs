//! Every instrument of the gateway, in one place. Labels come from closed
//! sets only.
//!
//! The table below is the one that operators read, and a test
//! (`tests/it/operations/metrics.rs`) compares it with what a gateway shows.
//!
#![cfg_attr(doc, doc = include_str!("../../docs/metrics.md"))]

use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter, MeterProvider as _};
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::TextEncoder;

use super::{Method, NAME};
use crate::config;

/// Why metrics cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The scrape side.
    #[error(transparent)]
    Registry(#[from] opentelemetry_sdk::error::OTelSdkError),
    /// The push side.
    #[error(transparent)]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
}

/// A state in the count of transitions: the provider shows more than one of
/// what was ordered once.
pub const CARRIED_OUT_TWICE: &str = "carried_out_twice";

/// A state in the count of transitions: taken back before it was sent.
pub const NOT_SENT: &str = "not_sent";

/// Upper bounds in seconds. The small ones are for cached calls, the large
/// ones for the provider's whole catalog.
const SECONDS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0,
];

/// The instruments of one gateway.
#[derive(Debug)]
pub struct Metrics {
    provider: SdkMeterProvider,
    registry: prometheus::Registry,
    meter: Meter,
    calls: Histogram<f64>,
    attempts: Histogram<f64>,
    unreadable: Counter<u64>,
    held_back: Counter<u64>,
    products: Arc<Products>,
    order_transitions: Counter<u64>,
    orders: Arc<Mutex<Vec<(&'static str, &'static str, i64)>>>,
    events: Counter<u64>,
    streams_ended: Counter<u64>,
    damaged_events: Counter<u64>,
    background_failures: Counter<u64>,
    handshakes: Counter<u64>,
    certificates: Counter<u64>,
    observed: Arc<Observed>,
}

/// What is asked for when it is shown.
#[derive(Debug, Default)]
struct Observed {
    last_event: AtomicI64,
    streams: AtomicI64,
    orders_without_event: AtomicI64,
    certificates_unusable: AtomicI64,
    orders_unknown_for: AtomicI64,
}

#[derive(Debug, Default)]
struct Products {
    listed: AtomicU64,
    dropped: AtomicU64,
    infrastructure: AtomicU64,
}

/// What a cache did, counted since the start. It counts for itself, so that
/// a hit costs one atomic addition.
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

impl Metrics {
    /// Registers everything; pushes to the collector when there is one.
    ///
    /// # Errors
    /// When an exporter refuses its settings.
    pub fn new(config: &config::Telemetry) -> Result<Self, SetupError> {
        let registry = prometheus::Registry::new();
        let scrape = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .build()?;
        let mut provider = SdkMeterProvider::builder()
            .with_resource(super::resource())
            .with_reader(scrape);
        if let Some(endpoint) = &config.otlp_endpoint {
            let push = opentelemetry_otlp::MetricExporter::builder()
                .with_tonic()
                .with_endpoint(endpoint.as_str())
                .build()?;
            provider = provider.with_periodic_exporter(push);
        }
        let provider = provider.build();
        let meter = provider.meter(NAME);
        let seconds = |name: &'static str, description: &'static str| {
            meter
                .f64_histogram(name)
                .with_unit("s")
                .with_description(description)
                .with_boundaries(SECONDS.to_vec())
                .build()
        };
        let calls = seconds("rpc.server.call.duration", "Calls answered, by method and status");
        let attempts = seconds(
            "gateway.provider.attempt.duration",
            "Requests sent to the provider, by API and outcome",
        );
        let unreadable = meter
            .u64_counter("gateway.provider.unreadable")
            .with_description("Successful answers of the provider that could not be read")
            .build();
        let held_back = meter
            .u64_counter("gateway.provider.held_back")
            .with_description("Requests to the provider that were not sent, by API and reason")
            .build();
        let products = Arc::new(Products::default());
        meter
            .u64_observable_gauge("gateway.catalog.products")
            .with_description("Products of the catalog loaded last, by what became of them")
            .with_callback({
                let products = Arc::clone(&products);
                move |observer| {
                    for (kind, count) in [
                        ("listed", &products.listed),
                        ("dropped", &products.dropped),
                        ("infrastructure", &products.infrastructure),
                    ] {
                        observer.observe(count.load(Ordering::Relaxed), &[KeyValue::new("kind", kind)]);
                    }
                }
            })
            .build();
        let order_transitions = meter
            .u64_counter("gateway.orders.transitions")
            .with_description(
                "States that orders and operations on SIMs reached; not_sent: taken back before they were sent; carried_out_twice: the provider shows more than one of what was ordered once",
            )
            .build();
        // There from the start: an alert on the first one needs a 0 before it.
        for kind in ["purchase", "subscription"] {
            let labels = [
                KeyValue::new("kind", kind),
                KeyValue::new("state", CARRIED_OUT_TWICE),
            ];
            order_transitions.add(0, &labels);
        }
        let orders = Arc::new(Mutex::new(Vec::new()));
        meter
            .i64_observable_gauge("gateway.orders")
            .with_description("Orders and operations on SIMs in the whole ledger, by state; a state that none is in is missing")
            .with_callback({
                let orders = Arc::clone(&orders);
                move |observer| {
                    let orders = orders.lock().unwrap_or_else(PoisonError::into_inner);
                    for (kind, state, count) in orders.iter() {
                        let labels = [KeyValue::new("kind", *kind), KeyValue::new("state", *state)];
                        observer.observe(*count, &labels);
                    }
                }
            })
            .build();
        let events = meter
            .u64_counter("gateway.events.received")
            .with_description("What was posted to the webhook, by what became of it")
            .build();
        let streams_ended = meter
            .u64_counter("gateway.events.streams.ended")
            .with_description("Streams of events that ended, by why")
            .build();
        let damaged_events = meter
            .u64_counter("gateway.events.damaged")
            .with_description("Times that an event was read from the log and could not be read as a whole")
            .build();
        damaged_events.add(0, &[]);
        let background_failures = meter
            .u64_counter("gateway.background.failures")
            .with_description(
                "Work beside the calls that ended by a defect; the process is not ready any more",
            )
            .build();
        // There from the start: the first one must be seen as a change.
        for task in ["reconciliation", "events", "webhook", "certificates"] {
            background_failures.add(0, &[KeyValue::new("task", task)]);
        }
        let handshakes = meter
            .u64_counter("gateway.tls.handshakes")
            .with_description("Connections of callers, by what became of their TLS handshake")
            .build();
        let certificates = meter
            .u64_counter("gateway.tls.reloads")
            .with_description("Changes of the certificate files, by whether they can be used")
            .build();
        let observed = Arc::new(Observed::default());
        type Of = fn(&Observed) -> &AtomicI64;
        let gauges: [(&'static str, &'static str, &'static str, Of); 5] = [
            (
                "gateway.events.last_received",
                "",
                "When the last event came, or when this process began to wait for one; seconds since 1970",
                |observed| &observed.last_event,
            ),
            (
                "gateway.events.streams",
                "",
                "Streams of events that are open",
                |observed| &observed.streams,
            ),
            (
                "gateway.orders.without_event",
                "",
                "Orders that were placed and whose first event has not come in time",
                |observed| &observed.orders_without_event,
            ),
            (
                "gateway.orders.unknown_for",
                "s",
                "Age of the order whose outcome has not been known for longest; 0 when there is none",
                |observed| &observed.orders_unknown_for,
            ),
            (
                "gateway.tls.files_unusable",
                "",
                "1 while the certificate files cannot be used and the last ones that could stay in use; else 0",
                |observed| &observed.certificates_unusable,
            ),
        ];
        for (name, unit, description, of) in gauges {
            let observed = Arc::clone(&observed);
            meter
                .i64_observable_gauge(name)
                .with_unit(unit)
                .with_description(description)
                .with_callback(move |observer| observer.observe(of(&observed).load(Ordering::Relaxed), &[]))
                .build();
        }
        meter
            .u64_observable_gauge("gateway.build.info")
            .with_description("Always 1; what runs here is in the labels")
            .with_callback(|observer| {
                let labels = [
                    KeyValue::new("version", env!("CARGO_PKG_VERSION")),
                    KeyValue::new("revision", super::REVISION),
                ];
                observer.observe(1, &labels);
            })
            .build();
        Ok(Self {
            provider,
            registry,
            meter,
            calls,
            attempts,
            unreadable,
            held_back,
            products,
            order_transitions,
            orders,
            events,
            streams_ended,
            damaged_events,
            background_failures,
            handshakes,
            certificates,
            observed,
        })
    }

    /// Where calls of a method are counted.
    pub fn method(&self, name: &'static str) -> Method {
        Method::new(name, self.calls.clone())
    }

    /// Shows how full the gateway is. Gives what counts the calls that are
    /// turned away for it.
    pub fn watch_admission(&self, in_flight: Arc<AtomicUsize>, most: usize) -> Counter<u64> {
        self.meter
            .u64_observable_gauge("gateway.calls.in_flight")
            .with_description("Calls that are being worked on; a stream until its answer begins")
            .with_callback(move |observer| observer.observe(in_flight.load(Ordering::Relaxed) as u64, &[]))
            .build();
        self.meter
            .u64_observable_gauge("gateway.calls.max_in_flight")
            .with_description("Calls that may be worked on at once: grpc.max_in_flight")
            .with_callback(move |observer| observer.observe(most as u64, &[]))
            .build();
        let shed = self
            .meter
            .u64_counter("gateway.calls.shed")
            .with_description("Calls answered OVERLOADED because too many were in flight")
            .build();
        // There from the start: the first one must be seen as a change.
        shed.add(0, &[]);
        shed
    }

    /// A request was sent to the provider.
    pub fn attempt(&self, api: &'static str, outcome: &'static str, took: Duration) {
        let labels = [KeyValue::new("api", api), KeyValue::new("outcome", outcome)];
        self.attempts.record(took.as_secs_f64(), &labels);
    }

    /// A successful answer could not be read.
    pub fn unreadable(&self, api: &'static str) {
        self.unreadable.add(1, &[KeyValue::new("api", api)]);
    }

    /// A request was not sent.
    pub fn held_back(&self, api: &'static str, reason: &'static str) {
        let labels = [KeyValue::new("api", api), KeyValue::new("reason", reason)];
        self.held_back.add(1, &labels);
    }

    /// Shows the state of breakers: 0 closed, 1 half open, 2 open.
    pub fn watch_breakers(&self, levels: impl Fn() -> Vec<(&'static str, u64)> + Send + Sync + 'static) {
        self.meter
            .u64_observable_gauge("gateway.provider.breaker")
            .with_description("Breaker of an API: 0 closed, 1 half open, 2 open")
            .with_callback(move |observer| {
                for (api, level) in levels() {
                    observer.observe(level, &[KeyValue::new("api", api)]);
                }
            })
            .build();
    }

    /// A write of a kind reached a state.
    pub fn write(&self, kind: &'static str, state: &'static str) {
        let labels = [KeyValue::new("kind", kind), KeyValue::new("state", state)];
        self.order_transitions.add(1, &labels);
    }

    /// How many writes of which kind are in which state.
    pub fn writes(&self, counts: Vec<(&'static str, &'static str, i64)>) {
        *self.orders.lock().unwrap_or_else(PoisonError::into_inner) = counts;
    }

    /// For how long an order has been `UNKNOWN` at the longest.
    pub fn orders_unknown_for(&self, age: jiff::SignedDuration) {
        self.observed
            .orders_unknown_for
            .store(age.as_secs().max(0), Ordering::Relaxed);
    }

    /// Something was posted to the webhook.
    pub fn event(&self, outcome: &'static str) {
        self.events.add(1, &[KeyValue::new("outcome", outcome)]);
    }

    /// When the last event came, in whole seconds.
    pub fn last_event_at(&self, at: jiff::Timestamp) {
        self.observed.last_event.store(at.as_second(), Ordering::Relaxed);
    }

    /// So many more streams of events are open.
    pub fn streams(&self, more: i64) {
        self.observed.streams.fetch_add(more, Ordering::Relaxed);
    }

    /// A stream of events ended.
    pub fn stream_ended(&self, why: &'static str) {
        self.streams_ended.add(1, &[KeyValue::new("why", why)]);
    }

    /// An event of the log could not be read as a whole.
    pub fn damaged_event(&self) {
        self.damaged_events.add(1, &[]);
    }

    /// Work beside the calls ended by a defect.
    pub fn background_failed(&self, task: &'static str) {
        self.background_failures.add(1, &[KeyValue::new("task", task)]);
    }

    /// A TLS handshake ended.
    pub fn handshake(&self, outcome: &'static str) {
        self.handshakes.add(1, &[KeyValue::new("outcome", outcome)]);
    }

    /// The certificate files have changed, and can be used or not.
    pub fn certificates(&self, usable: bool) {
        let outcome = if usable { "ok" } else { "failed" };
        self.certificates.add(1, &[KeyValue::new("outcome", outcome)]);
        let unusable = &self.observed.certificates_unusable;
        unusable.store(i64::from(!usable), Ordering::Relaxed);
    }

    /// Orders whose event has not come in time.
    pub fn orders_without_event(&self, orders: usize) {
        let orders = i64::try_from(orders).unwrap_or(i64::MAX);
        self.observed
            .orders_without_event
            .store(orders, Ordering::Relaxed);
    }

    /// A catalog was loaded.
    pub fn catalog(&self, listed: usize, dropped: usize, infrastructure: usize) {
        let store = |counter: &AtomicU64, count| counter.store(count as u64, Ordering::Relaxed);
        store(&self.products.listed, listed);
        store(&self.products.dropped, dropped);
        store(&self.products.infrastructure, infrastructure);
    }

    /// Shows what the caches did.
    pub fn watch_caches(&self, caches: Vec<(&'static str, Arc<CacheCounts>)>) {
        let watched = caches.clone();
        self.meter
            .u64_observable_counter("gateway.cache.answers")
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
            .u64_observable_counter("gateway.cache.loads")
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

    /// The present figures in the Prometheus text format.
    ///
    /// # Errors
    /// When a figure cannot be written, which is a defect.
    pub fn render(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }

    /// Pushes what is left. Blocks: call it where that is allowed.
    pub fn shutdown(&self) {
        if let Err(error) = self.provider.shutdown_with_timeout(super::FLUSH_WITHIN) {
            tracing::debug!(%error, "not every metric was exported");
        }
    }
}
