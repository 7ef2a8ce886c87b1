//! The ledger in PostgreSQL, for any number of replicas. Begins on one slot
//! wait for each other (an advisory lock that ends with the transaction);
//! every other change is one statement that says in which state it finds the
//! order. A connection that is lost is replaced when the next one is needed.

mod connect;
mod events;
mod listen;
mod pool;
mod time;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Connection as _, SqlStr};
use tokio::time::timeout;

use super::row::{self, values};
use super::session::Session as _;
use super::{
    Attempt, Begun, Census, Claims, Filter, Key, Look, Note, OpenError, OrderLedger, Record, Released,
    Result, Settled, Settlement, Slot, TakeOver, Traffic, migrations, operations,
};
use crate::domain::order::{Order, OrderId};
use pool::{Pool, too_late};
use time::DatabaseTime;

/// How often a begin is repeated that lost against something that the lock
/// does not keep apart.
const ROUNDS: usize = 4;

const UNBOUNDED: SqlStr = SqlStr::from_static("SELECT set_config('statement_timeout', '0', false)");

/// Until the end of the transaction, nobody else begins on the slot.
const LOCK_SLOT: SqlStr =
    SqlStr::from_static("SELECT pg_advisory_xact_lock(hashtextextended($1 || '/' || $2, 0))");

/// Work on a connection.
type Work<T> = Box<dyn for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, sqlx::Result<T>> + Send>;

/// Work on a connection, as the pool takes it.
macro_rules! work {
    ($connection:ident => $operation:expr) => {
        Box::new(move |$connection: &mut sqlx::postgres::PgConnection| {
            Box::pin(async move { $operation.await })
        })
    };
}

use work;

/// Orders in PostgreSQL.
pub(super) struct Ledger {
    pool: Pool,
    options: PgConnectOptions,
    operation_timeout: Duration,
    time: DatabaseTime,
}

impl Ledger {
    /// Connects and brings the tables up to date.
    pub(super) async fn open(
        url: &SecretString,
        connections: u32,
        operation_timeout: Duration,
    ) -> std::result::Result<Self, OpenError> {
        let mut options: PgConnectOptions = url.expose_secret().parse()?;
        options = options.disable_statement_logging();
        if options.get_application_name().is_none() {
            options = options.application_name(env!("CARGO_PKG_NAME"));
        }
        let connecting = timeout(operation_timeout, connect::connect(&options, operation_timeout));
        let mut connection = connecting
            .await
            .map_err(|_| too_late("no connection could be made in time"))??;
        // A migration may take longer than any other statement.
        connection.execute(UNBOUNDED, values![]).await?;
        migrations::postgres().run(&mut connection).await?;
        connection.close().await?;
        let ledger = Self {
            pool: Pool::new(options.clone(), connections, operation_timeout),
            options,
            operation_timeout,
            time: DatabaseTime::default(),
        };
        // From now on the server shows that a gateway uses the database.
        let used = ledger.run(work!(session => session.ping())).await;
        used.map_err(OpenError::Database)?;
        Ok(ledger)
    }

    /// Runs an operation as [`Pool::run`] does.
    async fn run<T: Send + 'static>(&self, work: Work<T>) -> Result<T> {
        self.pool.run(work).await
    }
}

/// `None`: something stood in the way, so that the transaction is void.
async fn try_begin(connection: &mut PgConnection, attempt: &Attempt) -> sqlx::Result<Option<Begun>> {
    let slot = row::slot(&attempt.order)?;
    // What the lock is for: each statement sees what was committed before.
    let mut transaction = connection
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

#[async_trait]
impl OrderLedger for Ledger {
    /// The database's, carried on by the process's monotonic clock between
    /// two questions.
    async fn now(&self) -> Result<Timestamp> {
        if let Some(now) = self.time.now() {
            return Ok(now);
        }
        let answer = self
            .run(work!(session => operations::database_time(session)))
            .await?;
        self.time.learn(answer);
        Ok(answer)
    }

    async fn find(&self, key: Key) -> Result<Option<Record>> {
        self.run(work!(session => operations::find(session, key))).await
    }

    async fn traffic(&self, slot: &Slot) -> Result<Traffic> {
        let slot = slot.clone();
        self.run(work!(session => operations::traffic(session, &slot)))
            .await
    }

    async fn begin(&self, attempt: Attempt) -> Result<Begun> {
        let attempt = Arc::new(attempt);
        for _ in 0..ROUNDS {
            let attempt = Arc::clone(&attempt);
            if let Some(begun) = self.run(work!(session => try_begin(session, &attempt))).await? {
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
        self.run(work!(
            session => operations::settle(session, id, attempt, &settlement, note.as_ref(), now)
        ))
        .await
    }

    async fn release(&self, id: OrderId, attempt: i32, now: Timestamp) -> Result<Released> {
        self.run(work!(session => operations::release(session, id, attempt, now)))
            .await
    }

    async fn take_over(&self, whose: TakeOver, now: Timestamp, horizon: Timestamp) -> Result<u64> {
        self.run(work!(session => operations::take_over(session, whose, now, horizon)))
            .await
    }

    async fn take_due(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        horizon: Timestamp,
        limit: i64,
    ) -> Result<Vec<Record>> {
        self.run(work!(session => operations::take_due(session, now, lease_until, horizon, limit)))
            .await
    }

    async fn postpone(&self, id: OrderId, attempt: i32, look: Look) -> Result<()> {
        self.run(work!(session => operations::postpone(session, id, attempt, look)))
            .await
    }

    async fn claims(&self, slot: &Slot, other_than: OrderId) -> Result<Claims> {
        let slot = slot.clone();
        self.run(work!(session => operations::claims(session, &slot, other_than)))
            .await
    }

    async fn make_due(&self, name: &str, now: Timestamp) -> Result<u64> {
        let name = name.to_owned();
        self.run(work!(session => operations::make_due(session, &name, now)))
            .await
    }

    async fn page(&self, filter: &Filter, after: Option<OrderId>, limit: i64) -> Result<Vec<Order>> {
        let filter = filter.clone();
        self.run(work!(session => operations::page(session, &filter, after, limit)))
            .await
    }

    async fn purge(&self, unchanged_since: Timestamp) -> Result<u64> {
        let mut purged = 0;
        loop {
            let some = self
                .run(work!(session => operations::purge(session, unchanged_since)))
                .await?;
            purged += some;
            if some < operations::PURGED_AT_ONCE {
                return Ok(purged);
            }
        }
    }

    async fn census(&self) -> Result<Census> {
        self.run(work!(session => operations::census(session))).await
    }

    async fn unknown_since(&self) -> Result<Option<Timestamp>> {
        self.run(work!(session => operations::unknown_since(session)))
            .await
    }
}
