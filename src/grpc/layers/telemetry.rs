//! One measurement per call, at the end of its answer, in the caller's trace, and
//! one span when the call is recorded. A call that is not recorded still has a
//! trace, for its log lines, for the provider, and for the caller to ask about.
//!
//! A unary answer ends as it begins; a stream is followed to its end
//! (`stream_end`). Method names come from the contract; anything else a client may
//! send is counted as `_OTHER`, so that labels stay a closed set. So do causes:
//! a failed call has the reason of its error, or its status where there is none.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};

use foldhash::HashMap;
use http::{HeaderName, HeaderValue, Request, Response};
use opentelemetry::Context;
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tonic::Code;
use tonic::body::Body;
use tower::{Layer, Service};
use tracing::{Span, field};

use super::call::{Call, Called, Trace};
use super::request_info;
use super::stream_end;
use crate::domain::Caller;
use crate::telemetry::{Metrics, Sampling, propagation};

/// Observes calls.
#[derive(Clone)]
pub struct TelemetryLayer(Arc<Calls>);

/// The instruments of calls.
struct Calls {
    /// The methods that exist, by request path.
    methods: HashMap<String, Arc<Called>>,
    other: Arc<Called>,
    sampling: Sampling,
}

const OTHER: &str = "_OTHER";

/// The header of every answer that is given while a simulator plays the provider.
const SIMULATED: HeaderName = HeaderName::from_static("x-transatel-simulated");

impl TelemetryLayer {
    /// Observes calls to these methods. Answers say if the provider is `simulated`.
    pub fn new(
        metrics: &Metrics,
        methods: Vec<(&'static str, bool)>,
        sampling: Sampling,
        simulated: bool,
    ) -> Self {
        let called = |name, streams| {
            let counts = metrics.method(name);
            Arc::new(Called {
                counts,
                streams,
                simulated,
            })
        };
        let methods = methods.into_iter();
        let methods = methods.map(|(name, streams)| (format!("/{name}"), called(name, streams)));
        Self(Arc::new(Calls {
            methods: methods.collect(),
            other: called(OTHER, false),
            sampling,
        }))
    }
}

impl<S> Layer<S> for TelemetryLayer {
    type Service = TelemetryService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        TelemetryService {
            inner,
            calls: Arc::clone(&self.0),
        }
    }
}

/// See [`TelemetryLayer`].
#[derive(Clone)]
pub struct TelemetryService<S> {
    inner: S,
    calls: Arc<Calls>,
}

impl<S, B> Service<Request<B>> for TelemetryService<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Observed<S::Future>;

    fn poll_ready(&mut self, context: &mut std::task::Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let methods = &self.calls.methods;
        let method = methods.get(request.uri().path()).unwrap_or(&self.calls.other);
        let method = Arc::clone(method);
        let parent = propagation::extract(request.headers());
        let caller = request.extensions().get::<Caller>().cloned();
        let trace = if self.calls.sampling.records(parent.as_ref()) {
            Trace::Recorded(span(method.counts.name(), parent, caller.as_ref()))
        } else {
            Trace::Unrecorded(parent.unwrap_or_else(propagation::unrecorded))
        };
        let started = Instant::now();
        let answer = {
            let _inside = trace.enter();
            self.inner.call(request)
        };
        let call = Call {
            trace,
            started,
            method,
            caller,
        };
        Observed {
            answer,
            call: Some(call),
        }
    }
}

fn span(method: &'static str, parent: Option<Context>, caller: Option<&Caller>) -> Span {
    let span = tracing::info_span!(
        "rpc",
        otel.name = method,
        otel.kind = "server",
        otel.status_code = field::Empty,
        rpc.system.name = "grpc",
        rpc.method = method,
        rpc.response.status_code = field::Empty,
        error.type = field::Empty,
        gateway.caller = caller.map(Caller::as_str),
    );
    if let Some(parent) = parent {
        propagation::adopt(&span, parent);
    }
    span
}

pin_project! {
    /// An answer whose end is measured.
    pub struct Observed<F> {
        #[pin]
        answer: F,
        // Taken when the answer begins.
        call: Option<Call>,
    }
}

impl<F, E> Future for Observed<F>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut std::task::Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(call) = this.call.as_ref() else {
            return Poll::Pending;
        };
        let inside = call.trace.enter();
        let mut answer = ready!(this.answer.poll(context));
        if let Ok(response) = &mut answer {
            // An answer without a message carries its status in the headers;
            // one with a message was successful, or is a stream.
            let code = response
                .headers()
                .get("grpc-status")
                .map_or(Code::Ok, |code| Code::from_bytes(code.as_bytes()));
            let id = propagation::current().trace_id();
            let reason = request_info::add(response.headers_mut(), id, code);
            if call.method.simulated {
                let value = HeaderValue::from_static("true");
                response.headers_mut().insert(SIMULATED, value);
            }
            if !call.method.streams || code != Code::Ok {
                call.ended(code, reason);
            } else {
                drop(inside);
                let call = this.call.take();
                return Poll::Ready(answer.map(|response| stream_end::observe(response, id, call)));
            }
        }
        Poll::Ready(answer)
    }
}
