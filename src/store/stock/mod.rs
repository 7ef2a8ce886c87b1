//! The stock: which SIMs were delivered, and which request has which.
//!
//! A SIM changes hands only within one transaction that sees what it has: no
//! two requests ever hold one SIM. What becomes of an order decides what
//! becomes of its SIM, by triggers of the migration `0011_stock.sql`.

mod levels;
pub(super) mod operations;
mod row;
pub(super) mod statements;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::Result;
use super::backend::{Backend, reading, work};
use crate::domain::Pool;
use crate::domain::stock::{Delivered, Reservation, SetAside, StockCount, StockSim, StockState};
use crate::domain::stock_level::{Reported, StockLevel};
use crate::domain::write::{RequestId, WriteId};
use crate::domain::{Iccid, Msisdn, Requester, Scope};

/// SIMs that are looked up at once.
pub const KNOWN_AT_ONCE: usize = operations::DELIVERED_AT_ONCE;

/// A request for a SIM of a pool.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The caller's id of the request.
    pub request_id: RequestId,
    /// From this pool.
    pub pool: Pool,
    /// The caller's own reference.
    pub reference: String,
    /// Who requests it: what another caller has reserved under the id stays as it
    /// is, if it may not be seen.
    pub by: Requester,
    /// Until when the SIM is reserved.
    pub until: Timestamp,
    /// To buy at once: when the reservation is over, without an order that may
    /// have been carried out, the request gets another SIM.
    pub for_sale: bool,
}

/// What a request for a SIM got.
#[derive(Clone, Debug, PartialEq)]
pub enum Taken {
    /// This SIM, now or before: see its state.
    Reservation(Box<Reservation>),
    /// None of the pool is available.
    Empty,
    /// There is no such pool.
    NoPool,
}

/// Which SIMs are listed. What is absent does not filter.
#[derive(Clone, Debug, Default)]
pub struct StockFilter {
    /// Of this pool.
    pub pool: Option<Pool>,
    /// In this state.
    pub state: Option<StockState>,
    /// After this card, in the order of cards.
    pub after: Option<Iccid>,
    /// Whose requests are named.
    pub scope: Scope,
}

/// Keeps the stock. Every method is durable when it returns; if the future is
/// dropped or fails, the write may or may not have happened, and may be
/// repeated.
#[async_trait]
pub trait StockStore: Send + Sync + 'static {
    /// The time of the store: the database's where several processes share it.
    async fn now(&self) -> Result<Timestamp>;

    /// Adds SIMs that are not known yet, whatever pool they are in. Returns how
    /// many that were.
    async fn deliver(&self, pool: &Pool, sims: Vec<Delivered>, now: Timestamp) -> Result<u64>;

    /// The reservation of a request.
    async fn reservation(&self, request_id: RequestId) -> Result<Option<Reservation>>;

    /// Takes the SIM that was delivered first, or answers what the request has.
    async fn take(&self, wanted: Wanted, now: Timestamp) -> Result<Taken>;

    /// Sets the SIM aside that a request holds, and gives it the next one. When
    /// it holds another one by now, that is the answer.
    async fn replace(
        &self,
        request_id: RequestId,
        held: &Iccid,
        reason: SetAside,
        now: Timestamp,
    ) -> Result<Taken>;

    /// Gives back what a request holds. An order that was sent for it keeps it.
    async fn release(&self, request_id: RequestId, now: Timestamp) -> Result<Option<Reservation>>;

    /// Gives back what is held for too long; returns how many. At most some at
    /// a time.
    async fn expire(&self, now: Timestamp) -> Result<u64>;

    /// Notes that the SIM of a request was found to be unused, and its number.
    /// `false` when the ledger has an order of somebody else for it.
    async fn note_look(
        &self,
        request_id: RequestId,
        card: &Iccid,
        msisdn: &Msisdn,
        now: Timestamp,
    ) -> Result<bool>;

    /// Keeps a refusal as the answer to its request, which no other SIM is tried
    /// for.
    async fn keep_refusal(&self, order: WriteId) -> Result<()>;

    /// How many there are, by pool and state.
    async fn count(&self) -> Result<Vec<StockCount>>;

    /// What was last reported of the levels of pools.
    async fn levels(&self) -> Result<BTreeMap<Pool, Reported>>;

    /// Counts what a pool has available and reports that in the log of events,
    /// unless it is no news: [`StockLevel::is_new`]. However many replicas do this
    /// at once, one of them reports it.
    async fn report_level(&self, pool: &Pool, threshold: u32, now: Timestamp) -> Result<Option<StockLevel>>;

    /// Whether it is this process's turn to read SIM Search for a pool, which it is
    /// once in each interval for one of them, and the page to begin with.
    async fn claim_search(&self, pool: &Pool, now: Timestamp, interval: Duration) -> Result<Option<u32>>;

    /// The page to begin with next time.
    async fn end_search(&self, pool: &Pool, page: u32) -> Result<()>;

    /// Those of a delivery that the stock does not have, in whatever pool and state.
    /// At most [`KNOWN_AT_ONCE`].
    async fn unknown(&self, sims: Vec<Delivered>) -> Result<Vec<Delivered>>;

    /// SIMs of the stock in the order of their cards.
    async fn list(&self, filter: StockFilter, limit: u32) -> Result<Vec<StockSim>>;

    /// Moves a SIM that no request has to another pool, available, unless it was
    /// withdrawn. Returns whether it is there now.
    async fn move_to(&self, card: &Iccid, pool: &Pool, now: Timestamp) -> Result<bool>;

    /// Takes a SIM out, unless a request has it. Returns the SIM as it is.
    async fn withdraw(&self, card: &Iccid, now: Timestamp) -> Result<Option<StockSim>>;

    /// Deletes reservations without an order that were over before; returns how
    /// many.
    async fn forget_reservations(&self, before: Timestamp) -> Result<u64>;
}

