//! The webhook, to which the provider posts events: verify, make durable,
//! answer 204.
//!
//! Owns a port of its own, with bounds on connections, bodies and time.
//! Guarantees that a body is not parsed before its signature is verified, and
//! that 204 is answered only for what is durable. What events mean is left to
//! others.

mod answer;
mod arrival;
mod diagnosis;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod secrets;
mod signature;

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config;
use crate::listener::{self, Limits, Listener};
use crate::service::Events;
use crate::telemetry::Metrics;
use answer::Endpoint;
use diagnosis::Diagnosis;
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
        let limits = Limits {
            connections: self.config.max_connections,
            head: self.config.read_timeout,
            idle: self.config.idle_timeout,
        };
        let secrets = Arc::new(self.secrets);
        let endpoint = Arc::new(Endpoint {
            path: self.config.path,
            allowed_addresses: self.config.allowed_addresses,
            max_body_bytes: self.config.max_body_bytes,
            read_timeout: self.config.read_timeout,
            commit_timeout: self.config.commit_timeout,
            secrets: Arc::clone(&secrets),
            diagnosis: Diagnosis::default(),
            events: self.events,
            metrics: self.metrics,
        });
        tokio::join!(
            listener::serve(Listener::new(listener, "webhook"), limits, endpoint, stop.clone()),
            stop.run_until_cancelled(secrets.keep_current()),
        );
    }
}
