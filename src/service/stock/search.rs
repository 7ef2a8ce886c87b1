//! SIMs that are added to the stock because SIM Search shows them, where the
//! settings say so: by one replica at a time, and each SIM once, whatever became of
//! it. What is added is looked at again before it is sold.

use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{Stock, unavailable};
use crate::config::StockSearch;
use crate::domain::stock::Delivered;
use crate::domain::{Deadline, EsimStatus, Result, SimRecord, SimStatus};
use crate::service::sims::{ListFilter, Position};
use crate::store::KNOWN_AT_ONCE;
use crate::transatel::client::request::CallOptions;

/// Longest time between two looks at whose turn it is.
const CHECK_EVERY: Duration = Duration::from_secs(60);

/// SIMs of one page.
const FOUND_AT_ONCE: u32 = KNOWN_AT_ONCE as u32;

/// Pages that are read in one turn; the next one begins after them.
const MOST_PAGES: u32 = 100;

/// SIMs that are read at once: integrators have done as many without complaint.
const LOOKS_AT_ONCE: usize = 4;

/// SIMs of one turn that cannot be read: it is not the SIMs then.
const MOST_FAILED: usize = 5;

/// What one page, or one SIM of it, may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What one turn did.
#[derive(Default)]
struct Found {
    added: u64,
    failed: usize,
}

impl Stock {
    /// Reads SIM Search as often as the settings say, until `stop`.
    pub async fn search(self, stop: CancellationToken) {
        let Some(search) = self.inner.config.search.clone() else {
            return stop.cancelled().await;
        };
        let mut turns = interval(search.interval.min(CHECK_EVERY));
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(turns.tick()).await.is_some() {
            stop.run_until_cancelled(self.turn(&search)).await;
        }
    }

    /// One turn, if it is this process's.
    async fn turn(&self, search: &StockSearch) {
        let store = &self.inner.store;
        // The store's failures are logged where it is measured.
        let Ok(now) = store.now().await else {
            return;
        };
        let Ok(Some(page)) = store.claim_search(&search.pool, now, search.interval).await else {
            return;
        };
        let mut found = Found::default();
        let ended = self.read(search, page, &mut found).await;
        let Found { added, failed } = found;
        let pool = &search.pool;
        if added > 0 {
            tracing::info!(%pool, added, "SIMs that SIM Search shows were added to the stock");
        }
        match &ended {
            Ok(()) if failed > 0 => tracing::warn!(
                %pool, failed, "SIMs that SIM Search shows could not be read; they are tried the next time"
            ),
            Ok(()) => {}
            Err(error) => tracing::warn!(
                %pool, %error, "SIM Search could not be read for the stock; it is tried the next time"
            ),
        }
        self.inner.metrics.stock_searched(ended.is_ok() && failed == 0);
    }

    async fn read(&self, search: &StockSearch, first: u32, found: &mut Found) -> Result<()> {
        let mut page = first;
        let next = loop {
            let start = Position {
                status: 0,
                offset: (page - 1).saturating_mul(FOUND_AT_ONCE),
            };
            let filter = ListFilter {
                statuses: vec![SimStatus::Preactivated],
                group: search.group.clone(),
                ..ListFilter::default()
            };
            let deadline = Deadline::after(PATIENCE);
            let shown = self
                .inner
                .sims
                .list(&filter, start, FOUND_AT_ONCE, deadline)
                .await?;
            self.add(search, shown.sims, found).await?;
            page = page.saturating_add(1);
            if shown.next.is_none() {
                break 1;
            }
            if page - first >= MOST_PAGES || found.failed >= MOST_FAILED {
                break page;
            }
        };
        let ended = self.inner.store.end_search(&search.pool, next).await;
        ended.map_err(unavailable)
    }

    /// Adds those of a page that can be sold.
    async fn add(&self, search: &StockSearch, shown: Vec<SimRecord>, found: &mut Found) -> Result<()> {
        let store = &self.inner.store;
        let unknown = shown.into_iter().filter_map(candidate).collect();
        let unknown = store.unknown(unknown).await.map_err(unavailable)?;
        let mut looks = stream::iter(unknown)
            .map(|sim| self.can_be_sold(sim))
            .buffered(LOOKS_AT_ONCE);
        let mut fit = Vec::new();
        while let Some(look) = looks.next().await {
            match look {
                Ok(sim) => fit.extend(sim),
                Err(error) => {
                    tracing::debug!(%error, "a SIM that SIM Search shows could not be read");
                    found.failed += 1;
                    if found.failed >= MOST_FAILED {
                        break;
                    }
                }
            }
        }
        drop(looks);
        found.added += self.import(&search.pool, fit).await?.added;
        Ok(())
    }

    /// The same SIM, if nothing that the provider shows speaks against it.
    async fn can_be_sold(&self, sim: Delivered) -> Result<Option<Delivered>> {
        let Some(msisdn) = &sim.msisdn else {
            return Ok(None);
        };
        let options = CallOptions::until(Deadline::after(PATIENCE));
        let unfit = self.unfit(&sim.iccid, msisdn, options).await?;
        Ok(unfit.is_none().then_some(sim))
    }
}

/// A SIM that may be one to sell: most have no profile status in SIM Search.
fn candidate(record: SimRecord) -> Option<Delivered> {
    let is_released = record
        .esim_status
        .is_none_or(|status| status == EsimStatus::Released);
    let (iccid, msisdn) = (record.ids.iccid?, record.ids.msisdn?);
    is_released.then_some(Delivered {
        iccid,
        msisdn: Some(msisdn),
    })
}
