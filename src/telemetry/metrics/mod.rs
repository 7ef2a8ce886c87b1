//! Every instrument of the gateway, one file per subject. Labels come from
//! closed sets only.
//!
//! The table below is for operators, and a test
//! (`tests/it/operations/metrics.rs`) compares it with what a gateway exposes.
//!
#![cfg_attr(doc, doc = include_str!("../../../docs/metrics.md"))]

mod caches;
mod calls;
mod clocks;
mod events;
mod ledger;
mod limits;
mod moment;
mod orders;
mod prices;
mod process;
mod provider;
mod reloads;
mod snapshot;
mod stock;
mod tls;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter, MeterProvider as _};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::TextEncoder;

pub use caches::{CacheCounts, Catalog};
pub use clocks::ReferenceClock;
pub use limits::{Spend, Used};
pub use orders::{CARRIED_OUT_TWICE, NOT_SENT, SUBSCRIPTION_CONFLICT};
pub use provider::Exchange;
pub use snapshot::Snapshot;
pub use stock::Pools;

use super::{NAME, Recent, collector};
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

/// Upper bounds in seconds. The small ones are for cached calls. The large ones
/// are on both sides of the usual deadlines, 10 and 30 s: a call that a deadline
/// ends takes a little less or a little more than that, and is apart from one
/// that was only slow.
const SECONDS: [f64; 19] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 7.5, 10.0, 15.0, 25.0,
    30.0, 45.0,
];

/// The instruments of one gateway.
#[derive(Debug)]
pub struct Metrics {
    exporters: SdkMeterProvider,
    registry: prometheus::Registry,
    meter: Meter,
    calls: Histogram<f64>,
    clocks: clocks::Clocks,
    provider: provider::Provider,
    products: caches::Products,
    orders: orders::Orders,
    ledger: ledger::Ledger,
    limits: limits::Limits,
    stock: stock::Stock,
    prices: reloads::Reloads,
    events: events::Events,
    tls: tls::Tls,
    background_failures: Counter<u64>,
    recent: Arc<Recent>,
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
        let mut exporters = SdkMeterProvider::builder()
            .with_resource(super::resource())
            .with_reader(scrape);
        if let Some(endpoint) = &config.otlp_endpoint {
            let push = opentelemetry_otlp::MetricExporter::builder().with_tonic();
            let push = collector::towards(push, endpoint, config);
            exporters = exporters.with_periodic_exporter(push.build()?);
        }
        let exporters = exporters.build();
        let meter = exporters.meter(NAME);
        show_build(&meter);
        process::show(&meter);
        Ok(Self {
            calls: seconds(
                &meter,
                "rpc.server.call.duration",
                "Calls to the end of their answer, by method, status and cause of the failure",
            ),
            clocks: clocks::Clocks::new(&meter),
            provider: provider::Provider::new(&meter),
            products: caches::Products::new(&meter),
            orders: orders::Orders::new(&meter),
            ledger: ledger::Ledger::new(&meter),
            limits: limits::Limits::new(&meter),
            stock: stock::Stock::new(&meter),
            prices: prices::reloads(&meter),
            events: events::Events::new(&meter),
            tls: tls::Tls::new(&meter),
            background_failures: background_failures(&meter),
            recent: Arc::default(),
            exporters,
            registry,
            meter,
        })
    }

    /// Background work ended by a defect.
    pub fn background_failed(&self, task: &'static str) {
        self.background_failures.add(1, &[KeyValue::new("task", task)]);
    }

    /// What happened in the last minutes.
    pub fn recent(&self) -> &Recent {
        &self.recent
    }

    /// The current values.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::new(self.registry.gather())
    }

    /// The current values in the Prometheus text format.
    ///
    /// # Errors
    /// When a value cannot be written, which is a defect.
    pub fn render(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }

    /// Exports what is left. Blocks: call it where that is allowed.
    pub fn shutdown(&self) {
        if let Err(error) = self.exporters.shutdown_with_timeout(super::FLUSH_WITHIN) {
            tracing::debug!(%error, "not every metric was exported");
        }
    }
}

/// A histogram of durations.
fn seconds(meter: &Meter, name: &'static str, description: &'static str) -> Histogram<f64> {
    meter
        .f64_histogram(name)
        .with_unit("s")
        .with_description(description)
        .with_boundaries(SECONDS.to_vec())
        .build()
}

/// Shows a counter from the start, with every value of its label: the first
/// change must be visible as one.
fn start_at_zero(counter: &Counter<u64>, label: &'static str, values: &[&'static str]) {
    for value in values {
        counter.add(0, &[KeyValue::new(label, *value)]);
    }
}

/// A gauge without labels, and the number that it shows.
fn gauge(meter: &Meter, name: &'static str, unit: &'static str, description: &'static str) -> Arc<AtomicI64> {
    let value = Arc::new(AtomicI64::default());
    let shown = Arc::clone(&value);
    meter
        .i64_observable_gauge(name)
        .with_unit(unit)
        .with_description(description)
        .with_callback(move |observer| observer.observe(shown.load(Ordering::Relaxed), &[]))
        .build();
    value
}

fn background_failures(meter: &Meter) -> Counter<u64> {
    let failures = meter
        .u64_counter("transatel_gateway.background.failures")
        .with_description("Background work that ended by a defect; the process is no longer ready")
        .build();
    start_at_zero(
        &failures,
        "task",
        &[
            "reconciliation",
            "stock",
            "prices",
            "events",
            "webhook",
            "certificates",
            "admin",
        ],
    );
    failures
}

impl Metrics {
    /// Shows whether calls should be sent here.
    pub fn watch_readiness(&self, is_ready: impl Fn() -> bool + Send + Sync + 'static) {
        self.meter
            .u64_observable_gauge("transatel_gateway.ready")
            .with_description("1 while /readyz answers that calls should be sent here; else 0")
            .with_callback(move |observer| observer.observe(u64::from(is_ready()), &[]))
            .build();
    }
}

fn show_build(meter: &Meter) {
    meter
        .u64_observable_gauge("transatel_gateway.build.info")
        .with_description("Always 1; what runs here is in the labels")
        .with_callback(|observer| {
            let labels = [
                KeyValue::new("version", env!("CARGO_PKG_VERSION")),
                KeyValue::new("revision", super::REVISION),
            ];
            observer.observe(1, &labels);
        })
        .build();
}
