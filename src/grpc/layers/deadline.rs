//! Ends every unary call in time, with the correct status.
//!
//! tonic itself answers an expired `grpc-timeout` with `CANCELLED`. This layer
//! computes an earlier deadline and answers `DEADLINE_EXCEEDED`; it also caps
//! what callers request, and passes the deadline on to the handler. A stream's
//! answer begins at once, so its handler has to keep the deadline itself.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{HeaderMap, Request, Response};
use pin_project_lite::pin_project;
use tokio::time::Timeout;
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use crate::domain::{Deadline, Error};

/// The gateway's answer is sent this long before tonic's own timer, at most a
/// tenth of the whole time.
const AHEAD: Duration = Duration::from_millis(5);

/// Methods with a cap of their own, by request path. There are few: a linear
/// search is cheaper than a hash.
pub type Exceptions = Arc<[(&'static str, Duration)]>;

/// Caps deadlines.
#[derive(Clone, Debug)]
pub struct DeadlineLayer {
    longest: Duration,
    exceptions: Exceptions,
}

impl DeadlineLayer {
    /// No call takes longer than this, except these.
    pub fn new(longest: Duration, exceptions: Exceptions) -> Self {
        Self { longest, exceptions }
    }
}

impl<S> Layer<S> for DeadlineLayer {
    type Service = DeadlineService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        DeadlineService {
            inner,
            layer: self.clone(),
        }
    }
}

/// See [`DeadlineLayer`].
#[derive(Clone, Debug)]
pub struct DeadlineService<S> {
    inner: S,
    layer: DeadlineLayer,
}

impl<S, B> Service<Request<B>> for DeadlineService<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Bounded<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let wait = requested(request.headers()).map(|wait| wait.saturating_sub(AHEAD.min(wait / 10)));
        let path = request.uri().path();
        let own = self.layer.exceptions.iter().find(|(method, _)| *method == path);
        let longest = own.map_or(self.layer.longest, |(_, longest)| *longest);
        let deadline = Deadline::after(wait.map_or(longest, |wait| wait.min(longest)));
        request.extensions_mut().insert(deadline);
        Bounded {
            answer: tokio::time::timeout_at(deadline.at(), self.inner.call(request)),
        }
    }
}

pin_project! {
    /// An answer in time, or `DEADLINE_EXCEEDED`.
    pub struct Bounded<F> {
        #[pin]
        answer: Timeout<F>,
    }
}

impl<F, E> Future for Bounded<F>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(self.project().answer.poll(context));
        Poll::Ready(answer.unwrap_or_else(|_| Ok(Status::from(Error::DeadlineExceeded).into_http())))
    }
}

/// The deadline of a call. The layer gives every call one.
pub fn of<T>(request: &tonic::Request<T>) -> Deadline {
    request
        .extensions()
        .get::<Deadline>()
        .copied()
        .unwrap_or_else(|| Deadline::after(Duration::ZERO))
}

/// `grpc-timeout`: up to eight digits and a unit. A malformed one is ignored,
/// as gRPC implementations do.
fn requested(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count * 3600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_in_every_unit() {
        for (text, expected) in [
            ("1H", Some(Duration::from_secs(3600))),
            ("2M", Some(Duration::from_secs(120))),
            ("99999999S", Some(Duration::from_secs(99_999_999))),
            ("250m", Some(Duration::from_millis(250))),
            ("5u", Some(Duration::from_micros(5))),
            ("7n", Some(Duration::from_nanos(7))),
            ("", None),
            ("S", None),
            ("100000000S", None),
            ("-1S", None),
            ("1s", None),
            ("1.5S", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", text.parse().unwrap());
            assert_eq!(requested(&headers), expected, "{text}");
        }
    }
}
