//! Health of the server and of each service, by the gRPC health protocol.
//!
//! `tonic-health` starts with the server (`""`) as SERVING; here it is
//! NOT_SERVING until the gateway sets it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health as HealthApi, HealthServer};
use tonic_health::server::HealthReporter;

/// The answers to health checks and readiness probes.
#[derive(Clone)]
pub struct Health {
    reporter: HealthReporter,
    ready: Arc<AtomicBool>,
    /// It will not become ready again.
    failed: Arc<AtomicBool>,
    services: &'static [&'static str],
}

impl Health {
    /// Health of these services; nothing serves yet.
    pub async fn new(services: &'static [&'static str]) -> (Self, HealthServer<impl HealthApi>) {
        let (reporter, server) = tonic_health::server::health_reporter();
        let health = Self {
            reporter,
            ready: Arc::default(),
            failed: Arc::default(),
            services,
        };
        health.set(false).await;
        (health, server)
    }

    /// Sets the answer to checks and watches. After a failure it is never
    /// serving.
    pub async fn set(&self, serving: bool) {
        self.publish(serving && !self.failed.load(Ordering::SeqCst)).await;
        // It may have failed meanwhile.
        if serving && self.failed.load(Ordering::SeqCst) {
            self.publish(false).await;
        }
    }

    /// A required part has failed permanently.
    pub async fn fail(&self) {
        self.failed.store(true, Ordering::SeqCst);
        self.publish(false).await;
    }

    async fn publish(&self, serving: bool) {
        self.ready.store(serving, Ordering::Relaxed);
        let status = if serving {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        };
        for service in self.services.iter().copied().chain([""]) {
            self.reporter.set_service_status(service, status).await;
        }
    }

    /// Ends every watch after its last answer; checks are not answered any
    /// more. An open watch would delay the drain up to its limit.
    pub async fn end(&self) {
        let mut reporter = self.reporter.clone();
        for service in self.services.iter().copied().chain([""]) {
            reporter.clear_service_status(service).await;
        }
    }

    /// Whether calls should be sent here.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }
}
