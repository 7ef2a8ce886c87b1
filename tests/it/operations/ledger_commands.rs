//! `orders` and `operations`: what an operator does with the ledger itself,
//! beside a gateway that runs on it.

use serde_json::Value;
use transatel_gateway_client::connectivity::v1 as api;
use uuid::Uuid;

use crate::operations::commands::run;
use crate::operations::grpcurl;
use crate::support::gateway::{OPERATIONS, TestEnv, reason, settings, simulator, until};
use crate::support::postgres::{self, OPERATION_TIMEOUT};
use crate::support::stuck::{self, SOON_STUCK};
use crate::writes::sim_operations::IN_USE;

const FRESH: &str = "882470000000001";

/// A gateway on a ledger of its own, and the settings of its container.
pub struct Beside {
    pub env: TestEnv,
    container: Vec<(String, String)>,
    _folder: tempfile::TempDir,
}

impl Beside {
    async fn open(url: &str, folder: tempfile::TempDir) -> Self {
        let timeout = format!("{}s", OPERATION_TIMEOUT.as_secs());
        let own = [
            ("STORE__URL", url),
            ("STORE__OPERATION_TIMEOUT", &timeout),
            ("TELEMETRY__LOG_FORMAT", "json"),
        ];
        let own = [&SOON_STUCK[..], &own].concat();
        let env = TestEnv::with_operations(&own).await;
        let container = settings(&env.sandbox.base_url(), &[OPERATIONS.as_slice(), &own].concat());
        Self {
            env,
            container,
            _folder: folder,
        }
    }

    /// One on each database.
    pub async fn on_each() -> Vec<Self> {
        let folder = tempfile::tempdir().unwrap();
        let file = format!("sqlite://{}/ledger.db", folder.path().display());
        let mut all = vec![Self::open(&file, folder).await];
        if let Some(url) = postgres::database().await {
            all.push(Self::open(&url, tempfile::tempdir().unwrap()).await);
        }
        all
    }

    pub async fn run(&self, line: &str) -> (Option<i32>, String, String) {
        let arguments: Vec<&str> = line.split(' ').map(|word| word.trim_matches('\'')).collect();
        run(&arguments, &self.container).await
    }

    /// The output of a command that has to succeed.
    pub async fn answer(&self, line: &str) -> String {
        let (code, out, err) = self.run(line).await;
        assert_eq!((code, err.as_str()), (Some(0), ""), "{line}");
        out
    }

    pub async fn json(&self, line: &str) -> Value {
        serde_json::from_str(&self.answer(line).await).unwrap()
    }

    /// What grpcurl prints of a call.
    async fn called(&self, method: &str, data: Value) -> Value {
        self.answered(&format!("Provisioning/{method}"), data).await
    }

    /// The same of any service.
    pub async fn answered(&self, method: &str, data: Value) -> Value {
        let line = format!("grpcurl -plaintext -d '{data}' 127.0.0.1:50051 connectivity.v1.{method}");
        let address = self.env.gateway.addresses.grpc.to_string();
        grpcurl::run(&line, &address).await.unwrap().remove(0)
    }
}

