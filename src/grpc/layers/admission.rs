//! Refuses calls when too many are in flight, so that those that are accepted
//! are still answered in time.
//!
//! Health and reflection are exempt: an overloaded replica is not a dead one. A
//! call counts until its answer begins. For a unary call that is its whole
//! work; a stream has its own bounds (its handler's concurrency, and the
//! streams of a connection), and a follower that stays for a day must not
//! count. Own code: tower's limit and load shedding support no exemption and
//! answer with an error, not with a status.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::Request;
use opentelemetry::metrics::Counter;
use tonic::Status;

use super::gate::Decide;
use crate::domain::Error;
use crate::telemetry::Metrics;

/// Bounds the calls in flight of the whole process.
#[derive(Clone, Debug)]
pub struct Admission {
    most: usize,
    in_flight: Arc<AtomicUsize>,
    shed: Counter<u64>,
}

impl Admission {
    /// At most `most` calls at once.
    pub fn new(most: usize, metrics: &Metrics) -> Self {
        let in_flight = Arc::default();
        Self {
            shed: metrics.watch_admission(Arc::clone(&in_flight), most),
            most,
            in_flight,
        }
    }
}

/// A call that counts. Dropping it frees its place.
#[derive(Debug)]
pub struct InFlight(Arc<AtomicUsize>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Decide for Admission {
    /// `None` for an exempt call.
    type Held = Option<InFlight>;

    fn decide<B>(&self, request: &mut Request<B>) -> Result<Self::Held, Box<Status>> {
        if request.uri().path().starts_with("/grpc.") {
            return Ok(None);
        }
        let call = InFlight(Arc::clone(&self.in_flight));
        let before = self.in_flight.fetch_add(1, Ordering::Relaxed);
        if before < self.most {
            return Ok(Some(call));
        }
        self.shed.add(1, &[]);
        let retry_after = Duration::from_millis(fastrand::u64(BACK_WITHIN.0..BACK_WITHIN.1));
        Err(Box::new(Error::Overloaded { retry_after }.into()))
    }
}

/// Callers retry after this many milliseconds, spread so that they do not retry
/// together.
const BACK_WITHIN: (u64, u64) = (100, 500);
