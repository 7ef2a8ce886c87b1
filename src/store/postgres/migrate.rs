//! Brings the tables up to date, for as long as that takes.
//!
//! No statement of it is bounded in time. Instead a second connection asks now
//! and then whether the server still works on it: a network that has gone
//! silent would otherwise be waited for without end.

use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, SqlStr};
use tokio::time::{Instant, sleep, timeout};

use super::connect::Session;
use super::servers::Servers;
use crate::store::row::{self, values};
use crate::store::session::Session as _;
use crate::store::{Error, OpenError, migrations};

const UNBOUNDED: SqlStr = SqlStr::from_static(
    "SELECT set_config('statement_timeout', '0', false), \
     set_config('idle_in_transaction_session_timeout', '0', false), pg_backend_pid()::bigint AS pid",
);

const IS_THERE: SqlStr =
    SqlStr::from_static("SELECT COUNT(*) AS sessions FROM pg_stat_activity WHERE pid = $1");

/// Pause between two questions, each with a line in the log.
const ASK_EVERY: Duration = Duration::from_secs(30);

/// Migrates on a connection of its own, and closes it.
pub(super) async fn migrate(
    mut connection: PgConnection,
    servers: &Servers,
    operation_timeout: Duration,
) -> Result<(), OpenError> {
    let found = connection.row(UNBOUNDED, values![]).await?;
    let pid = row::number(&found.ok_or(sqlx::Error::RowNotFound)?, "pid")?;
    tokio::select! {
        migrated = migrations::postgres(&mut connection) => migrated?,
        () = ended(pid, servers, operation_timeout) => {
            return Err(OpenError::Database(Error::connection_ended()));
        }
    }
    connection.close().await?;
    Ok(())
}

/// Returns when the server has no such session any more.
async fn ended(pid: i64, servers: &Servers, operation_timeout: Duration) {
    let began = Instant::now();
    loop {
        sleep(ASK_EVERY).await;
        let asked = async {
            let mut connection = servers.connect(operation_timeout, Session::AsItIs).await?;
            let found = connection.row(IS_THERE, values![pid]).await?;
            row::number(&found.ok_or(sqlx::Error::RowNotFound)?, "sessions")
        };
        let seconds = began.elapsed().as_secs();
        match timeout(operation_timeout, asked).await {
            Ok(Ok(0)) => return,
            Ok(Ok(_)) => tracing::info!(
                seconds,
                "the tables of the ledger are still being brought up to date"
            ),
            // Another server than the one that migrates may be asked later.
            Ok(Err(_)) | Err(_) => {
                tracing::warn!(seconds, "the database cannot be asked whether it still migrates");
            }
        }
    }
}
