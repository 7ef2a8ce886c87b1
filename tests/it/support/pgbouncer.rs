//! PgBouncer in front of the tests' PostgreSQL.
//!
//! Without its binary the tests that need it say so and pass; with
//! `REQUIRE_PGBOUNCER=1` they fail.

use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin};

use crate::support::gateway::until;
use crate::support::postgres;

/// Ends with its folder when dropped, or with this process.
pub struct PgBouncer {
    folder: PathBuf,
    database: String,
    _alive: ChildStdin,
    _watchdog: Child,
}

/// Debian keeps it where only root looks.
fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    let found = folders
        .map(|folder| folder.join("pgbouncer"))
        .find(|file| file.exists());
    if found.is_none() {
        let required = std::env::var("REQUIRE_PGBOUNCER").is_ok_and(|value| value == "1");
        assert!(!required, "REQUIRE_PGBOUNCER=1, and there is no pgbouncer");
        eprintln!("no pgbouncer on PATH or in /usr/sbin: not tested with it");
    }
    found
}

impl PgBouncer {
    /// In front of a new database; `None` without PgBouncer or PostgreSQL.
    pub async fn start(pool_mode: &str) -> Option<Self> {
        Self::ignoring(pool_mode, "extra_float_digits").await
    }

    /// The same; what a connection sets as it begins is passed over if it is
    /// among these, and refused otherwise.
    pub async fn ignoring(pool_mode: &str, parameters: &str) -> Option<Self> {
        let program = program()?;
        let address = postgres::database().await?;
        let database = address.split(['/', '?']).nth(3).unwrap().to_owned();
        let server = postgres::socket(&address);
        let folder = tempfile::Builder::new()
            .prefix("gateway-pgb-")
            .tempdir_in("/tmp")
            .unwrap()
            .keep();
        let settings = format!(
            "[databases]\n* = host={} port=5432 user=postgres\n[pgbouncer]\nlisten_addr =\nlisten_port = 6432\n\
             unix_socket_dir = {}\nauth_type = any\npool_mode = {pool_mode}\n\
             ignore_startup_parameters = {parameters}\n",
            server.parent().unwrap().display(),
            folder.display(),
        );
        std::fs::write(folder.join("pgbouncer.ini"), settings).unwrap();
        let (alive, watchdog) = run(&program, &folder);
        let socket = folder.join(".s.PGSQL.6432");
        until("PgBouncer listens", async || {
            tokio::net::UnixStream::connect(&socket).await.is_ok()
        })
        .await;
        Some(Self {
            folder,
            database,
            _alive: alive,
            _watchdog: watchdog,
        })
    }

    /// The database through it.
    pub fn address(&self) -> String {
        format!(
            "postgres://postgres@localhost:6432/{}?host={}",
            self.database,
            self.folder.display()
        )
    }
}

/// It refuses to run as root. A shell has its jobs in the background ignore
/// SIGQUIT, and PgBouncer leaves that so.
fn run(program: &Path, folder: &Path) -> (ChildStdin, Child) {
    let script = r#"
        "$1" "$2/pgbouncer.ini" >"$2/log" 2>&1 </dev/null &
        pooler=$!
        cat >/dev/null
        kill -TERM "$pooler"
        wait "$pooler"
        rm -rf "$2"
    "#;
    postgres::keep(folder, script, [program.as_os_str(), folder.as_os_str()])
}
