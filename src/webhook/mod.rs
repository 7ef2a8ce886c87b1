//! The webhook, to which the provider posts events: verify, make durable,
//! answer 204.
//!
//! Owns a listener of its own. Guarantees that a body is not parsed before its
//! signature is verified, that 204 is answered only for what is durable, and
//! that a peer that is slow, endless or malformed does not affect others:
//! headers, bodies, connections and time are bounded. What events mean is left
//! to others.

mod answer;
mod arrival;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod listener;
mod secrets;
mod signature;

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config;
use crate::service::Events;
use crate::telemetry::Metrics;
use answer::Endpoint;
use secrets::Secrets;

/// The webhook, ready to serve.
pub struct Webhook {
    config: config::Webhook,
    secrets: Secrets,
    events: Events,
    metrics: Arc<Metrics>,
}

impl Webhook {
    /// Reads the secrets. `None` when events are not to be accepted.
    pub async fn new(config: config::Webhook, events: Events, metrics: Arc<Metrics>) -> Option<Self> {
        let secrets = Secrets::of(&config.trust).await?;
        Some(Self {
            config,
            secrets,
            events,
            metrics,
        })
    }

    /// Accepts events until asked to stop; requests that were received by then
    /// are still answered, within the bounds of a request.
    pub async fn serve(self, listener: TcpListener, stop: CancellationToken) {
        let secrets = Arc::new(self.secrets);
        let endpoint = Arc::new(Endpoint {
            path: self.config.path.clone(),
            max_body_bytes: self.config.max_body_bytes,
            read_timeout: self.config.read_timeout,
            commit_timeout: self.config.commit_timeout,
            secrets: Arc::clone(&secrets),
            events: self.events,
            metrics: self.metrics,
        });
        tokio::join!(
            listener::accept(listener, &self.config, endpoint, stop.clone()),
            stop.run_until_cancelled(secrets.keep_current()),
        );
    }
}
