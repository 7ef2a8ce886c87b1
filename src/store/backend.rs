//! What the databases have in common: each operation runs on a connection, to
//! read or to write. What differs between the databases is in their
//! [`Backend`].

use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use tokio::sync::Notify;

use super::catalog::{Appending, CatalogHistory, Keep, Newest, Recorded, operations as history};
use super::deletion::Rows;
use super::events::{Appended, Arrival, EventLog, Extent, Logged, Selection, operations as log, selection};
use super::session::Session;
use super::{
    Attempt, Begun, Check, Claims, Count, Filter, InFlight, Key, Ledger, LookUp, Note, OperationFilter,
    Record, Released, Result, Settled, Settlement, SimPurchase, Slot, SlotStatus, TakeOver, limits,
    operations, pages, spend,
};
use crate::domain::catalog_change::Since;
use crate::domain::event::Event;
use crate::domain::spend::{Days, Spent};
use crate::domain::write::{Activation, RequestId, State, Write, WriteId};
use crate::domain::{Language, Msisdn};

/// Work on a connection.
pub(super) type Work<C, T> = Box<dyn for<'c> FnOnce(&'c mut C) -> BoxFuture<'c, sqlx::Result<T>> + Send>;

/// Work that only reads: it may run again when a connection was lost under it.
pub(super) type Reading<C, T> =
    Box<dyn for<'c> Fn(&'c mut C) -> BoxFuture<'c, sqlx::Result<T>> + Send + Sync>;

/// Wraps a call of an operation as work.
macro_rules! work {
    ($connection:ident => $operation:expr) => {
        Box::new(move |$connection: &mut _| Box::pin(async move { $operation.await }))
    };
}
pub(super) use work;

/// The same of one that only reads, with its own copy of each of the values
/// that it borrows.
macro_rules! reading {
    ($connection:ident $(, $borrowed:ident)* => $operation:expr) => {
        Box::new(move |$connection: &mut _| {
            $(let $borrowed = $borrowed.clone();)*
            Box::pin(async move { $operation.await })
        })
    };
}
pub(super) use reading;

/// The same work with how long it took: without what it waits for others and for its
/// commit.
fn timed<C: Send + 'static, T: Send + 'static>(work: Work<C, T>) -> Work<C, (T, Duration)> {
    Box::new(move |connection| {
        Box::pin(async move {
            let began = Instant::now();
            let done = work(connection).await?;
            Ok((done, began.elapsed()))
        })
    })
}

/// How the connections of a store are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    /// By operations.
    pub used: usize,
    /// Open, and used by none.
    pub idle: usize,
    /// At most so many at once.
    pub max: usize,
    /// Operations that wait for one.
    pub waiting: usize,
}

/// A database, as the operations need it.
#[async_trait]
pub(super) trait Backend: Send + Sync + 'static {
    /// The connection that work runs on.
    type Connection: Session;

    /// Runs work that only reads.
    async fn read<T: Send + 'static>(&self, work: Reading<Self::Connection, T>) -> Result<T>;

    /// Runs work that writes; what it wrote is durable when this returns.
    async fn write<T: Send + 'static>(&self, work: Work<Self::Connection, T>) -> Result<T>;

    /// Runs work that writes with several statements, all of which take effect,
    /// or none.
    async fn atomically<T: Send + 'static>(&self, work: Work<Self::Connection, T>) -> Result<T>;

    /// How its connections are used.
    fn connections(&self) -> Connections;

    /// [`Ledger::now`].
    async fn now(&self) -> Result<Timestamp>;

    /// [`Ledger::begin`]: two begins on one slot exclude each other.
    async fn begin(&self, attempt: Attempt) -> Result<Begun>;

    /// After each batch of rows that were deleted: they may lie far apart.
    async fn deleted(&self) {}

    /// Deletes in batches until one is not full; `batch` is told how many rows at
    /// most. Returns how many were deleted.
    ///
    /// Cancel-safe: what was deleted stays deleted.
    async fn delete<F>(&self, batch: F) -> Result<u64>
    where
        F: Fn(u32) -> Work<Self::Connection, u64> + Send + Sync,
    {
        let (mut deleted, mut rows) = (0, Rows::first());
        loop {
            let most = rows.most();
            // A commit of its own, whose time is not the rows'.
            let (some, took) = self.atomically(timed(batch(most))).await?;
            self.deleted().await;
            deleted += some;
            if some < u64::from(most) {
                return Ok(deleted);
            }
            rows = rows.after(took);
        }
    }

    /// [`EventLog::append`].
    async fn append(&self, arrivals: Vec<Arrival>) -> Result<Vec<Appended>>;

    /// Part of [`EventLog::publish`]: at most [`log::PUBLISHED_AT_ONCE`].
    async fn publish_some(&self) -> Result<u64>;

    /// [`EventLog::listen`].
    async fn listen(&self, appended: &Notify);
}

