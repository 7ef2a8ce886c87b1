//! The log of events, written by the same writer as the orders: events and
//! orders of one moment share one commit.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::sqlite::SqliteConnection;
use tokio::sync::Notify;

use super::{Ledger, work};
use crate::domain::event::Event;
use crate::domain::order::OrderId;
use crate::store::Result;
use crate::store::events::{Appended, Arrival, EventLog, Extent, Logged, append, operations};

#[async_trait]
impl EventLog for Ledger {
    async fn append(&self, arrivals: Vec<Arrival>) -> Result<Vec<Appended>> {
        self.write(work!(session => append::append(session, &arrivals)))
            .await
    }

    async fn events_of(&self, order: OrderId) -> Result<Vec<Event>> {
        self.read(work!(session => operations::events_of(session, order)))
            .await
    }

    async fn aged_until(&self, now: Timestamp, elapsed: Duration) -> Result<Timestamp> {
        self.write(work!(session => operations::aged_until(session, now, elapsed)))
            .await
    }

    async fn events_after(&self, sequence: u64, limit: u32) -> Result<Vec<Logged>> {
        self.read(work!(session => operations::events_after(session, sequence, limit)))
            .await
    }

    async fn extent(&self) -> Result<Extent> {
        self.read(work!(session => operations::extent(session))).await
    }

    async fn forget_events(&self, received_before: Timestamp) -> Result<u64> {
        let mut forgotten = 0;
        loop {
            let some = self
                .write(work!(session => operations::forget(session, received_before)))
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
        self.read(work!(session => operations::orders_without_event(session, from, until, limit)))
            .await
    }

    /// Never notifies: another process on the same file is found by looking.
    async fn listen(&self, _bell: &Notify) {
        std::future::pending().await
    }
}
