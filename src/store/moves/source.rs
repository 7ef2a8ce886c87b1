//! The SQLite file that is moved, and its mark.

use std::path::Path;

use jiff::Timestamp;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteRow, SqliteSynchronous};
use sqlx::{ConnectOptions as _, SqlStr};
use uuid::Uuid;

use super::tables::{self, Census, Table};
use super::{Mark, MoveError};
use crate::store::row::{self, Cells as _, values};
use crate::store::session::Session as _;
use crate::store::sqlite::file::{self, Claim};
use crate::store::{Error, OpenError, Result, migrations};

const IS_LEDGER: SqlStr = SqlStr::from_static(
    "SELECT name FROM sqlite_master WHERE type = 'table' AND name IN ('_sqlx_migrations', 'orders')",
);

const MARK: SqlStr =
    SqlStr::from_static("SELECT id, other, other_log, ended_at FROM moves WHERE direction = 'to'");

const SET_MARK: SqlStr = SqlStr::from_static(
    "INSERT INTO moves (id, direction, other, other_log, begun_at) VALUES ($1, 'to', $2, $3, $4)",
);

const END_MARK: SqlStr = SqlStr::from_static("UPDATE moves SET ended_at = $1 WHERE direction = 'to'");

/// Only of a move that has not ended.
const REMOVE_MARK: SqlStr =
    SqlStr::from_static("DELETE FROM moves WHERE direction = 'to' AND ended_at IS NULL");

const LOG: SqlStr = SqlStr::from_static("SELECT id FROM event_log");

/// The mark of a ledger that was or is being moved.
pub(in crate::store) async fn mark(connection: &mut SqliteConnection) -> sqlx::Result<Option<Mark>> {
    let Some(found) = connection.row(MARK, values![]).await? else {
        return Ok(None);
    };
    let id = row::parsed(&found, "id", |text| Uuid::try_parse(text).ok())?;
    Ok(Some(Mark {
        id: id.ok_or_else(|| row::unusable("id"))?,
        to: row::text(&found, "other")?,
        target_log: row::text(&found, "other_log")?,
        ended: found.number("ended_at")?.is_some(),
    }))
}

/// A ledger in exclusive use.
pub(super) struct Source {
    connection: SqliteConnection,
    _claim: Claim,
}

impl Source {
    /// Claims the ledger in a file and brings its tables up to date, as a
    /// gateway does.
    pub(super) async fn claim(path: &Path) -> std::result::Result<Self, MoveError> {
        if !path.is_file() {
            return Err(MoveError::NoFile(path.to_owned()));
        }
        let claim = match file::claim(path) {
            Ok(Some(claim)) => claim,
            Ok(None) => return Err(MoveError::SourceInUse(path.to_owned())),
            Err(OpenError::File { path, source: error }) => {
                return Err(MoveError::SourceFile { path, error });
            }
            Err(_) => return Err(MoveError::NoFile(path.to_owned())),
        };
        let opened = Self::open(path).await.map_err(MoveError::Source)?;
        let connection = opened.ok_or_else(|| MoveError::NoLedger(path.to_owned()))?;
        Ok(Self {
            connection,
            _claim: claim,
        })
    }

    /// `None` when the file holds something else.
    async fn open(path: &Path) -> Result<Option<SqliteConnection>> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(false)
            .disable_statement_logging();
        let mut connection = options.clone().connect().await?;
        if connection.rows(IS_LEDGER, values![]).await?.len() < 2 {
            return Ok(None);
        }
        drop(connection);
        let options = options
            .journal_mode(SqliteJournalMode::Wal)
            // The mark is on disk before anything else happens.
            .synchronous(SqliteSynchronous::Full);
        let mut connection = options.connect().await?;
        let migrated = migrations::sqlite(&mut connection).await;
        migrated.map_err(|error| Error::from_migration(&error))?;
        Ok(Some(connection))
    }

    pub(super) async fn mark(&mut self) -> std::result::Result<Option<Mark>, MoveError> {
        let mark = mark(&mut self.connection).await;
        mark.map_err(|error| MoveError::Source(error.into()))
    }

    /// From here on no gateway starts on it.
    pub(super) async fn set_mark(&mut self, to: &str, target_log: &str) -> Result<Uuid> {
        let id = Uuid::now_v7();
        let mark = values![id.to_string().as_str(), to, target_log, Timestamp::now()];
        self.connection.execute(SET_MARK, mark).await?;
        Ok(id)
    }

    /// The target holds everything.
    pub(super) async fn end_mark(&mut self) -> Result<()> {
        let now = values![Timestamp::now()];
        self.connection.execute(END_MARK, now).await?;
        Ok(())
    }

    /// The target holds nothing.
    pub(super) async fn remove_mark(&mut self) -> Result<()> {
        self.connection.execute(REMOVE_MARK, values![]).await?;
        Ok(())
    }

    pub(super) async fn tables(&mut self) -> std::result::Result<Vec<Table>, MoveError> {
        let rows = self.connection.rows(tables::COLUMNS, values![]).await;
        let tables = rows.and_then(|rows| tables::read(&rows));
        tables.map_err(|error| MoveError::Source(error.into()))
    }

    /// All rows of a table, as they are read.
    pub(super) fn rows(
        &mut self,
        table: &Table,
    ) -> impl futures_util::Stream<Item = sqlx::Result<SqliteRow>> + Unpin {
        sqlx::query(table.select("")).fetch(&mut self.connection)
    }

    pub(super) async fn census(&mut self) -> Result<Census> {
        Ok(tables::census(&mut self.connection).await?)
    }

    /// Name of the log of events.
    pub(super) async fn log(&mut self) -> Result<String> {
        let found = self.connection.row(LOG, values![]).await?;
        Ok(row::text(&found.ok_or(sqlx::Error::RowNotFound)?, "id")?)
    }
}
