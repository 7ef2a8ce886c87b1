//! One measurement per call, in the caller's trace, and one span when the call
//! is recorded. A call that is not recorded still has a trace, for its log
//! lines, for the provider, and for the caller to ask about.
//!
//! Method names come from the contract; anything else a client may send is
//! counted as `_OTHER`, so that labels stay a closed set.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};

use foldhash::HashMap;
use http::{Request, Response};
use opentelemetry::{Context, ContextGuard};
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tonic::Code;
use tonic::body::Body;
use tower::{Layer, Service};
use tracing::span::Entered;
use tracing::{Span, field};

use super::request_info;
use crate::domain::Caller;
use crate::telemetry::{Method, Metrics, Sampling, propagation};

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

/// A method.
struct Called {
    counts: Method,
    /// Whether its answer may end with an error after it has begun.
    streams: bool,
}

const OTHER: &str = "_OTHER";

impl TelemetryLayer {
    /// Observes calls to these methods.
    pub fn new(metrics: &Metrics, methods: Vec<(&'static str, bool)>, sampling: Sampling) -> Self {
        let called = |name, streams| {
            let counts = metrics.method(name);
            Arc::new(Called { counts, streams })
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
        Observed {
            answer,
            trace,
            started,
            method,
            caller,
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

/// The trace of a call.
enum Trace {
    Recorded(Span),
    Unrecorded(Context),
}

/// Leaves the trace when dropped.
enum Inside<'a> {
    Span(#[expect(dead_code, reason = "held for its end")] Entered<'a>),
    Context(#[expect(dead_code, reason = "held for its end")] ContextGuard),
}

impl Trace {
    fn enter(&self) -> Inside<'_> {
        match self {
            Self::Recorded(span) => Inside::Span(span.enter()),
            Self::Unrecorded(context) => Inside::Context(context.clone().attach()),
        }
    }

    fn record(&self, code: Code) {
        let Self::Recorded(span) = self else { return };
        span.record("rpc.response.status_code", name(code));
        if is_our_fault(code) {
            span.record("error.type", name(code));
            span.record("otel.status_code", "ERROR");
        }
    }
}

pin_project! {
    /// An answer that is measured when it begins.
    pub struct Observed<F> {
        #[pin]
        answer: F,
        trace: Trace,
        started: Instant,
        method: Arc<Called>,
        caller: Option<Caller>,
    }
}

impl<F, E> Future for Observed<F>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut std::task::Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let _inside = this.trace.enter();
        let mut answer = ready!(this.answer.poll(context));
        if let Ok(response) = &mut answer {
            // An answer without a message carries its status in the headers;
            // one with a message was successful.
            let code = response
                .headers()
                .get("grpc-status")
                .map_or(Code::Ok, |code| Code::from_bytes(code.as_bytes()));
            this.trace.record(code);
            if code != Code::Ok {
                failed(this.method, code, this.caller.as_ref());
            }
            this.method.counts.call(name(code), this.started.elapsed());
            let trace = propagation::current();
            request_info::add(response.headers_mut(), trace.trace_id(), code);
            if this.method.streams && code == Code::Ok {
                let (method, caller) = (Arc::clone(this.method), this.caller.take());
                let id = trace.trace_id();
                let failed =
                    move |code| propagation::after(&trace, || failed(&method, code, caller.as_ref()));
                return Poll::Ready(answer.map(|response| request_info::add_to_end(response, id, failed)));
            }
        }
        Poll::Ready(answer)
    }
}

fn failed(method: &Called, code: Code, caller: Option<&Caller>) {
    tracing::info!(
        method = method.counts.name(),
        status = name(code),
        caller = caller.map(Caller::as_str),
        "call failed"
    );
}

/// Whether a status means a fault of the server, not of the caller.
fn is_our_fault(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}

/// The code as OpenTelemetry's conventions spell it.
fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
