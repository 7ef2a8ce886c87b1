//! A PostgreSQL server of the test process's own, from the machine's
//! binaries: started when the first test asks, ended and removed with the
//! process however that ends.
//!
//! Without binaries the tests that need it say so and pass; with
//! `REQUIRE_POSTGRES=1` they fail.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use sqlx::{Connection as _, Executor as _, PgConnection};

use crate::support::relay::Relay;

/// What a store's operation may take; many tests share one server.
pub const OPERATION_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a server may take to answer.
const SOON: Duration = Duration::from_secs(60);

pub struct Cluster {
    sockets: PathBuf,
    /// Keeps the watchdog waiting: the kernel closes it with this process.
    _alive: ChildStdin,
    _watchdog: Child,
}

/// The address of a new, empty database; `None` without PostgreSQL.
pub async fn database() -> Option<String> {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let sockets = tokio::task::spawn_blocking(sockets).await.unwrap()?;
    let address = |name: &str| format!("postgres://postgres@localhost/{name}?host={}", sockets.display());
    let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let mut server = PgConnection::connect(&address("postgres")).await.unwrap();
    let create = format!("CREATE DATABASE {name}");
    server.execute(sqlx::AssertSqlSafe(create)).await.unwrap();
    server.close().await.unwrap();
    Some(address(&name))
}

/// The Unix socket of the server with this address.
pub fn socket(address: &str) -> PathBuf {
    let (_, folder) = address.split_once("?host=").unwrap();
    Path::new(folder).join(".s.PGSQL.5432")
}

/// The same database over TCP: through a relay.
pub fn through(relay: &Relay, address: &str) -> String {
    let (start, _) = address.split_once("?host=").unwrap();
    start.replace("localhost", &relay.address().to_string())
}

/// What the server of an address has logged so far.
pub fn log(address: &str) -> String {
    let (_, folder) = address.split_once("?host=").unwrap();
    std::fs::read_to_string(Path::new(folder).join("server.log")).unwrap()
}

/// A server of the caller's own and a streaming standby that only reads;
/// both end when dropped. `None` without PostgreSQL.
pub async fn with_standby() -> Option<[Cluster; 2]> {
    let start = || {
        let primary = start(None)?;
        let standby = start(Some(&primary))?;
        Some([primary, standby])
    };
    tokio::task::spawn_blocking(start).await.unwrap()
}

impl Cluster {
    /// The address of the database that every server has.
    pub fn address(&self) -> String {
        format!(
            "postgres://postgres@localhost/postgres?host={}",
            self.sockets.display()
        )
    }
}

fn sockets() -> Option<PathBuf> {
    static CLUSTER: OnceLock<Mutex<Option<Cluster>>> = OnceLock::new();
    let cluster = CLUSTER.get_or_init(|| Mutex::new(start(None)));
    let found = cluster
        .lock()
        .unwrap()
        .as_ref()
        .map(|cluster| cluster.sockets.clone());
    if found.is_none() {
        let required = std::env::var("REQUIRE_POSTGRES").is_ok_and(|value| value == "1");
        assert!(
            !required,
            "REQUIRE_POSTGRES=1, and there are no PostgreSQL binaries"
        );
        eprintln!("no PostgreSQL binaries on PATH or in /usr/lib/postgresql: not tested against it");
    }
    found
}

/// The folder of the server's programs.
fn binaries() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let debian = debian.filter_map(|entry| Some(entry.ok()?.path().join("bin")));
    // A program on PATH may be a link; its companions are beside the file.
    let real = |folder: PathBuf| Some(folder.join("postgres").canonicalize().ok()?.parent()?.to_owned());
    std::env::split_paths(&path)
        .chain(debian)
        .filter_map(real)
        .find(|folder| folder.join("initdb").exists())
}

/// The server refuses to run as root.
fn is_root() -> bool {
    std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap()) == 0
}

/// A shell of the user that servers run as, which owns the folder from now on.
fn as_its_user(folder: &Path) -> Command {
    if !is_root() {
        return Command::new("sh");
    }
    let own = Command::new("chown")
        .args(["-R", "postgres"])
        .arg(folder)
        .status();
    assert!(own.unwrap().success(), "there is no user postgres");
    let mut shell = Command::new("runuser");
    shell.args(["-u", "postgres", "--", "sh"]);
    shell
}

/// Runs a script that keeps a server of this folder, as the user of servers. It
/// is to end the server with its input, which ends with this process.
pub fn keep<'a>(
    folder: &Path,
    script: &str,
    arguments: impl IntoIterator<Item = &'a OsStr>,
) -> (ChildStdin, Child) {
    let mut watchdog = as_its_user(folder);
    watchdog
        .args(["-c", script, "sh"])
        .args(arguments)
        .current_dir("/tmp")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // Its own group: what interrupts the tests must not interrupt it.
    std::os::unix::process::CommandExt::process_group(&mut watchdog, 0);
    let mut watchdog = watchdog.spawn().unwrap();
    (watchdog.stdin.take().unwrap(), watchdog)
}

fn start(primary: Option<&Cluster>) -> Option<Cluster> {
    let programs = binaries()?;
    // In /tmp: the path of a socket is 107 bytes at most.
    let folder = tempfile::Builder::new()
        .prefix("gateway-pg-")
        .tempdir_in("/tmp")
        .unwrap()
        .keep();
    // The server ends with the shell's input, and the shell's input ends with
    // this process. fsync stays on: durability is what is tested.
    let script = r#"
        if [ -n "$3" ]; then
            "$1/pg_basebackup" -D "$2/data" -h "$3" -U postgres -c fast -R --no-sync >"$2/initdb.log" 2>&1
        else
            "$1/initdb" -D "$2/data" -U postgres -A trust -E UTF8 --locale=C --no-sync >"$2/initdb.log" 2>&1
            # Every other role needs its password.
            {
                echo "local all postgres trust"
                echo "local replication postgres trust"
                echo "local all all scram-sha-256"
            } >"$2/data/pg_hba.conf"
        fi
        "$1/postgres" -D "$2/data" -k "$2" -h "" -c fsync=on -c max_connections=400 -c shared_buffers=64MB \
            -c max_wal_size=256MB -c log_line_prefix='%d ' >"$2/server.log" 2>&1 </dev/null &
        server=$!
        cat >/dev/null
        kill -QUIT "$server"
        wait "$server"
        rm -rf "$2"
    "#;
    let arguments = [programs.as_os_str(), folder.as_os_str()];
    let primary = primary.map(|primary| primary.sockets.as_os_str());
    let (alive, watchdog) = keep(&folder, script, arguments.into_iter().chain(primary));
    until_ready(&folder);
    Some(Cluster {
        sockets: folder,
        _alive: alive,
        _watchdog: watchdog,
    })
}

fn until_ready(folder: &Path) {
    let started = Instant::now();
    loop {
        // The server's last line of this file says whether it takes callers.
        let state = std::fs::read_to_string(folder.join("data/postmaster.pid")).unwrap_or_default();
        if state.lines().nth(7).is_some_and(|line| line.trim() == "ready") {
            return;
        }
        let log = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
        assert!(
            started.elapsed() < SOON,
            "PostgreSQL does not start: {}{}",
            log("initdb.log"),
            log("server.log")
        );
        std::thread::yield_now();
    }
}