#[async_trait]
impl<B: Backend> StockStore for B {
    async fn now(&self) -> Result<Timestamp> {
        Backend::now(self).await
    }

    async fn deliver(&self, pool: &Pool, sims: Vec<Delivered>, now: Timestamp) -> Result<u64> {
        let mut added = 0;
        // Later deliveries have later places, and so have later SIMs of one.
        let mut place = now.as_microsecond();
        for some in sims.chunks(operations::DELIVERED_AT_ONCE) {
            let (pool, some, first) = (pool.clone(), some.to_vec(), place);
            place = place.saturating_add(operations::DELIVERED_AT_ONCE as i64);
            added += self
                .write(work!(session => operations::deliver(session, &pool, &some, first, now)))
                .await?;
        }
        Ok(added)
    }

    async fn reservation(&self, request_id: RequestId) -> Result<Option<Reservation>> {
        self.read(reading!(session => operations::reservation(session, request_id)))
            .await
    }

    async fn take(&self, wanted: Wanted, now: Timestamp) -> Result<Taken> {
        self.atomically(work!(session => operations::take(session, &wanted, now)))
            .await
    }

    async fn replace(
        &self,
        request_id: RequestId,
        held: &Iccid,
        reason: SetAside,
        now: Timestamp,
    ) -> Result<Taken> {
        let held = held.clone();
        self.atomically(work!(session => operations::replace(session, request_id, &held, reason, now)))
            .await
    }

    async fn release(&self, request_id: RequestId, now: Timestamp) -> Result<Option<Reservation>> {
        self.atomically(work!(session => operations::release(session, request_id, now)))
            .await
    }

    async fn expire(&self, now: Timestamp) -> Result<u64> {
        self.atomically(work!(session => operations::expire(session, now)))
            .await
    }

    async fn note_look(
        &self,
        request_id: RequestId,
        card: &Iccid,
        msisdn: &Msisdn,
        now: Timestamp,
    ) -> Result<bool> {
        let (card, msisdn) = (card.clone(), msisdn.clone());
        self.atomically(work!(session => operations::note_look(session, request_id, &card, &msisdn, now)))
            .await
    }

    async fn keep_refusal(&self, order: WriteId) -> Result<()> {
        self.write(work!(session => operations::keep_refusal(session, order)))
            .await
    }

    async fn count(&self) -> Result<Vec<StockCount>> {
        self.read(reading!(session => operations::count(session))).await
    }

    async fn levels(&self) -> Result<BTreeMap<Pool, Reported>> {
        self.read(reading!(session => levels::levels(session))).await
    }

    async fn report_level(&self, pool: &Pool, threshold: u32, now: Timestamp) -> Result<Option<StockLevel>> {
        let pool = pool.clone();
        self.atomically(work!(session => levels::report_level(session, &pool, threshold.into(), now)))
            .await
    }

    async fn claim_search(&self, pool: &Pool, now: Timestamp, interval: Duration) -> Result<Option<u32>> {
        let pool = pool.clone();
        self.atomically(work!(session => levels::claim_search(session, &pool, now, interval)))
            .await
    }

    async fn end_search(&self, pool: &Pool, page: u32) -> Result<()> {
        let pool = pool.clone();
        self.write(work!(session => levels::end_search(session, &pool, page)))
            .await
    }

    async fn unknown(&self, sims: Vec<Delivered>) -> Result<Vec<Delivered>> {
        self.read(reading!(session, sims => operations::unknown(session, &sims)))
            .await
    }

    async fn list(&self, filter: StockFilter, limit: u32) -> Result<Vec<StockSim>> {
        self.read(reading!(session, filter => operations::list(session, &filter, limit)))
            .await
    }

    async fn move_to(&self, card: &Iccid, pool: &Pool, now: Timestamp) -> Result<bool> {
        let (card, pool) = (card.clone(), pool.clone());
        self.write(work!(session => operations::move_to(session, &card, &pool, now)))
            .await
    }

    async fn withdraw(&self, card: &Iccid, now: Timestamp) -> Result<Option<StockSim>> {
        let card = card.clone();
        self.write(work!(session => operations::withdraw(session, &card, now)))
            .await
    }

    async fn forget_reservations(&self, before: Timestamp) -> Result<u64> {
        self.delete(|rows| work!(session => operations::forget(session, before, rows)))
            .await
    }
}
