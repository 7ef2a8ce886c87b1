//! What admits a call: per API a circuit breaker, a bulkhead (a bound on
//! requests in flight) and a budget of retries, and one rate limit for all.
//!
//! A part of each bulkhead is reserved for orders and the reads that belong to
//! them: however many other reads hang, an order gets through.
//!
//! Guarantees that a request it rejects was not sent. Token requests do not
//! pass here: there is one at a time, with a back-off of its own.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tower::retry::budget::{Budget as _, TpsBudget};

use super::answer::Answer;
use super::breaker::{Breaker, Pass, Sample};
use super::endpoint::Api;
use super::error::CallError;
use super::pace::Pace;
use super::request::Purpose;
use crate::config::Outbound;
use crate::domain::Deadline;
use crate::telemetry::Metrics;

/// Retries are weighed against the calls of this time.
const BUDGET_OVER: Duration = Duration::from_secs(10);

/// Retries a second that are always allowed, so that a quiet gateway can
/// retry at all.
const RETRIES_A_SECOND: u32 = 5;

/// Guards of all APIs.
pub struct Guards {
    guards: Arc<[(Api, Guard)]>,
    pace: Pace,
    wait: Duration,
    metrics: Arc<Metrics>,
}

struct Guard {
    breaker: Arc<Breaker>,
    room: Arc<Semaphore>,
    /// Also needed by calls that are not for an order.
    shared: Arc<Semaphore>,
    retries: TpsBudget,
}

/// The part of a bulkhead that is reserved for orders: a quarter. A quarter of
/// the default lets more orders through in the time of one read than a ledger
/// can write.
fn kept_for_orders(concurrency: usize) -> usize {
    concurrency / 4
}

/// A request that may be sent.
pub struct Permit {
    _room: (Option<OwnedSemaphorePermit>, OwnedSemaphorePermit),
    pass: Pass,
}

impl Guards {
    /// As configured; shows the breakers in the metrics.
    pub fn new(outbound: &Outbound, metrics: Arc<Metrics>) -> Self {
        let guard = |api| {
            let guard = Guard {
                breaker: Arc::new(Breaker::new(
                    api,
                    outbound.breaker_failures,
                    outbound.breaker_open_for,
                )),
                room: Arc::new(Semaphore::new(outbound.concurrency)),
                shared: Arc::new(Semaphore::new(
                    outbound.concurrency - kept_for_orders(outbound.concurrency),
                )),
                retries: TpsBudget::new(BUDGET_OVER, RETRIES_A_SECOND, outbound.retry_ratio),
            };
            (api, guard)
        };
        metrics.show_apis(&Api::ALL.map(Api::name));
        let guards: Arc<[_]> = Api::ALL.map(guard).into();
        let shown = Arc::clone(&guards);
        metrics.watch_breakers(move || {
            let level = |(api, guard): &(Api, Guard)| (api.name(), guard.breaker.level());
            shown.iter().map(level).collect()
        });
        Self {
            guards,
            pace: Pace::new(outbound.requests_per_second),
            wait: outbound.concurrency_wait,
            metrics,
        }
    }

    /// Waits for room within the deadline. `None` for an API without a guard;
    /// every API has one.
    ///
    /// Cancel-safe.
    ///
    /// # Errors
    /// [`CallError::CircuitOpen`], [`CallError::Crowded`] or
    /// [`CallError::NoTimeLeft`]: nothing may be sent.
    pub async fn admit(
        &self,
        api: Api,
        deadline: Option<Deadline>,
        purpose: Purpose,
    ) -> Result<Option<Permit>, CallError> {
        let Some(guard) = self.of(api) else {
            return Ok(None);
        };
        let open = |retry_after| {
            self.metrics.held_back(api.name(), "circuit_open");
            CallError::CircuitOpen { retry_after }
        };
        // A call that will be rejected need not wait for room first.
        if let Some(retry_after) = guard.breaker.rejects_for() {
            return Err(open(retry_after));
        }
        let latest = Instant::now() + self.wait;
        let by_deadline = deadline.filter(|deadline| deadline.at() < latest);
        let until = by_deadline.map_or(latest, |deadline| deadline.at());
        let room = async {
            let shared = match purpose {
                Purpose::Order => None,
                Purpose::Other => Some(Arc::clone(&guard.shared).acquire_owned().await?),
            };
            let room = Arc::clone(&guard.room).acquire_owned().await?;
            self.pace.turn().await;
            Ok::<_, AcquireError>((shared, room))
        };
        let room = match tokio::time::timeout_at(until, room).await {
            Ok(Ok(room)) => room,
            Err(_) if by_deadline.is_some() => return Err(CallError::NoTimeLeft),
            Ok(Err(_)) | Err(_) => {
                self.metrics.held_back(api.name(), "crowded");
                return Err(CallError::Crowded);
            }
        };
        let pass = guard.breaker.admit().map_err(open)?;
        Ok(Some(Permit { _room: room, pass }))
    }

    /// A read begins: it earns a share of a retry.
    pub fn earn(&self, api: Api) {
        if let Some(guard) = self.of(api) {
            guard.retries.deposit();
        }
    }

    /// Whether a retry is within the budget: when the provider fails for
    /// everyone, retries must not multiply the load on it.
    pub fn spend(&self, api: Api) -> bool {
        let is_affordable = self.of(api).is_none_or(|guard| guard.retries.withdraw());
        if !is_affordable {
            self.metrics.held_back(api.name(), "retry_budget");
        }
        is_affordable
    }

    fn of(&self, api: Api) -> Option<&Guard> {
        self.guards
            .iter()
            .find_map(|(name, guard)| (*name == api).then_some(guard))
    }
}

impl Permit {
    /// The request ended.
    pub fn settle(self, result: &Result<Answer, CallError>) {
        self.pass.record(match result {
            Ok(_) => Sample::Alive,
            Err(failure) => Sample::of(failure),
        });
    }
}
