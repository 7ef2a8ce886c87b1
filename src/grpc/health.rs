//! Health of the server and of each service, by the gRPC health protocol.
//!
//! `tonic-health` starts with the server (`""`) as SERVING; here it is
//! NOT_SERVING until the gateway sets it.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};

/// The answers to health checks and readiness probes.
#[derive(Clone)]
pub struct Health {
    reporter: HealthReporter,
    ready: Arc<AtomicBool>,
    /// It will not become ready again.
    failed: Arc<AtomicBool>,
    /// What it waits for while it is not ready.
    reason: Arc<Mutex<Cow<'static, str>>>,
    services: &'static [&'static str],
}

impl Health {
    /// Health of these services; nothing serves yet.
    pub async fn new(services: &'static [&'static str]) -> Self {
        let health = Self {
            reporter: HealthReporter::new(),
            ready: Arc::default(),
            failed: Arc::default(),
            reason: Arc::new(Mutex::new("starting".into())),
            services,
        };
        health.set(false).await;
        health
    }

    /// What answers the checks of callers.
    pub fn server(&self) -> HealthServer<HealthService> {
        HealthServer::new(HealthService::from_health_reporter(self.reporter.clone()))
    }

    /// Says what it waits for while it is not ready.
    pub fn explain(&self, reason: impl Into<Cow<'static, str>>) {
        *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = reason.into();
    }

    /// Why no calls should be sent here; `None` when they should.
    pub fn not_ready(&self) -> Option<Cow<'static, str>> {
        if self.ready.load(Ordering::Relaxed) {
            return None;
        }
        if self.failed.load(Ordering::SeqCst) {
            return Some("background work ended by a defect: restart it".into());
        }
        Some(self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone())
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
}