#[tokio::test]
async fn an_operator_resolves_orders_beside_the_gateway_and_the_gateway_knows() {
    for beside in Beside::on_each().await {
        let control = beside.env.control();
        let mut client = beside.env.provisioning();
        let order = stuck::order(&control, &mut client, FRESH).await;
        let (id, sim) = (&order.order_id, order.sim.as_ref().unwrap());

        // A list names no SIM; one order does.
        let listed = beside.answer("orders list --needs-operator").await;
        let row = listed.lines().nth(1).unwrap();
        for part in [id.as_str(), "needs_operator", "unreadable", &order.product_id] {
            assert!(row.contains(part), "{part} in {listed}");
        }
        assert!(
            !listed.contains(&sim.msisdn) && !listed.contains(&sim.iccid),
            "{listed}"
        );
        for key in [id, &order.request_id] {
            let shown = beside.answer(&format!("orders show {key}")).await;
            for part in [&sim.msisdn, "could not be read", "orders resolve"] {
                assert!(shown.contains(part), "{part} in {shown}");
            }
        }
        for (filter, found) in [
            ("--state needs_operator --state unknown", 1),
            ("--state placed", 0),
            (&format!("--sim {FRESH} --since 1h"), 1),
            (&format!("--sim {} --limit 1", sim.iccid), 1),
            ("--sim +882470000000002", 0),
            ("--since 2100-01-01T00:00:00Z", 0),
        ] {
            let answer = beside.json(&format!("orders list --json {filter}")).await;
            assert_eq!(answer["orders"].as_array().unwrap().len(), found, "{filter}");
        }

        let subscription = stuck::subscription(&control, &order);
        let resolve = format!(
            "orders resolve {id} placed --subscription-id {subscription} --by anna@company --note portal:{FRESH},INC0012345"
        );
        let (code, out, err) = beside.run(&resolve).await;
        assert_eq!(code, Some(0), "{err}");
        assert!(
            out.contains("placed") && out.contains(&format!("anna@company: portal:{FRESH}")),
            "{out}"
        );
        // One line, in the configured format, for the audit.
        let audit: Value = serde_json::from_str(err.trim_end()).unwrap();
        let said = |name: &str| audit[name].as_str().unwrap().to_owned();
        assert_eq!(said("message"), "an operator has resolved an order");
        assert_eq!(
            [said("order_id"), said("by")],
            [id.clone(), "anna@company".into()]
        );
        assert_eq!([said("from"), said("to")], ["needs_operator", "placed"]);
        assert_eq!(said("note"), "portal:…,INC0012345");

        // The gateway answers it, and its followers learn of it.
        let by_id = serde_json::json!({ "order_id": id });
        let known = beside.called("GetOrder", by_id.clone()).await;
        assert_eq!(known["order"]["state"], "ORDER_STATE_PLACED");
        assert_eq!(known["order"]["operatorDecision"]["caller"], "anna@company");
        assert_eq!(known, beside.json(&format!("orders show --json {id}")).await);
        let listed = beside.called("ListOrders", serde_json::json!({})).await;
        assert_eq!(listed, beside.json("orders list --json").await);
        let logged = api::ListEventsRequest {
            filter: Some(api::EventFilter {
                types: vec![api::EventType::OrderPlaced.into()],
                ..Default::default()
            }),
            ..Default::default()
        };
        until("the log of events has it", async || {
            let events = beside.env.events().list_events(logged.clone()).await.unwrap();
            events
                .into_inner()
                .events
                .iter()
                .any(|event| event.order_id == *id)
        })
        .await;

        // The same again is no error and no second decision, another is refused.
        assert!(beside.answer(&resolve).await.contains("placed"));
        let other = format!("orders resolve {id} not-placed --by bob --note no");
        let (code, _, err) = beside.run(&other).await;
        assert_eq!(code, Some(1));
        assert_eq!(
            err,
            "the order is placed: only one that needs an operator can be resolved\n"
        );
        let nothing = Uuid::now_v7();
        let (code, _, err) = beside.run(&format!("orders show {nothing}")).await;
        assert_eq!((code, err.as_str()), (Some(1), "there is no such order\n"));

        // One subscription is of one order.
        let second = stuck::order(&control, &mut client, FRESH).await;
        let claimed = format!(
            "orders resolve {} placed --subscription-id {subscription} --by anna --note x",
            second.order_id
        );
        let (code, _, err) = beside.run(&claimed).await;
        assert_eq!(
            (code, err.as_str()),
            (Some(1), "subscription_id: belongs to another order of this SIM\n")
        );
        let free = format!("orders resolve {} not-placed --by anna --note x", second.order_id);
        let (code, out, _) = beside.run(&free).await;
        assert_eq!(code, Some(0));
        assert!(out.contains("not_placed"), "{out}");
    }
}

