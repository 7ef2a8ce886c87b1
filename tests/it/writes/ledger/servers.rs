//! What is particular to PostgreSQL.

use std::error::Error as _;

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _};

use super::*;

async fn server(url: &str) -> PgConnection {
    PgConnection::connect(url).await.unwrap()
}

#[tokio::test]
async fn replicas_that_start_at_once_make_the_tables_once() {
    let Some(url) = postgres::database().await else {
        return;
    };
    let ledgers = futures_util::future::join_all((0..8).map(|_| open_postgres(&url))).await;
    for (sim, ledger) in (1..).zip(&ledgers) {
        begun(&**ledger, wanted(sim, "P", request(sim.into()))).await;
    }
    assert_eq!(ledgers[0].counts().await.unwrap(), counted(State::Submitting, 8));
}

#[tokio::test]
async fn lost_connections_are_replaced() {
    let Some(url) = postgres::database().await else {
        return;
    };
    let ledger = open_postgres(&url).await;
    let mut server = server(&url).await;
    for sim in 1..5 {
        begun(&*ledger, wanted(sim, "P", request(sim.into()))).await;
        let ended = server
            .fetch_all(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                 WHERE application_name = 'transatel-gateway' AND datname = current_database()",
            )
            .await
            .unwrap();
        assert!(!ended.is_empty());
    }
    assert_eq!(ledger.counts().await.unwrap(), counted(State::Submitting, 4));
}

#[tokio::test]
async fn what_the_database_says_about_a_row_is_not_passed_on() {
    let Some(url) = postgres::database().await else {
        return;
    };
    let ledger = open_postgres(&url).await;
    let number = msisdn(7).as_str().to_owned();
    let rules = [
        format!("ALTER TABLE orders ADD CONSTRAINT barred CHECK (msisdn <> '{number}')"),
        "CREATE UNIQUE INDEX one_reference ON orders (reference)".to_owned(),
    ];
    let mut server = server(&url).await;
    for rule in rules {
        server.execute(AssertSqlSafe(rule)).await.unwrap();
    }
    let barred = ledger.begin(wanted(7, "P", request(7))).await.unwrap_err();
    assert_eq!(
        barred.to_string(),
        "the order ledger: the database refused it with code 23514, constraint barred"
    );
    for text in [format!("{barred} {barred:?}"), format!("{barred:#?}")] {
        assert!(!text.contains(&number), "{text}");
    }
    assert!(barred.source().is_none(), "a chain of causes would print it");

    // A conflict that the ledger does not know of begins nothing, and ends.
    begun(&*ledger, wanted(1, "P", request(1))).await;
    let moved = ledger.begin(wanted(2, "P", request(2))).await.unwrap();
    assert!(matches!(moved, Begun::Moved), "{moved:?}");
}

#[tokio::test]
async fn defaults_of_the_database_do_not_weaken_the_ledger() {
    let Some(url) = postgres::database().await else {
        return;
    };
    let mut server = server(&url).await;
    let name = server.fetch_one("SELECT current_database()").await.unwrap();
    let name: String = name.get(0);
    for default in [
        "synchronous_commit = off",
        "default_transaction_isolation = 'serializable'",
    ] {
        let change = format!("ALTER DATABASE {name} SET {default}");
        server.execute(AssertSqlSafe(change)).await.unwrap();
    }
    // Shows what the ledger's connections have.
    open_postgres(&url).await;
    let spy = "CREATE FUNCTION spy() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
        NEW.caller := concat_ws(' ', current_setting('synchronous_commit'), \
            current_setting('transaction_isolation'), current_setting('statement_timeout'), \
            current_setting('idle_in_transaction_session_timeout')); \
        RETURN NEW; END $$; \
        CREATE TRIGGER spy BEFORE INSERT OR UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION spy()";
    server.execute(sqlx::raw_sql(spy)).await.unwrap();
    let ledger = open_postgres(&url).await;
    let record = begun(&*ledger, wanted(1, "P", request(1))).await;
    assert_eq!(record.write.caller.as_deref(), Some("on read committed 8s 10s"));
    let record = settled(&*ledger, &record, placed(None), 1).await;
    assert_eq!(record.write.caller.as_deref(), Some("on read committed 8s 10s"));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_with_its_setting_and_without_the_password() {
    let url = StoreUrl::parse("postgres://shop:hunter2@127.0.0.1:1/orders").unwrap();
    let text = refused(url).await;
    assert!(text.starts_with("store.url: the order ledger: "), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}
