//! Moves that are refused leave both sides as they were, and say why without
//! a password.

use std::path::Path;

use sqlx::{Connection as _, Executor as _, PgConnection, SqliteConnection};
use transatel_gateway::config::StoreUrl;

use super::kills::{fill, open, rows};
use super::{Harness, move_ledger, url};
use crate::operations::commands::run;
use crate::support::postgres;
use crate::writes::ledger::in_state;

/// Refuses and changes nothing; gives what it says.
async fn refused(harness: &Harness, from: &str, to: &str, code: i32) -> String {
    let (exit, out, err) = run(&["move-ledger", "--from", from, "--to", to], &[]).await;
    assert_eq!((exit, out.as_str()), (Some(code), ""), "{err}");
    assert!(!err.contains("hunter2"), "{err}");
    // Unmarked: a gateway starts on it.
    if let Err(error) = open(StoreUrl::File(harness.file.clone())).await {
        panic!("{error}");
    }
    err
}

async fn execute(url: &str, sql: &'static str) {
    let mut server = PgConnection::connect(url).await.unwrap();
    server.execute(sqlx::raw_sql(sql)).await.unwrap();
    server.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_moved_is_refused_before_anything_is_changed() {
    let Some(empty) = postgres::database().await else {
        return;
    };
    let harness = Harness::new();
    fill(&harness).await;
    let from = url(&harness.file);
    let folder = harness.file.parent().unwrap();
    let beside = |name: &str| url(&folder.join(name));
    std::fs::write(folder.join("empty.db"), "").unwrap();
    std::fs::write(folder.join("text.db"), "no database at all. ".repeat(200)).unwrap();
    let direction = "from SQLite (sqlite://FILE) to PostgreSQL";
    let password = "postgres://shop:hunter2@127.0.0.1:1/orders";
    for (from, to, says) in [
        (&*from, &*from, "source and target are the same"),
        (&empty, &empty, "source and target are the same"),
        (&from, &beside("other.db"), direction),
        (&empty, &from, direction),
        ("sqlite::memory:", &empty, direction),
        (&from, "postgres:/shop:hunter2@host", "--to: has to be"),
        (&from, "mysql://shop:hunter2@host/x", "--to: has to be"),
        (password, &from, direction),
        (
            &from,
            password,
            "target: the order ledger: error communicating with database",
        ),
        (&beside("absent.db"), &empty, "there is no file"),
        (
            &beside("empty.db"),
            &empty,
            "empty.db is not a ledger of this gateway",
        ),
        (&beside("text.db"), &empty, "file is not a database"),
    ] {
        let err = refused(&harness, from, to, 1).await;
        assert!(err.contains(says), "{from} {to}: {err}");
    }
    let mut made: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    made.retain(|name| Path::new(name).to_string_lossy().starts_with("absent"));
    assert!(made.is_empty(), "{made:?}");
    assert_eq!(rows(&empty).await, 0);

    let file = folder.join("no-such-address");
    let (code, _, err) = run(
        &[
            "move-ledger",
            "--from",
            &from,
            "--to-file",
            file.to_str().unwrap(),
        ],
        &[],
    )
    .await;
    assert_eq!(code, Some(1));
    assert!(err.contains("--to-file: cannot read"), "{err}");
    // Without --from the configured ledger is meant, so there has to be one.
    let (code, _, err) = run(&["move-ledger", "--to", &empty], &[]).await;
    assert_eq!(code, Some(64), "{err}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_is_in_use_or_of_a_newer_gateway_is_refused() {
    let Some(to) = postgres::database().await else {
        return;
    };
    let harness = Harness::new();
    fill(&harness).await;
    let using = open(StoreUrl::File(harness.file.clone())).await.unwrap();
    let err = refused(&harness, &url(&harness.file), &to, 1).await;
    assert!(err.contains("ledger.db is in use: stop the gateway"), "{err}");
    drop(using);

    let mut file = SqliteConnection::connect(&url(&harness.file)).await.unwrap();
    file.execute(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (9999, 'newer', TRUE, x'00', 0)",
    )
    .await
    .unwrap();
    file.close().await.unwrap();
    let (code, _, err) = move_ledger(&harness.file, &to, &[]).await;
    assert_eq!(code, Some(1));
    assert!(
        err.contains("source: ") && err.contains("made by a newer gateway"),
        "{err}"
    );
    assert_eq!(rows(&to).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_is_not_empty_or_in_use_is_refused() {
    let harness = Harness::new();
    fill(&harness).await;
    let from = url(&harness.file);
    let event = "INSERT INTO events (sequence, event_id, type, received_at, infrastructure, body) \
                 VALUES (1, 'a', 'T', 0, 0, '{}')";
    let unreadable = "INSERT INTO unreadable_events VALUES ('a', 0, 'no JSON', '')";
    let earlier = "INSERT INTO moves VALUES ('01a20bfb-8425-74eb-b86b-967721d13d89', 'from', '', '', 0, 0)";
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 VALUES (9999, 'newer', TRUE, '', 0)";
    // Another application's table of that name.
    let foreign = "DROP TABLE orders CASCADE; CREATE TABLE orders (id INT); DELETE FROM _sqlx_migrations";
    for (change, says) in [
        ("SELECT 1", "it is in use: stop the gateways"),
        (event, "it is not empty, there is something in events"),
        (
            unreadable,
            "it is not empty, there is something in unreadable_events",
        ),
        (
            "UPDATE event_log SET last_sequence = 7",
            "it is not empty, there is something in event_log",
        ),
        (earlier, "it is not empty, there is something in moves"),
        (
            newer,
            "target: the order ledger: its tables were made by a newer gateway",
        ),
        (
            foreign,
            "target: the order ledger: its tables cannot be brought up to date",
        ),
    ] {
        let Some(to) = postgres::database().await else {
            return;
        };
        // As a gateway that was started too early.
        let gateway = open(StoreUrl::parse(&to).unwrap()).await.unwrap();
        execute(&to, change).await;
        if change == "SELECT 1" {
            let err = refused(&harness, &from, &to, 1).await;
            assert!(err.contains(says), "{err}");
            continue;
        }
        drop(gateway);
        gone(&to).await;
        let err = refused(&harness, &from, &to, 1).await;
        assert!(err.contains(says), "{change}: {err}");
    }
    let Some(to) = postgres::database().await else {
        return;
    };
    let gateway = open(StoreUrl::parse(&to).unwrap()).await.unwrap();
    in_state(
        &*gateway.ledger,
        1,
        transatel_gateway::domain::write::State::Unknown,
    )
    .await;
    drop(gateway);
    gone(&to).await;
    let err = refused(&harness, &from, &to, 1).await;
    assert!(
        err.contains("it is not empty, there is something in orders"),
        "{err}"
    );
}

/// Waits until no gateway is connected: a pool that is dropped says goodbye in
/// the background.
async fn gone(url: &str) {
    let mut server = PgConnection::connect(url).await.unwrap();
    crate::support::gateway::until("no gateway is connected", async || {
        let connected = sqlx::query(
            "SELECT 1 FROM pg_stat_activity WHERE application_name = 'transatel-gateway' \
             AND datname = current_database()",
        );
        connected.fetch_all(&mut server).await.unwrap().is_empty()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_reads_back_different_is_not_moved() {
    let Some(to) = postgres::database().await else {
        return;
    };
    let harness = Harness::new();
    fill(&harness).await;
    drop(open(StoreUrl::parse(&to).unwrap()).await.unwrap());
    gone(&to).await;
    for (table, column) in [("orders", "caller"), ("events", "body")] {
        let meddle = format!(
            "CREATE OR REPLACE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             NEW.{column} := 'x'; RETURN NEW; END $$; \
             CREATE TRIGGER meddle BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION meddle()"
        );
        let mut server = PgConnection::connect(&to).await.unwrap();
        server
            .execute(sqlx::raw_sql(sqlx::AssertSqlSafe(meddle)))
            .await
            .unwrap();
        let (code, _, err) = move_ledger(&harness.file, &to, &[]).await;
        assert_eq!(code, Some(1));
        assert!(
            err.contains(&format!(
                "what was read back from {table} differs from what was written"
            )),
            "{err}"
        );
        assert_eq!(rows(&to).await, 0);
        drop(
            open(StoreUrl::File(harness.file.clone()))
                .await
                .expect("unmarked"),
        );
        let restore = format!("DROP TRIGGER meddle ON {table}");
        server
            .execute(sqlx::raw_sql(sqlx::AssertSqlSafe(restore)))
            .await
            .unwrap();
    }
    let (code, _, err) = move_ledger(&harness.file, &to, &[]).await;
    assert_eq!(code, Some(0), "{err}");
}
