//! The stock: SIMs that were delivered to the company, reserved and sold one by
//! one.
//!
//! * [`Stock`] is the interface: reservations, and what operators do with the
//!   stock.
//! * [`delivery`] reads the files that deliveries are listed in.
//! * `look` decides, from what the provider shows, whether a SIM can be sold.
//! * [`Sales`] reserves and buys in one request.
//! * `upkeep` gives back what was reserved for too long, and reports pools that are
//!   low.
//! * `search` adds what SIM Search shows.

pub mod delivery;
pub(super) mod look;
mod sales;
mod search;
mod upkeep;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::Sims;
use super::writes::ensure_time;
use crate::config;
use crate::domain::Pool;
use crate::domain::stock::{Delivered, Reservation, ReservationState, SetAside, StockCount, StockSim};
use crate::domain::write::{RequestId, WriteId};
use crate::domain::{Deadline, Error, Iccid, ProviderDetail, Requester, Result, Scope};
use crate::store::{self, StockStore, Taken, Wanted};
use crate::telemetry::Metrics;
use crate::transatel::Transatel;
use look::Look;

pub use crate::store::StockFilter;
pub use sales::{Sale, Sales};

/// The use cases of the stock. Cheap to clone.
#[derive(Clone)]
pub struct Stock {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn StockStore>,
    provider: Transatel,
    sims: Sims,
    config: config::Stock,
    metrics: Arc<Metrics>,
}

/// A request for a SIM of a pool, under its idempotency key.
#[derive(Clone, Debug)]
pub struct Request {
    /// The caller's id.
    pub request_id: RequestId,
    /// From this pool.
    pub pool: Pool,
    /// The caller's own reference.
    pub reference: String,
    /// Who requests it.
    pub by: Requester,
    /// For how long; `None` for the default.
    pub ttl: Option<Duration>,
}

/// SIMs that one call sets aside: the provider's answers may be wrong for a while,
/// and a pool is not to be emptied by that.
const MOST_SET_ASIDE: usize = 5;
/// When to try again after that.
const PAUSE: Duration = Duration::from_secs(5);

/// A look at a reserved SIM that is older is repeated before it is sold: a reservation may
/// last for days, and others use the account.
const LOOK_GOOD_FOR: Duration = Duration::from_secs(60);

/// What became of SIMs that were delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Imported {
    /// Added now.
    pub added: u64,
    /// In the stock already.
    pub known: u64,
}

impl Stock {
    /// Requests nothing yet.
    pub fn new(
        store: Arc<dyn StockStore>,
        provider: Transatel,
        sims: Sims,
        config: config::Stock,
        metrics: Arc<Metrics>,
    ) -> Self {
        // What an operator withdraws could be sold.
        let reasons = SetAside::ALL
            .iter()
            .filter(|reason| **reason != SetAside::Withdrawn);
        let reasons: Vec<_> = reasons.map(|reason| reason.name()).collect();
        metrics.show_set_aside(&reasons);
        metrics.show_stock_searches();
        Self {
            inner: Arc::new(Inner {
                store,
                provider,
                sims,
                config,
                metrics,
            }),
        }
    }

    /// Reserves a SIM that the provider shows to be unused, or answers what the
    /// request has reserved, without another look at it.
    ///
    /// Cancel-safe: what was reserved is given back when its time is over, or
    /// answered to a repeat.
    ///
    /// # Errors
    /// `REQUEST_ID_REUSED`, `POOL_NOT_FOUND`, `POOL_EMPTY`,
    /// `LEDGER_UNAVAILABLE`, and the provider's errors.
    pub async fn reserve(&self, request: &Request, deadline: Deadline) -> Result<Reservation> {
        self.hold(request, false, deadline).await
    }