#[tokio::test]
async fn an_operator_resolves_operations_on_sims() {
    for beside in Beside::on_each().await {
        let control = beside.env.control();
        let mut client = beside.env.provisioning();
        for (outcome, state) in [("not-placed", "failed"), ("placed", "succeeded")] {
            let stuck = stuck::operation(&control, &mut client, IN_USE).await;
            let id = &stuck.operation_id;
            let listed = beside.answer("operations list --needs-operator").await;
            let row = listed.lines().nth(1).unwrap();
            for part in [id, "needs_operator", "unreadable", "suspend"] {
                assert!(row.contains(part), "{part} in {listed}");
            }
            assert!(!listed.contains(IN_USE), "{listed}");
            let same = beside
                .json("operations list --needs-operator --json --state unknown")
                .await;
            assert_eq!(same["operations"].as_array().unwrap().len(), 1);
            let shown = beside
                .answer(&format!("operations show {}", stuck.request_id))
                .await;
            assert!(
                shown.contains(IN_USE) && shown.contains("operations resolve"),
                "{shown}"
            );

            let resolve = format!("operations resolve {id} {outcome} --by anna --note seen");
            let (code, out, err) = beside.run(&resolve).await;
            assert_eq!(code, Some(0), "{err}");
            assert!(
                out.contains(state) && err.contains("an operator has resolved an order"),
                "{out}{err}"
            );
            let found = beside
                .json(&format!("operations list --json --sim {IN_USE} --state {state}"))
                .await;
            assert_eq!(found["operations"][0]["operatorDecision"]["note"], "seen");
            let by_id = serde_json::json!({ "operation_id": id });
            let known = beside.called("GetSimOperation", by_id).await;
            assert_eq!(known, beside.json(&format!("operations show --json {id}")).await);
            let other = if outcome == "placed" {
                "not-placed"
            } else {
                "placed"
            };
            let (code, _, err) = beside
                .run(&format!("operations resolve {id} {other} --by bob --note x"))
                .await;
            assert_eq!(code, Some(1));
            assert!(
                err.contains(&format!("the operation is {state}: only one that")),
                "{err}"
            );
            let pending = control.sim(IN_USE).unwrap().pending.unwrap();
            control.end_transaction(pending, false).unwrap();
        }
    }
}

#[tokio::test]
async fn a_wrong_command_line_ends_with_64_and_opens_nothing() {
    let id = "01932d4e-5a70-7c3e-8f00-2b6d1e9a4c55";
    let long = "x".repeat(501);
    let missing = settings(
        "http://127.0.0.1:1",
        &[("STORE__URL", "sqlite:///nowhere/ledger.db")],
    );
    for (line, said) in [
        (
            "orders resolve ID placed --subscription-id S --note x",
            "--by <NAME>",
        ),
        (
            "orders resolve ID placed --subscription-id S --by anna",
            "--note <TEXT>",
        ),
        (
            "orders resolve ID placed --by anna --note x",
            "--subscription-id <ID>",
        ),
        (
            "orders resolve ID not-placed --subscription-id S --by a --note x",
            "has none",
        ),
        ("orders resolve ID lost --by anna --note x", "not-placed"),
        (
            "orders resolve 5 not-placed --by anna --note x",
            "order_id: must be a UUID",
        ),
        (
            "orders resolve ID not-placed --by anna --note LONG",
            "note: must have at most 500",
        ),
        (
            "operations resolve 5 placed --by anna --note x",
            "operation_id: must be a UUID",
        ),
        ("orders show 5", "must be a UUID"),
        ("operations show 5", "must be a UUID"),
        ("orders list --sim 12x", "16 to 20 for an ICCID"),
        ("orders list --since yesterday", "give 12h or a time"),
        ("orders list --limit 0", "1..=1000"),
        ("orders list --state open", "needs_operator"),
        (
            "orders list --needs-operator --state placed",
            "cannot be used with",
        ),
        ("orders", "Usage"),
    ] {
        let line = line.replace("ID ", &format!("{id} ")).replace("LONG", &long);
        let line = line.replace(&format!("<{id}"), "<ID");
        let arguments: Vec<&str> = line.split(' ').collect();
        let (code, _, err) = run(&arguments, &missing).await;
        assert_eq!(code, Some(64), "{line}: {err}");
        assert!(err.contains(said), "{said} in {err}");
    }
    let (code, out, _) = run(&["orders", "resolve", "--help"], &[]).await;
    assert_eq!(code, Some(0));
    assert!(out.contains("--by <NAME>") && out.contains("Required"), "{out}");
    // Settings that serve refuses are refused here, in the same words.
    let (code, _, err) = run(&["orders", "list"], &[]).await;
    assert_eq!(code, Some(64));
    assert!(err.contains("transatel.client_id: required"), "{err}");
}

