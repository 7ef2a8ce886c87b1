//! The PostgreSQL database that everything is moved to.

use std::time::Duration;

use futures_util::TryStreamExt as _;
use jiff::Timestamp;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _, Postgres, SqlSafeStr as _, SqlStr, Transaction};
use uuid::Uuid;

use super::source::Source;
use super::tables::{self, Digest, Digester, Table};
use super::{MoveError, Note, target_failed};
use crate::config::PostgresAddress;
use crate::store::postgres::{Servers, Session};
use crate::store::row::{self, values};
use crate::store::session::Session as _;
use crate::store::{Error, Result, migrations};

/// Not a gateway's, so that gateways can be distinguished from it.
const APPLICATION: &str = concat!(env!("CARGO_PKG_NAME"), " move-ledger");

/// With several servers, each of them has its part of this time.
const CONNECT_WITHIN: Duration = Duration::from_secs(30);

/// Rows are sent to the server in parts of about this size.
const PART: usize = 64 * 1024;

/// The transaction is not limited in time, but waits only briefly for locks,
/// and its commit is on disk before it is reported even where the database's
/// default is otherwise. The counts of the stock are copied with it.
const SETTINGS: SqlStr = SqlStr::from_static(
    "SELECT set_config('statement_timeout', '0', true), \
    set_config('idle_in_transaction_session_timeout', '0', true), \
    set_config('lock_timeout', '10s', true), \
    set_config('transatel_gateway.copying', 'on', true), \
    set_config('synchronous_commit', \
        CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' \
        ELSE current_setting('synchronous_commit') END, true)",
);

/// PostgreSQL: "lock not available".
const LOCKED: &str = "55P03";

/// The gateways connected to it, as far as this role can see.
const GATEWAYS: SqlStr = SqlStr::from_static(
    "SELECT COUNT(*) AS gateways FROM pg_stat_activity WHERE datname = current_database() \
     AND pid <> pg_backend_pid() AND application_name = $1",
);

const EARLIER: SqlStr = SqlStr::from_static("SELECT id FROM moves ORDER BY begun_at LIMIT 1");

const LOG: SqlStr = SqlStr::from_static("SELECT id, last_sequence FROM event_log");

/// The row of the log that the schema creates is replaced by the source's.
const CLEAR_LOG: SqlStr = SqlStr::from_static("DELETE FROM event_log");

const NOTE: SqlStr = SqlStr::from_static(
    "INSERT INTO moves (id, direction, other, other_log, begun_at, ended_at) \
     VALUES ($1, 'from', $2, $3, $4, $4)",
);

/// The table with a row created by the schema.
const EVENT_LOG: &str = "event_log";

/// Connects and creates the tables.
pub(super) async fn connect(address: &PostgresAddress) -> Result<PgConnection> {
    let servers = Servers::new(address, |options| options.application_name(APPLICATION))?;
    let mut connection = servers.connect(CONNECT_WITHIN, Session::AsItIs).await?;
    let migrated = migrations::postgres(&mut connection).await;
    migrated.map_err(|error| Error::from_migration(&error))?;
    Ok(connection)
}

/// Begins the only transaction and locks the tables: an earlier move that was
/// interrupted has ended by then.
pub(super) async fn begin<'c>(
    connection: &'c mut PgConnection,
    tables: &[Table],
) -> std::result::Result<Transaction<'c, Postgres>, MoveError> {
    let begun = connection
        .begin_with("BEGIN ISOLATION LEVEL READ COMMITTED")
        .await;
    let mut transaction = begun.map_err(target_failed)?;
    transaction
        .rows(SETTINGS, values![])
        .await
        .map_err(target_failed)?;
    transaction
        .execute(Table::lock(tables), values![])
        .await
        .map_err(|error| {
            let code = error.as_database_error().and_then(|error| error.code());
            match code.as_deref() {
                Some(LOCKED) => MoveError::TargetInUse,
                _ => target_failed(error),
            }
        })?;
    let counted = transaction.row(GATEWAYS, values![env!("CARGO_PKG_NAME")]).await;
    let counted = counted.map_err(target_failed)?;
    let gateways = counted.map(|found| row::number(&found, "gateways")).transpose();
    match gateways.map_err(target_failed)? {
        Some(0) => Ok(transaction),
        _ => Err(MoveError::TargetInUse),
    }
}

