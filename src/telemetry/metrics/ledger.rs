//! Metrics of the database that the ledger is in.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Histogram, Meter};

use super::{Metrics, seconds};

/// The only pool, in the labels of its connections.
const POOL: &str = "ledger";

#[derive(Debug)]
pub(super) struct Ledger {
    operations: Histogram<f64>,
    last_success: Arc<[AtomicI64; 2]>,
}

/// How a pool's connections are used: used, idle, at most, waited for.
pub type ConnectionCounts = [usize; 4];

impl Ledger {
    pub(super) fn new(meter: &Meter) -> Self {
        let last_success: Arc<[AtomicI64; 2]> = Arc::default();
        let shown = Arc::clone(&last_success);
        meter
            .i64_observable_gauge("transatel_gateway.ledger.last_success")
            .with_description(
                "When the ledger last carried out an operation that reads, or one that writes; seconds since 1970, \
                 absent before the first",
            )
            .with_callback(move |observer| {
                for (access, at) in ["read", "write"].into_iter().zip(shown.iter()) {
                    match at.load(Ordering::Relaxed) {
                        0 => {}
                        at => observer.observe(at, &[KeyValue::new("access", access)]),
                    }
                }
            })
            .build();
        Self {
            operations: seconds(
                meter,
                "db.client.operation.duration",
                "Operations on the ledger, the stock, the log of events and the history of the catalog, by name and failure",
            ),
            last_success,
        }
    }
}

impl Metrics {
    /// An operation of the store ended; `failure` is its `error.type`.
    pub fn ledger_operation(
        &self,
        system: &'static str,
        operation: &'static str,
        failure: Option<&'static str>,
        took: Duration,
    ) {
        let labels = [
            KeyValue::new("db.system.name", system),
            KeyValue::new("db.operation.name", operation),
            KeyValue::new("error.type", failure.unwrap_or_default()),
        ];
        // On success there is no `error.type`.
        let labels = match failure {
            Some(_) => labels.as_slice(),
            None => labels.get(..2).unwrap_or_default(),
        };
        self.ledger.operations.record(took.as_secs_f64(), labels);
    }

    /// The store carried out an operation at this time.
    pub fn ledger_worked(&self, writes: bool, at: jiff::Timestamp) {
        let [reading, writing] = &*self.ledger.last_success;
        let kind = if writes { writing } else { reading };
        kind.store(at.as_second(), Ordering::Relaxed);
    }

    /// Shows how the store's connections are used.
    pub fn watch_connections(
        &self,
        counts: impl Fn() -> Option<ConnectionCounts> + Clone + Send + Sync + 'static,
    ) {
        let now = counts.clone();
        self.meter
            .i64_observable_up_down_counter("db.client.connection.count")
            .with_description("Connections to the ledger's database, by state")
            .with_callback(move |observer| {
                if let Some([used, idle, ..]) = now() {
                    observer.observe(shown(used), &[pool(), state("used")]);
                    observer.observe(shown(idle), &[pool(), state("idle")]);
                }
            })
            .build();
        let now = counts.clone();
        self.meter
            .i64_observable_up_down_counter("db.client.connection.max")
            .with_description("Connections that there may be: store.connections, or those of a SQLite file")
            .with_callback(move |observer| {
                if let Some([.., max, _]) = now() {
                    observer.observe(shown(max), &[pool()]);
                }
            })
            .build();
        self.meter
            .i64_observable_up_down_counter("db.client.connection.pending_requests")
            .with_description("Operations that wait for a connection")
            .with_callback(move |observer| {
                if let Some([.., waiting]) = counts() {
                    observer.observe(shown(waiting), &[pool()]);
                }
            })
            .build();
    }
}

fn pool() -> KeyValue {
    KeyValue::new("db.client.connection.pool.name", POOL)
}

fn state(state: &'static str) -> KeyValue {
    KeyValue::new("db.client.connection.state", state)
}

fn shown(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
