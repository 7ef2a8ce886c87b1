//! One connection to PostgreSQL: how it is prepared, and which errors end it.

use std::io;
use std::time::Duration;

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Executor as _, SqlStr};

use crate::store::row::{Cells as _, values};
use crate::store::session::Session as _;

/// Settings of every connection.
///
/// Statements have a timeout, each sees what was committed before it, and a
/// commit is on disk before it is reported even where the database's default is
/// otherwise. A transaction whose client is silent is ended, and a lost client
/// is noticed, so that its locks are not held for long.
const SETTINGS: SqlStr = SqlStr::from_static(
    "SELECT set_config('statement_timeout', $1, false), \
    set_config('idle_in_transaction_session_timeout', $2, false), \
    set_config('tcp_user_timeout', $3, false), \
    set_config('tcp_keepalives_idle', $4, false), \
    set_config('tcp_keepalives_interval', $5, false), \
    set_config('tcp_keepalives_count', '3', false), \
    set_config('default_transaction_isolation', 'read committed', false), \
    set_config('synchronous_commit', \
        CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' \
        ELSE current_setting('synchronous_commit') END, false), \
    current_setting('transaction_read_only') AS read_only",
);

const READ_ONLY_STATE: &str = "SELECT current_setting('transaction_read_only') AS read_only";

/// "Read-only SQL transaction".
const READ_ONLY: &str = "25006";

/// Ended by the server: what was idle in a transaction for too long.
const IDLE_IN_TRANSACTION: &str = "25P03";

/// What a connection is for.
#[derive(Clone, Copy)]
pub(in crate::store) enum Session {
    /// Operations that take up to this long.
    Operations(Duration),
    /// Something else, with the server's own settings.
    AsItIs,
}

/// Prepares a connection for its purpose; an error when the server accepts no
/// writes. Not bounded in time.
pub(super) async fn prepare(connection: &mut PgConnection, session: Session) -> sqlx::Result<()> {
    let found = match session {
        Session::Operations(timeout) => apply_settings(connection, timeout).await?,
        // Not prepared: a pooler may be in between.
        Session::AsItIs => connection.fetch_optional(READ_ONLY_STATE).await?,
    };
    let found = found.ok_or(sqlx::Error::RowNotFound)?;
    if found.text("read_only")?.is_some_and(|value| value == "on") {
        let why = "the server only reads: it is a standby, or default_transaction_read_only is on";
        return Err(io::Error::other(why).into());
    }
    Ok(())
}

async fn apply_settings(
    connection: &mut PgConnection,
    operation_timeout: Duration,
) -> sqlx::Result<Option<PgRow>> {
    let milliseconds = |time: Duration| time.as_millis().to_string();
    let seconds = |time: Duration| time.as_secs().max(1).to_string();
    let values = values![
        // Before the client times out, so that the connection can be kept.
        &*milliseconds(operation_timeout * 4 / 5),
        &*milliseconds(operation_timeout),
        &*milliseconds(operation_timeout * 2),
        &*seconds(operation_timeout),
        &*seconds(operation_timeout / 3),
    ];
    connection.row(SETTINGS, values).await
}

/// Whether the connection that returned the error cannot be used any more.
pub(super) fn ends_connection(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => {
            true
        }
        // "Operator intervention" except a statement timeout, "connection
        // exception", and the classes of their own.
        error => code(error).is_some_and(|code| {
            only_reads(error)
                || code == IDLE_IN_TRANSACTION
                || code.starts_with("08")
                || code.starts_with("57P")
        }),
    }
}

/// Whether the server no longer accepts writes.
pub(super) fn only_reads(error: &sqlx::Error) -> bool {
    code(error).is_some_and(|code| code == READ_ONLY)
}

/// Whether the error is transient: the server is starting, stopping, full,
/// read-only, or not reachable.
pub(super) fn is_transient(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) => true,
        error => code(error).is_some_and(|code| code.starts_with("57P") || code == "53300"),
    }
}

/// A timeout; the operation may or may not have taken effect.
pub(super) fn too_late(why: &'static str) -> sqlx::Error {
    io::Error::new(io::ErrorKind::TimedOut, why).into()
}

fn code(error: &sqlx::Error) -> Option<String> {
    let code = error.as_database_error()?.code()?;
    Some(code.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_connection_is_not_kept_and_a_refusal_does_not_cost_one() {
        let lost = sqlx::Error::Io(io::ErrorKind::ConnectionReset.into());
        assert!(ends_connection(&lost) && is_transient(&lost) && !only_reads(&lost));
        let unreadable = sqlx::Error::RowNotFound;
        assert!(!ends_connection(&unreadable) && !is_transient(&unreadable));
    }
}
