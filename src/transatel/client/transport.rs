//! The one function that sends.
//!
//! One attempt: a span, the trace context in the headers, bounds on the time
//! and on the size of the answer, and a classification of how it ended.
//! Retries and tokens are the caller's (`call`). No identifier, query string,
//! token or body reaches a span or a log from here.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, ACCEPT_LANGUAGE, ALLOW, AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method};
use tokio::time::Instant;
use tracing::{Instrument as _, Span, field};
use url::{Host, Url};

use super::answer::{Answer, Options};
use super::date;
use super::endpoint::{Endpoint, Kind};
use super::error::{CallError, Refusal, retry_after};
use super::leased_body::{LeaseOver, LeasedBody};
use super::observation::{Ended, Observer};
use super::request::Request;
use crate::config::{Outbound, Transatel};
use crate::domain::{Deadline, Lease};
use crate::telemetry::metrics::ReferenceClock;
use crate::telemetry::{ClockReading, Metrics, propagation};

/// The provider's name for the id of a request, which its support asks for.
pub const REQUEST_ID: &str = "x-tsl-request-id";

/// Kept back from a deadline, so that an answer can still reach the caller.
const DEADLINE_MARGIN: Duration = Duration::from_millis(50);

/// Why the HTTP client cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// TLS or the proxy cannot be set up.
    #[error("cannot prepare the HTTP client: {0}")]
    Client(#[from] reqwest::Error),
    /// The additional certificates cannot be read.
    #[error("cannot read {file} (transatel.ca_file): {error}")]
    Authorities {
        /// The file.
        file: String,
        /// Why not.
        error: std::io::Error,
    },
}

/// One attempt at a call.
#[derive(Clone, Copy)]
pub struct Attempt<'a> {
    /// What is sent.
    pub request: &'a Request<'a>,
    /// The value of its `Authorization` header.
    pub authorization: &'a HeaderValue,
    /// The bound on it, beside the deadline.
    pub timeout: Duration,
    /// When it is given up; `None` for one that nobody in particular waits for.
    pub deadline: Option<Deadline>,
    /// Of a write: nothing is sent after it has ended.
    pub lease: Option<&'a Lease>,
    /// Earlier attempts at the same call.
    pub resend: u32,
}

/// An attempt that needs nothing of its caller any more.
struct Prepared {
    request: reqwest::RequestBuilder,
    method: Method,
    endpoint: &'static Endpoint,
    bound: Duration,
    by_deadline: bool,
    span: Span,
}

/// Connections to the provider.
pub struct Transport {
    reads: reqwest::Client,
    /// Without idle connections: on one that the provider has just closed, the
    /// outcome of an order would be unknown, while a connection that cannot be
    /// made proves that nothing was sent.
    writes: reqwest::Client,
    base_url: Url,
    max_answer_bytes: usize,
    observer: Observer,
    pub(super) metrics: Arc<Metrics>,
}

