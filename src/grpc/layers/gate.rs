//! The layer for decisions before a call: it passes, changed or not, or is
//! answered with a status.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

/// Decides about calls. Cloned once per connection.
pub trait Decide: Clone {
    /// Held by a call until its answer begins, or longer: see
    /// [`answer`](Self::answer).
    type Held;

    /// Lets a call through, or refuses it.
    ///
    /// # Errors
    /// The answer of a call that is refused.
    fn decide<B>(&self, request: &mut Request<B>) -> Result<Self::Held, Box<Status>>;

    /// Takes back what a call has held, as its answer begins.
    fn answer(_held: Self::Held, _answer: &mut Response<Body>) {}
}

/// Applies a [`Decide`] to every call.
#[derive(Clone, Debug)]
pub struct Gate<D>(pub D);

impl<S, D: Decide> Layer<S> for Gate<D> {
    type Service = GateService<S, D>;

    fn layer(&self, inner: S) -> Self::Service {
        GateService {
            inner,
            decide: self.0.clone(),
        }
    }
}

/// See [`Gate`].
#[derive(Clone, Debug)]
pub struct GateService<S, D> {
    inner: S,
    decide: D,
}

impl<S, D, B> Service<Request<B>> for GateService<S, D>
where
    S: Service<Request<B>, Response = Response<Body>>,
    D: Decide,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Gated<S::Future, D>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let (answer, held, refusal) = match self.decide.decide(&mut request) {
            Ok(held) => (Some(self.inner.call(request)), Some(held), None),
            Err(status) => (None, None, Some(status)),
        };
        Gated {
            answer,
            held,
            refusal,
        }
    }
}

pin_project! {
    /// An answer, or a refusal.
    pub struct Gated<F, D: Decide> {
        // One of the two; the refusal is taken when it is returned.
        #[pin]
        answer: Option<F>,
        refusal: Option<Box<Status>>,
        held: Option<D::Held>,
    }
}

impl<F, D, E> Future for Gated<F, D>
where
    F: Future<Output = Result<Response<Body>, E>>,
    D: Decide,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(answer) = this.answer.as_pin_mut() else {
            return match this.refusal.take() {
                Some(status) => Poll::Ready(Ok(status.into_http())),
                None => Poll::Pending,
            };
        };
        let mut answer = ready!(answer.poll(context));
        if let (Some(held), Ok(answer)) = (this.held.take(), &mut answer) {
            D::answer(held, answer);
        }
        Poll::Ready(answer)
    }
}
