//! The provider, as the rest of the gateway sees it.
//!
//! Owns every HTTP call and all of the provider's JSON: [`client`] makes
//! calls, [`api`] has the requests and answers of each of its APIs, [`event`]
//! reads what it posts to the webhook. Returns domain values only. Guarantees
//! that only a [`Kind::Read`](client::endpoint::Kind) is ever sent again.

pub mod api;
pub mod client;
pub mod event;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
#[cfg(test)]
mod hostile;
mod lenient;
mod moment;
pub mod probe;

use std::sync::Arc;

use crate::config;
use crate::domain::change::OptionalOperation;
use crate::telemetry::Metrics;
use client::call::Client;
use client::guard::Guards;
use client::retry::Backoff;
use client::token::TokenSource;
use client::transport::{BuildError, Transport};
use tokio_util::task::TaskTracker;

pub use client::error::CallError;

/// One account at the provider. Cheap to clone.
#[derive(Clone)]
pub struct Transatel {
    client: Arc<Client>,
    account: Arc<Account>,
}

/// What the account is, beyond its credentials.
struct Account {
    cos: String,
    mvno_ref: Option<String>,
    payment_provider: String,
    source: String,
    rate_plan: Option<String>,
    clears_labels: bool,
    enabled_operations: Vec<OptionalOperation>,
    cancel_renewal_order_type: String,
    terminate_order_type: String,
    subscription_member: String,
    parent_member: Option<String>,
    live_statuses: Vec<String>,
    ended_statuses: Vec<String>,
    catalog_timeout: std::time::Duration,
}

impl Transatel {
    /// Prepares the account; sends nothing yet. Reads run on `tasks`.
    ///
    /// # Errors
    /// When the HTTP client cannot be built, for example because the
    /// machine's certificates cannot be read.
    pub fn new(
        account: &config::Transatel,
        outbound: &config::Outbound,
        metrics: Arc<Metrics>,
        tasks: TaskTracker,
    ) -> Result<Self, BuildError> {
        metrics.provider_simulated(account.simulated);
        let transport = Arc::new(Transport::new(account, outbound, Arc::clone(&metrics))?);
        let tokens = TokenSource::new(account, outbound, Arc::clone(&transport), tasks.clone());
        let backoff = Backoff {
            first: outbound.retry_first_wait,
            longest: outbound.retry_longest_wait,
        };
        let client = Client {
            transport,
            tokens,
            backoff,
            guards: Guards::new(outbound, metrics),
            attempts: outbound.read_attempts,
            timeout: outbound.attempt_timeout,
            tasks,
        };
        let account = Account {
            cos: account.cos.clone(),
            mvno_ref: account.mvno_ref.clone(),
            payment_provider: account.payment_provider.clone(),
            source: account.source.clone(),
            rate_plan: account.rate_plan.clone(),
            clears_labels: account.clears_labels,
            enabled_operations: account.enabled_operations.clone(),
            cancel_renewal_order_type: account.cancel_renewal_order_type.clone(),
            terminate_order_type: account.terminate_order_type.clone(),
            subscription_member: account.subscription_member.clone(),
            parent_member: account.parent_member.clone(),
            live_statuses: account.live_statuses.clone(),
            ended_statuses: account.ended_statuses.clone(),
            catalog_timeout: outbound.catalog_timeout,
        };
        Ok(Self {
            client: Arc::new(client),
            account: Arc::new(account),
        })
    }

    /// Whether the account was given an operation that not every account has.
    pub fn is_enabled(&self, operation: OptionalOperation) -> bool {
        self.account.enabled_operations.contains(&operation)
    }

    /// Whether the account was given any change of a SIM, and with it
    /// Connectivity Management.
    pub fn changes_sims(&self) -> bool {
        let mut enabled = self.account.enabled_operations.iter();
        enabled.any(|operation| operation.is_of_sims())
    }

    /// What the token cache did, for the metrics.
    pub fn token_counts(&self) -> Arc<crate::cache::Counts> {
        self.client.tokens.counts()
    }
}
