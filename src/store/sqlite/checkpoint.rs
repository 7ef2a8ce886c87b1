//! Checkpoints beside the writer. SQLite moves committed pages from the log that
//! it writes ahead into the database file, by default within the commit that
//! fills the log. In a large file those pages lie far apart, and that one commit
//! waits for all of them. A connection of its own moves them while the writer goes
//! on, soon after commits and after each batch of a purge: few are left to wait for
//! when the log is full.

use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Executor as _};
use tokio::sync::{Mutex, watch};
use tokio::time::sleep;
use tokio_util::task::TaskTracker;

use crate::store::Error;

/// Pages in the log at which the writer moves what is left, so that the log begins
/// anew: 8 MiB, twice SQLite's default.
pub(super) const PAGES_OF_LOG: &str = "2000";

/// How long a checkpoint waits for another one, which does the same.
const BUSY: Duration = Duration::from_millis(5);

/// What was committed is moved this much later, so that one checkpoint serves
/// many commits.
const DELAY: Duration = Duration::from_millis(50);

/// Moves pages beside the writer.
#[derive(Clone)]
pub(super) struct Checkpoints(Arc<Mutex<SqliteConnection>>);

/// Whether something was committed since the last checkpoint. Those that follow
/// commits end when this is dropped.
pub(super) struct Committed(watch::Sender<()>);

impl Committed {
    pub(super) fn report(&self) {
        self.0.send_replace(());
    }
}

impl Checkpoints {
    /// Of a file.
    pub(super) async fn of(options: &SqliteConnectOptions) -> sqlx::Result<Self> {
        let connection = options.clone().busy_timeout(BUSY).connect().await?;
        Ok(Self(Arc::new(Mutex::new(connection))))
    }

    /// Starts those that follow commits.
    pub(super) fn follow_commits(&self) -> Committed {
        let (committed, mut commits) = watch::channel(());
        let checkpoints = self.clone();
        TaskTracker::new().spawn(async move {
            while commits.changed().await.is_ok() {
                sleep(DELAY).await;
                commits.mark_unchanged();
                checkpoints.run().await;
            }
        });
        Committed(committed)
    }

    /// Moves what it can: waits for nobody, and nobody waits for it. Cancel-safe.
    pub(super) async fn run(&self) {
        let mut connection = self.0.lock().await;
        if let Err(error) = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").await {
            // The writer's own remain, and report what stops them.
            tracing::debug!(error = %Error::from(error), "a checkpoint of the store failed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Clock;
    use crate::store::backend::{Backend as _, work};
    use crate::store::sqlite::Ledger;
    use std::path::Path;

    const PAGE: u64 = 4096;

    async fn write_pages(ledger: &Ledger, pages: u64) {
        let sql = format!("INSERT INTO filler VALUES (zeroblob({}))", pages * PAGE);
        let write = ledger.write(work!(session => async move {
            session.execute("CREATE TABLE IF NOT EXISTS filler (bytes BLOB)").await?;
            sqlx::query(sqlx::AssertSqlSafe(sql)).execute(session).await
        }));
        write.await.unwrap();
    }

    fn size(path: &Path) -> u64 {
        std::fs::metadata(path).unwrap().len()
    }

    /// Fewer pages than any checkpoint of the writer's own needs.
    #[tokio::test]
    async fn committed_pages_are_moved_into_the_file_beside_the_writer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db");
        let (ledger, _) = Ledger::open(&path, Clock::system()).await.unwrap();
        write_pages(&ledger, 200).await;
        let moved = async {
            while size(&path) < 200 * PAGE {
                sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), moved)
            .await
            .unwrap();
    }

    /// While a checkpoint runs beside the writer, the writer's own does nothing and the
    /// log grows: by how much depends on the disk.
    #[tokio::test]
    async fn the_log_begins_anew_while_much_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db");
        let (ledger, _) = Ledger::open(&path, Clock::system()).await.unwrap();
        let pages_of_log: u64 = PAGES_OF_LOG.parse().unwrap();
        let mut written = 0;
        let mut log = 0;
        while written < 4 * pages_of_log || 2 * log > written * PAGE {
            assert!(written < 40 * pages_of_log, "{log} bytes of {}", written * PAGE);
            write_pages(&ledger, 1_000).await;
            written += 1_000;
            log = size(&path.with_extension("db-wal"));
        }
    }
}
