//! One request on its way through the simulator.
//!
//! Head, fault, body, journal, then the provider. What has been read whole is
//! carried out even when its caller has gone meanwhile; what a fault stops
//! before that leaves no trace but in the journal and the counters.

use std::{sync::Arc, time::Duration};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use jiff::{Timestamp, fmt::rfc2822::DateTimePrinter};
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use crate::{
    faults::{fault::Fault, gates::Gates, script::Faults},
    http::{
        connection::Fate,
        counters::{Counters, InFlight},
        distortion,
        distortion::Rest,
        journal::Journal,
        problem::Problem,
        reply::Reply,
        request::Call,
        routes,
    },
    tasks::Tasks,
    webhooks::outbox::Outbox,
    world::{clock::iso, provider::Provider},
};

/// A moment as HTTP writes it; empty beyond the year 9999.
fn http_date(at: Timestamp) -> String {
    DateTimePrinter::new()
        .timestamp_to_rfc9110_string(&at)
        .unwrap_or_default()
}

/// More than any request of the contract needs.
const BODY_LIMIT: usize = 1024 * 1024;
const REQUEST_ID: HeaderName = HeaderName::from_static("x-tsl-request-id");

/// Carries a request out. Given at the start, so that this folder need not know the APIs.
pub(crate) type Answer = fn(&Provider, &Call) -> Reply;

/// Everything that requests pass through.
#[derive(Debug)]
pub(crate) struct Requests {
    pub(crate) provider: Arc<Provider>,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) faults: Faults,
    pub(crate) gates: Gates,
    pub(crate) counters: Counters,
    pub(crate) journal: Journal,
    pub(crate) tasks: Tasks,
    answer: Answer,
}

impl Requests {
    /// Keeps the last `kept` requests in its journal.
    pub(crate) fn new(
        provider: Arc<Provider>,
        outbox: Arc<Outbox>,
        tasks: Tasks,
        kept: usize,
        answer: Answer,
    ) -> Self {
        Self {
            provider,
            outbox,
            faults: Faults::default(),
            gates: Gates::default(),
            counters: Counters::default(),
            journal: Journal::new(kept),
            tasks,
            answer,
        }
    }

    fn answer(&self, call: &Call) -> Reply {
        (self.answer)(&self.provider, call)
    }
}

/// Answers a request, or ends its connection and never returns.
pub(crate) async fn exchange(
    requests: Arc<Requests>,
    silent: bool,
    fate: Fate,
    request: Request<Incoming>,
) -> Response<Body> {
    let provider = &requests.provider;
    let (parts, body) = request.into_parts();
    let found = routes::find(parts.uri.path());
    let in_flight = requests.counters.begin(&parts.method, found.as_ref());
    let fault = if silent {
        Some((Fault::Hang, false))
    } else {
        let template = found.as_ref().map(|found| found.route.template);
        requests.faults.take(&parts.method, &parts.uri, template)
    };
    let request_id = provider.next_request_id();
    let query = parts.uri.query().map(str::to_owned);

    // A reset without commit comes before the body is read, as from a load balancer that lost its backend.
    let body = match &fault {
        Some((Fault::Reset, false)) => Ok(Bytes::new()),
        _ => read_whole(body).await,
    };
    let (call, unreadable) = match body {
        Ok(body) => (Call::new(parts, found, body), None),
        Err(failure) => (Call::new(parts, found, Bytes::new()), Some(failure)),
    };
    let at = iso(provider.clock.now());
    let number = requests
        .journal
        .record(at, &call, query.as_deref(), &request_id.to_string());
    let exchange = Exchange {
        requests: &requests,
        fate: &fate,
        in_flight: &in_flight,
        number,
        request_id,
    };
    match unreadable {
        Some(Unreadable::TooLarge) => exchange
            .send(Problem::payload_too_large().into_reply(&call.path))
            .into_response(),
        Some(Unreadable::Broken) => {
            fate.close();
            std::future::pending().await
        }
        None => exchange.run(Arc::new(call), fault).await,
    }
}

/// Why a body could not be read.
enum Unreadable {
    TooLarge,
    /// The caller has gone, or does not speak HTTP.
    Broken,
}

async fn read_whole(body: Incoming) -> Result<Bytes, Unreadable> {
    match Limited::new(body, BODY_LIMIT).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Unreadable::TooLarge),
        Err(_) => Err(Unreadable::Broken),
    }
}

/// A request whose body is there, and what is needed to answer it.
struct Exchange<'a> {
    requests: &'a Arc<Requests>,
    fate: &'a Fate,
    in_flight: &'a InFlight<'a>,
    number: u64,
    request_id: Uuid,
}

