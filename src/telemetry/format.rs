//! Log lines: one per event, with the trace it belongs to.

use std::fmt::{self, Write as _};

use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt as _;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::config::LogFormat;

/// Writes events; spans appear only in traces.
pub struct Lines {
    format: LogFormat,
}

impl Lines {
    /// Lines in this format.
    pub fn new(format: LogFormat) -> Self {
        Self { format }
    }
}

/// Span fields are not in the log lines, so they are not formatted either.
pub struct Nothing;

impl<'writer> FormatFields<'writer> for Nothing {
    fn format_fields<R: tracing_subscriber::field::RecordFields>(
        &self,
        _writer: Writer<'writer>,
        _fields: R,
    ) -> fmt::Result {
        Ok(())
    }
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let now = jiff::Timestamp::now();
        let trace = Context::map_current(|context| {
            let span = context.span();
            let span = span.span_context();
            span.is_valid()
                .then(|| (span.trace_id().to_string(), span.span_id().to_string()))
        });
        match self.format {
            LogFormat::Text => text(&mut writer, event, now, trace.as_ref()),
            LogFormat::Json => json(&mut writer, event, now, trace),
        }
    }
}

type Trace = (String, String);

fn text(
    writer: &mut Writer<'_>,
    event: &Event<'_>,
    now: jiff::Timestamp,
    trace: Option<&Trace>,
) -> fmt::Result {
    let metadata = event.metadata();
    write!(writer, "{now:.3} {:>5} {}:", metadata.level(), metadata.target())?;
    let mut fields = TextFields {
        message: String::new(),
        rest: String::new(),
    };
    event.record(&mut fields);
    write!(writer, " {}{}", fields.message, fields.rest)?;
    if let Some((trace_id, _)) = trace {
        write!(writer, " trace_id={trace_id}")?;
    }
    writeln!(writer)
}

struct TextFields {
    message: String,
    rest: String,
}

impl Visit for TextFields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = if field.name() == "message" {
            write!(self.message, "{value:?}")
        } else {
            write!(self.rest, " {}={value:?}", field.name())
        };
    }
}

fn json(
    writer: &mut Writer<'_>,
    event: &Event<'_>,
    now: jiff::Timestamp,
    trace: Option<Trace>,
) -> fmt::Result {
    let metadata = event.metadata();
    let mut line = Map::new();
    line.insert("timestamp".into(), Value::from(format!("{now:.3}")));
    line.insert("level".into(), Value::from(level(*metadata.level())));
    line.insert("target".into(), Value::from(metadata.target()));
    let mut fields = JsonFields(&mut line);
    event.record(&mut fields);
    if let Some((trace_id, span_id)) = trace {
        line.insert("trace_id".into(), Value::from(trace_id));
        line.insert("span_id".into(), Value::from(span_id));
    }
    writeln!(writer, "{}", Value::Object(line))
}

fn level(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

struct JsonFields<'a>(&'a mut Map<String, Value>);

impl JsonFields<'_> {
    fn insert(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for JsonFields<'_> {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.insert(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.insert(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.insert(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.insert(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.insert(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.insert(field, format!("{value:?}"));
    }
}
