//! What is particular to PostgreSQL.

use std::error::Error as _;

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _};

use super::*;
use crate::support::gateway::spawn;
use crate::support::relay::Relay;
use crate::support::trips::PING;

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

/// The lock is held by hand while an order comes and goes in the slot: what the
/// begin that waits for it decides on has to be read after the wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_begin_that_waited_sees_what_came_and_went_meanwhile() {
    let Some(url) = postgres::database().await else {
        return;
    };
    let ledger = open_postgres(&url).await;
    let other = begun(&*ledger, wanted(1, "Q", request(1))).await;
    settled(&*ledger, &other, placed(None), 1).await;
    let mut server = server(&url).await;
    let key = format!("hashtextextended('{}/P', 0)", msisdn(1).as_str());
    let lock = format!("SELECT pg_advisory_lock({key})");
    server.execute(AssertSqlSafe(lock)).await.unwrap();
    let waiting = spawn(async move { ledger.begin(wanted(1, "P", request(2))).await.unwrap() });
    until(
        &mut server,
        "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)",
    )
    .await;
    let comes_and_goes = "UPDATE orders SET product_id = 'P' WHERE product_id = 'Q'";
    assert_eq!(server.execute(comes_and_goes).await.unwrap().rows_affected(), 1);
    server.execute("SELECT pg_advisory_unlock_all()").await.unwrap();
    let answer = waiting.await.unwrap();
    assert!(matches!(answer, Begun::Moved), "{answer:?}");
}

/// Polls the server.
async fn until(server: &mut PgConnection, condition: &str) {
    while !server
        .fetch_one(AssertSqlSafe(condition))
        .await
        .unwrap()
        .get::<bool, _>(0)
    {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_whose_begin_was_answered_into_a_lost_connection_may_still_be_sent() {
    let Some(url) = postgres::database().await else {
        return;
    };
    let relay = Relay::start(&postgres::socket(&url)).await;
    let trips = relay.read_along();
    let ledger = open_postgres(&postgres::through(&relay, &url)).await;
    let mut server = server(&url).await;
    for sim in 1.. {
        // The statement is prepared on the connection that is used last.
        begun(&*ledger, wanted(sim, "Q", request(1000 + u128::from(sim)))).await;
        trips.take();
        relay.silence_after(1);
        let attempt = wanted(sim, "P", request(sim.into()));
        let id = attempt.write.id;
        let beginning = spawn({
            let ledger = ledger.clone();
            async move { ledger.begin(attempt).await.unwrap() }
        });
        let asked = loop {
            if let Some(asked) = trips.take().pop() {
                break asked;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        };
        // On a slow machine the connection is asked first, or another one used.
        let was_sent = asked != PING && !asked.starts_with("prepare");
        if was_sent {
            let exists = format!("SELECT EXISTS (SELECT 1 FROM orders WHERE id = '{id}')");
            until(&mut server, &exists).await;
        }
        relay.forward_anew();
        let Begun::Yes(record) = beginning.await.unwrap() else {
            panic!("it is not to be sent");
        };
        assert_eq!((record.write.id, record.attempt), (id, 1));
        if was_sent {
            return;
        }
    }
}
