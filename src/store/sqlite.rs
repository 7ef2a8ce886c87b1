//! The ledger in a SQLite file, for one replica: built in, with no server to
//! run. One [`writer`] and a few readers. Several processes on one file are
//! correct, only slow; a lock beside the file shows whether there are.

mod checkpoint;
pub(super) mod file;
mod file_system;
mod visit;
mod writer;

use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::ConnectOptions as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use tokio::sync::{Mutex, Notify};

use super::backend::{Backend, Connections, Reading, Work, work};
use super::events::{Appended, Arrival, append};
use super::row::values;
use super::session::Session as _;
use super::{Attempt, Begun, OpenError, Result, begin, migrations, moves, statements};
use crate::domain::Clock;
use checkpoint::Checkpoints;
use writer::Writer;

/// How long a statement waits for another process: longer than any commit.
const BUSY: Duration = Duration::from_secs(10);

/// Reading connections. A read is short and needs only the processor: more
/// connections would wait for processors, and each has a thread and a cache of
/// its own.
const READERS: usize = 2;

/// Writes and events in SQLite. Dropping it ends the writer after its queue is
/// empty.
pub(super) struct Ledger {
    writer: Writer,
    /// None in memory: there every connection would have its own database.
    readers: Vec<Mutex<SqliteConnection>>,
    next_reader: AtomicUsize,
    /// None in memory.
    checkpoints: Option<Checkpoints>,
    /// Shows others that this process may be sending. Released with the ledger:
    /// whatever sends holds the ledger.
    _in_use: Option<File>,
    clock: Clock,
}

impl Ledger {
    /// A ledger that is lost with the process.
    pub(super) async fn in_memory(clock: Clock) -> std::result::Result<Self, OpenError> {
        let options = SqliteConnectOptions::new()
            .in_memory(true)
            .disable_statement_logging();
        let mut connection = options.connect().await?;
        migrations::sqlite(&mut connection).await?;
        Ok(Self::over(
            Writer::start(connection, None, None),
            Vec::new(),
            None,
            clock,
        ))
    }

    /// A ledger in a file, and whether this process is its only user.
    pub(super) async fn open(path: &Path, clock: Clock) -> std::result::Result<(Self, bool), OpenError> {
        let wanted = path.to_owned();
        let entered = tokio::task::spawn_blocking(move || file::enter(&wanted));
        let opening = entered.await.map_err(|_| sqlx::Error::WorkerCrashed)??;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .busy_timeout(BUSY)
            .disable_statement_logging();
        let writing = options
            .clone()
            .journal_mode(SqliteJournalMode::Wal)
            // A commit is on disk before it is reported.
            .synchronous(SqliteSynchronous::Full)
            .pragma("wal_autocheckpoint", checkpoint::PAGES_OF_LOG);
        let mut connection = writing.connect().await?;
        migrations::sqlite(&mut connection).await?;
        if let Some(mark) = moves::mark(&mut connection).await? {
            return Err(mark.refusal(path));
        }
        if opening.exclusive {
            for end_leases in statements::END_LEASES {
                connection.execute(end_leases, values![]).await?;
            }
        }
        let reading = options.clone().pragma("query_only", "on");
        let mut readers = Vec::with_capacity(READERS);
        for _ in 0..READERS {
            readers.push(Mutex::new(reading.connect().await?));
        }
        let (in_use, exclusive) = opening.opened();
        let checkpoints = Checkpoints::of(&options).await?;
        let committed = checkpoints.follow_commits();
        let writer = Writer::start(connection, Some(writing), Some(committed));
        let ledger = Self {
            checkpoints: Some(checkpoints),
            ..Self::over(writer, readers, Some(in_use), clock)
        };
        Ok((ledger, exclusive))
    }

    fn over(
        writer: Writer,
        readers: Vec<Mutex<SqliteConnection>>,
        in_use: Option<File>,
        clock: Clock,
    ) -> Self {
        Self {
            writer,
            readers,
            next_reader: AtomicUsize::new(0),
            checkpoints: None,
            _in_use: in_use,
            clock,
        }
    }
}

#[async_trait]
impl Backend for Ledger {
    type Connection = SqliteConnection;

    /// Runs on an idle reader. Cancel-safe.
    async fn read<T: Send + 'static>(&self, work: Reading<SqliteConnection, T>) -> Result<T> {
        let turn = self.next_reader.fetch_add(1, Ordering::Relaxed);
        let Some(own) = turn
            .checked_rem(self.readers.len())
            .and_then(|turn| self.readers.get(turn))
        else {
            return self.writer.run(Box::new(move |session| work(session))).await;
        };
        let idle = self.readers.iter().find_map(|reader| reader.try_lock().ok());
        let mut connection = match idle {
            Some(connection) => connection,
            None => own.lock().await,
        };
        Ok(work(&mut connection).await?)
    }

    async fn write<T: Send + 'static>(&self, work: Work<SqliteConnection, T>) -> Result<T> {
        self.writer.run(work).await
    }

    async fn deleted(&self) {
        if let Some(checkpoints) = &self.checkpoints {
            checkpoints.run().await;
        }
    }

    /// Each work is a part of a transaction that is rolled back when it fails.
    async fn atomically<T: Send + 'static>(&self, work: Work<SqliteConnection, T>) -> Result<T> {
        self.writer.run(work).await
    }

    /// The writer's, and the readers'.
    fn connections(&self) -> Connections {
        let max = 1 + self.readers.len();
        let reading = self
            .readers
            .iter()
            .filter(|reader| reader.try_lock().is_err())
            .count();
        let used = reading + usize::from(self.writer.is_busy());
        Connections {
            used,
            idle: max - used,
            max,
            waiting: self.writer.waiting(),
        }
    }

    async fn now(&self) -> Result<Timestamp> {
        Ok(self.clock.now())
    }

    async fn begin(&self, attempt: Attempt) -> Result<Begun> {
        self.write(work!(session => begin::begin(session, &attempt)))
            .await
    }

    /// Uses the same writer as orders: events and orders of one moment share a
    /// commit.
    async fn append(&self, arrivals: Vec<Arrival>) -> Result<Vec<Appended>> {
        self.write(work!(session => append::append(session, &arrivals)))
            .await
    }

    /// The trigger has appended them.
    async fn publish_some(&self) -> Result<u64> {
        Ok(0)
    }

    /// Never notifies: what another process on the same file appended is found
    /// by polling.
    async fn listen(&self, _appended: &Notify) {
        std::future::pending().await
    }
}
