//! Pairs of identifiers: how they are loaded, cached and dropped.

use std::sync::Arc;
use std::time::Duration;

use super::Sims;
use super::lookup::{Found, find, is_pair, other_name};
use crate::cache::{Load, Loaded};
use crate::domain::{Error, Result, SimIds, SimRecord, SimRef};
use crate::transatel::Transatel;
use crate::transatel::client::error::{CallError, Need};
use crate::transatel::client::request::CallOptions;

impl Sims {
    /// Both identifiers as far as they are cached.
    pub async fn known(&self, sim: &SimRef) -> SimIds {
        match self.cache.peek(sim).await {
            Some(pair) => SimIds::clone(&pair),
            None => SimIds::of(sim),
        }
    }

    /// Drops what is cached of a SIM under either identifier, and under the
    /// ones that these were paired with: a number has moved.
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

    /// Drops every pair: events that report moves may have been missed.
    pub fn forget_all(&self) {
        self.cache.forget_all();
    }

    /// A pair is cached under both identifiers, so that an event that names
    /// either finds it. Two pairs that share one cannot both be valid: the
    /// provider is asked again.
    pub(super) async fn pair(&self, sim: &SimRef) -> Result<Arc<SimIds>> {
        let found = self.cache.get(sim).await?;
        for name in names(&found.value).filter(|name| name != sim) {
            match self.cache.peek(&name).await {
                Some(known) if known == found.value => {}
                Some(_) => {
                    self.forget(&found.value).await;
                    return Ok(self.cache.get(sim).await?.value);
                }
                // That of a SIM that has ended is cached under no name.
                None => {
                    if self.cache.peek(sim).await.is_some() {
                        let age = found.as_of.elapsed().unwrap_or_default();
                        self.cache
                            .put(&name, kept(SimIds::clone(&found.value), age))
                            .await;
                    }
                }
            }
        }
        Ok(found.value)
    }

    /// Records what the provider just reported about a SIM: pairs that disagree
    /// are replaced, and those of a SIM that has ended are dropped.
    pub(super) async fn note(&self, record: &SimRecord) {
        let live = &record.ids;
        if record.has_ended() {
            self.forget(live).await;
            return;
        }
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
            tracing::info!("a SIM has another number than was cached: the provider's answer is used");
            self.forget(live).await;
        }
        if disagrees || missing {
            for name in names(live) {
                self.cache.put(&name, kept(live.clone(), Duration::ZERO)).await;
            }
        }
    }
}

/// The identifiers of a SIM.
fn names(ids: &SimIds) -> impl Iterator<Item = SimRef> + use<> {
    let names = [
        ids.iccid.clone().map(SimRef::Iccid),
        ids.msisdn.clone().map(SimRef::Msisdn),
    ];
    names.into_iter().flatten()
}

pub(super) struct Loader {
    pub(super) provider: Transatel,
}

/// A pair changes only by a swap, which is rare and reported by an event; a day
/// bounds how long reads go to the wrong number after a missed one.
const PAIR_FRESH_FOR: Duration = Duration::from_secs(24 * 3600);
/// Not longer: numbers of ended SIMs are given to others.
const PAIR_USABLE_FOR: Duration = PAIR_FRESH_FOR;

/// A pair that the provider reported this long ago, as the cache keeps it.
fn kept(pair: SimIds, age: Duration) -> Loaded<SimIds> {
    Loaded {
        value: pair,
        fresh_for: PAIR_FRESH_FOR.saturating_sub(age),
        usable_for: PAIR_USABLE_FOR.saturating_sub(age),
    }
}

impl Loader {
    /// The identifiers of a SIM that has ended, without its number when that
    /// is another SIM's by now: what is read by the number would be another
    /// customer's. Where SIMs cannot be looked up by number, it is kept.
    async fn without_number_of_another(&self, ended: SimIds) -> Result<SimIds> {
        let Some(number) = ended.msisdn.clone().map(SimRef::Msisdn) else {
            return Ok(ended);
        };
        match find(&self.provider, &number, CallOptions::detached(), is_pair).await {
            Ok(Found::Record(now)) if now.ids.iccid != ended.iccid => Ok(SimIds {
                msisdn: None,
                ..ended
            }),
            Ok(_) | Err(Error::SimNotResolvable { .. }) => Ok(ended),
            Err(error) => Err(error),
        }
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
            // Its number is given to another SIM: the answer is only shared.
            Found::Record(record) if is_pair(&record) && record.has_ended() => Ok(Loaded {
                value: self.without_number_of_another(record.ids).await?,
                fresh_for: Duration::ZERO,
                usable_for: Duration::ZERO,
            }),
            Found::Record(record) if is_pair(&record) => Ok(kept(record.ids, Duration::ZERO)),
            Found::Record(_) | Found::NotPermitted(_) => Err(Error::SimNotResolvable {
                needed: other_name(sim),
            }),
            Found::Unknown(provider) => Err(Error::SimNotFound { provider }),
        }
    }

    /// A failed look-up is cached briefly: the search lags behind, and a new
    /// SIM may appear at any time.
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
