//! The schemas, embedded. Built here and not by sqlx's macro, which would
//! compile SQLite a second time for the compiler's own use.

use sqlx::SqlSafeStr as _;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// A migration: number, name, SQLite's text, PostgreSQL's text. A released one
/// is never edited.
const STEPS: [(i64, &str, &str, &str); 8] = [
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
];

pub(super) fn sqlite() -> Migrator {
    migrator(|(version, name, sqlite, _)| (version, name, sqlite))
}

/// Replicas that start at the same time wait for each other: sqlx takes an
/// advisory lock.
pub(super) fn postgres() -> Migrator {
    migrator(|(version, name, _, postgres)| (version, name, postgres))
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
