//! Metrics of orders and of operations on SIMs.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Meter};

use super::Metrics;

/// A state in the count of transitions: the provider carried out more than once
/// what was ordered once.
pub const CARRIED_OUT_TWICE: &str = "carried_out_twice";

/// A state in the count of transitions: the provider names a subscription for an
/// order that another order has.
pub const SUBSCRIPTION_CONFLICT: &str = "subscription_conflict";

/// A state in the count of transitions: withdrawn before it was sent.
pub const NOT_SENT: &str = "not_sent";

/// States that orders reach.
const ORDER_STATES: [&str; 9] = [
    "submitting",
    "placed",
    "rejected",
    "unknown",
    "not_placed",
    "needs_operator",
    NOT_SENT,
    CARRIED_OUT_TWICE,
    SUBSCRIPTION_CONFLICT,
];

/// States that operations on SIMs reach.
const OPERATION_STATES: [&str; 7] = [
    "submitting",
    "done",
    "rejected",
    "unknown",
    "not_done",
    "needs_operator",
    NOT_SENT,
];

/// Kind, state, and how many.
type Count = (&'static str, &'static str, i64);

#[derive(Debug)]
pub(super) struct Orders {
    transitions: Counter<u64>,
    refused: Counter<u64>,
    by_state: Arc<Mutex<Vec<Count>>>,
    without_event: Arc<AtomicI64>,
    unknown_for: Arc<AtomicI64>,
}

impl Orders {
    pub(super) fn new(meter: &Meter) -> Self {
        let transitions = meter
            .u64_counter("transatel_gateway.orders.transitions")
            .with_description(
                "States that orders and operations on SIMs reached; not_sent: taken back before they were sent; \
                 carried_out_twice: the provider shows more than one of what was ordered once; \
                 subscription_conflict: it names a subscription that another order has",
            )
            .build();
        // From the start: an alert on the first one needs a 0 before it.
        for kind in ["purchase", "subscription"] {
            for state in ORDER_STATES {
                transitions.add(0, &labels(kind, state));
            }
        }
        for state in OPERATION_STATES {
            transitions.add(0, &labels("sim", state));
        }
        let refused = meter
            .u64_counter("transatel_gateway.orders.refused")
            .with_description("Orders and operations on SIMs that the provider refused, by reason")
            .build();
        let by_state = Arc::new(Mutex::new(Vec::<Count>::new()));
        meter
            .i64_observable_gauge("transatel_gateway.orders")
            .with_description(
                "Orders and operations on SIMs in the whole ledger, by state; a state that none is in is missing, \
                 and all are while they cannot be counted",
            )
            .with_callback({
                let by_state = Arc::clone(&by_state);
                move |observer| {
                    let by_state = by_state.lock().unwrap_or_else(PoisonError::into_inner);
                    for (kind, state, count) in by_state.iter() {
                        observer.observe(*count, &labels(kind, state));
                    }
                }
            })
            .build();
        Self {
            transitions,
            refused,
            by_state,
            without_event: known(
                meter,
                "transatel_gateway.orders.without_event",
                "",
                "Orders that were placed and whose first event of the provider has not come in time; \
                 absent while they cannot be counted",
            ),
            unknown_for: known(
                meter,
                "transatel_gateway.orders.unknown_for",
                "s",
                "Age of the order whose outcome has not been known for longest; 0 when there is none, \
                 absent while the ledger cannot be read",
            ),
        }
    }
}

/// What a gauge shows while its number is not known: nothing.
const NOT_KNOWN: i64 = i64::MIN;

/// A gauge that shows nothing until its number is known, and when that is not
/// known any more: a number that does not move looks like one that is right.
fn known(meter: &Meter, name: &'static str, unit: &'static str, description: &'static str) -> Arc<AtomicI64> {
    let value = Arc::new(AtomicI64::new(NOT_KNOWN));
    let shown = Arc::clone(&value);
    meter
        .i64_observable_gauge(name)
        .with_unit(unit)
        .with_description(description)
        .with_callback(move |observer| match shown.load(Ordering::Relaxed) {
            NOT_KNOWN => {}
            value => observer.observe(value, &[]),
        })
        .build();
    value
}

fn labels(kind: &'static str, state: &'static str) -> [KeyValue; 2] {
    [KeyValue::new("kind", kind), KeyValue::new("state", state)]
}

impl Metrics {
    /// A write of a kind reached a state.
    pub fn write(&self, kind: &'static str, state: &'static str) {
        self.orders.transitions.add(1, &labels(kind, state));
    }

    /// Writes of these kinds may be refused for these reasons: counted from 0.
    pub fn show_refusals(&self, kinds: &[&'static str], reasons: &[&'static str]) {
        for kind in kinds {
            for reason in reasons {
                self.count_refused(kind, reason, 0);
            }
        }
    }

    /// A write of a kind was refused.
    pub fn refused(&self, kind: &'static str, reason: &'static str) {
        self.count_refused(kind, reason, 1);
        self.recent.order_refused(reason);
    }

    fn count_refused(&self, kind: &'static str, reason: &'static str, more: u64) {
        let labels = [KeyValue::new("kind", kind), KeyValue::new("reason", reason)];
        self.orders.refused.add(more, &labels);
    }

    /// The number of writes by kind and state.
    pub fn writes(&self, counts: Vec<Count>) {
        *self
            .orders
            .by_state
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = counts;
    }

    /// The ledger cannot be read: what it holds is not known.
    pub fn writes_not_known(&self) {
        self.writes(Vec::new());
        self.orders.unknown_for.store(NOT_KNOWN, Ordering::Relaxed);
    }

    /// The log of events cannot be read.
    pub fn orders_without_event_not_known(&self) {
        self.orders.without_event.store(NOT_KNOWN, Ordering::Relaxed);
    }

    /// Age of the oldest `UNKNOWN` order.
    pub fn orders_unknown_for(&self, age: jiff::SignedDuration) {
        self.orders
            .unknown_for
            .store(age.as_secs().max(0), Ordering::Relaxed);
    }

    /// Orders whose event has not come in time.
    pub fn orders_without_event(&self, orders: usize) {
        let orders = i64::try_from(orders).unwrap_or(i64::MAX);
        self.orders.without_event.store(orders, Ordering::Relaxed);
    }
}