#[async_trait]
impl<B: Backend> Ledger for B {
    async fn now(&self) -> Result<Timestamp> {
        Backend::now(self).await
    }

    async fn find(&self, key: Key) -> Result<Option<Record>> {
        self.read(reading!(session => operations::find(session, key)))
            .await
    }

    async fn slot_status(&self, slot: &Slot) -> Result<SlotStatus> {
        let slot = slot.clone();
        self.read(reading!(session, slot => operations::slot_status(session, &slot)))
            .await
    }

    async fn look_up(&self, request_id: RequestId, slot: &Slot) -> Result<LookUp> {
        let slot = slot.clone();
        self.read(reading!(session, slot => operations::look_up(session, request_id, &slot)))
            .await
    }

    async fn sim_purchases(&self, msisdn: &Msisdn) -> Result<Vec<SimPurchase>> {
        let msisdn = msisdn.clone();
        self.read(reading!(session, msisdn => operations::sim_purchases(session, &msisdn)))
            .await
    }

    async fn begin(&self, attempt: Attempt) -> Result<Begun> {
        Backend::begin(self, attempt).await
    }

    async fn settle(
        &self,
        id: WriteId,
        attempt: i32,
        settlement: Settlement,
        note: Option<Note>,
        now: Timestamp,
    ) -> Result<Settled> {
        self.write(work!(
            session => operations::settle(session, id, attempt, &settlement, note.as_ref(), now)
        ))
        .await
    }

    async fn set_activation_used(&self, id: WriteId, attempt: i32, activation: Activation) -> Result<()> {
        self.write(work!(
            session => operations::set_activation_used(session, id, attempt, activation)
        ))
        .await
    }

    async fn release(&self, id: WriteId, attempt: i32, now: Timestamp) -> Result<Released> {
        self.write(work!(session => operations::release(session, id, attempt, now)))
            .await
    }

    async fn take_over(&self, whose: TakeOver, now: Timestamp, horizon: Timestamp) -> Result<u64> {
        self.write(work!(session => operations::take_over(session, whose, now, horizon)))
            .await
    }

    async fn take_due(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        horizon: Timestamp,
        limit: i64,
    ) -> Result<Vec<Record>> {
        self.write(work!(session => operations::take_due(session, now, lease_until, horizon, limit)))
            .await
    }

    async fn postpone(&self, id: WriteId, attempt: i32, check: Check) -> Result<()> {
        self.write(work!(session => operations::postpone(session, id, attempt, check)))
            .await
    }

    async fn claims(&self, slot: &Slot, other_than: WriteId) -> Result<Claims> {
        let slot = slot.clone();
        self.read(reading!(session, slot => operations::claims(session, &slot, other_than)))
            .await
    }

    async fn make_due(&self, name: &str, now: Timestamp) -> Result<u64> {
        let name = name.to_owned();
        self.write(work!(session => operations::make_due(session, &name, now)))
            .await
    }

    async fn page(&self, filter: &Filter, after: Option<WriteId>, limit: i64) -> Result<Vec<Write>> {
        let filter = filter.clone();
        self.read(reading!(session, filter => pages::orders(session, &filter, after, limit)))
            .await
    }

    async fn page_of_operations(
        &self,
        filter: &OperationFilter,
        after: Option<WriteId>,
        limit: i64,
    ) -> Result<Vec<Write>> {
        let filter = filter.clone();
        self.read(reading!(session, filter => pages::operations(session, &filter, after, limit)))
            .await
    }

    async fn purge(&self, unchanged_since: Timestamp) -> Result<u64> {
        self.delete(|rows| work!(session => operations::purge(session, unchanged_since, rows)))
            .await
    }

    async fn counts(&self) -> Result<Vec<Count>> {
        self.read(reading!(session => operations::counts(session))).await
    }

