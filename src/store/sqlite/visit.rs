//! Use of a file by a command, beside the gateway that it belongs to.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use sqlx::ConnectOptions as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteSynchronous};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use super::writer::Writer;
use super::{BUSY, Ledger, file};
use crate::domain::Clock;
use crate::store::{OpenError, moves, visit};

/// How long a command waits for a process that uses the file alone: a gateway
/// does so for a moment as it starts.
const ALONE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(20);

impl Ledger {
    /// Opens a file that exists; its tables have to be those of this version.
    /// The lock that it holds is shared with gateways and keeps `move-ledger`
    /// away: what is written here is not left behind.
    pub(in crate::store) async fn visit(path: &Path, clock: Clock) -> Result<Self, OpenError> {
        let in_use = join(path).await?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .busy_timeout(BUSY)
            .disable_statement_logging();
        let mut connection = options
            .clone()
            // A commit is on disk before it is reported.
            .synchronous(SqliteSynchronous::Full)
            .connect()
            .await?;
        visit::ensure_tables(&mut connection).await?;
        if let Some(mark) = moves::mark(&mut connection).await? {
            return Err(mark.refusal(path));
        }
        // Apart, so that a long read does not keep the gateway from writing.
        let reader = options.pragma("query_only", "on").connect().await?;
        let writer = Writer::start(connection, None, None);
        Ok(Self::over(writer, vec![Mutex::new(reader)], Some(in_use), clock))
    }
}

/// Takes part in the use of a file.
async fn join(path: &Path) -> Result<File, OpenError> {
    let until = Instant::now() + ALONE;
    loop {
        match file::join(path)? {
            Some(in_use) => return Ok(in_use),
            None if Instant::now() < until => sleep(PAUSE).await,
            None => return Err(OpenError::UsedAlone(path.to_owned())),
        }
    }
}
