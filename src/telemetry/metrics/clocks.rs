//! How far this machine's clock is from others.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

use super::Metrics;
use crate::telemetry::ClockReading;

/// A reading is of no use after this: monotonic clocks may differ by a tenth of a
/// second an hour, and by any time that a machine was suspended.
const KNOWN_FOR: Duration = Duration::from_secs(3600);

/// Whose clock ours is compared with.
#[derive(Clone, Copy, Debug)]
pub enum ReferenceClock {
    /// The `Date` of the provider's answers.
    Provider,
    /// PostgreSQL's, which all replicas share.
    Database,
}

type Reading = Mutex<Option<ClockReading>>;

/// The last reading of each reference.
#[derive(Debug, Default)]
struct Readings {
    provider: Reading,
    database: Reading,
}

#[derive(Debug)]
pub(super) struct Clocks(Arc<Readings>);

impl Clocks {
    pub(super) fn new(meter: &Meter) -> Self {
        let readings = Arc::<Readings>::default();
        let shown = Arc::clone(&readings);
        meter
            .f64_observable_gauge("transatel_gateway.clock.offset")
            .with_unit("s")
            .with_description(
                "How far this machine's clock is ahead of another one, at the least; negative when it is behind; \
                 absent when nothing has shown it for an hour",
            )
            .with_callback(move |observer| {
                for (reference, reading) in [("provider", &shown.provider), ("database", &shown.database)] {
                    if let Some(reading) = known(reading) {
                        let offset = reading.offset(Timestamp::now()).as_secs_f64();
                        observer.observe(offset, &[KeyValue::new("reference", reference)]);
                    }
                }
            })
            .build();
        Self(readings)
    }
}

impl Metrics {
    /// Another clock was read.
    pub fn clock_read(&self, reference: ReferenceClock, reading: ClockReading) {
        let place = match reference {
            ReferenceClock::Provider => &self.clocks.0.provider,
            ReferenceClock::Database => &self.clocks.0.database,
        };
        *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(reading);
    }
}

fn known(reading: &Reading) -> Option<ClockReading> {
    let reading = *reading.lock().unwrap_or_else(PoisonError::into_inner);
    reading.filter(|reading| reading.age() < KNOWN_FOR)
}
