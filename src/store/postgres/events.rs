//! The log of events in PostgreSQL. An append is one statement, which takes
//! effect as a whole or finds that another one came first; a commit wakes every
//! replica that listens.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::Notify;

use super::{Ledger, work};
use crate::domain::event::Event;
use crate::domain::order::OrderId;
use crate::store::Result;
use crate::store::events::append::{Batch, IN_ONE_STATEMENT};
use crate::store::events::{Appended, Arrival, EventLog, Extent, Logged, operations};
use crate::store::session::Session;

/// Every time that this is not the first, another replica is. Bounded by the time
/// of an operation.
async fn append<S: Session>(session: &mut S, batch: &Batch) -> sqlx::Result<Vec<Appended>> {
    let values = batch.values()?;
    loop {
        let rows = session.rows(IN_ONE_STATEMENT, values.clone()).await?;
        if !rows.is_empty() {
            return batch.answers(&rows);
        }
    }
}

#[async_trait]
impl EventLog for Ledger {
    async fn append(&self, arrivals: Vec<Arrival>) -> Result<Vec<Appended>> {
        let batch = Batch::of(&arrivals);
        self.run(work!(session => append(session, &batch))).await
    }

    async fn events_of(&self, order: OrderId) -> Result<Vec<Event>> {
        self.run(work!(session => operations::events_of(session, order)))
            .await
    }

    async fn aged_until(&self, now: Timestamp, elapsed: Duration) -> Result<Timestamp> {
        self.run(work!(session => operations::aged_until(session, now, elapsed)))
            .await
    }

    async fn events_after(&self, sequence: u64, limit: u32) -> Result<Vec<Logged>> {
        self.run(work!(session => operations::events_after(session, sequence, limit)))
            .await
    }

    async fn extent(&self) -> Result<Extent> {
        self.run(work!(session => operations::extent(session))).await
    }

    async fn forget_events(&self, received_before: Timestamp) -> Result<u64> {
        let mut forgotten = 0;
        loop {
            let some = self
                .run(work!(session => operations::forget(session, received_before)))
                .await?;
            forgotten += some;
            if some < operations::FORGOTTEN_AT_ONCE as u64 {
                return Ok(forgotten);
            }
        }
    }

    async fn orders_without_event(
        &self,
        from: Timestamp,
        until: Timestamp,
        limit: i64,
    ) -> Result<Vec<OrderId>> {
        self.run(work!(session => operations::orders_without_event(session, from, until, limit)))
            .await
    }

    async fn listen(&self, appended: &Notify) {
        self.notify(appended).await;
    }
}