    /// The same; to buy at once, a request gets another SIM when its reservation
    /// is over without an order.
    async fn hold(&self, request: &Request, for_sale: bool, deadline: Deadline) -> Result<Reservation> {
        let inner = &self.inner;
        let now = inner.now().await?;
        let wanted = Wanted {
            request_id: request.request_id,
            pool: request.pool.clone(),
            reference: request.reference.clone(),
            by: request.by.clone(),
            until: until(now, request.ttl.unwrap_or(inner.config.reserve_for)),
            for_sale,
        };
        let mut taken = inner.store.take(wanted, now).await.map_err(unavailable)?;
        let mut set_aside = 0;
        loop {
            let reservation = match taken {
                Taken::Reservation(reservation) => *reservation,
                Taken::Empty => return Err(empty(&request.pool)),
                Taken::NoPool => {
                    let pool = request.pool.clone();
                    return Err(Error::PoolNotFound { pool });
                }
            };
            let is_visible = request.by.scope.admits(reservation.caller.as_deref());
            if !is_visible || reservation.for_sale != for_sale {
                return Err(Error::id_of_another());
            }
            let mut fields = Vec::new();
            fields.extend((reservation.pool != request.pool).then_some("pool"));
            fields.extend((reservation.reference != request.reference).then_some("reference"));
            if !fields.is_empty() {
                return Err(Error::RequestIdReused { fields });
            }
            let Some(card) = reservation.sim.iccid.clone() else {
                return Err(Error::Internal);
            };
            if reservation.state != ReservationState::Held || reservation.looked_at.is_some() {
                return Ok(reservation);
            }
            // Whether it can be sold is not known after an error: a repeat looks again.
            let reason = match self.look_for(request.request_id, &card, deadline).await? {
                Look::Fit(msisdn) => {
                    let mut reservation = reservation;
                    reservation.sim.msisdn = Some(msisdn);
                    return Ok(reservation);
                }
                Look::Unfit(reason) => reason,
            };
            taken = self
                .set_aside(&request.pool, request.request_id, &card, reason)
                .await?;
            set_aside += 1;
            if set_aside == MOST_SET_ASIDE {
                // Perhaps it is the provider's answers that are wrong.
                return Err(Error::ProviderUnavailable {
                    retry_after: PAUSE,
                    provider: ProviderDetail::default(),
                });
            }
            ensure_time(deadline)?;
        }
    }

    /// Gives a reserved SIM back, and answers the reservation as it is then.
    ///
    /// # Errors
    /// `RESERVATION_NOT_FOUND` also beyond the scope; `LEDGER_UNAVAILABLE`.
    pub async fn release(&self, reservation: RequestId, scope: &Scope) -> Result<Reservation> {
        let now = self.inner.now().await?;
        if *scope != Scope::All {
            self.reservation(reservation, scope).await?;
        }
        let released = self.inner.store.release(reservation, now).await;
        released.map_err(unavailable)?.ok_or(Error::ReservationNotFound)
    }

    /// Looks at the SIM that a request holds, and notes that it can be sold. It
    /// cannot when the ledger has an order of somebody else for it.
    ///
    /// # Errors
    /// `LEDGER_UNAVAILABLE`, and the provider's.
    async fn look_for(&self, request: RequestId, card: &Iccid, deadline: Deadline) -> Result<Look> {
        let look = self.look(card, deadline).await?;
        let Look::Fit(msisdn) = &look else {
            return Ok(look);
        };
        let now = self.inner.now().await?;
        let noted = self.inner.store.note_look(request, card, msisdn, now).await;
        Ok(match noted.map_err(unavailable)? {
            true => look,
            false => Look::Unfit(SetAside::HasSubscription),
        })
    }

    /// Sets the SIM aside that a request holds, and reserves another one for it
    /// if there is one.
    async fn set_aside(
        &self,
        pool: &Pool,
        request: RequestId,
        card: &Iccid,
        reason: SetAside,
    ) -> Result<Taken> {
        let name = reason.name();
        tracing::warn!(%pool, reason = name, "a SIM of the stock cannot be sold and is set aside");
        self.inner.metrics.set_aside(name);
        let now = self.inner.now().await?;
        let replaced = self.inner.store.replace(request, card, reason, now).await;
        replaced.map_err(unavailable)
    }

    /// The store has set a SIM aside with the refusal of its order.
    fn note_refused(&self) {
        tracing::warn!("the provider refused an order because of a SIM of the stock, which is set aside");
        self.inner.metrics.set_aside(SetAside::OrderRefused.name());
    }