#[tokio::test]
async fn a_ledger_that_is_not_there_or_of_another_version_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let url = format!("sqlite://{}", path.display());
    let list = async |url: &str| {
        let environment = settings("http://127.0.0.1:1", &[("STORE__URL", url)]);
        let (code, out, err) = run(&["orders", "list"], &environment).await;
        assert_eq!(out.is_empty(), code != Some(0), "{out}");
        (code, err)
    };
    let refused = async |url: &str, said: &str| {
        let (code, err) = list(url).await;
        assert_eq!(code, Some(1), "{err}");
        assert!(err.contains(said), "{said} in {err}");
    };
    refused("sqlite::memory:", "no command can read it").await;
    refused(&url, "there is no file").await;
    assert!(!path.exists());
    std::fs::write(&path, "").unwrap();
    refused(&url, "there is no ledger").await;
    std::fs::remove_file(&path).unwrap();

    let mut urls = vec![url];
    urls.extend(postgres::database().await);
    for url in urls {
        if url.starts_with("postgres") {
            refused(&url, "there is no ledger").await;
        }
        let sandbox = simulator().await;
        let own = [("STORE__URL", url.as_str())];
        let gateway = crate::support::gateway::Gateway::start(&sandbox.base_url(), &own).await;
        assert_eq!(list(&url).await, (Some(0), String::new()));
        gateway.stop().await;
        // Also while no gateway runs.
        assert_eq!(list(&url).await, (Some(0), String::new()));
        // During a rollout: a newer gateway has changed the tables.
        alter(
            &url,
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
             SELECT 1000, 'more (readable from 1)', TRUE, checksum, 0 FROM _sqlx_migrations WHERE version = 1",
        )
        .await;
        assert_eq!(list(&url).await.0, Some(0));
        alter(
            &url,
            "UPDATE _sqlx_migrations SET description = 'other' WHERE version = 1000",
        )
        .await;
        refused(&url, "newer than this command's").await;
        alter(
            &url,
            "DELETE FROM _sqlx_migrations WHERE version >= \
             (SELECT MAX(version) FROM _sqlx_migrations WHERE version < 1000)",
        )
        .await;
        refused(&url, "older than this command's").await;
    }
}

/// Changes a database behind the gateway's back.
async fn alter(url: &str, statement: &'static str) {
    use sqlx::{Connection as _, Executor as _};
    if url.starts_with("postgres") {
        let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
        connection.execute(statement).await.unwrap();
        connection.close().await.unwrap();
    } else {
        let mut connection = sqlx::SqliteConnection::connect(url).await.unwrap();
        connection.execute(statement).await.unwrap();
        connection.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_ledger_that_is_moved_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let url = format!("sqlite://{}", path.display());
    let sandbox = simulator().await;
    let own = [("STORE__URL", url.as_str())];
    let gateway = crate::support::gateway::Gateway::start(&sandbox.base_url(), &own).await;
    gateway.stop().await;
    let lock = std::fs::File::open(folder.path().join("ledger.db.lock")).unwrap();
    lock.lock().unwrap();
    let environment = settings(&sandbox.base_url(), &own);
    let (code, _, err) = run(&["orders", "list"], &environment).await;
    assert_eq!(code, Some(1));
    assert!(err.contains("such as move-ledger: try again"), "{err}");
    drop(lock);
    let (code, _, err) = run(&["orders", "list"], &environment).await;
    assert_eq!((code, err.as_str()), (Some(0), ""));
}

#[tokio::test]
async fn what_a_call_has_decided_a_command_does_not_change() {
    let beside = Beside::on_each().await.remove(0);
    let mut client = beside.env.provisioning();
    let order = stuck::order(&beside.env.control(), &mut client, FRESH).await;
    let request = api::ResolveOrderRequest {
        order_id: order.order_id.clone(),
        resolution: api::OperatorResolution::NotPlaced.into(),
        ..Default::default()
    };
    client.resolve_order(request).await.unwrap();
    let (code, _, err) = beside
        .run(&format!(
            "orders resolve {} placed --subscription-id S --by a --note x",
            order.order_id
        ))
        .await;
    assert_eq!(code, Some(1));
    assert!(err.contains("the order is not_placed"), "{err}");
    let refused = client
        .resolve_order(api::ResolveOrderRequest {
            order_id: order.order_id,
            resolution: api::OperatorResolution::Placed.into(),
            subscription_id: "S".into(),
            note: String::new(),
        })
        .await;
    assert_eq!(reason(&refused.unwrap_err()).reason, "ORDER_NOT_RESOLVABLE");
}
