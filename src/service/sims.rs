//! SIMs: one identifier for the other, and the state of a SIM itself.
//!
//! OCS wants the MSISDN, SIM management the ICCID, callers have either. A
//! pair is found through SIM Search, else through Connectivity Management,
//! and kept under both names: it changes only by a swap, and is dropped when
//! an event or an operation says so or a record that was read disagrees with
//! it. An answer counts only if it is about the SIM that was asked for. Status
//! is never kept.
//!
//! A kept pair serves reads. What costs money or changes a SIM uses
//! [`Sims::line`] or [`Sims::subscriber`], which ask the provider.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::task::TaskTracker;

use crate::cache::{Bounds, Counts, Load, Loaded, LoadingCache};
use crate::config;
use crate::domain::ProviderDetail;
use crate::domain::sim::Identifier;
use crate::domain::{Deadline, Error, Iccid, Msisdn, Result, SimIds, SimRecord, SimRef, SimStatus};
use crate::transatel::Transatel;
use crate::transatel::api::sims::{is_not_permitted, is_unknown_sim};
use crate::transatel::client::error::{CallError, Need};
use crate::transatel::client::request::CallOptions;

/// The SIM use cases. Cheap to clone.
#[derive(Clone)]
pub struct Sims {
    cache: LoadingCache<Loader>,
    provider: Transatel,
}

/// Where a page of SIMs begins: the provider is asked for one status after
/// the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Place in the requested statuses; 0 when all were asked for.
    pub status: u32,
    /// SIMs of that status before this page.
    pub offset: u32,
}

/// One page of SIMs.
#[derive(Debug)]
pub struct Page {
    /// The SIMs.
    pub sims: Vec<SimRecord>,
    /// Where the next page begins, when there may be more.
    pub next: Option<Position>,
}

impl Sims {
    /// Prepares; asks for nothing yet. Loads run on `tasks`.
    pub fn new(
        provider: Transatel,
        config: config::Inventory,
        outbound: &config::Outbound,
        tasks: TaskTracker,
    ) -> Self {
        // Search and connectivity, each with all its attempts.
        let load_within =
            (outbound.attempt_timeout + outbound.retry_longest_wait) * outbound.read_attempts * 2;
        let bounds = Bounds {
            capacity: u64::from(config.sim_ids),
            load_within,
        };
        let cache = LoadingCache::new(
            Loader {
                provider: provider.clone(),
            },
            bounds,
            tasks,
        );
        Self { cache, provider }
    }

    /// The MSISDN of a SIM. Cancel-safe.
    ///
    /// # Errors
    /// `SIM_NOT_FOUND`, `SIM_NOT_RESOLVABLE`, and the provider's errors.
    pub async fn msisdn(&self, sim: &SimRef) -> Result<Msisdn> {
        match sim {
            SimRef::Msisdn(msisdn) => Ok(msisdn.clone()),
            SimRef::Iccid(_) => {
                let needed = Error::SimNotResolvable {
                    needed: Identifier::Msisdn,
                };
                self.pair(sim).await?.msisdn.clone().ok_or(needed)
            }
        }
    }

    /// The ICCID of a SIM. Cancel-safe.
    ///
    /// # Errors
    /// `SIM_NOT_FOUND`, `SIM_NOT_RESOLVABLE`, and the provider's errors.
    pub async fn iccid(&self, sim: &SimRef) -> Result<Iccid> {
        match sim {
            SimRef::Iccid(iccid) => Ok(iccid.clone()),
            SimRef::Msisdn(_) => {
                let needed = Error::SimNotResolvable {
                    needed: Identifier::Iccid,
                };
                self.pair(sim).await?.iccid.clone().ok_or(needed)
            }
        }
    }

    /// Both identifiers as far as they are known without asking anybody.
    pub async fn known(&self, sim: &SimRef) -> SimIds {
        match self.cache.peek(sim).await {
            Some(pair) => SimIds::clone(&pair),
            None => SimIds::of(sim),
        }
    }

    /// Forgets what is known of a SIM under either name, and under the names
    /// that these were known to belong to: a line has moved.
    pub async fn forget(&self, ids: &SimIds) {
        let mut pairs = vec![ids.clone()];
        for name in names(ids) {
            if let Some(pair) = self.cache.peek(&name).await {
                pairs.push(SimIds::clone(&pair));
            }
        }
        for name in pairs.iter().flat_map(names) {
            self.cache.forget(&name).await;
        }
    }

    /// Forgets every pair: events that say what moved may have been missed.
    pub fn forget_all(&self) {
        self.cache.forget_all();
    }

