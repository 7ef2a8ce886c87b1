//! What operators see of an attempt: a measurement, attributes of its span, and
//! a log line for what may need them.
//!
//! Log lines about failures are limited for each API and kind of failure: in an
//! outage one line counts many.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Method;
use tokio::time::Instant;
use tracing::Span;
use url::Url;

use super::answer::Answer;
use super::endpoint::{Api, Endpoint};
use super::error::CallError;
use crate::telemetry::metrics::Exchange;
use crate::telemetry::{LogLimit, Metrics};

/// Lines a minute about one kind of failure of one API: enough for rare failures to
/// have one each, with the request id that the provider's support asks for.
const LINES_A_MINUTE: u32 = 3;

/// Observes attempts.
pub(super) struct Observer {
    metrics: Arc<Metrics>,
    address: Arc<str>,
    port: Option<u16>,
    limits: Mutex<HashMap<(Api, &'static str), LogLimit>>,
}

/// An attempt that has ended.
pub(super) struct Ended<'a> {
    pub(super) method: &'a Method,
    pub(super) endpoint: &'static Endpoint,
    pub(super) span: &'a Span,
    /// Status of the answer; `None` when none began.
    pub(super) status: Option<u16>,
    pub(super) result: &'a Result<Answer, CallError>,
    pub(super) took: Duration,
}

impl Observer {
    /// Of attempts at this server.
    pub(super) fn new(server: &Url, metrics: Arc<Metrics>) -> Self {
        Self {
            metrics,
            address: server.host_str().unwrap_or_default().into(),
            port: server.port_or_known_default(),
            limits: Mutex::default(),
        }
    }

    /// `server.address`.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// `server.port`; a number that the tracing bridge can pass on.
    pub(super) fn port(&self) -> Option<i64> {
        self.port.map(i64::from)
    }

    /// Measures it, completes its span and writes its log line.
    pub(super) fn observe(&self, ended: &Ended<'_>) {
        let failure = ended.result.as_ref().err();
        let error_type = failure.map(CallError::error_type);
        self.metrics.exchange(&Exchange {
            api: ended.endpoint.api.name(),
            outcome: failure.map_or("ok", CallError::kind),
            method: ended.method.as_str(),
            template: ended.endpoint.template,
            address: &self.address,
            port: self.port,
            status: ended.status,
            error_type: error_type.as_deref(),
            took: ended.took,
        });
        if let Some((failure, error_type)) = failure.zip(error_type.as_deref()) {
            ended.span.record("error.type", error_type);
            ended.span.record("otel.status_code", "ERROR");
            ended.span.in_scope(|| self.log(ended, failure));
        }
    }

    fn log(&self, ended: &Ended<'_>, failure: &CallError) {
        let (api, template) = (ended.endpoint.api.name(), ended.endpoint.template);
        let kind = failure.kind();
        let status = ended.status.map(i64::from);
        let detail = failure.provider_detail();
        let (code, request_id) = (detail.code.as_deref(), detail.request_id.as_deref());
        if kind == "refused" {
            tracing::debug!(
                api,
                template,
                status,
                code,
                request_id,
                "the provider refused a request"
            );
        } else if let Some(failures) = self.due(ended.endpoint.api, kind) {
            tracing::warn!(
                api,
                template,
                failure = kind,
                status,
                code,
                request_id,
                failures,
                "a request to the provider failed: {failure}"
            );
        }
    }

    /// When a line is due: how many failures of this kind there were since the
    /// last one.
    fn due(&self, api: Api, kind: &'static str) -> Option<u64> {
        let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        let limit = limits
            .entry((api, kind))
            .or_insert_with(|| LogLimit::a_minute(LINES_A_MINUTE));
        limit.add(Instant::now())
    }
}
