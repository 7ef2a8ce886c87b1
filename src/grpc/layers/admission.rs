//! Turns calls away when too many are in flight, so that those that are
//! accepted are still answered in time.
//!
//! Health and reflection are exempt: an overloaded replica is not a dead one.
//! A call counts until its answer begins. For a unary call that is its whole
//! work; a stream has its own bounds (its handler's concurrency, and the
//! streams of a connection), and a subscriber that stays for a day must not
//! hold a place. Own code: tower's limit and load shedding know no exemption
//! and answer with an error, not with a status.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{Request, Response};
use opentelemetry::metrics::Counter;
use pin_project_lite::pin_project;
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use crate::domain::Error;
use crate::telemetry::Metrics;

/// Bounds the calls in flight of the whole process.
#[derive(Clone, Debug)]
pub struct AdmissionLayer {
    most: usize,
    in_flight: Arc<AtomicUsize>,
    shed: Counter<u64>,
}

impl AdmissionLayer {
    /// At most so many calls at once.
    pub fn new(most: usize, metrics: &Metrics) -> Self {
        let in_flight = Arc::default();
        Self {
            shed: metrics.watch_admission(Arc::clone(&in_flight), most),
            most,
            in_flight,
        }
    }

    fn admit(&self) -> Option<Place> {
        let place = Place(Arc::clone(&self.in_flight));
        let before = self.in_flight.fetch_add(1, Ordering::Relaxed);
        // Dropped here when there is no room: it was counted already.
        (before < self.most).then_some(place)
    }
}

/// A call that counts. Its end makes room.
#[derive(Debug)]
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<S> Layer<S> for AdmissionLayer {
    type Service = AdmissionService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        AdmissionService {
            inner,
            layer: self.clone(),
        }
    }
}

/// See [`AdmissionLayer`].
#[derive(Clone, Debug)]
pub struct AdmissionService<S> {
    inner: S,
    layer: AdmissionLayer,
}

impl<S, B> Service<Request<B>> for AdmissionService<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Admitted<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let exempt = request.uri().path().starts_with("/grpc.");
        let place = if exempt { None } else { self.layer.admit() };
        let answer = (exempt || place.is_some()).then(|| self.inner.call(request));
        if answer.is_none() {
            self.layer.shed.add(1, &[]);
        }
        Admitted { answer, place }
    }
}

pin_project! {
    /// An answer, or `OVERLOADED`.
    pub struct Admitted<F> {
        // `None`: there is no room.
        #[pin]
        answer: Option<F>,
        place: Option<Place>,
    }
}

/// Callers come back within this time, spread so that they do not come back
/// together.
const BACK_WITHIN: (u64, u64) = (100, 500);

impl<F, E> Future for Admitted<F>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(answer) = this.answer.as_pin_mut() else {
            let retry_after = Duration::from_millis(fastrand::u64(BACK_WITHIN.0..BACK_WITHIN.1));
            return Poll::Ready(Ok(Status::from(Error::Overloaded { retry_after }).into_http()));
        };
        let answer = ready!(answer.poll(context));
        *this.place = None;
        Poll::Ready(answer)
    }
}
