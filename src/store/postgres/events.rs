//! The log of events in PostgreSQL. Appends wait for each other at the log's
//! one row; a commit wakes every replica that listens.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::postgres::{PgListener, PgPoolOptions};
use sqlx::{PgPool, SqlStr};
use tokio::sync::Notify;

use super::{ACQUIRE, Ledger};
use crate::domain::event::Event;
use crate::domain::order::OrderId;
use crate::store::events::{Appended, Arrival, EventLog, Extent, Logged, operations};
use crate::store::row::values;
use crate::store::session::Session as _;
use crate::store::{Error, Result};

const CHANNEL: &str = "transatel_gateway_events";

/// Delivered with the commit, and not at all without one.
const NOTIFY: SqlStr = SqlStr::from_static("SELECT pg_notify('transatel_gateway_events', '')");

/// Pause before the server is asked again to tell of events.
const LISTEN_AGAIN: Duration = Duration::from_secs(1);

impl Ledger {
    async fn try_append(&self, arrivals: &[Arrival]) -> sqlx::Result<Vec<Appended>> {
        let mut transaction = self
            .pool
            .begin_with("BEGIN ISOLATION LEVEL READ COMMITTED")
            .await?;
        let appended = operations::append(&mut *transaction, arrivals).await?;
        if appended
            .iter()
            .any(|appended| matches!(appended, Appended::New { .. }))
        {
            transaction.rows(NOTIFY, values![]).await?;
        }
        transaction.commit().await?;
        Ok(appended)
    }

    /// Rings at every notification, and when some may have been missed.
    async fn hear(&self, pool: &PgPool, bell: &Notify) -> sqlx::Result<()> {
        let mut listener = PgListener::connect_with(pool).await?;
        listener.listen(CHANNEL).await?;
        loop {
            bell.notify_one();
            // Nothing: the connection was lost and is there again.
            listener.try_recv().await?;
        }
    }
}

#[async_trait]
impl EventLog for Ledger {
    async fn append(&self, arrivals: Vec<Arrival>) -> Result<Vec<Appended>> {
        Ok(self.try_append(&arrivals).await?)
    }

    async fn events_of(&self, order: OrderId) -> Result<Vec<Event>> {
        let mut connection = self.connection().await?;
        Ok(operations::events_of(&mut *connection, order).await?)
    }

    async fn aged_until(&self, now: Timestamp, elapsed: Duration) -> Result<Timestamp> {
        let mut connection = self.connection().await?;
        Ok(operations::aged_until(&mut *connection, now, elapsed).await?)
    }

    async fn events_after(&self, sequence: u64, limit: u32) -> Result<Vec<Logged>> {
        let mut connection = self.connection().await?;
        Ok(operations::events_after(&mut *connection, sequence, limit).await?)
    }

    async fn extent(&self) -> Result<Extent> {
        let mut connection = self.connection().await?;
        Ok(operations::extent(&mut *connection).await?)
    }

    async fn forget_events(&self, received_before: Timestamp) -> Result<u64> {
        let mut forgotten = 0;
        loop {
            let mut connection = self.connection().await?;
            let some = operations::forget(&mut *connection, received_before).await?;
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
        let mut connection = self.connection().await?;
        Ok(operations::orders_without_event(&mut *connection, from, until, limit).await?)
    }

    async fn listen(&self, bell: &Notify) {
        // Beside the pool: the listener keeps its connection.
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(ACQUIRE)
            .connect_lazy_with(self.options.clone());
        loop {
            if let Err(error) = self.hear(&pool, bell).await {
                let error = Error::from(error);
                tracing::warn!(%error, "the database does not tell of new events: looking for them");
            }
            tokio::time::sleep(LISTEN_AGAIN).await;
        }
    }
}
