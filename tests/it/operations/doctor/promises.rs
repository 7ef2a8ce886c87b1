//! What `doctor` says of clocks, and of what the database promises.

use std::process::Stdio;

use jiff::SignedDuration;
use sqlx::{Connection as _, Executor as _};
use tokio::process::{Child, Command};

use super::{QUICK, complaints, run};
use crate::support::gateway::{settings, simulator, until};
use crate::support::postgres;

#[tokio::test]
async fn a_clock_that_is_not_the_providers_is_named_and_forbids_nothing() {
    let sandbox = simulator().await;
    for (skew, said) in [
        (-90, Some("s or more ahead of the provider's Date")),
        (90, Some("s or more behind the provider's Date")),
        (1, None),
    ] {
        let skew = SignedDuration::from_secs(skew);
        sandbox.control().configure(|settings| settings.date_skew = skew);
        let (found, code) = complaints(&sandbox, &[]).await;
        assert_eq!(code, Some(0));
        match said {
            Some(said) => {
                let (verdict, note) = &found["clock"];
                assert_eq!(verdict, "differs");
                assert!(note.contains(said), "{note}");
            }
            None => assert!(found.is_empty(), "{found:?}"),
        }
    }
}

/// The line about the ledger.
async fn store_line(url: &str) -> String {
    let sandbox = simulator().await;
    let settings = settings(
        &sandbox.base_url(),
        &[&QUICK[..], &[("STORE__URL", url)]].concat(),
    );
    let table = run(&["doctor"], &settings).await;
    assert_eq!(table.code, Some(0), "{}{}", table.out, table.err);
    let line = table.out.lines().find(|line| line.starts_with("store: "));
    line.unwrap().to_owned()
}

#[tokio::test]
async fn the_database_says_its_version_and_what_its_user_may_create() {
    let Some(url) = postgres::database().await else {
        return;
    };
    let line = store_line(&url).await;
    assert!(line.starts_with("store: PostgreSQL 1"), "{line}");
    assert!(line.contains("this user may create tables"), "{line}");
    assert!(!line.contains("pooler") && !line.contains("clock"), "{line}");
    let mut server = sqlx::PgConnection::connect(&url).await.unwrap();
    let role = format!("limited_{}", fastrand::u32(..));
    let make =
        format!("CREATE ROLE {role} LOGIN PASSWORD 'limited'; REVOKE CREATE ON SCHEMA public FROM PUBLIC");
    server.execute(sqlx::AssertSqlSafe(make)).await.unwrap();
    server.close().await.unwrap();
    let limited = url.replace("postgres@", &format!("{role}:limited@"));
    let line = store_line(&limited).await;
    assert!(line.contains("this user may not create tables"), "{line}");
}

/// A PgBouncer in front of a database, by the machine's own binary.
struct Pooler {
    url: String,
    _process: Child,
    _folder: tempfile::TempDir,
}

impl Pooler {
    /// `None` without PgBouncer.
    async fn start(url: &str, more: &str) -> Option<Self> {
        let program = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"]
            .into_iter()
            .find(|path| std::path::Path::new(path).exists())?;
        let folder = tempfile::Builder::new()
            .prefix("gateway-pool-")
            .tempdir_in("/tmp")
            .unwrap();
        let path = folder.path().display().to_string();
        let (start, sockets) = url.split_once("?host=").unwrap();
        let ini = folder.path().join("pgbouncer.ini");
        std::fs::write(
            &ini,
            format!(
                "[databases]\n* = host={sockets} user=postgres\n[pgbouncer]\nlisten_port = 6432\n\
                 unix_socket_dir = {path}\nauth_type = any\npool_mode = transaction\n{more}\n"
            ),
        )
        .unwrap();
        // It refuses to run as root, as the server does.
        let owned = Command::new("chown")
            .args(["-R", "postgres", &path])
            .status()
            .await
            .unwrap();
        // It ends with the shell's input, which ends with this process.
        let script =
            r#""$1" -q "$2" >/dev/null 2>&1 </dev/null & pooler=$!; cat >/dev/null; kill -TERM "$pooler""#;
        let mut command = match owned.success() {
            true => {
                let mut command = Command::new("runuser");
                command.args(["-u", "postgres", "--", "sh"]);
                command
            }
            false => Command::new("sh"),
        };
        command.args(["-c", script, "sh", program]).arg(&ini);
        let silent = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let process = silent.spawn().unwrap();
        until("PgBouncer listens", async || {
            folder.path().join(".s.PGSQL.6432").exists()
        })
        .await;
        Some(Self {
            url: format!("{}?host={path}", start.replace("localhost", "localhost:6432")),
            _process: process,
            _folder: folder,
        })
    }
}

#[tokio::test]
async fn a_pooler_in_front_of_the_database_is_named() {
    let Some(url) = postgres::database().await else {
        return;
    };
    // Both ways of treating a setting that it does not know.
    for ignored in ["extra_float_digits", "extra_float_digits, options"] {
        let more = &format!("ignore_startup_parameters = {ignored}");
        let Some(pooler) = Pooler::start(&url, more).await else {
            eprintln!("no PgBouncer: not tested with it");
            return;
        };
        let line = store_line(&pooler.url).await;
        assert!(
            line.contains("through a pooler such as PgBouncer"),
            "{more}: {line}"
        );
    }
}
