//! SIMs: one identifier for the other, and the state of a SIM itself.
//!
//! OCS needs the MSISDN, SIM Management the ICCID, and callers have either. A
//! pair is found through SIM Search, else through Connectivity Management, and
//! cached under both identifiers: it changes by a swap, and ends with the SIM,
//! whose number is then given to another one. It is dropped when an event or an
//! operation reports either, and when a record disagrees with it or shows that
//! the SIM has ended. An answer counts only if it is about the requested SIM.
//! The status is never cached.
//!
//! A cached pair serves reads. What costs money or changes a SIM uses
//! [`Sims::line`] or [`Sims::subscriber`], which ask the provider.

mod bulk;
mod lookup;
mod pairs;
mod unused;

use std::sync::{Arc, Mutex};

use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::cache::{Bounds, Counts, LoadingCache};
use crate::config;
use crate::domain::sim::Identifier;
use crate::domain::{Deadline, Error, EsimStatus, Iccid, Msisdn, Result, SimRecord, SimRef, SimStatus};
use crate::transatel::Transatel;
use crate::transatel::api::sims::is_unknown_sim;
use crate::transatel::client::error::Need;
use crate::transatel::client::request::CallOptions;
use lookup::{Found, find, is_pair, other_name};
use pairs::Loader;

/// The SIM use cases. Cheap to clone.
#[derive(Clone)]
pub struct Sims {
    cache: LoadingCache<Loader>,
    provider: Transatel,
    /// Until then no search for many cards is tried.
    rests_until: Arc<Mutex<Option<Instant>>>,
}

/// The start of a page of SIMs: the provider is queried for one status after
/// the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Index in the requested statuses; 0 when all were requested.
    pub status: u32,
    /// SIMs of that status before this page.
    pub offset: u32,
}

/// Which SIMs are listed. What is empty does not filter.
#[derive(Clone, Debug, Default)]
pub struct ListFilter {
    /// In one of these states.
    pub statuses: Vec<SimStatus>,
    /// With an eSIM in one of these states, as the search shows it.
    pub esim_statuses: Vec<EsimStatus>,
    /// Of this group.
    pub group: Option<String>,
    /// That nothing uses yet, which is read of each.
    pub unused: bool,
}

impl ListFilter {
    /// The search is not known to take a filter by it.
    fn admits_esim(&self, record: &SimRecord) -> bool {
        let wanted = &self.esim_statuses;
        wanted.is_empty() || record.esim_status.is_some_and(|status| wanted.contains(&status))
    }
}

/// One page of SIMs.
#[derive(Debug)]
pub struct Page {
    /// The SIMs.
    pub sims: Vec<SimRecord>,
    /// The start of the next page, when there may be more.
    pub next: Option<Position>,
}

impl Sims {
    /// Requests nothing yet. Loads run on `tasks`.
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
        Self {
            cache,
            provider,
            rests_until: Arc::default(),
        }
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

    /// A SIM with its current pair of identifiers: what an order for a card is
    /// sent for. Connectivity Management is asked first where the account
    /// changes SIMs through it, because the search lags behind.
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

    /// What the provider says about a SIM. Live. Labels that SIM Search does not
    /// show are read from Connectivity Management, where the account has it and
    /// it answers.
    ///
    /// # Errors
    /// `SIM_NOT_FOUND`; `OPERATION_NOT_ENABLED` when the account may use
    /// neither API; and the provider's errors.
    pub async fn record(&self, sim: &SimRef, deadline: Deadline) -> Result<SimRecord> {
        let options = CallOptions::until(deadline);
        let enough = |record: &SimRecord| record.status.is_some();
        let mut record = self.found(sim, options.clone(), enough).await?;
        if record.metadata.is_none() && self.provider.changes_sims() {
            let subscriber = self.provider.subscriber(sim, options).await;
            if let Ok(subscriber) = subscriber {
                record.take_labels(subscriber);
            }
        }
        Ok(record)
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
                self.note(&record).await;
                Ok(record)
            }
            Found::Unknown(provider) => Err(Error::SimNotFound { provider }),
            Found::NotPermitted(provider) => Err(Error::OperationNotEnabled { provider }),
        }
    }

    /// What Connectivity Management, which carries out changes of SIMs, says
    /// about a SIM. Live: the search lags behind, and a number may have moved.
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
        self.note(&record).await;
        Ok(record)
    }

    /// One page of the account's SIMs. Live.
    ///
    /// # Errors
    /// `OPERATION_NOT_ENABLED` without SIM Search, and the provider's errors.
    pub async fn list(
        &self,
        filter: &ListFilter,
        start: Position,
        size: u32,
        deadline: Deadline,
    ) -> Result<Page> {
        let (statuses, group) = (filter.statuses.as_slice(), filter.group.as_deref());
        let status = statuses.get(start.status as usize).copied();
        // The provider counts in whole pages of one size.
        let (page, inside) = (start.offset / size + 1, start.offset % size);
        let answer = self
            .provider
            .search_sims(status, group, page, size, CallOptions::until(deadline))
            .await
            .map_err(|failure| failure.into_error(Need::Optional))?;
        for ended in answer.records.iter().filter(|record| record.has_ended()) {
            self.forget(&ended.ids).await;
        }
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
        // The provider may have ignored the filter.
        let wanted = |record: &SimRecord| {
            (status.is_none() || record.status == status) && group.is_none_or(|group| record.group == group)
        };
        let sims = answer.records.into_iter().skip(inside as usize).filter(wanted);
        let sims = sims.filter(|record| filter.admits_esim(record)).collect();
        let sims = match filter.unused {
            true => self.unused(sims, deadline).await?,
            false => sims,
        };
        Ok(Page { sims, next })
    }

    /// Counters of the cache, for the metrics.
    pub fn counts(&self) -> Arc<Counts> {
        self.cache.counts()
    }
}
