//! What `doctor` says of clocks, and of what the database promises.

use jiff::SignedDuration;
use sqlx::{Connection as _, Executor as _};

use super::{QUICK, complaints, run};
use crate::support::gateway::{settings, simulator};
use crate::support::pgbouncer::PgBouncer;
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

#[tokio::test]
async fn a_pooler_in_front_of_the_database_is_named() {
    // Both ways of treating a setting that it does not know.
    for ignored in ["extra_float_digits", "extra_float_digits, options"] {
        let Some(pooler) = PgBouncer::ignoring("transaction", ignored).await else {
            return;
        };
        let line = store_line(&pooler.address()).await;
        assert!(
            line.contains("through a pooler such as PgBouncer"),
            "{ignored}: {line}"
        );
    }
}
