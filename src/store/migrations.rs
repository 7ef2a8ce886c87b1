//! The schemas, embedded. Built here and not by sqlx's macro, which would
//! compile SQLite a second time for the compiler's own use.
//!
//! During a rollout old replicas use the tables that a newer one has made. The
//! name of a migration says which of them can: `… (readable from 8)` ends the
//! name of one after which a gateway that knows migration 8 still works, because
//! nothing that it uses has changed its meaning. Without that, older gateways
//! refuse the ledger.

use sqlx::migrate::{Migrate, MigrateError, Migration, MigrationType, Migrator};
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;
use sqlx::{SqlSafeStr as _, SqlStr};

use super::row::{self, values};
use super::session::Session;

/// A migration: number, name, SQLite's text, PostgreSQL's text. A released one
/// is never edited.
const STEPS: [(i64, &str, &str, &str); 19] = [
    (
        1,
        "orders",
        include_str!("../../migrations/sqlite/0001_orders.sql"),
        include_str!("../../migrations/postgres/0001_orders.sql"),
    ),
    (
        2,
        "events",
        include_str!("../../migrations/sqlite/0002_events.sql"),
        include_str!("../../migrations/postgres/0002_events.sql"),
    ),
    (
        3,
        "moves",
        include_str!("../../migrations/sqlite/0003_moves.sql"),
        include_str!("../../migrations/postgres/0003_moves.sql"),
    ),
    (
        4,
        "late evidence",
        include_str!("../../migrations/sqlite/0004_late_evidence.sql"),
        include_str!("../../migrations/postgres/0004_late_evidence.sql"),
    ),
    (
        5,
        "lists",
        include_str!("../../migrations/sqlite/0005_lists.sql"),
        include_str!("../../migrations/postgres/0005_lists.sql"),
    ),
    (
        6,
        "catalog",
        include_str!("../../migrations/sqlite/0006_catalog.sql"),
        include_str!("../../migrations/postgres/0006_catalog.sql"),
    ),
    (
        7,
        "ledger events",
        include_str!("../../migrations/sqlite/0007_ledger_events.sql"),
        include_str!("../../migrations/postgres/0007_ledger_events.sql"),
    ),
    (
        8,
        "activation used",
        include_str!("../../migrations/sqlite/0008_activation_used.sql"),
        include_str!("../../migrations/postgres/0008_activation_used.sql"),
    ),
    (
        9,
        "scale (readable from 8)",
        include_str!("../../migrations/sqlite/0009_scale.sql"),
        include_str!("../../migrations/postgres/0009_scale.sql"),
    ),
    (
        10,
        "append (readable from 8)",
        include_str!("../../migrations/sqlite/0010_append.sql"),
        include_str!("../../migrations/postgres/0010_append.sql"),
    ),
    (
        11,
        "stock (readable from 9)",
        include_str!("../../migrations/sqlite/0011_stock.sql"),
        include_str!("../../migrations/postgres/0011_stock.sql"),
    ),
    (
        12,
        "list price (readable from 9)",
        include_str!("../../migrations/sqlite/0012_list_price.sql"),
        include_str!("../../migrations/postgres/0012_list_price.sql"),
    ),
    (
        13,
        "spend (readable from 9)",
        include_str!("../../migrations/sqlite/0013_spend.sql"),
        include_str!("../../migrations/postgres/0013_spend.sql"),
    ),
    (
        14,
        "begin (readable from 9)",
        include_str!("../../migrations/sqlite/0014_begin.sql"),
        include_str!("../../migrations/postgres/0014_begin.sql"),
    ),
    (
        15,
        "scope (readable from 9)",
        include_str!("../../migrations/sqlite/0015_scope.sql"),
        include_str!("../../migrations/postgres/0015_scope.sql"),
    ),
    (
        16,
        "stock counts (readable from 9)",
        include_str!("../../migrations/sqlite/0016_stock_counts.sql"),
        include_str!("../../migrations/postgres/0016_stock_counts.sql"),
    ),
    (
        17,
        "stock levels (readable from 9)",
        include_str!("../../migrations/sqlite/0017_stock_levels.sql"),
        include_str!("../../migrations/postgres/0017_stock_levels.sql"),
    ),
    (
        18,
        "events without a caller (readable from 9)",
        include_str!("../../migrations/sqlite/0018_events_without_a_caller.sql"),
        include_str!("../../migrations/postgres/0018_events_without_a_caller.sql"),
    ),
    (
        19,
        "begin by SIM (readable from 9)",
        include_str!("../../migrations/sqlite/0019_begin_by_sim.sql"),
        include_str!("../../migrations/postgres/0019_begin_by_sim.sql"),
    ),
];

