//! The ledger in PostgreSQL, for any number of replicas. Begins on one slot
//! wait for each other (an advisory lock that ends with the transaction); every
//! other change is one statement whose condition includes the state of the
//! order. So is the usual begin, of a new request on a free slot. A lost
//! connection is replaced when the next one is needed.

mod connect;
mod listen;
mod migrate;
mod pool;
mod pooler;
mod servers;
mod time;
mod visit;

pub(super) use connect::Session;
pub(super) use servers::Servers;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, SqlStr};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::backend::{Backend, Connections, Reading, Work, reading, work};
use super::events::append::{Batch, IN_ONE_STATEMENT};
use super::events::{Appended, Arrival};
use super::progress::{Progress, Report};
use super::row::values;
use super::session::Session as _;
use super::{Attempt, Begun, OpenError, Result, Slot, begin, events, operations};
use crate::config::PostgresAddress;
use connect::too_late;
use pool::{Operation, Pool};
use time::DatabaseTime;

/// How often a begin is repeated after a conflict that the lock does not
/// exclude.
const ROUNDS: usize = 4;

/// How often what became of orders is added to their totals: each time costs as much
/// as an order, however much there is to add.
const TOTALS_EVERY: Duration = Duration::from_secs(1);

/// Excludes every other begin on the slot until the end of the transaction.
const LOCK_SLOT: SqlStr =
    SqlStr::from_static("SELECT pg_advisory_xact_lock(hashtextextended($1 || '/' || $2, 0))");

/// The product of the lock of a purchase that has to be alone on its SIM.
const EVERY_PRODUCT: &str = "*";

/// Writes and events in PostgreSQL.
pub(super) struct Ledger {
    pool: Pool,
    servers: Arc<Servers>,
    operation_timeout: Duration,
    time: DatabaseTime,
    totals_due: Mutex<Instant>,
}

impl Ledger {
    /// Connects and brings the tables up to date.
    pub(super) async fn open(
        address: &PostgresAddress,
        connections: u32,
        operation_timeout: Duration,
        report: Report<'_>,
    ) -> std::result::Result<Self, OpenError> {
        report(Progress::Connecting);
        let servers = Servers::new(address, |options| match options.get_application_name() {
            Some(_) => options,
            None => options.application_name(env!("CARGO_PKG_NAME")),
        })?;
        let connecting = async {
            if pooler::shares_sessions(&servers, operation_timeout).await? {
                return Err(OpenError::SharedSessions);
            }
            let session = Session::Operations(operation_timeout);
            Ok(servers.connect(operation_timeout, session).await?)
        };
        let connecting = timeout(operation_timeout, connecting);
        let connection = connecting
            .await
            .map_err(|_| too_late("no connection could be made in time"))??;
        report(Progress::Migrating);
        migrate::migrate(connection, &servers, operation_timeout).await?;
        let ledger = Self::new(Arc::new(servers), connections, operation_timeout);
        // From now on the server shows that a gateway uses the database.
        let ping: Work<PgConnection, ()> = work!(session => PgConnection::ping(session));
        let used = ledger.pool.run(Operation::Once(ping)).await;
        used.map_err(OpenError::Database)?;
        Ok(ledger)
    }
}

impl Ledger {
    /// Connects when a connection is needed.
    fn new(servers: Arc<Servers>, connections: u32, operation_timeout: Duration) -> Self {
        Self {
            pool: Pool::new(Arc::clone(&servers), connections, operation_timeout),
            servers,
            operation_timeout,
            time: DatabaseTime::default(),
            totals_due: Mutex::new(Instant::now()),
        }
    }

    fn are_totals_due(&self) -> bool {
        let now = Instant::now();
        let mut due = self.totals_due.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = *due <= now;
        if is_due {
            *due = now + TOTALS_EVERY;
        }
        is_due
    }
}