impl Transport {
    /// Prepares connections; opens none.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(account: &Transatel, outbound: &Outbound, metrics: Arc<Metrics>) -> Result<Self, BuildError> {
        let base_url = account.base_url.clone();
        // The process may have installed it already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let authorities = authorities(outbound.ca_file.as_deref())?;
        let proxy = outbound.proxy.clone().map(reqwest::Proxy::all).transpose()?;
        let client = || {
            let builder = reqwest::Client::builder().tls_certs_merge(authorities.clone());
            let builder = match &proxy {
                Some(proxy) => builder.proxy(proxy.clone()),
                // The simulator, or something beside the process: a proxy of
                // the environment cannot reach it.
                None if account.simulated || is_loopback(&base_url) => builder.no_proxy(),
                None => builder,
            };
            builder
                .user_agent(concat!("transatel-gateway/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(outbound.connect_timeout)
                // The provider does not redirect; a redirected POST would be
                // sent twice.
                .redirect(reqwest::redirect::Policy::none())
                // What is repeated is decided in `call` alone.
                .retry(reqwest::retry::never())
        };
        Ok(Self {
            reads: client()
                .pool_idle_timeout(outbound.pool_idle_timeout)
                .http2_keep_alive_interval(outbound.http2_keepalive_interval)
                .http2_keep_alive_timeout(outbound.connect_timeout)
                .build()?,
            // HTTP/1: no other request shares the connection, and none is
            // kept.
            writes: client().http1_only().pool_max_idle_per_host(0).build()?,
            observer: Observer::new(&base_url, Arc::clone(&metrics)),
            base_url,
            max_answer_bytes: outbound.max_answer_bytes,
            metrics,
        })
    }

    /// Sends once and reads the answer within the timeout and the deadline.
    /// The future borrows nothing, so that it can outlive the caller.
    ///
    /// Cancel-safe in that nothing is left running; the provider may still
    /// have carried the request out.
    ///
    /// # Errors
    /// Every [`CallError`] but [`CallError::Token`].
    pub fn exchange(
        self: &Arc<Self>,
        attempt: Attempt<'_>,
    ) -> impl Future<Output = Result<Answer, CallError>> + Send + use<> {
        let prepared = self.prepare(attempt);
        let transport = Arc::clone(self);
        async move {
            let (method, endpoint) = (prepared.method.clone(), prepared.endpoint);
            let span = prepared.span.clone();
            // 0 until an answer has begun.
            let status = AtomicU16::new(0);
            let started = Instant::now();
            // Boxed: it is a part of every future that asks the provider.
            let sent = Box::pin(transport.bounded(prepared, &status));
            let result = sent.instrument(span.clone()).await;
            transport.observer.observe(&Ended {
                method: &method,
                endpoint,
                span: &span,
                status: Some(status.into_inner()).filter(|status| *status != 0),
                result: &result,
                took: started.elapsed(),
            });
            result
        }
    }

    fn prepare(&self, attempt: Attempt<'_>) -> Prepared {
        let request = attempt.request;
        let span = propagation::part(|| self.span(request, attempt.resend));
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, attempt.authorization.clone());
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(language) = request
            .language
            .and_then(|language| HeaderValue::from_str(language).ok())
        {
            headers.insert(ACCEPT_LANGUAGE, language);
        }
        propagation::inject(&span, &mut headers);
        let client = match request.kind {
            Kind::Read => &self.reads,
            Kind::Write => &self.writes,
        };
        let mut builder = client.request(request.method.clone(), request.url(&self.base_url));
        if let Some((content_type, body)) = &request.body {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
            builder = builder.body(match attempt.lease {
                Some(lease) => reqwest::Body::wrap(LeasedBody::new(body.clone(), lease.clone())),
                None => reqwest::Body::from(body.clone()),
            });
        }
        let left = attempt.deadline.map(time_to_answer);
        Prepared {
            request: builder.headers(headers),
            method: request.method.clone(),
            endpoint: request.endpoint,
            bound: left.map_or(attempt.timeout, |left| left.min(attempt.timeout)),
            by_deadline: left.is_some_and(|left| left < attempt.timeout),
            span,
        }
    }

    fn span(&self, request: &Request<'_>, resend: u32) -> Span {
        let span = tracing::info_span!(
            "http",
            otel.name = format_args!("{} {}", request.method, request.endpoint.template),
            otel.kind = "client",
            otel.status_code = field::Empty,
            http.request.method = request.method.as_str(),
            http.request.resend_count = field::Empty,
            http.response.status_code = field::Empty,
            url.template = request.endpoint.template,
            server.address = self.observer.address(),
            server.port = self.observer.port(),
            transatel.api = request.endpoint.api.name(),
            transatel.request_id = field::Empty,
            error.type = field::Empty,
        );
        if resend > 0 {
            // The tracing bridge has no unsigned numbers.
            span.record("http.request.resend_count", i64::from(resend));
        }
        span
    }

    async fn bounded(&self, prepared: Prepared, status: &AtomicU16) -> Result<Answer, CallError> {
        let (bound, by_deadline) = (prepared.bound, prepared.by_deadline);
        if bound.is_zero() {
            return Err(CallError::NoTimeLeft);
        }
        match tokio::time::timeout(bound, self.send(prepared, status)).await {
            Ok(result) => result,
            Err(_) => Err(CallError::Timeout { by_deadline }),
        }
    }

