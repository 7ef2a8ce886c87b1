//! Logs, traces and metrics.
//!
//! Owns the global subscriber, the trace exporter and the one table of
//! instruments ([`metrics`]). Every layer has a filter of its own: without it
//! the exporter's own spans would be exported, which creates more spans, and so
//! on. Nothing that is recorded names a SIM, a token or an activation code.

mod clock_reading;
mod collector;
mod format;
mod log_level;
mod log_limit;
mod method;
pub mod metrics;
pub mod propagation;
pub mod recent;
mod span_events;

use std::time::Duration;

use opentelemetry::trace::{Link, SpanKind, TraceContextExt as _, TraceId, TracerProvider as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SamplingResult, SdkTracerProvider, ShouldSample};
use tracing_subscriber::filter::{FilterExt as _, LevelFilter, Targets, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

pub use clock_reading::ClockReading;
pub use log_level::{ChangeError, LogLevel};
pub use log_limit::LogLimit;
pub use method::Method;
pub use metrics::Metrics;
pub use recent::Recent;

use crate::config;

/// Name of the service and of the instrumentation.
const NAME: &str = env!("CARGO_PKG_NAME");

/// The target of log lines that record who decided something.
pub const AUDIT: &str = concat!(env!("CARGO_CRATE_NAME"), "::audit");

/// The commit that this was built from, where the build sets it, as the image's
/// does.
pub const REVISION: &str = match option_env!("GATEWAY_REVISION") {
    Some(revision) => revision,
    None => "unknown",
};

/// Longest wait for the last spans and metrics to be exported.
pub(crate) const FLUSH_WITHIN: Duration = Duration::from_secs(3);

/// Why telemetry cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The exporter refuses its settings.
    #[error("telemetry.otlp_endpoint: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    /// The log filter cannot be read.
    #[error("telemetry.log_level: {0}")]
    Filter(String),
    /// There is a global subscriber already.
    #[error("telemetry is set up already: {0}")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
    /// The metrics cannot be registered.
    #[error("metrics: {0}")]
    Metrics(#[from] metrics::SetupError),
}

/// Traces that are not exported yet; to be flushed at the end.
#[derive(Debug)]
pub struct Telemetry {
    tracer: SdkTracerProvider,
    log_level: LogLevel,
}

/// Sets up the process's logs and traces. Call once, inside the runtime.
///
/// # Errors
/// When a setting cannot be used, or on a second call.
pub fn init(config: &config::Telemetry) -> Result<Telemetry, SetupError> {
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    let tracer = tracer(config)?;
    // Only what this crate traces: see the module's first paragraph.
    let own = Targets::new().with_target(env!("CARGO_CRATE_NAME"), LevelFilter::INFO);
    let traces = tracing_opentelemetry::layer()
        .with_tracer(tracer.tracer(NAME))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_filter(own.clone().and(filter_fn(|metadata| metadata.is_span())));
    let events = span_events::SpanEvents.with_filter(own);
    let (filter, log_level) = LogLevel::new(&config.log_level).map_err(SetupError::Filter)?;
    let logs = fmt::layer()
        .event_format(format::Lines::new(config.log_format))
        .fmt_fields(format::Nothing)
        .with_writer(std::io::stderr)
        .with_filter(filter);
    tracing_subscriber::registry()
        .with(logs)
        .with(traces)
        .with(events)
        .try_init()?;
    Ok(Telemetry { tracer, log_level })
}

/// The resource of all telemetry.
fn resource() -> Resource {
    Resource::builder()
        .with_service_name(NAME)
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build()
}

fn tracer(config: &config::Telemetry) -> Result<SdkTracerProvider, SetupError> {
    let builder = SdkTracerProvider::builder().with_resource(resource());
    let Some(endpoint) = &config.otlp_endpoint else {
        // No exporter. Trace ids are still taken from the caller and passed to
        // the provider.
        return Ok(builder.with_sampler(Sampler::AlwaysOff).build());
    };
    let exporter = opentelemetry_otlp::SpanExporter::builder().with_tonic();
    let exporter = collector::towards(exporter, endpoint, config).build()?;
    let own = Roots(Sampler::TraceIdRatioBased(config.sample_ratio));
    Ok(builder
        .with_sampler(Sampler::ParentBased(Box::new(own)))
        .with_batch_exporter(exporter)
        .build())
}

/// Samples traces that start here. Calls were sampled when they came in
/// ([`Sampling`]), before a span was created; background work is sampled here.
#[derive(Clone, Debug)]
struct Roots(Sampler);

impl ShouldSample for Roots {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let sampler = if *kind == SpanKind::Server {
            &Sampler::AlwaysOn
        } else {
            &self.0
        };
        sampler.should_sample(parent, trace_id, name, kind, attributes, links)
    }
}

/// Which calls are recorded. Decided before a span is created: a span that is
/// not exported costs a tenth of a cached call.
#[derive(Clone, Copy, Debug)]
pub struct Sampling {
    own: f64,
    exported: bool,
}

impl Sampling {
    /// As configured.
    pub fn new(config: &config::Telemetry) -> Self {
        Self {
            own: config.sample_ratio,
            exported: config.otlp_endpoint.is_some(),
        }
    }

    /// Whether a call is recorded: by the caller's decision if there is one,
    /// else by the configured ratio.
    pub fn records(self, caller: Option<&Context>) -> bool {
        self.exported
            && caller.map_or_else(
                || fastrand::f64() < self.own,
                |caller| caller.span().span_context().is_sampled(),
            )
    }
}

/// The result of some work, and how many milliseconds it took.
pub async fn timed<T>(work: impl Future<Output = T>) -> (T, u64) {
    let started = tokio::time::Instant::now();
    let result = work.await;
    let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    (result, milliseconds)
}

impl Telemetry {
    /// The handle that changes the log level at run time.
    pub fn log_level(&self) -> LogLevel {
        self.log_level.clone()
    }

    /// Exports what is left, in bounded time: the exporter blocks, and an
    /// unreachable collector must not keep the process from ending.
    pub async fn flush(self) {
        let flush = tokio::task::spawn_blocking(move || self.tracer.shutdown_with_timeout(FLUSH_WITHIN));
        let (flushed, milliseconds) = timed(tokio::time::timeout(FLUSH_WITHIN, flush)).await;
        tracing::info!(phase = "traces", milliseconds, "stopping: a phase ended");
        match flushed {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => tracing::debug!(%error, "not every span was exported"),
            Ok(Err(_)) | Err(_) => tracing::debug!("not every span was exported in time"),
        }
    }
}
