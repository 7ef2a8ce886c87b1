//! The stores that a bench compares: SQLite and, with the address of a server,
//! PostgreSQL with one replica and with two.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tempfile::TempDir;

use super::process::{Gateway, Simulator};

/// One store, and how many gateways use it.
pub struct Store {
    /// As tables name it.
    pub name: &'static str,
    /// Gateways on it.
    pub replicas: usize,
    server: Option<String>,
    /// Its database, once it is started.
    database: Option<String>,
}

impl Store {
    /// SQLite first; with a `postgres://…` among the arguments also that server,
    /// which has to allow that databases are created.
    pub fn asked_for() -> Vec<Self> {
        let server = std::env::args().find(|argument| argument.starts_with("postgres"));
        let on = |name, replicas| Self {
            name,
            replicas,
            server: server.clone(),
            database: None,
        };
        let mut stores = vec![Self {
            name: "SQLite",
            replicas: 1,
            server: None,
            database: None,
        }];
        if server.is_some() {
            stores.push(on("PostgreSQL", 1));
            stores.push(on("PostgreSQL, 2 replicas", 2));
        }
        stores
    }

    /// Starts its gateways on a new ledger and waits until they are ready; the
    /// command, which ends in the gateway's binary, is made by replica.
    pub async fn start(&mut self, simulator: &Simulator, command: impl Fn(usize) -> Command) -> Vec<Gateway> {
        self.database = match &self.server {
            Some(server) => Some(database(server).await),
            None => None,
        };
        let mut gateways = Vec::new();
        for replica in 0..self.replicas {
            let mut gateway = match &self.database {
                Some(url) => {
                    let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
                    Gateway::start_on(url, command(replica), simulator, folder)
                }
                None => Gateway::start(command(replica), simulator),
            };
            gateway.ready();
            gateways.push(gateway);
        }
        gateways
    }

    /// Brings what a server plans by up to date, which it does itself every minute: a
    /// statement that was planned for the first rows reads the whole table until then.
    pub async fn analyze(&self) {
        if let Some(url) = &self.database {
            let mut connection = PgConnection::connect(url).await.expect("the server answers");
            connection
                .execute("ANALYZE")
                .await
                .expect("a table can be analyzed");
        }
    }
}

/// A new database on a server.
async fn database(server: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let name = format!("bench_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let mut connection = PgConnection::connect(server).await.expect("the server answers");
    for sql in [
        format!("DROP DATABASE IF EXISTS {name}"),
        format!("CREATE DATABASE {name}"),
    ] {
        let created = connection.execute(AssertSqlSafe(sql)).await;
        created.expect("databases can be created");
    }
    let (start, parameters) = server.split_once('?').unwrap_or((server, ""));
    let (base, _) = start.rsplit_once('/').expect("the address names a database");
    format!("{base}/{name}?{parameters}")
}

/// A figure of a store over SQLite's in the same round: the median of rounds.
pub fn over(figures: &[f64], first: &[f64]) -> String {
    let ratios: Vec<f64> = figures
        .iter()
        .zip(first)
        .map(|(own, first)| own / first)
        .collect();
    format!("{:.2}×", super::report::median(&ratios))
}
