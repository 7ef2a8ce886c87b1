//! One request on its way through the simulator.
//!
//! Head, fault, body, journal, then the provider. What has been read whole is
//! carried out even when its caller has gone meanwhile; what a fault stops
//! before that leaves no trace but in the journal and the counters.

use std::{sync::Arc, time::Duration};

use crate::{
    api::dispatch,
    faults::fault::Fault,
    http::{
        connection::Fate,
        counters::{Counters, InFlight},
        distortion,
        distortion::Rest,
        problem::Problem,
        reply::Reply,
        request::Call,
        routes,
        server::{Availability, Server},
    },
    world::provider::Provider,
};
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header, request::Parts};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

/// More than any request of the contract needs.
const BODY_LIMIT: usize = 1024 * 1024;
const REQUEST_ID: HeaderName = HeaderName::from_static("x-tsl-request-id");

/// Answers a request, or ends its connection and never returns.
pub(crate) async fn exchange(server: Arc<Server>, fate: Fate, request: Request<Incoming>) -> Response<Body> {
    let provider = &server.provider;
    let (parts, body) = request.into_parts();
    let found = routes::find(parts.uri.path());
    let in_flight = provider.counters.begin(&parts.method, found.as_ref());
    let fault = if server.availability() == Availability::Silent {
        Some((Fault::Hang, false))
    } else {
        provider
            .faults
            .take(&parts.method, parts.uri.path(), found.as_ref())
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
    let at = crate::world::clock::iso(provider.clock.now());
    let number = provider
        .journal
        .record(at, &call, query.as_deref(), &request_id.to_string());
    let exchange = Exchange {
        server: &server,
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
    server: &'a Arc<Server>,
    fate: &'a Fate,
    in_flight: &'a InFlight<'a>,
    number: u64,
    request_id: Uuid,
}

impl Exchange<'_> {
    fn provider(&self) -> &Provider {
        &self.server.provider
    }

    async fn run(&self, call: Arc<Call>, fault: Option<(Fault, bool)>) -> Response<Body> {
        let latency = self.provider().settings.load().latency;
        let Some((fault, commit)) = fault else {
            let reply = if latency.is_zero() {
                dispatch::answer(self.provider(), &call)
            } else {
                self.carry_out_after(&call, tokio::time::sleep(latency)).await
            };
            return self.send(reply).into_response();
        };
        self.provider().journal.set_fault(self.number, fault.name());
        Counters::bump(&self.provider().counters.faults_applied);
        if fault == Fault::AfterEvents {
            let reply = self.answer_after_events(&call).await;
            self.send(reply).into_response()
        } else if commit {
            let reply = dispatch::answer(self.provider(), &call);
            self.distort(fault, &call, Some(reply)).await
        } else {
            self.distort(fault, &call, None).await
        }
    }

    /// Lets a fault act. `done` is the true answer when the request has been carried out already.
    async fn distort(&self, fault: Fault, call: &Arc<Call>, done: Option<Reply>) -> Response<Body> {
        let reply = match fault {
            Fault::Pass | Fault::AfterEvents => {
                done.unwrap_or_else(|| dispatch::answer(self.provider(), call))
            }
            Fault::Delay { duration } => self.held(call, done, tokio::time::sleep(duration)).await,
            Fault::Hold { gate } => {
                let server = Arc::clone(self.server);
                let wait = async move { server.provider.gates.wait(&gate).await };
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
        let outbox = &self.provider().outbox;
        let before = outbox.last_event();
        let reply = dispatch::answer(self.provider(), call);
        outbox.until_arrived(before + 1..=outbox.last_event()).await;
        reply
    }

    /// Carries out, in a task of its own, this much later than what it gives has been dropped.
    fn carry_out_once_gone(&self, call: &Arc<Call>, duration: Duration) -> DropGuard {
        let gone = CancellationToken::new();
        let here = gone.clone().drop_guard();
        let server = Arc::clone(self.server);
        let call = Arc::clone(call);
        self.server.spawn(async move {
            gone.cancelled().await;
            tokio::time::sleep(duration).await;
            dispatch::answer(&server.provider, &call);
        });
        here
    }

    /// Waits and carries out in a task of its own: a caller that gives up meanwhile changes nothing.
    async fn carry_out_after(
        &self,
        call: &Arc<Call>,
        wait: impl Future<Output = ()> + Send + 'static,
    ) -> Reply {
        let server = Arc::clone(self.server);
        let call = Arc::clone(call);
        let work = self.server.spawn(async move {
            wait.await;
            dispatch::answer(&server.provider, &call)
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
        self.provider()
            .journal
            .set_status(self.number, reply.status.as_u16());
        match HeaderValue::from_str(&self.request_id.to_string()) {
            Ok(value) => reply.with(REQUEST_ID, value),
            Err(_) => reply,
        }
    }
}

/// Whether a request is for the control API, which faults do not touch.
pub(crate) fn is_control(parts: &Parts) -> bool {
    let path = parts.uri.path();
    path == crate::control::http::PREFIX || path.starts_with("/__sandbox/")
}