/// `None` after a conflict that aborted the transaction.
async fn try_begin(connection: &mut PgConnection, attempt: &Attempt) -> sqlx::Result<Option<Begun>> {
    let slot = Slot::of(&attempt.write.kind);
    // The lock relies on it: each statement sees what was committed before.
    let mut transaction = connection
        .begin_with("BEGIN ISOLATION LEVEL READ COMMITTED")
        .await?;
    let (msisdn, product_id) = slot.columns();
    let lock = values![msisdn, product_id];
    transaction.execute(LOCK_SLOT, lock).await?;
    // A sale from the stock is for a SIM that nothing uses, too.
    if attempt.alone.is_some() || begin::reservation(&attempt.write).is_some() {
        // Always after the lock of the slot, so that two begins cannot deadlock.
        transaction
            .execute(LOCK_SLOT, values![msisdn, EVERY_PRODUCT])
            .await?;
    }
    match begin::begin(&mut *transaction, attempt).await {
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

async fn append(connection: &mut PgConnection, batch: &Batch) -> sqlx::Result<Vec<Appended>> {
    let rows = connection.rows(IN_ONE_STATEMENT, batch.values()?).await?;
    batch.answers(&rows)
}

#[async_trait]
impl Backend for Ledger {
    type Connection = PgConnection;

    async fn read<T: Send + 'static>(&self, work: Reading<PgConnection, T>) -> Result<T> {
        self.pool.run(Operation::Repeatable(work)).await
    }

    async fn write<T: Send + 'static>(&self, work: Work<PgConnection, T>) -> Result<T> {
        self.pool.run(Operation::Once(work)).await
    }

    async fn atomically<T: Send + 'static>(&self, work: Work<PgConnection, T>) -> Result<T> {
        let whole: Work<PgConnection, T> = Box::new(|connection: &mut PgConnection| {
            Box::pin(async move {
                // What is locked has to be seen as it was committed.
                let mut transaction = connection
                    .begin_with("BEGIN ISOLATION LEVEL READ COMMITTED")
                    .await?;
                let done = work(&mut transaction).await?;
                transaction.commit().await?;
                Ok(done)
            })
        });
        self.pool.run(Operation::Once(whole)).await
    }

    /// The database's clock, extrapolated by the process's monotonic clock
    /// between two queries.
    async fn now(&self) -> Result<Timestamp> {
        if let Some(now) = self.time.now() {
            return Ok(now);
        }
        let answer = self
            .read(reading!(session => operations::database_time(session)))
            .await?;
        self.time.update(answer);
        Ok(answer)
    }

    fn connections(&self) -> Connections {
        self.pool.connections()
    }

    async fn begin(&self, attempt: Attempt) -> Result<Begun> {
        let attempt = Arc::new(attempt);
        let first = Arc::clone(&attempt);
        let first: Reading<PgConnection, _> = reading!(session, first => begin::begin_first(session, &first));
        // It writes, and finds what it wrote when it is repeated.
        if let Some(record) = self.pool.run(Operation::Repeatable(first)).await? {
            return Ok(Begun::Yes(Box::new(record)));
        }
        for _ in 0..ROUNDS {
            let attempt = Arc::clone(&attempt);
            if let Some(begun) = self.write(work!(session => try_begin(session, &attempt))).await? {
                return Ok(begun);
            }
        }
        Ok(Begun::Moved)
    }

    async fn append(&self, arrivals: Vec<Arrival>) -> Result<Vec<Appended>> {
        let batch = Batch::of(&arrivals);
        self.write(work!(session => append(session, &batch))).await
    }

    /// Waits only for other appends; whichever replica comes first moves what is
    /// there.
    async fn publish_some(&self) -> Result<u64> {
        if self.are_totals_due() {
            self.write(work!(session => events::operations::total(session)))
                .await?;
        }
        self.write(work!(session => events::operations::publish(session)))
            .await
    }

    /// Commits of other replicas notify.
    async fn listen(&self, appended: &Notify) {
        self.notify(appended).await;
    }
}
