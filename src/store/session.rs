//! A connection to either database, as the operations need it.

use std::future::Future;

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Row as _, SqlStr};

use super::row::{Cells, Value};
use super::stock::statements as stock;
use super::{statements, sums};

/// Runs one statement with its values. Not cancel-safe: a dropped future
/// leaves it open whether the statement ran.
pub(super) trait Session: Send {
    type Row: Cells + Send + Sync;
    /// The locking clause of a statement that picks rows, so that two of them
    /// never wait for or pick the same row.
    const SKIP_LOCKED: &'static str;
    /// Whether each statement waits for a server.
    const IS_REMOTE: bool;
    /// The number of orders by kind and state.
    const COUNTS: SqlStr;
    /// The number of SIMs in the stock by pool, state and reason.
    const STOCK_COUNTS: SqlStr;
    /// What was ordered, by list price.
    const SPEND: sums::Statements;

    /// All rows of an answer.
    fn rows(
        &mut self,
        sql: SqlStr,
        values: Vec<Value>,
    ) -> impl Future<Output = sqlx::Result<Vec<Self::Row>>> + Send;

    /// All rows of an answer to a statement that is composed for its call. It is
    /// planned for these values and not kept: a plan for any values reads a whole
    /// table in PostgreSQL when a value is rarer than the average.
    fn rows_once(
        &mut self,
        sql: SqlStr,
        values: Vec<Value>,
    ) -> impl Future<Output = sqlx::Result<Vec<Self::Row>>> + Send;

    /// How many rows were changed.
    fn execute(&mut self, sql: SqlStr, values: Vec<Value>) -> impl Future<Output = sqlx::Result<u64>> + Send;

    /// The only row of an answer.
    fn row(
        &mut self,
        sql: SqlStr,
        values: Vec<Value>,
    ) -> impl Future<Output = sqlx::Result<Option<Self::Row>>> + Send {
        async { Ok(self.rows(sql, values).await?.pop()) }
    }
}

/// A statement with its values.
macro_rules! bound {
    ($sql:expr, $values:expr) => {{
        let mut query = sqlx::query($sql);
        for value in $values {
            query = match value {
                Value::Text(text) => query.bind(text),
                Value::Number(number) => query.bind(number),
            };
        }
        query
    }};
}

macro_rules! session {
    ($connection:ty, $row:ty, $skip_locked:literal, $is_remote:literal, $counts:path, $stock_counts:path, $spend:path) => {
        impl Session for $connection {
            type Row = $row;
            const SKIP_LOCKED: &'static str = $skip_locked;
            const IS_REMOTE: bool = $is_remote;
            const COUNTS: SqlStr = $counts;
            const STOCK_COUNTS: SqlStr = $stock_counts;
            const SPEND: sums::Statements = $spend;

            async fn rows(&mut self, sql: SqlStr, values: Vec<Value>) -> sqlx::Result<Vec<$row>> {
                bound!(sql, values).fetch_all(self).await
            }

            async fn rows_once(&mut self, sql: SqlStr, values: Vec<Value>) -> sqlx::Result<Vec<$row>> {
                bound!(sql, values).persistent(false).fetch_all(self).await
            }

            async fn execute(&mut self, sql: SqlStr, values: Vec<Value>) -> sqlx::Result<u64> {
                Ok(bound!(sql, values).execute(self).await?.rows_affected())
            }
        }

        impl Cells for $row {
            fn text(&self, column: &str) -> sqlx::Result<Option<String>> {
                self.try_get(column)
            }

            fn number(&self, column: &str) -> sqlx::Result<Option<i64>> {
                self.try_get(column)
            }
        }
    };
}

session!(
    SqliteConnection,
    SqliteRow,
    "",
    false,
    statements::COUNTS,
    stock::COUNTS,
    sums::SQLITE
);
session!(
    PgConnection,
    PgRow,
    "FOR UPDATE SKIP LOCKED",
    true,
    statements::POSTGRES_COUNTS,
    stock::POSTGRES_COUNTS,
    sums::POSTGRES
);
