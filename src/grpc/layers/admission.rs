//! Refuses calls when too many are in flight, so that those that are accepted
//! are still answered in time, and calls beyond the limits of their caller
//! ([`calls`]).
//!
//! Health and reflection are exempt: an overloaded replica is not a dead one. A
//! call counts until its answer begins. For a unary call that is its whole
//! work; a stream has its own bounds (its handler's concurrency, and the
//! streams of a connection), and a follower that stays for a day must not
//! count. Own code: tower's limit and load shedding support no exemption and
//! answer with an error, not with a status.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::{Request, Response};
use opentelemetry::metrics::Counter;
use tonic::Status;
use tonic::body::Body;

use super::calls::{self, CallLimits, Place};
use super::gate::Decide;
use crate::domain::Error;
use crate::telemetry::Metrics;

/// Bounds the calls in flight of the whole process, and those of callers.
#[derive(Clone, Debug)]
pub struct Admission {
    most: usize,
    in_flight: Arc<AtomicUsize>,
    shed: Counter<u64>,
    callers: Option<Arc<CallLimits>>,
}

impl Admission {
    /// At most `most` calls at once, and no more of a caller than it may.
    pub fn new(most: usize, callers: Option<CallLimits>, metrics: &Metrics) -> Self {
        let in_flight = Arc::default();
        Self {
            shed: metrics.watch_admission(Arc::clone(&in_flight), most),
            most,
            in_flight,
            callers: callers.map(Arc::new),
        }
    }
}

/// A call that counts.
#[derive(Debug)]
pub struct Admitted {
    #[expect(dead_code, reason = "held until the answer begins")]
    in_flight: InFlight,
    /// Held until the answer ends. Boxed: hardly any call has one.
    place: Option<Box<Place>>,
}

/// A call of the process. Dropping it frees its place.
#[derive(Debug)]
struct InFlight(Arc<AtomicUsize>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Decide for Admission {
    /// `None` for an exempt call.
    type Held = Option<Admitted>;

    fn decide<B>(&self, request: &mut Request<B>) -> Result<Self::Held, Box<Status>> {
        if request.uri().path().starts_with("/grpc.") {
            return Ok(None);
        }
        let call = InFlight(Arc::clone(&self.in_flight));
        let before = self.in_flight.fetch_add(1, Ordering::Relaxed);
        if before < self.most {
            return Ok(Some(Admitted {
                in_flight: call,
                place: match &self.callers {
                    None => None,
                    Some(callers) => callers.admit(request.extensions().get())?,
                },
            }));
        }
        self.shed.add(1, &[]);
        let retry_after = calls::back_within();
        Err(Box::new(Error::Overloaded { retry_after }.into()))
    }

    fn answer(held: Self::Held, answer: &mut Response<Body>) {
        if let Some(place) = held.and_then(|held| held.place) {
            calls::hold(place, answer.body_mut());
        }
    }
}
