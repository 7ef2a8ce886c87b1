//! A call that is observed: its trace, and what is recorded at the end of its
//! answer.

use std::sync::Arc;

use opentelemetry::{Context, ContextGuard};
use tokio::time::Instant;
use tonic::Code;
use tracing::Span;
use tracing::span::Entered;

use crate::domain::Caller;
use crate::telemetry::Method;

/// A method.
pub(super) struct Called {
    pub(super) counts: Method,
    /// Whether its answer may end with an error after it has begun.
    pub(super) streams: bool,
    /// Whether a simulator plays the provider, which every answer says.
    pub(super) simulated: bool,
}

/// The trace of a call.
pub(super) enum Trace {
    Recorded(Span),
    Unrecorded(Context),
}

/// Leaves the trace when dropped.
pub(super) enum Inside<'a> {
    Span(#[expect(dead_code, reason = "held for its end")] Entered<'a>),
    Context(#[expect(dead_code, reason = "held for its end")] ContextGuard),
}

impl Trace {
    pub(super) fn enter(&self) -> Inside<'_> {
        match self {
            Self::Recorded(span) => Inside::Span(span.enter()),
            Self::Unrecorded(context) => Inside::Context(context.clone().attach()),
        }
    }

    fn record(&self, code: Code, cause: Option<&'static str>) {
        let Self::Recorded(span) = self else { return };
        span.record("rpc.response.status_code", name(code));
        if let Some(cause) = cause {
            span.record("error.type", cause);
        }
        if is_our_fault(code) {
            span.record("otel.status_code", "ERROR");
        }
    }
}

/// A call that is measured when its answer ends.
pub(super) struct Call {
    pub(super) trace: Trace,
    pub(super) started: Instant,
    pub(super) method: Arc<Called>,
    pub(super) caller: Option<Caller>,
}

impl Call {
    /// Its answer ended with a status; with the reason of its error if it has one.
    /// Has to be inside its trace.
    pub(super) fn ended(&self, code: Code, reason: Option<&'static str>) {
        let cause = (code != Code::Ok).then(|| reason.unwrap_or(name(code)));
        self.trace.record(code, cause);
        let counts = &self.method.counts;
        let Some(cause) = cause else {
            return counts.succeeded(self.started.elapsed());
        };
        counts.failed(name(code), cause, self.started.elapsed());
        tracing::info!(
            method = counts.name(),
            status = name(code),
            error.type = cause,
            caller = self.caller.as_ref().map(Caller::as_str),
            "call failed"
        );
    }

    /// Its caller left before the end of the answer, as followers of events do: not
    /// worth a line.
    pub(super) fn left(&self) {
        let code = Code::Cancelled;
        self.trace.record(code, Some(name(code)));
        self.method
            .counts
            .failed(name(code), name(code), self.started.elapsed());
    }
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
