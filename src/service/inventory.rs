//! Inventory: the subscriptions of SIMs, always read live.
//!
//! Identical concurrent reads are one request: they share a load whose result
//! is not cached. What only the catalog says of a product is joined from the
//! cached one, if there is any; no read of an inventory loads it.

use std::sync::Arc;

use futures_util::stream::{self, Stream, StreamExt as _};
use tokio_util::task::TaskTracker;

use super::{Catalog, Sims};
use crate::cache::{Counts, SharedLoads};
use crate::config;
use crate::domain::subscription::{Balance, Holdings, totals};
use crate::domain::{Deadline, Error, Language, Msisdn, Result, SimIds, SimRef, Subscription};
use crate::telemetry::propagation;
use crate::transatel::Transatel;
use crate::transatel::client::error::{CallError, Need};
use crate::transatel::client::request::CallOptions;

/// The inventory use cases. Cheap to clone.
#[derive(Clone)]
pub struct Inventory {
    provider: Transatel,
    reads: SharedLoads<Read, Holdings, Error>,
    sims: Sims,
    catalog: Catalog,
    at_once: usize,
}

/// Selects subscriptions of a SIM.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Includes those that are over.
    pub ended: bool,
    /// Includes the provider's own.
    pub infrastructure: bool,
    /// Language of labels.
    pub language: Option<Language>,
}

/// The subscriptions of a SIM.
#[derive(Clone, Debug)]
pub struct SimSubscriptions {
    /// The SIM, as far as its identifiers are known.
    pub sim: SimIds,
    /// The subscriptions, in the provider's order.
    pub subscriptions: Vec<Subscription>,
    /// What can be used now, per resource.
    pub totals: Vec<Balance>,
    /// The language of labels, where the provider says it.
    pub language: Option<Language>,
}

/// One SIM of a batch.
#[derive(Debug)]
pub struct BatchEntry {
    /// Its index in the request.
    pub index: usize,
    /// The result for it.
    pub outcome: Result<SimSubscriptions>,
}

impl Inventory {
    /// Requests nothing yet. Reads run on `tasks`.
    pub fn new(
        provider: Transatel,
        sims: Sims,
        catalog: Catalog,
        config: config::Inventory,
        outbound: &config::Outbound,
        tasks: TaskTracker,
    ) -> Self {
        let load_within = (outbound.attempt_timeout + outbound.retry_longest_wait) * outbound.read_attempts;
        Self {
            provider,
            reads: SharedLoads::new("inventory", load_within, tasks),
            sims,
            catalog,
            at_once: config.batch_concurrency as usize,
        }
    }

    /// The subscriptions of a SIM. Cancel-safe.
    ///
    /// # Errors
    /// `SIM_NOT_FOUND`, `SIM_NOT_RESOLVABLE`, and the provider's errors.
    pub async fn subscriptions(&self, sim: &SimRef, wanted: &Wanted) -> Result<SimSubscriptions> {
        let msisdn = self.sims.msisdn(sim).await?;
        let read = Read {
            msisdn: msisdn.clone(),
            ended: wanted.ended,
            language: wanted.language.clone(),
        };
        let all = self.read(&read).await?;
        let visible = |subscription: &&Subscription| wanted.infrastructure || !subscription.infrastructure;
        let mut subscriptions: Vec<Subscription> =
            all.subscriptions.iter().filter(visible).cloned().collect();
        self.join(&mut subscriptions).await;
        let usable = subscriptions
            .iter()
            .filter(|subscription| subscription.is_usable());
        let totals = totals(usable.flat_map(|subscription| &subscription.balances));
        let sim = SimIds {
            msisdn: Some(msisdn),
            ..self.sims.known(sim).await
        };
        Ok(SimSubscriptions {
            sim,
            subscriptions,
            totals,
            language: all.language.clone(),
        })
    }

    /// Adds what the catalog says of the products.
    async fn join(&self, subscriptions: &mut [Subscription]) {
        if subscriptions.iter().all(|subscription| subscription.unlimited) {
            return;
        }
        let Some(catalog) = self.catalog.loaded().await else {
            return;
        };
        for subscription in subscriptions {
            let sold = catalog.entry(&subscription.product_id);
            if sold.is_some_and(|sold| sold.product.unlimited) {
                subscription.set_unlimited();
            }
        }
    }

    async fn read(&self, read: &Read) -> Result<Arc<Holdings>> {
        let load = || {
            let (provider, read) = (self.provider.clone(), read.clone());
            async move {
                // Not limited by a deadline: its waiters may change.
                let options = CallOptions::detached();
                provider
                    .subscriptions(&read.msisdn, read.ended, read.language.as_ref(), options)
                    .await
            }
        };
        let outcome = self.reads.get(read, load).await;
        outcome.unwrap_or_else(|| Err(CallError::Timeout { by_deadline: false }.into_error(Need::Required)))
    }

    /// One subscription, over or not.
    ///
    /// # Errors
    /// `SUBSCRIPTION_NOT_FOUND`, and those of [`subscriptions`](Self::subscriptions).
    pub async fn subscription(&self, sim: &SimRef, id: &str) -> Result<Subscription> {
        let everything = Wanted {
            ended: true,
            infrastructure: true,
            language: None,
        };
        let inventory = self.subscriptions(sim, &everything).await?;
        let found = inventory
            .subscriptions
            .into_iter()
            .find(|subscription| subscription.id == id);
        found.ok_or_else(|| Error::SubscriptionNotFound {
            subscription_id: id.to_owned(),
        })
    }

    /// The subscriptions of many SIMs, as they arrive, a bounded number of SIMs
    /// in parallel. A failure affects only its own entry. Ends with
    /// `DEADLINE_EXCEEDED` when the deadline passes first; dropping the stream
    /// ends the rest.
    pub fn batch(
        &self,
        sims: Vec<SimRef>,
        wanted: Wanted,
        deadline: Deadline,
    ) -> impl Stream<Item = Result<BatchEntry>> + Send + use<> {
        let inventory = self.clone();
        let wanted = Arc::new(wanted);
        // A stream outlives the layers of its call.
        let trace = propagation::Trace::current();
        let resolver = self.sims.clone();
        let resolved = trace.carry(async move {
            resolver.find_numbers(&sims, deadline).await;
            stream::iter(sims.into_iter().enumerate())
        });
        let reads = stream::once(resolved).flatten().map(move |(index, sim)| {
            let (inventory, wanted) = (inventory.clone(), Arc::clone(&wanted));
            trace.carry(async move {
                BatchEntry {
                    index,
                    outcome: inventory.subscriptions(&sim, &wanted).await,
                }
            })
        });
        let in_time = reads.buffer_unordered(self.at_once).map(Ok);
        let late = stream::once(async move { deadline.remaining().is_zero() })
            .filter(|late| std::future::ready(*late))
            .map(|_| Err(Error::DeadlineExceeded));
        in_time
            .take_until(tokio::time::sleep_until(deadline.at()))
            .chain(late)
    }

    /// Counters of the shared reads, for the metrics.
    pub fn counts(&self) -> Arc<Counts> {
        self.reads.counts()
    }
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Read {
    msisdn: Msisdn,
    ended: bool,
    language: Option<Language>,
}
