//! Opens the store that the settings select.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::backend::{Backend, Connections};
use super::progress::Report;
use super::{CatalogHistory, Error, EventLog, Ledger, StockStore, postgres, sqlite};
use crate::config;
use crate::config::StoreUrl;
use crate::domain::Clock;

/// An open store.
pub struct Opened {
    /// The ledger.
    pub ledger: Arc<dyn Ledger>,
    /// The log of events.
    pub events: Arc<dyn EventLog>,
    /// The history of the catalog.
    pub catalog: Arc<dyn CatalogHistory>,
    /// The stock of SIMs.
    pub stock: Arc<dyn StockStore>,
    /// How its connections are used; `None` once it is closed.
    pub connections: Arc<dyn Fn() -> Option<Connections> + Send + Sync>,
    /// No other process used the store when it was opened: attempts that a
    /// process left behind are abandoned, and their leases have been ended.
    pub exclusive: bool,
}

/// Why a store cannot be used. Every text names the setting.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder of the file does not exist. It is not created: a wrong folder
    /// would hide the orders that are in the correct one.
    #[error("store.url: the folder {} does not exist", .0.display())]
    FolderMissing(PathBuf),
    /// SQLite cannot keep its promises there.
    #[error(
        "store.url: {} is on a network file system ({kind}), where SQLite in WAL mode can lose or corrupt orders: \
         use a volume on a local disk or on block storage, or PostgreSQL (move-ledger moves what is there)",
        .path.display()
    )]
    NetworkFileSystem {
        /// The file.
        path: PathBuf,
        /// The type of the file system.
        kind: String,
    },
    /// The file, or the lock beside it, cannot be used.
    #[error("store.url: cannot use {}: {source}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The database cannot be reached or is not usable.
    #[error("store.url: {0}")]
    Database(Error),
    /// Clients share the sessions of PostgreSQL.
    #[error(
        "store.url: a connection pooler is in between that shares the sessions of PostgreSQL among its clients \
         (transaction or statement pooling), and what the ledger sets for its session would be lost: \
         connect to PostgreSQL itself, or use session pooling (PgBouncer: pool_mode = session)"
    )]
    SharedSessions,
    /// Only the process that keeps it can read it.
    #[error("store.url: sqlite::memory: is kept by the gateway's process, and no command can read it")]
    InMemory,
    /// No gateway has used the file yet.
    #[error("store.url: there is no file {}: a gateway that starts makes it", .0.display())]
    FileMissing(PathBuf),
    /// Nothing was made in the database yet.
    #[error("store.url: there is no ledger in the database: a gateway that starts makes it")]
    NoLedger,
    /// Another process uses the file alone.
    #[error(
        "store.url: another process uses {} alone, such as move-ledger: try again when it has ended", .0.display()
    )]
    UsedAlone(PathBuf),
    /// The tables are those of another version.
    #[error(
        "store.url: its tables are {} (migration {applied}, and this command needs {known}): {}",
        age(.applied, .known), remedy(.applied, .known)
    )]
    OtherTables {
        /// The newest migration of the tables.
        applied: i64,
        /// The newest one that is known here.
        known: i64,
    },
    /// Its orders were moved: sending from two ledgers would buy twice.
    #[error(
        "store.url: everything in {} was moved to {to}, where orders are kept now: \
         set store.url to that", .path.display()
    )]
    Moved {
        /// The old ledger.
        path: PathBuf,
        /// The new one, without its password.
        to: String,
    },
    /// Its orders may have been moved.
    #[error(
        "store.url: everything in {} was being moved to {to} when that was cut off, and perhaps it is there: \
         run move-ledger again, which finds out and ends it", .path.display()
    )]
    Moving {
        /// The old ledger.
        path: PathBuf,
        /// The new one, without its password.
        to: String,
    },
}

impl OpenError {
    /// Whether it may pass without anybody changing a setting: the server is
    /// not there yet.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Database(error) => error.kind().may_pass(),
            _ => false,
        }
    }
}

fn age(applied: &i64, known: &i64) -> &'static str {
    match applied > known {
        true => "newer than this command's",
        false => "older than this command's",
    }
}

fn remedy(applied: &i64, known: &i64) -> &'static str {
    match applied > known {
        true => "use the command of the version that serves",
        false => {
            "use the command of the version that serves, or start this one, which brings them up to date"
        }
    }
}

impl From<sqlx::Error> for OpenError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

impl From<sqlx::migrate::MigrateError> for OpenError {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        Self::Database(Error::from_migration(&error))
    }
}

/// [`open_with`] that reports to nobody.
///
/// # Errors
/// As [`open_with`].
pub async fn open(config: &config::Store, clock: Clock) -> Result<Opened, OpenError> {
    open_with(config, clock, &|_| {}).await
}

/// Opens the store and brings its tables up to date. Has to be called within a
/// tokio runtime; the tasks that it starts end with the ledger. `clock` is for
/// SQLite; PostgreSQL has its own.
///
/// # Errors
/// The store cannot be reached, holds something else, or was written by a newer
/// gateway.
pub async fn open_with(
    config: &config::Store,
    clock: Clock,
    report: Report<'_>,
) -> Result<Opened, OpenError> {
    Ok(match &config.url {
        StoreUrl::Memory => opened(sqlite::Ledger::in_memory(clock).await?, true),
        StoreUrl::File(path) => {
            let (store, exclusive) = sqlite::Ledger::open(path, clock).await?;
            opened(store, exclusive)
        }
        StoreUrl::Postgres(url) => opened(
            postgres::Ledger::open(url, config.connections, config.operation_timeout, report).await?,
            false,
        ),
    })
}

/// Opens the store for a command, beside gateways that use it: whatever a
/// gateway does as it starts is left to it. Tables are not changed, no lease is
/// ended, and nothing is sent.
///
/// # Errors
/// There is no ledger, it is of another version or used by one process alone,
/// or it cannot be reached.
pub async fn visit(config: &config::Store, clock: Clock) -> Result<Opened, OpenError> {
    Ok(match &config.url {
        StoreUrl::Memory => return Err(OpenError::InMemory),
        StoreUrl::File(path) => opened(sqlite::Ledger::visit(path, clock).await?, false),
        StoreUrl::Postgres(url) => opened(
            postgres::Ledger::visit(url, config.operation_timeout).await?,
            false,
        ),
    })
}

fn opened(store: impl Backend, exclusive: bool) -> Opened {
    let store = Arc::new(store);
    // What shows it must not keep it open.
    let shown = Arc::downgrade(&store);
    Opened {
        connections: Arc::new(move || shown.upgrade().map(|store| store.connections())),
        ledger: store.clone(),
        events: store.clone(),
        catalog: store.clone(),
        stock: store,
        exclusive,
    }
}
