//! W3C trace context, in and out.
//!
//! Own code because the middleware crates of the field use the previous version
//! of `opentelemetry`: with two versions in the tree the header silently
//! disappears.

use http::HeaderMap;
use opentelemetry::Context;
use opentelemetry::context::FutureExt as _;
use opentelemetry::propagation::{Extractor, Injector};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use tracing::{Instrument as _, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

struct Carrier<'a>(&'a HeaderMap);

impl Extractor for Carrier<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

struct CarrierMut<'a>(&'a mut HeaderMap);

impl Injector for CarrierMut<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(name), Ok(value)) = (http::HeaderName::try_from(key), value.try_into()) {
            self.0.insert(name, value);
        }
    }
}

/// The caller's trace, if the headers name one.
pub fn extract(headers: &HeaderMap) -> Option<Context> {
    // Most calls inside a test or a probe have none: skip the parser.
    headers.get("traceparent")?;
    let context = opentelemetry::global::get_text_map_propagator(|propagator| {
        propagator.extract_with_context(&Context::new(), &Carrier(headers))
    });
    context.span().span_context().is_valid().then_some(context)
}

/// Makes `span` a child of the caller's.
pub fn adopt(span: &Span, caller: Context) {
    // Fails only when the span is not recorded; then there is no child.
    let _ = span.set_parent(caller);
}

/// Work that stays in the caller's trace, recorded or not, after the caller has
/// gone.
pub fn carried<F: Future>(work: F) -> impl Future<Output = F::Output> {
    work.in_current_span().with_current_context()
}

/// The trace of work that is started later.
pub struct Trace {
    span: Span,
    context: Context,
}

impl Trace {
    /// That of the caller.
    pub fn current() -> Self {
        Self {
            span: Span::current(),
            context: Context::current(),
        }
    }

    /// Runs work in this trace, wherever it is started.
    pub fn carry<F: Future>(&self, work: F) -> impl Future<Output = F::Output> + use<F> {
        work.instrument(self.span.clone())
            .with_context(self.context.clone())
    }
}

/// A trace that is not recorded: it has ids, for logs and for the provider,
/// and costs no span.
pub fn unrecorded() -> Context {
    let trace = TraceId::from(fastrand::u128(1..));
    let span = SpanId::from(fastrand::u64(1..));
    let flags = TraceFlags::NOT_SAMPLED;
    Context::new().with_remote_span_context(SpanContext::new(trace, span, flags, true, TraceState::NONE))
}

/// The ids of the trace that this runs in; invalid outside of any.
pub fn current() -> SpanContext {
    Context::map_current(|context| context.span().span_context().clone())
}

/// A span for a part of the work, unless the work is in a trace that is not
/// recorded: then there is none, and the trace continues by its context alone.
pub fn part(span: impl FnOnce() -> Span) -> Span {
    let unrecorded = Context::map_current(|context| {
        let span = context.span();
        let span = span.span_context();
        span.is_valid() && !span.is_sampled()
    });
    if unrecorded { Span::none() } else { span() }
}

/// A load of the named cache, as a part of the caller's trace that outlives the
/// caller.
pub fn load<F: Future>(cache: &'static str, work: F) -> impl Future<Output = F::Output> + use<F> {
    let span = part(|| {
        tracing::info_span!(
            "cache.load",
            otel.name = format_args!("cache.load {cache}"),
            cache.name = cache
        )
    });
    work.instrument(span).with_current_context()
}

/// Writes the context of `span` into the headers of a request; without a span,
/// the context of the trace that it would have been in.
pub fn inject(span: &Span, headers: &mut HeaderMap) {
    opentelemetry::global::get_text_map_propagator(|propagator| {
        let mut carrier = CarrierMut(headers);
        if span.is_none() {
            Context::map_current(|context| propagator.inject_context(context, &mut carrier));
        } else {
            propagator.inject_context(&span.context(), &mut carrier);
        }
    });
}