impl Exchange<'_> {
    async fn run(&self, call: Arc<Call>, fault: Option<(Fault, bool)>) -> Response<Body> {
        let latency = self.requests.provider.settings.load().latency;
        let Some((fault, commit)) = fault else {
            let reply = if latency.is_zero() {
                self.requests.answer(&call)
            } else {
                self.carry_out_after(&call, tokio::time::sleep(latency)).await
            };
            return self.send(reply).into_response();
        };
        self.requests.journal.set_fault(self.number, fault.name());
        Counters::bump(&self.requests.counters.faults_applied);
        if fault == Fault::AfterEvents {
            let reply = self.answer_after_events(&call).await;
            self.send(reply).into_response()
        } else if commit {
            let reply = self.requests.answer(&call);
            self.distort(fault, &call, Some(reply)).await
        } else {
            self.distort(fault, &call, None).await
        }
    }

    /// Lets a fault act. `done` is the true answer when the request has been carried out already.
    async fn distort(&self, fault: Fault, call: &Arc<Call>, done: Option<Reply>) -> Response<Body> {
        let reply = match fault {
            Fault::Pass | Fault::AfterEvents => done.unwrap_or_else(|| self.requests.answer(call)),
            Fault::Delay { duration } => self.held(call, done, tokio::time::sleep(duration)).await,
            Fault::Hold { gate } => {
                let requests = Arc::clone(self.requests);
                let wait = async move { requests.gates.wait(&gate).await };
                self.held(call, done, wait).await
            }
            Fault::Status {
                status,
                title,
                body,
                headers,
            } => distortion::status(&call.path, status, title.as_deref(), body.as_deref(), &headers),
            Fault::RateLimited { retry_after } => {
                let reply = distortion::usual_error(&call.path, StatusCode::TOO_MANY_REQUESTS, None);
                match retry_after {
                    Some(wait) => reply.with(header::RETRY_AFTER, HeaderValue::from(wait.as_secs())),
                    None => reply,
                }
            }
            Fault::Unauthorized => distortion::usual_error(&call.path, StatusCode::UNAUTHORIZED, None),
            Fault::Reset => {
                self.fate.reset();
                std::future::pending().await
            }
            Fault::Close => {
                self.fate.close();
                std::future::pending().await
            }
            Fault::OnceGone { duration } => {
                let _here = match done {
                    Some(_) => None,
                    None => Some(self.carry_out_once_gone(call, duration)),
                };
                std::future::pending().await
            }
            Fault::Hang => std::future::pending().await,
            Fault::Garbage => distortion::garbage(),
            Fault::Html => distortion::html(),
            Fault::Truncated => {
                return distortion::cut(self.send(done.unwrap_or_else(distortion::garbage)), Rest::Closed);
            }
            Fault::Stalled => {
                return distortion::cut(
                    self.send(done.unwrap_or_else(distortion::garbage)),
                    Rest::NeverComes,
                );
            }
            Fault::Oversize { bytes } => {
                let mut response = distortion::oversize(bytes);
                response
                    .headers_mut()
                    .extend(self.send(Reply::empty(StatusCode::OK)).headers);
                return response;
            }
        };
        self.send(reply).into_response()
    }

    /// The true answer after a wait that comes before carrying out, or after when it is `done`.
    async fn held(
        &self,
        call: &Arc<Call>,
        done: Option<Reply>,
        wait: impl Future<Output = ()> + Send + 'static,
    ) -> Reply {
        match done {
            Some(reply) => {
                wait.await;
                reply
            }
            None => self.carry_out_after(call, wait).await,
        }
    }

    /// Carries out at once, and answers when the events have arrived that came about meanwhile.
    async fn answer_after_events(&self, call: &Arc<Call>) -> Reply {
        let outbox = &self.requests.outbox;
        let before = outbox.last_event();
        let reply = self.requests.answer(call);
        outbox.until_arrived(before + 1..=outbox.last_event()).await;
        reply
    }

    /// Carries out, in a task of its own, this much later than what it gives has been dropped.
    fn carry_out_once_gone(&self, call: &Arc<Call>, duration: Duration) -> DropGuard {
        let gone = CancellationToken::new();
        let here = gone.clone().drop_guard();
        let requests = Arc::clone(self.requests);
        let call = Arc::clone(call);
        self.requests.tasks.spawn(async move {
            gone.cancelled().await;
            tokio::time::sleep(duration).await;
            requests.answer(&call);
        });
        here
    }

    /// Waits and carries out in a task of its own: a caller that gives up meanwhile changes nothing.
    async fn carry_out_after(
        &self,
        call: &Arc<Call>,
        wait: impl Future<Output = ()> + Send + 'static,
    ) -> Reply {
        let requests = Arc::clone(self.requests);
        let call = Arc::clone(call);
        let work = self.requests.tasks.spawn(async move {
            wait.await;
            requests.answer(&call)
        });
        match work.await {
            Ok(Some(reply)) => reply,
            // The simulator stops; the connection is about to end.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }

    /// Notes the answer as given and puts the request id on it.
    fn send(&self, reply: Reply) -> Reply {
        self.in_flight.answered(reply.status.as_u16());
        self.requests
            .journal
            .set_status(self.number, reply.status.as_u16());
        let now = Timestamp::now() + self.requests.provider.settings.load().date_skew;
        let reply = match HeaderValue::from_str(&http_date(now)) {
            Ok(date) => reply.with(header::DATE, date),
            Err(_) => reply,
        };
        match HeaderValue::from_str(&self.request_id.to_string()) {
            Ok(value) => reply.with(REQUEST_ID, value),
            Err(_) => reply,
        }
    }
}
