//! The ledger in PostgreSQL, for any number of replicas. Begins on one slot
//! wait for each other (an advisory lock that ends with the transaction);
//! every other change is one statement that says in which state it finds the
//! order. A connection that is lost is replaced when the next one is needed.

mod events;
mod time;

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _, PgPool, Postgres, SqlStr};
use tokio::time::Instant;

use super::row::{self, values};
use super::session::Session as _;
use super::{
    Attempt, Begun, Census, Claims, Filter, Key, Look, Note, OpenError, OrderLedger, Record, Released,
    Result, Settled, Settlement, Slot, TakeOver, Traffic, migrations, operations,
};
use crate::domain::order::{Order, OrderId};
use time::DatabaseTime;

/// Longest wait for a connection: the caller still has time to be told.
const ACQUIRE: Duration = Duration::from_secs(5);

/// How often a begin is repeated that lost against something that the lock
/// does not keep apart.
const ROUNDS: usize = 4;

/// What every connection says first: statements end by themselves, each sees
/// what was committed before it, and a commit is on the disk before it is
/// reported even where the database's default is otherwise.
const SETTINGS: SqlStr = SqlStr::from_static(
    "SELECT set_config('statement_timeout', '10s', false), \
    set_config('default_transaction_isolation', 'read committed', false), \
    set_config('synchronous_commit', \
        CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' \
        ELSE current_setting('synchronous_commit') END, false)",
);

/// Until the end of the transaction, nobody else begins on the slot.
const LOCK_SLOT: SqlStr =
    SqlStr::from_static("SELECT pg_advisory_xact_lock(hashtextextended($1 || '/' || $2, 0))");

/// Orders in PostgreSQL.
pub(super) struct Ledger {
    pool: PgPool,
    options: PgConnectOptions,
    time: DatabaseTime,
}

impl Ledger {
    /// Connects and brings the tables up to date.
    pub(super) async fn open(url: &SecretString, connections: u32) -> std::result::Result<Self, OpenError> {
        let mut options: PgConnectOptions = url.expose_secret().parse()?;
        options = options.disable_statement_logging();
        if options.get_application_name().is_none() {
            options = options.application_name(env!("CARGO_PKG_NAME"));
        }
        // Not from the pool: a migration may take longer than a statement.
        let mut connection: PgConnection = options.connect().await?;
        migrations::postgres().run(&mut connection).await?;
        connection.close().await?;
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(ACQUIRE)
            .after_connect(|connection, _| {
                Box::pin(async move { connection.execute(SETTINGS, values![]).await.map(drop) })
            })
            .connect_with(options.clone())
            .await?;
        Ok(Self {
            pool,
            options,
            time: DatabaseTime::default(),
        })
    }

    async fn connection(&self) -> Result<PoolConnection<Postgres>> {
        Ok(self.pool.acquire().await?)
    }

    /// `None`: something stood in the way, so that the transaction is void.
    async fn try_begin(&self, attempt: &Attempt) -> sqlx::Result<Option<Begun>> {
        let slot = row::slot(&attempt.order)?;
        // What the lock is for: each statement sees what was committed before.
        let mut transaction = self
            .pool
            .begin_with("BEGIN ISOLATION LEVEL READ COMMITTED")
            .await?;
        let lock = values![slot.msisdn.as_str(), slot.product_id.as_str()];
        transaction.execute(LOCK_SLOT, lock).await?;
        match operations::begin(&mut *transaction, attempt).await {
            Ok(begun) => {
                transaction.commit().await?;
                Ok(Some(begun))
            }
            Err(error) if operations::is_taken(&error) => {
                transaction.rollback().await?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl OrderLedger for Ledger {
    /// The database's, carried on by the process's monotonic clock between
    /// two questions.
    async fn now(&self) -> Result<Timestamp> {
        if let Some(now) = self.time.now() {
            return Ok(now);
        }
        let mut connection = self.connection().await?;
        let asked = Instant::now();
        let told = operations::database_time(&mut *connection).await?;
        Ok(self.time.learn(asked, told))
    }

    async fn find(&self, key: Key) -> Result<Option<Record>> {
        let mut connection = self.connection().await?;
        Ok(operations::find(&mut *connection, key).await?)
    }

    async fn traffic(&self, slot: &Slot) -> Result<Traffic> {
        let mut connection = self.connection().await?;
        Ok(operations::traffic(&mut *connection, slot).await?)
    }

    async fn begin(&self, attempt: Attempt) -> Result<Begun> {
        for _ in 0..ROUNDS {
            if let Some(begun) = self.try_begin(&attempt).await? {
                return Ok(begun);
            }
        }
        Ok(Begun::Moved)
    }

    async fn settle(
        &self,
        id: OrderId,
        attempt: i32,
        settlement: Settlement,
        note: Option<Note>,
        now: Timestamp,
    ) -> Result<Settled> {
        let mut connection = self.connection().await?;
        let note = note.as_ref();
        Ok(operations::settle(&mut *connection, id, attempt, &settlement, note, now).await?)
    }

    async fn release(&self, id: OrderId, attempt: i32, now: Timestamp) -> Result<Released> {
        let mut connection = self.connection().await?;
        Ok(operations::release(&mut *connection, id, attempt, now).await?)
    }

    async fn take_over(&self, whose: TakeOver, now: Timestamp) -> Result<u64> {
        let mut connection = self.connection().await?;
        Ok(operations::take_over(&mut *connection, whose, now).await?)
    }

    async fn take_due(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        horizon: Timestamp,
        limit: i64,
    ) -> Result<Vec<Record>> {
        let mut connection = self.connection().await?;
        Ok(operations::take_due(&mut *connection, now, lease_until, horizon, limit).await?)
    }

    async fn postpone(&self, id: OrderId, attempt: i32, look: Look) -> Result<()> {
        let mut connection = self.connection().await?;
        Ok(operations::postpone(&mut *connection, id, attempt, look).await?)
    }

    async fn claims(&self, slot: &Slot, other_than: OrderId) -> Result<Claims> {
        let mut connection = self.connection().await?;
        Ok(operations::claims(&mut *connection, slot, other_than).await?)
    }

    async fn make_due(&self, name: &str, now: Timestamp) -> Result<u64> {
        let mut connection = self.connection().await?;
        Ok(operations::make_due(&mut *connection, name, now).await?)
    }

    async fn page(&self, filter: &Filter, after: Option<OrderId>, limit: i64) -> Result<Vec<Order>> {
        let mut connection = self.connection().await?;
        Ok(operations::page(&mut *connection, filter, after, limit).await?)
    }

    async fn purge(&self, unchanged_since: Timestamp) -> Result<u64> {
        let mut purged = 0;
        loop {
            let mut connection = self.connection().await?;
            let some = operations::purge(&mut *connection, unchanged_since).await?;
            purged += some;
            if some < operations::PURGED_AT_ONCE {
                return Ok(purged);
            }
        }
    }

    async fn census(&self) -> Result<Census> {
        let mut connection = self.connection().await?;
        Ok(operations::census(&mut *connection).await?)
    }

    async fn unknown_since(&self) -> Result<Option<Timestamp>> {
        let mut connection = self.connection().await?;
        Ok(operations::unknown_since(&mut *connection).await?)
    }
}