    async fn spend(&self, days: Days, caller: Option<&str>) -> Result<Vec<Spent>> {
        let caller = caller.map(str::to_owned);
        self.read(reading!(session, caller => spend::read(session, days, caller.as_deref())))
            .await
    }

    async fn new_orders(&self, since: Timestamp) -> Result<Vec<(Option<String>, i64)>> {
        self.read(reading!(session => limits::new_orders(session, since)))
            .await
    }

    async fn unknown_since(&self) -> Result<Option<Timestamp>> {
        self.read(reading!(session => operations::unknown_since(session)))
            .await
    }

    async fn oldest_in_flight(&self, state: State, limit: i64) -> Result<Vec<InFlight>> {
        self.read(work!(session => operations::oldest_in_flight(session, state, limit)))
            .await
    }
}

#[async_trait]
impl<B: Backend> EventLog for B {
    async fn append(&self, arrivals: Vec<Arrival>) -> Result<Vec<Appended>> {
        Backend::append(self, arrivals).await
    }

    async fn events_of(&self, order: WriteId) -> Result<Vec<Event>> {
        self.read(reading!(session => log::events_of(session, order)))
            .await
    }

    async fn aged_until(&self, now: Timestamp, elapsed: Duration) -> Result<Timestamp> {
        self.write(work!(session => log::aged_until(session, now, elapsed)))
            .await
    }

    async fn events_after(&self, sequence: u64, limit: u32) -> Result<Vec<Logged>> {
        self.read(reading!(session => log::events_after(session, sequence, limit)))
            .await
    }

    async fn select(&self, wanted: &Selection, after: u64, until: u64, limit: u32) -> Result<Vec<Logged>> {
        let wanted = wanted.clone();
        self.read(reading!(session, wanted => selection::read(session, &wanted, after, until, limit)))
            .await
    }

    async fn publish(&self) -> Result<u64> {
        let mut published = 0;
        loop {
            let some = self.publish_some().await?;
            published += some;
            if some < log::PUBLISHED_AT_ONCE as u64 {
                return Ok(published);
            }
        }
    }

    async fn extent(&self) -> Result<Extent> {
        self.read(reading!(session => log::extent(session))).await
    }

    async fn last_received_at(&self) -> Result<Option<Timestamp>> {
        self.read(reading!(session => log::last_received_at(session)))
            .await
    }

    async fn forget_events(&self, received_before: Timestamp) -> Result<u64> {
        let unreadable = self
            .delete(|rows| work!(session => log::forget_unreadable(session, received_before, rows)))
            .await?;
        let events = self
            .delete(|rows| work!(session => log::forget(session, received_before, rows)))
            .await?;
        Ok(unreadable + events)
    }

    async fn orders_without_event(
        &self,
        from: Timestamp,
        until: Timestamp,
        limit: i64,
    ) -> Result<Vec<WriteId>> {
        self.read(reading!(session => log::orders_without_event(session, from, until, limit)))
            .await
    }

    async fn listen(&self, appended: &Notify) {
        Backend::listen(self, appended).await;
    }
}

#[async_trait]
impl<B: Backend> CatalogHistory for B {
    async fn now(&self) -> Result<Timestamp> {
        Backend::now(self).await
    }

    async fn newest(&self, language: &Language, version: &str) -> Result<Option<Newest>> {
        let (language, version) = (language.clone(), version.to_owned());
        self.read(reading!(session, language, version => history::newest(session, &language, &version)))
            .await
    }

    async fn append(&self, version: Appending) -> Result<bool> {
        self.write(work!(session => history::append(session, &version)))
            .await
    }

    async fn confirm(&self, language: &Language, now: Timestamp) -> Result<()> {
        let language = language.clone();
        self.write(work!(session => history::confirm(session, &language, now)))
            .await
    }

    async fn find(&self, language: &Language, since: &Since) -> Result<Option<u64>> {
        let (language, since) = (language.clone(), since.clone());
        self.read(reading!(session, language, since => history::find(session, &language, &since)))
            .await
    }

    async fn versions_from(&self, language: &Language, sequence: u64, limit: u32) -> Result<Vec<Recorded>> {
        let language = language.clone();
        self.read(reading!(session, language => history::versions_from(session, &language, sequence, limit)))
            .await
    }

    async fn forget_versions(&self, language: &Language, keep: Keep) -> Result<()> {
        let language = language.clone();
        self.write(work!(session => history::forget(session, &language, keep)))
            .await
    }
}