    /// A pair is kept under both names, so that whichever of them an event
    /// names leads to it. Two pairs that share a name cannot both be true:
    /// the provider is asked again.
    async fn pair(&self, sim: &SimRef) -> Result<Arc<SimIds>> {
        let found = self.cache.get(sim).await?;
        for name in names(&found.value).filter(|name| name != sim) {
            match self.cache.peek(&name).await {
                Some(known) if known == found.value => {}
                Some(_) => {
                    self.forget(&found.value).await;
                    return Ok(self.cache.get(sim).await?.value);
                }
                None => {
                    let age = found.as_of.elapsed().unwrap_or_default();
                    self.cache
                        .put(&name, kept(SimIds::clone(&found.value), age))
                        .await;
                }
            }
        }
        Ok(found.value)
    }

    /// Takes note of what the provider just said of a SIM: pairs that disagree
    /// are replaced.
    async fn learn(&self, live: &SimIds) {
        if live.iccid.is_none() || live.msisdn.is_none() {
            return;
        }
        let mut disagrees = false;
        let mut missing = false;
        for name in names(live) {
            match self.cache.peek(&name).await {
                Some(known) => disagrees |= *known != *live,
                None => missing = true,
            }
        }
        if disagrees {
            tracing::info!("a SIM has another line than was known: the provider's word is used");
            self.forget(live).await;
        }
        if disagrees || missing {
            for name in names(live) {
                self.cache.put(&name, kept(live.clone(), Duration::ZERO)).await;
            }
        }
    }

