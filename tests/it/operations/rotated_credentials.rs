//! Credentials in files that are replaced while the gateway runs.

use std::path::Path;
use std::time::Duration;

use serde_json::json;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use transatel_simulator::Options;

use crate::events::webhook::{EventSource, envelope};
use crate::support::gateway::{FRANCE, Gateway, StillClock, get, reason, simulator, until};
use crate::support::postgres;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_password_of_the_database_is_used_for_new_connections() {
    for in_url in [true, false] {
        let Some(database) = postgres::database().await else {
            return;
        };
        let name = database.split(['/', '?']).nth(3).unwrap();
        let mut server = PgConnection::connect(&database).await.unwrap();
        for statement in [
            format!("CREATE ROLE {name} LOGIN PASSWORD 'first'"),
            format!("ALTER DATABASE {name} OWNER TO {name}"),
        ] {
            server.execute(AssertSqlSafe(statement)).await.unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        let with_user = |user: &str| database.replace("postgres@", &format!("{user}@"));
        let write = |password: &str| {
            let secret = match in_url {
                true => with_user(&format!("{name}:{password}")),
                false => password.to_owned(),
            };
            std::fs::write(&file, secret + "\n").unwrap();
        };
        write("first");
        let url = with_user(name);
        let settings = match in_url {
            true => [("STORE__URL", ""), ("STORE__URL_FILE", text(&file))],
            false => [("STORE__URL", &*url), ("STORE__PASSWORD_FILE", text(&file))],
        };
        let source =
            EventSource::open(&[&settings[..], &[("STORE__OPERATION_TIMEOUT", "2s")]].concat()).await;
        source.send("before", "T", json!({})).await;
        let new_password = format!("ALTER ROLE {name} PASSWORD 'second'");
        server.execute(AssertSqlSafe(new_password)).await.unwrap();
        let end_all =
            format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{name}'");
        until("the old password is refused", async || {
            // A connection whose password was checked just before the change is not among
            // the connections yet.
            server.execute(AssertSqlSafe(end_all.clone())).await.unwrap();
            source.deliver(envelope("refused", "T", json!({}))).await == Some(503)
        })
        .await;
        // What cannot be used changes nothing.
        std::fs::write(&file, "").unwrap();
        write("second");
        until("the new password is used", async || {
            source.deliver(envelope("after", "T", json!({}))).await == Some(204)
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_client_secret_is_used_as_soon_as_it_is_there() {
    let _still = StillClock::hold();
    let sandbox = simulator().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, "an old one\n").unwrap();
    let settings = [
        ("TRANSATEL__CLIENT_SECRET", ""),
        ("TRANSATEL__CLIENT_SECRET_FILE", text(file.path())),
    ];
    let gateway = Gateway::start(&sandbox.base_url(), &settings).await;
    let mut catalog = gateway.untimed_catalog();
    let refused = catalog.get_product(get(FRANCE)).await.unwrap_err();
    let refused = reason(&refused).reason;
    std::fs::write(&file, format!("{}\n", Options::default().client_secret)).unwrap();
    // Much less than a refusal is held.
    tokio::time::advance(Duration::from_secs(2)).await;
    let answer = catalog.get_product(get(FRANCE)).await;
    assert!(answer.is_ok(), "{refused}: {answer:?}");
}
