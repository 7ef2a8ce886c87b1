//! A gauge that shows when something happened, or will: seconds since 1970.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;
use opentelemetry::metrics::Meter;

/// No moment yet: the gauge shows nothing. A 0 would be a moment long ago, for
/// every alert that compares it with the time.
const UNKNOWN: i64 = i64::MIN;

/// A moment that is shown.
#[derive(Debug)]
pub(super) struct Moment(Arc<AtomicI64>);

impl Moment {
    /// Shows nothing until it is set.
    pub(super) fn unknown(meter: &Meter, name: &'static str, description: &'static str) -> Self {
        Self::starting(meter, name, description, UNKNOWN)
    }

    /// Shows the start of the process until it is set, so that an alert on what
    /// never happens has something to count from.
    pub(super) fn now(meter: &Meter, name: &'static str, description: &'static str) -> Self {
        Self::starting(meter, name, description, Timestamp::now().as_second())
    }

    fn starting(meter: &Meter, name: &'static str, description: &'static str, first: i64) -> Self {
        let value = Arc::new(AtomicI64::new(first));
        let shown = Arc::clone(&value);
        meter
            .i64_observable_gauge(name)
            .with_description(description)
            .with_callback(move |observer| {
                let seconds = shown.load(Ordering::Relaxed);
                if seconds != UNKNOWN {
                    observer.observe(seconds, &[]);
                }
            })
            .build();
        Self(value)
    }

    /// It is, or was, then.
    pub(super) fn set(&self, at: Timestamp) {
        self.0.store(at.as_second(), Ordering::Relaxed);
    }

    /// There is none any more.
    pub(super) fn clear(&self) {
        self.0.store(UNKNOWN, Ordering::Relaxed);
    }
}
