//! Checkpoints beside the writer. SQLite moves committed pages from the log that
//! it writes ahead into the database file, by default within the commit that
//! fills the log. In a large file those pages lie far apart, and that one commit
//! waits for all of them. A connection of its own moves them while the writer goes
//! on, and then has the log begin anew, for which the writer waits for the few
//! pages that have come meanwhile.

use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, Row as _};
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::task::TaskTracker;

use crate::store::Error;

/// Pages in the log at which the writer checkpoints by itself: 64 MiB. It bounds
/// the log whatever becomes of this task.
pub(super) const PAGES_BEFORE_OWN: &str = "16000";

/// Pages after which the log begins anew: 8 MiB, twice SQLite's default.
const PAGES_OF_LOG: i64 = 2_000;

/// How long the writer waits at most for readers of the log, before it may begin
/// anew: then it does so another time.
const BUSY: Duration = Duration::from_millis(5);

/// What was committed is moved this much later, so that one checkpoint serves
/// many commits.
const DELAY: Duration = Duration::from_millis(50);

/// Whether something was committed since the last checkpoint. The checkpoints end
/// when this is dropped.
pub(super) struct Committed(watch::Sender<()>);

impl Committed {
    pub(super) fn report(&self) {
        self.0.send_replace(());
    }
}

/// Starts the checkpoints of a file.
pub(super) async fn start(options: &SqliteConnectOptions) -> sqlx::Result<Committed> {
    let connection = options.clone().busy_timeout(BUSY).connect().await?;
    let (committed, commits) = watch::channel(());
    let task = TaskTracker::new();
    task.spawn(run(connection, commits));
    Ok(Committed(committed))
}

async fn run(mut connection: SqliteConnection, mut commits: watch::Receiver<()>) {
    while commits.changed().await.is_ok() {
        sleep(DELAY).await;
        commits.mark_unchanged();
        if let Err(error) = checkpoint(&mut connection).await {
            // The writer's own checkpoint remains, and reports what stops it.
            tracing::debug!(error = %Error::from(error), "a checkpoint of the store failed");
        }
    }
    // What is left to move is the writer's, which closes the file.
    let _ = connection.close().await;
}

async fn checkpoint(connection: &mut SqliteConnection) -> sqlx::Result<()> {
    if move_pages(connection).await? > PAGES_OF_LOG {
        // What was committed meanwhile, so that little is left to wait for.
        move_pages(connection).await?;
        connection.execute("PRAGMA wal_checkpoint(RESTART)").await?;
    }
    Ok(())
}

/// Moves what it can: waits for nobody, and nobody waits for it. Returns how many
/// pages are in the log, moved or not.
async fn move_pages(connection: &mut SqliteConnection) -> sqlx::Result<i64> {
    let answer = connection.fetch_one("PRAGMA wal_checkpoint(PASSIVE)").await?;
    answer.try_get("log")
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

    #[tokio::test]
    async fn the_log_stays_small_however_much_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db");
        let (ledger, _) = Ledger::open(&path, Clock::system()).await.unwrap();
        let pages_before_own: u64 = PAGES_BEFORE_OWN.parse().unwrap();
        let mut written = 0;
        while written < 4 * pages_before_own {
            write_pages(&ledger, 1_000).await;
            written += 1_000;
        }
        let log = size(&path.with_extension("db-wal"));
        assert!(
            log < 2 * pages_before_own * PAGE,
            "{log} bytes of {}",
            written * PAGE
        );
    }
}
