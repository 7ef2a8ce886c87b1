//! The tasks that send events and let time pass.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, Request, header};
use http_body_util::Full;
use hyper::rt::Executor;
use hyper_util::client::legacy::{Client, connect::HttpConnector};

use crate::{
    tasks::Tasks,
    webhooks::{
        delivery::Delivery,
        message::Message,
        outbox::{Next, Outbox},
        receiver::Webhook,
    },
    world::{clock::iso, provider::Provider},
};

const SIGNATURE: HeaderName = HeaderName::from_static("x-tsl-signature-256");

/// Runs the client's connections among the simulator's tasks.
#[derive(Clone)]
struct Owned(Tasks);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Owned {
    fn execute(&self, work: F) {
        self.0.spawn(work);
    }
}

type Sender = Client<HttpConnector, Full<Bytes>>;

/// Sends what is due, for as long as the simulator runs.
pub(crate) async fn send(provider: Arc<Provider>, outbox: Arc<Outbox>, tasks: Tasks) {
    let sender: Sender = Client::builder(Owned(tasks.clone())).build_http();
    let mut changes = outbox.changes();
    loop {
        changes.borrow_and_update();
        let at_a_time = provider.settings.load().webhooks.in_flight;
        match outbox.next(provider.clock.now(), at_a_time) {
            Next::Send(number, message, webhook) => {
                let ends = (Arc::clone(&provider), Arc::clone(&outbox));
                tasks.spawn(attempt(ends, sender.clone(), number, message, webhook));
            }
            Next::WaitUntil(due) => {
                tokio::select! {
                    _ = changes.changed() => {}
                    () = provider.clock.until(due) => {}
                }
            }
            Next::Wait => {
                if changes.changed().await.is_err() {
                    return;
                }
            }
        }
    }
}

async fn attempt(
    (provider, outbox): (Arc<Provider>, Arc<Outbox>),
    sender: Sender,
    number: u64,
    message: Message,
    webhook: Arc<Webhook>,
) {
    let settings = provider.settings.load();
    let (body, signature) = message.posted(webhook.secret.as_deref());
    let answer = match request(&webhook, body.clone(), signature.as_deref()) {
        Ok(request) => match tokio::time::timeout(settings.webhooks.timeout, sender.request(request)).await {
            Ok(Ok(response)) => Ok(response.status().as_u16()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("no answer in time".to_owned()),
        },
        Err(error) => Err(error.to_string()),
    };
    let now = provider.clock.now();
    let delivery = Delivery {
        number: 0,
        at: iso(now),
        url: webhook.url.clone(),
        event_type: message.event_type.clone(),
        event_id: message.event_id.clone(),
        attempt: message.failures + 1,
        disturbance: message.disturbance().map(|disturbance| disturbance.name()),
        signature,
        body: String::from_utf8_lossy(&body).into_owned(),
        status: answer.as_ref().ok().copied(),
        error: answer.err(),
    };
    outbox.ended(number, message, delivery, now, &settings.webhooks);
}

fn request(
    webhook: &Webhook,
    body: Bytes,
    signature: Option<&str>,
) -> Result<Request<Full<Bytes>>, http::Error> {
    let mut request = Request::post(&webhook.url).header(header::CONTENT_TYPE, "application/json");
    if let Some(signature) = signature {
        request = request.header(SIGNATURE, signature);
    }
    request.body(Full::new(body))
}

/// Does what becomes due between reads, as long as there is a receiver. Without a receiver no timer runs, so
/// that a paused clock does not jump.
pub(crate) async fn keep_time(provider: Arc<Provider>, outbox: Arc<Outbox>) {
    let mut changes = outbox.changes();
    loop {
        provider.catch_up();
        changes.borrow_and_update();
        if !outbox.is_wanted() {
            if changes.changed().await.is_err() {
                return;
            }
            continue;
        }
        match provider.agenda.next() {
            Some(at) => {
                tokio::select! {
                    () = provider.clock.until(at) => {}
                    () = provider.agenda.sooner() => {}
                }
            }
            None => provider.agenda.sooner().await,
        }
    }
}
