//! A gateway that starts before its ledger: what probes and operators see
//! meanwhile, and which faults are no reason to wait.

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _};
use tokio::net::TcpListener;
use transatel_simulator::Sandbox;

use crate::support::gateway::{fetch, settings, simulator, until};
use crate::support::pgbouncer::PgBouncer;
use crate::support::ports::refusing;
use crate::support::postgres;
use crate::support::process::Process;
use crate::support::relay::Relay;

/// A gateway in a process of its own that has opened its admin port.
struct Starting {
    process: Process,
    admin: String,
    _sandbox: Sandbox,
}

impl Starting {
    async fn with(more: &[(&str, &str)]) -> Self {
        let sandbox = simulator().await;
        let mut process = Process::start(&["serve"], &settings(&sandbox.base_url(), more));
        let line = process.logged("the admin port is open").await;
        let admin = line.split("admin=").nth(1).unwrap();
        let admin = admin.split(' ').next().unwrap().to_owned();
        Self {
            process,
            admin,
            _sandbox: sandbox,
        }
    }

    /// The status and the text of a probe.
    async fn probe(&self, path: &str) -> (u16, String) {
        let answer = reqwest::get(format!("http://{}{path}", self.admin))
            .await
            .unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    async fn assert_live_and_not_ready(&self, because: &str) {
        assert_eq!(self.probe("/livez").await, (200, "ok\n".into()));
        let (status, text) = self.probe("/readyz").await;
        assert!(status == 503 && text.contains(because), "{status} {text}");
        assert!(
            fetch(&format!("http://{}/metrics", self.admin))
                .await
                .contains("transatel_gateway_build_info")
        );
    }

    async fn ends_when_asked_to(mut self) {
        self.process.signal("TERM").await;
        assert_eq!(self.process.ended().await, Some(0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgresql_that_refuses_is_waited_for_with_the_reason() {
    let Some(database) = postgres::database().await else {
        return;
    };
    let (socket, address) = refusing();
    let (start, _) = database.split_once("?host=").unwrap();
    let url = start.replace("localhost", &address.to_string());
    let mut starting = Starting::with(&[("STORE__URL", &url)]).await;
    let line = starting.process.logged("waiting for the ledger").await;
    assert!(line.contains("WARN") && line.contains("refused"), "{line}");
    starting.assert_live_and_not_ready("refused").await;

    let _relay = Relay::on(socket.listen(8).unwrap(), &postgres::socket(&database));
    starting.process.logged("listening").await;
    starting.process.logged(": ready").await;
    assert_eq!(starting.probe("/readyz").await, (200, "ready\n".into()));
    starting.ends_when_asked_to().await;
}

#[tokio::test]
async fn a_postgresql_that_does_not_answer_is_named_and_a_signal_ends_the_wait() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("postgres://shop@{}/orders", silent.local_addr().unwrap());
    let quick = [("STORE__URL", &*url), ("STORE__OPERATION_TIMEOUT", "300ms")];
    let mut starting = Starting::with(&quick).await;
    let line = starting.process.logged("waiting for the ledger").await;
    assert!(line.contains("in time"), "{line}");
    starting.assert_live_and_not_ready("in time").await;
    starting.ends_when_asked_to().await;
}

#[tokio::test]
async fn a_migration_is_not_bounded_by_probes_or_by_the_time_of_an_operation() {
    let Some(database) = postgres::database().await else {
        return;
    };
    let mut server = PgConnection::connect(&database).await.unwrap();
    // The migration waits for the table of the same name.
    let mut transaction = server.begin().await.unwrap();
    transaction
        .execute("CREATE TABLE orders (id TEXT)")
        .await
        .unwrap();
    let quick = [("STORE__URL", &*database), ("STORE__OPERATION_TIMEOUT", "200ms")];
    let mut starting = Starting::with(&quick).await;
    let mut observer = PgConnection::connect(&database).await.unwrap();
    let name = database.split(['/', '?']).nth(3).unwrap();
    let waiting = format!(
        "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = '{name}' AND wait_event_type = 'Lock' \
         AND clock_timestamp() - query_start > INTERVAL '1 second'"
    );
    until("the migration waits for longer than any operation", async || {
        let found = observer.fetch_one(AssertSqlSafe(waiting.clone())).await.unwrap();
        found.get::<i64, _>(0) == 1
    })
    .await;
    starting.assert_live_and_not_ready("up to date").await;
    transaction.rollback().await.unwrap();
    starting.process.logged(": ready").await;
    starting.ends_when_asked_to().await;
}

/// What a gateway with this ledger logs before it gives up.
async fn refusal(url: &str) -> String {
    let more = [("STORE__URL", url), ("TELEMETRY__LOG_FORMAT", "json")];
    let mut process = Process::start(&["serve"], &settings("http://127.0.0.1:9", &more));
    let line = process.logged("the gateway cannot start").await;
    assert_eq!(process.ended().await, Some(1), "{line}");
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["level"], "error");
    line.to_string()
}

#[tokio::test]
async fn what_does_not_pass_by_itself_is_one_line_of_the_log_and_the_end() {
    let text = refusal("sqlite:///nowhere/at/all.db").await;
    assert!(
        text.contains("store.url: the folder /nowhere/at does not exist"),
        "{text}"
    );
    let Some(database) = postgres::database().await else {
        return;
    };
    let name = database.split(['/', '?']).nth(3).unwrap();
    let text = refusal(&database.replace(name, "no_such_database")).await;
    assert!(
        text.contains("3D000") && text.contains("does not exist"),
        "{text}"
    );
    let mut server = PgConnection::connect(&database).await.unwrap();
    let role = format!("CREATE ROLE {name} LOGIN PASSWORD 'correct'");
    server.execute(AssertSqlSafe(role)).await.unwrap();
    let wrong = database.replace("postgres@", &format!("{name}:hunter2@"));
    let text = refusal(&wrong).await;
    assert!(text.contains("28P01") && !text.contains("hunter2"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_that_shares_sessions_is_refused_in_plain_words() {
    for mode in ["transaction", "statement"] {
        let Some(pooler) = PgBouncer::start(mode).await else {
            return;
        };
        // Not only the first process finds it.
        for _ in 0..2 {
            let text = refusal(&pooler.address()).await;
            assert!(text.contains("store.url: a connection pooler"), "{mode}: {text}");
            assert!(text.contains("session pooling"), "{mode}: {text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_that_gives_every_client_its_session_works() {
    let Some(pooler) = PgBouncer::start("session").await else {
        return;
    };
    let source = crate::events::webhook::EventSource::open(&[("STORE__URL", &pooler.address())]).await;
    let envelope = crate::events::webhook::envelope("A", "T", serde_json::json!({}));
    assert_eq!(source.deliver(envelope).await, Some(204));
}