    /// A SIM as the provider says that it is now, both names at least: what an
    /// order for a card goes to. Connectivity Management is asked first where
    /// the account changes SIMs through it, because the search lags behind.
    ///
    /// # Errors
    /// `SIM_NOT_FOUND`, `SIM_NOT_RESOLVABLE`, and the provider's errors.
    pub async fn line(&self, sim: &SimRef, deadline: Deadline) -> Result<SimRecord> {
        if self.provider.changes_sims() {
            match self.subscriber(sim, deadline).await {
                Ok(record) if is_pair(&record) => return Ok(record),
                Ok(_) | Err(Error::OperationNotEnabled { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let enough = |record: &SimRecord| is_pair(record) && record.status.is_some();
        let record = self.found(sim, CallOptions::for_order(deadline), enough).await?;
        if is_pair(&record) {
            return Ok(record);
        }
        let needed = other_name(sim);
        Err(Error::SimNotResolvable { needed })
    }

    /// What the provider knows of a SIM. Live.
    ///
    /// # Errors
    /// `SIM_NOT_FOUND`; `OPERATION_NOT_ENABLED` when the account may use
    /// neither API; and the provider's errors.
    pub async fn record(&self, sim: &SimRef, deadline: Deadline) -> Result<SimRecord> {
        let enough = |record: &SimRecord| record.status.is_some();
        self.found(sim, CallOptions::until(deadline), enough).await
    }

    /// The same for an order.
    ///
    /// # Errors
    /// Those of [`record`](Self::record).
    pub async fn record_for_order(&self, sim: &SimRef, deadline: Deadline) -> Result<SimRecord> {
        let enough = |record: &SimRecord| record.status.is_some();
        self.found(sim, CallOptions::for_order(deadline), enough).await
    }

    async fn found(
        &self,
        sim: &SimRef,
        options: CallOptions,
        enough: impl Fn(&SimRecord) -> bool,
    ) -> Result<SimRecord> {
        match find(&self.provider, sim, options, enough).await? {
            Found::Record(record) => {
                self.learn(&record.ids).await;
                Ok(record)
            }
            Found::Unknown(provider) => Err(Error::SimNotFound { provider }),
            Found::NotPermitted(provider) => Err(Error::OperationNotEnabled { provider }),
        }
    }

    /// What Connectivity Management, which carries changes of SIMs out, knows
    /// of a SIM. Live: the search lags behind, and a line may have moved.
    ///
    /// # Errors
    /// `SIM_NOT_FOUND`; `OPERATION_NOT_ENABLED` when the account may not use
    /// the API; and the provider's errors.
    pub async fn subscriber(&self, sim: &SimRef, deadline: Deadline) -> Result<SimRecord> {
        let options = CallOptions::for_order(deadline);
        let answer = self.provider.subscriber(sim, options).await;
        let record = answer.map_err(|failure| {
            if is_unknown_sim(&failure) {
                let provider = failure.provider_detail();
                return Error::SimNotFound { provider };
            }
            failure.into_error(Need::Optional)
        })?;
        self.learn(&record.ids).await;
        Ok(record)
    }

    /// One page of the account's SIMs. Live.
    ///
    /// # Errors
    /// `OPERATION_NOT_ENABLED` without SIM Search, and the provider's errors.
    pub async fn list(
        &self,
        statuses: &[SimStatus],
        group: Option<&str>,
        start: Position,
        size: u32,
        deadline: Deadline,
    ) -> Result<Page> {
        let status = statuses.get(start.status as usize).copied();
        // Pages at the provider are counted in whole pages of one size.
        let (page, inside) = (start.offset / size + 1, start.offset % size);
        let answer = self
            .provider
            .search_sims(status, group, page, size, CallOptions::until(deadline))
            .await
            .map_err(|failure| failure.into_error(Need::Optional))?;
        let whole = answer.length as u64 >= u64::from(size);
        let next = if whole {
            Some(Position {
                status: start.status,
                offset: page.saturating_mul(size),
            })
        } else {
            let after = start.status + 1;
            ((after as usize) < statuses.len()).then_some(Position {
                status: after,
                offset: 0,
            })
        };
        // A filter that the provider did not obey must not show.
        let wanted = |record: &SimRecord| {
            (status.is_none() || record.status == status) && group.is_none_or(|group| record.group == group)
        };
        let sims = answer
            .records
            .into_iter()
            .skip(inside as usize)
            .filter(wanted)
            .collect();
        Ok(Page { sims, next })
    }

    /// What the cache did, for the metrics.
    pub fn counts(&self) -> Arc<Counts> {
        self.cache.counts()
    }
}

/// The names of a SIM.
fn names(ids: &SimIds) -> impl Iterator<Item = SimRef> + use<> {
    let names = [
        ids.iccid.clone().map(SimRef::Iccid),
        ids.msisdn.clone().map(SimRef::Msisdn),
    ];
    names.into_iter().flatten()
}

fn is_pair(record: &SimRecord) -> bool {
    record.ids.iccid.is_some() && record.ids.msisdn.is_some()
}

/// What is missing of a SIM of which only this is known.
fn other_name(sim: &SimRef) -> Identifier {
    match sim {
        SimRef::Iccid(_) => Identifier::Msisdn,
        SimRef::Msisdn(_) => Identifier::Iccid,
    }
}

/// What was learned about a SIM.
enum Found {
    Record(SimRecord),
    /// A permitted API does not know it.
    Unknown(ProviderDetail),
    /// The account may use neither API.
    NotPermitted(ProviderDetail),
}

/// Asks SIM Search and, unless that was enough, connectivity.
async fn find(
    provider: &Transatel,
    sim: &SimRef,
    options: CallOptions,
    enough: impl Fn(&SimRecord) -> bool,
) -> Result<Found> {
    let (searched, denied) = match provider.search_sim(sim, options.clone()).await {
        Ok(Some(record)) if enough(&record) => return Ok(Found::Record(record)),
        Ok(record) => (record, None),
        Err(failure) if is_not_permitted(&failure) => (None, Some(failure)),
        Err(failure) => return Err(failure.into_error(Need::Optional)),
    };
    match provider.subscriber(sim, options).await {
        Ok(record) => Ok(Found::Record(record)),
        // The search knows less than was hoped for, but it knows the SIM.
        Err(failure) if is_not_permitted(&failure) || is_unknown_sim(&failure) => {
            Ok(match (searched, denied) {
                (Some(record), _) => Found::Record(record),
                (None, Some(_)) if is_not_permitted(&failure) => {
                    Found::NotPermitted(failure.provider_detail())
                }
                (None, _) => Found::Unknown(failure.provider_detail()),
            })
        }
        Err(failure) => Err(failure.into_error(Need::Optional)),
    }
}

struct Loader {
    provider: Transatel,
}

/// A pair changes only by a swap, which is rare and announced; a day bounds
/// how long reads go to the wrong line after one that was not noticed.
const PAIR_FRESH_FOR: Duration = Duration::from_secs(24 * 3600);
const PAIR_USABLE_FOR: Duration = Duration::from_secs(7 * 24 * 3600);

/// A pair that the provider named so long ago, as the cache keeps it.
fn kept(pair: SimIds, age: Duration) -> Loaded<SimIds> {
    Loaded {
        value: pair,
        fresh_for: PAIR_FRESH_FOR.saturating_sub(age),
        usable_for: PAIR_USABLE_FOR.saturating_sub(age),
    }
}

impl Load for Loader {
    type Key = SimRef;
    type Value = SimIds;
    type Error = Error;
    const NAME: &'static str = "sim_ids";

    async fn load(&self, sim: &SimRef) -> Result<Loaded<SimIds>> {
        let options = CallOptions::detached();
        match find(&self.provider, sim, options, is_pair).await? {
            Found::Record(record) if is_pair(&record) => Ok(kept(record.ids, Duration::ZERO)),
            Found::Record(_) | Found::NotPermitted(_) => Err(Error::SimNotResolvable {
                needed: other_name(sim),
            }),
            Found::Unknown(provider) => Err(Error::SimNotFound { provider }),
        }
    }

    /// What is not found is remembered briefly: the search lags behind, and a
    /// new SIM may appear at any time.
    fn hold(&self, error: &Error, _failures: u32) -> Duration {
        match error {
            Error::SimNotFound { .. } | Error::SimNotResolvable { .. } => Duration::from_secs(5),
            Error::ProviderRateLimited { retry_after, .. } => *retry_after,
            _ => Duration::from_secs(1),
        }
    }

    fn timed_out(&self) -> Error {
        CallError::Timeout { by_deadline: false }.into_error(Need::Optional)
    }
}