    async fn send(&self, prepared: Prepared, begun: &AtomicU16) -> Result<Answer, CallError> {
        let Prepared {
            request,
            endpoint,
            span,
            ..
        } = prepared;
        let began = Instant::now();
        let response = request.send().await.map_err(|error| classify(&error))?;
        let clock = date::clock(response.headers(), began.elapsed());
        if let Some(reading) = clock {
            self.metrics.clock_read(ReferenceClock::Provider, reading);
        }

        let status = response.status();
        begun.store(status.as_u16(), Ordering::Relaxed);
        let header = |name: &str| response.headers().get(name)?.to_str().ok();
        let request_id = header(REQUEST_ID).map(str::to_owned);
        let options = options(response.headers(), clock);
        let retry_after = header(RETRY_AFTER.as_str()).and_then(retry_after);
        span.record("http.response.status_code", i64::from(status.as_u16()));
        if let Some(request_id) = &request_id {
            span.record("transatel.request_id", request_id.as_str());
        }
        let body = self.read(response, request_id.as_deref()).await;
        if status.is_success() {
            let body = body.inspect_err(|_| self.metrics.unreadable(endpoint.api.name()))?;
            return Ok(Answer {
                body,
                request_id,
                options,
                api: endpoint.api,
                metrics: Arc::clone(&self.metrics),
            });
        }
        // Whatever is wrong with the body, the status is the answer.
        let body = body.unwrap_or_default();
        Err(CallError::Refused(Refusal::read(
            status.as_u16(),
            &body,
            retry_after,
            request_id,
        )))
    }

    /// Reads a body up to the bound.
    async fn read(
        &self,
        mut response: reqwest::Response,
        request_id: Option<&str>,
    ) -> Result<Bytes, CallError> {
        let unreadable = |why: String, truncated| CallError::Unreadable {
            why,
            truncated,
            request_id: request_id.map(str::to_owned),
        };
        let too_long = || unreadable(format!("longer than {} bytes", self.max_answer_bytes), false);
        let announced = usize::try_from(response.content_length().unwrap_or_default()).unwrap_or(usize::MAX);
        if announced > self.max_answer_bytes {
            return Err(too_long());
        }
        // Allocated at once: a buffer that grows by doubling takes up to
        // twice the size of a catalog.
        let mut body = BytesMut::with_capacity(announced);
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() > self.max_answer_bytes => return Err(too_long()),
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => return Ok(body.freeze()),
                Err(_) => return Err(unreadable("ended before its end".to_owned(), true)),
            }
        }
    }
}

/// What only answers to `OPTIONS` have, and only they need.
fn options(headers: &HeaderMap, clock: Option<ClockReading>) -> Option<Box<Options>> {
    let text = |value: &HeaderValue| value.to_str().map(str::to_owned).ok();
    let allow: Vec<String> = headers.get_all(ALLOW).iter().filter_map(text).collect();
    (!allow.is_empty()).then(|| {
        Box::new(Options {
            allow: allow.join(","),
            clock,
        })
    })
}

/// What is left of a deadline for an answer of the provider.
pub(super) fn time_to_answer(deadline: Deadline) -> Duration {
    deadline.remaining().saturating_sub(DEADLINE_MARGIN)
}

/// Whether an address is this machine's own.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Certificates to trust in addition to the machine's.
fn authorities(file: Option<&str>) -> Result<Vec<reqwest::Certificate>, BuildError> {
    let Some(file) = file else {
        return Ok(Vec::new());
    };
    let pem = std::fs::read(file).map_err(|error| BuildError::Authorities {
        file: file.to_owned(),
        error,
    })?;
    Ok(reqwest::Certificate::from_pem_bundle(&pem)?)
}

/// Classifies the HTTP client's errors by phase. Its texts can name the URL with
/// its query, so only the causes below it are kept.
fn classify(error: &reqwest::Error) -> CallError {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    if cause.is::<LeaseOver>() {
        return CallError::NoTimeLeft;
    }
    if error.is_connect() || error.is_builder() {
        return CallError::Connect(cause.to_string());
    }
    if error.is_timeout() {
        return CallError::Timeout { by_deadline: false };
    }
    CallError::Broken(cause.to_string())
}