/// The number of the newest one.
pub(super) const NEWEST: i64 = {
    let [.., (version, ..)] = STEPS;
    version
};

/// Where sqlx notes which migrations were carried out.
const TABLE: &str = "_sqlx_migrations";

const NEWER: SqlStr = SqlStr::from_static(
    "SELECT version, description FROM _sqlx_migrations WHERE version > $1 ORDER BY version",
);

/// Brings the tables up to date.
///
/// # Errors
/// Also when a newer gateway made them in a way that this one cannot use.
pub(super) async fn sqlite(connection: &mut SqliteConnection) -> Result<(), MigrateError> {
    run(
        migrator(|(version, name, sqlite, _)| (version, name, sqlite)),
        connection,
    )
    .await
}

/// The same. Replicas that start at the same time wait for each other: sqlx
/// takes an advisory lock.
pub(super) async fn postgres(connection: &mut PgConnection) -> Result<(), MigrateError> {
    run(
        migrator(|(version, name, _, postgres)| (version, name, postgres)),
        connection,
    )
    .await
}

/// On an error the lock is held until the connection is closed.
async fn run<S: Session + Migrate>(mut migrator: Migrator, session: &mut S) -> Result<(), MigrateError> {
    session.lock().await?;
    session.ensure_migrations_table(TABLE).await?;
    let is_newer = ensure_readable(session).await?;
    migrator.set_ignore_missing(is_newer).set_locking(false);
    migrator.run_direct(None, session, false).await?;
    session.unlock().await
}

/// Whether a newer gateway made the tables, such that this one can use them.
async fn ensure_readable<S: Session>(session: &mut S) -> Result<bool, MigrateError> {
    match newer(session).await? {
        Newer::None => Ok(false),
        Newer::Usable => Ok(true),
        Newer::Unusable(version) => Err(MigrateError::VersionMissing(version)),
    }
}

/// What migrations of newer gateways did to the tables.
pub(super) enum Newer {
    /// There are none.
    None,
    /// Each says that this gateway can use the tables after it.
    Usable,
    /// The first that does not say so.
    Unusable(i64),
}

/// Reads which migrations this gateway does not know.
pub(super) async fn newer<S: Session>(session: &mut S) -> sqlx::Result<Newer> {
    let migrations = session.rows(NEWER, values![NEWEST]).await?;
    for migration in &migrations {
        let version = row::number(migration, "version")?;
        let name = row::text(migration, "description")?;
        if readable_from(&name).is_none_or(|from| from > NEWEST) {
            return Ok(Newer::Unusable(version));
        }
        tracing::info!(
            version,
            name,
            "a newer gateway has changed the tables; this one can use them"
        );
    }
    Ok(match migrations.is_empty() {
        true => Newer::None,
        false => Newer::Usable,
    })
}

/// The oldest migration that a gateway has to know after one of this name.
fn readable_from(name: &str) -> Option<i64> {
    let (_, from) = name.strip_suffix(')')?.rsplit_once("(readable from ")?;
    from.parse().ok()
}

type Step = (i64, &'static str, &'static str, &'static str);

fn migrator(text: impl Fn(Step) -> (i64, &'static str, &'static str)) -> Migrator {
    let migration = |step| {
        let (version, name, sql) = text(step);
        Migration::new(
            version,
            name.into(),
            MigrationType::Simple,
            sql.into_sql_str(),
            false,
        )
    };
    Migrator::with_migrations(STEPS.into_iter().map(migration).collect())
}

#[cfg(test)]
mod tests {
    use super::readable_from;

    #[test]
    fn only_a_whole_mark_at_the_end_of_a_name_counts() {
        for (name, expected) in [
            ("outbox (readable from 8)", Some(8)),
            ("outbox", None),
            ("outbox (readable from )", None),
            ("outbox (readable from 8) and more", None),
            ("(readable from x)", None),
        ] {
            assert_eq!(readable_from(name), expected, "{name}");
        }
    }
}