    /// The reservation of this id, with a SIM that was looked at.
    ///
    /// # Errors
    /// `RESERVATION_NOT_FOUND` also beyond the scope, `RESERVATION_OVER` also for a SIM that cannot be
    /// sold, `LEDGER_UNAVAILABLE`, and the provider's errors.
    async fn held(&self, id: RequestId, scope: &Scope, deadline: Deadline) -> Result<Reservation> {
        let found = self.reservation(id, scope).await?;
        if found.state != ReservationState::Held || found.for_sale {
            return Err(Error::ReservationOver);
        }
        let now = self.inner.now().await?;
        let is_fresh = found.looked_at.is_some_and(|at| now < at + LOOK_GOOD_FOR);
        let Some(card) = found.sim.iccid.clone().filter(|_| !is_fresh) else {
            return Ok(found);
        };
        // The look failed when it was reserved, or was long ago.
        match self.look_for(id, &card, deadline).await? {
            Look::Fit(_) => Ok(found),
            Look::Unfit(_) => Err(Error::ReservationOver),
        }
    }

    /// A reservation that may be seen.
    async fn reservation(&self, id: RequestId, scope: &Scope) -> Result<Reservation> {
        let found = self.inner.store.reservation(id).await.map_err(unavailable)?;
        found
            .filter(|found| scope.admits(found.caller.as_deref()))
            .ok_or(Error::ReservationNotFound)
    }

    /// Keeps a refusal as the answer to its request.
    async fn keep_refusal(&self, order: WriteId) -> Result<()> {
        self.inner.store.keep_refusal(order).await.map_err(unavailable)
    }

    /// Adds delivered SIMs to a pool. What the stock has already stays as it is.
    ///
    /// # Errors
    /// `LEDGER_UNAVAILABLE`: some may have been added; a repeat adds the rest.
    pub async fn import(&self, pool: &Pool, sims: Vec<Delivered>) -> Result<Imported> {
        let now = self.inner.now().await?;
        let delivered = sims.len() as u64;
        let added = self.inner.store.deliver(pool, sims, now).await;
        let added = added.map_err(unavailable)?;
        Ok(Imported {
            added,
            known: delivered - added.min(delivered),
        })
    }

    /// How many SIMs there are, by pool and state.
    ///
    /// # Errors
    /// `LEDGER_UNAVAILABLE`.
    pub async fn count(&self) -> Result<Vec<StockCount>> {
        self.inner.store.count().await.map_err(unavailable)
    }

    /// SIMs in the order of their cards.
    ///
    /// # Errors
    /// `LEDGER_UNAVAILABLE`.
    pub async fn list(&self, filter: StockFilter, limit: u32) -> Result<Vec<StockSim>> {
        self.inner.store.list(filter, limit).await.map_err(unavailable)
    }

    /// Moves SIMs that no request has to a pool, available, also such that were set
    /// aside, but for withdrawn ones. Returns those that are not there then.
    ///
    /// # Errors
    /// `LEDGER_UNAVAILABLE`: some may have been moved; a repeat moves the rest.
    pub async fn move_to(&self, cards: Vec<Iccid>, pool: &Pool) -> Result<Vec<Iccid>> {
        let now = self.inner.now().await?;
        let mut not_moved = Vec::new();
        for card in cards {
            let moved = self.inner.store.move_to(&card, pool, now).await;
            if !moved.map_err(unavailable)? {
                not_moved.push(card);
            }
        }
        Ok(not_moved)
    }

    /// Takes a SIM out of the stock.
    ///
    /// # Errors
    /// `SIM_NOT_FOUND`, `SIM_RESERVED` when a request has it,
    /// `LEDGER_UNAVAILABLE`.
    pub async fn withdraw(&self, card: &Iccid) -> Result<StockSim> {
        let now = self.inner.now().await?;
        let withdrawn = self.inner.store.withdraw(card, now).await.map_err(unavailable)?;
        let sim = withdrawn.ok_or(Error::SimNotFound {
            provider: ProviderDetail::default(),
        })?;
        match sim.request_id {
            Some(_) => Err(Error::SimReserved),
            None => Ok(sim),
        }
    }
}

impl Inner {
    async fn now(&self) -> Result<Timestamp> {
        self.store.now().await.map_err(unavailable)
    }
}

fn until(now: Timestamp, ttl: Duration) -> Timestamp {
    now.checked_add(ttl).unwrap_or(Timestamp::MAX)
}

fn empty(pool: &Pool) -> Error {
    Error::PoolEmpty { pool: pool.clone() }
}

fn unavailable(error: store::Error) -> Error {
    // The call is logged as failed, and why where the store is measured.
    tracing::debug!(%error, "the stock failed");
    Error::LedgerUnavailable
}