/// The move that filled the target, if there was one.
pub(super) async fn earlier(connection: &mut PgConnection) -> sqlx::Result<Option<Uuid>> {
    let Some(earlier) = connection.row(EARLIER, values![]).await? else {
        return Ok(None);
    };
    let id = row::parsed(&earlier, "id", |text| Uuid::try_parse(text).ok())?;
    Ok(Some(id.ok_or_else(|| row::unusable("id"))?))
}

/// The content of a target.
pub(super) enum Found {
    /// Nothing but a log of events with this name.
    Empty {
        /// Its name.
        log: String,
    },
    /// What this move copied.
    Moved(Uuid),
    /// Other data, in this table.
    Rows(String),
}

/// Determines the content.
pub(super) async fn found(
    connection: &mut PgConnection,
    tables: &[Table],
) -> std::result::Result<Found, MoveError> {
    inspect(connection, tables).await.map_err(target_failed)
}

async fn inspect(connection: &mut PgConnection, tables: &[Table]) -> sqlx::Result<Found> {
    if let Some(id) = earlier(connection).await? {
        return Ok(Found::Moved(id));
    }
    for table in tables.iter().filter(|table| table.name != EVENT_LOG) {
        let any = AssertSqlSafe(format!("SELECT 1 AS any FROM \"{}\" LIMIT 1", table.name)).into_sql_str();
        if connection.row(any, values![]).await?.is_some() {
            return Ok(Found::Rows(table.name.clone()));
        }
    }
    let log = connection.row(LOG, values![]).await?;
    let log = log.ok_or(sqlx::Error::RowNotFound)?;
    // All of them may have been deleted; their numbers are not free.
    if row::number(&log, "last_sequence")? > 0 {
        return Ok(Found::Rows(EVENT_LOG.into()));
    }
    Ok(Found::Empty {
        log: row::text(&log, "id")?,
    })
}

/// Copies a table; returns the digest of what was read.
pub(super) async fn copy(
    connection: &mut PgConnection,
    table: &Table,
    source: &mut Source,
) -> std::result::Result<Digest, MoveError> {
    let read_failed = |error: sqlx::Error| MoveError::Source(error.into());
    if table.name == EVENT_LOG {
        let cleared = connection.execute(CLEAR_LOG, values![]).await;
        cleared.map_err(target_failed)?;
    }
    let mut digesting = Digester::new();
    let mut part = String::with_capacity(2 * PART);
    let copying = connection.copy_in_raw(&table.copy_in()).await;
    let mut copying = copying.map_err(target_failed)?;
    let mut rows = source.rows(table);
    while let Some(found) = rows.try_next().await.map_err(read_failed)? {
        let values = table.values(&found).map_err(read_failed)?;
        digesting.add(&values);
        tables::write_row(&mut part, &values);
        if part.len() >= PART {
            copying.send(part.as_bytes()).await.map_err(target_failed)?;
            part.clear();
        }
    }
    copying.send(part.as_bytes()).await.map_err(target_failed)?;
    copying.finish().await.map_err(target_failed)?;
    Ok(digesting.end())
}

/// Reads a table back.
pub(super) async fn digest(connection: &mut PgConnection, table: &Table) -> sqlx::Result<Digest> {
    let rows = sqlx::query(table.select(" COLLATE \"C\"")).fetch(connection);
    tables::digest(table, rows).await
}

/// Records where everything came from.
pub(super) async fn note(
    connection: &mut PgConnection,
    note: &Note,
    log: &str,
    now: Timestamp,
) -> sqlx::Result<()> {
    let values = values![note.id.to_string().as_str(), note.from.as_str(), log, now];
    connection.execute(NOTE, values).await?;
    Ok(())
}
