//! A ledger that fails while the gateway runs, as an operator sees it: metrics,
//! the log and probes.

use std::net::SocketAddr;

use tokio::net::TcpListener;
use tonic::transport::{Channel, Endpoint};
use transatel_gateway_client::connectivity::v1::catalog_client::CatalogClient;
use transatel_simulator::Sandbox;

use crate::support::gateway::{
    FRANCE, ORDERS, Provisioning, fetch, get, reason, settings, simulator, until, value,
};
use crate::support::postgres;
use crate::support::process::Process;
use crate::support::relay::Relay;
use crate::writes::orders::{create, order};

const SIM: &str = "882470000000001";

/// A gateway in a process of its own.
struct Running {
    process: Process,
    admin: String,
    channel: Channel,
    sandbox: Sandbox,
}

impl Running {
    async fn with(more: &[(&str, &str)]) -> Self {
        let sandbox = simulator().await;
        // A file that may not grow is an error, and no end of the process.
        let environment = settings(&sandbox.base_url(), more);
        let mut process = Process::start_after("trap '' XFSZ", &["serve"], &environment);
        let line = process.logged("listening").await;
        let address = |name: &str| {
            let rest = line.split(&format!("{name}=")).nth(1).unwrap();
            rest.split(' ').next().unwrap().to_owned()
        };
        let endpoint = Endpoint::from_shared(format!("http://{}", address("grpc"))).unwrap();
        let running = Self {
            admin: address("admin"),
            channel: endpoint.connect().await.unwrap(),
            process,
            sandbox,
        };
        running
            .until(
                "orders are counted",
                &["transatel_gateway_orders_unknown_for_seconds{"],
                true,
            )
            .await;
        running
    }

    async fn metrics(&self) -> String {
        fetch(&format!("http://{}/metrics", self.admin)).await
    }

    /// Waits until a series with all of these is shown, or until none is.
    async fn until(&self, what: &str, parts: &[&str], shown: bool) {
        until(what, async || {
            let metrics = self.metrics().await;
            let mut lines = metrics.lines().filter(|line| !line.starts_with('#'));
            lines.any(|line| parts.iter().all(|part| line.contains(part))) == shown
        })
        .await;
    }

    /// An order fails safely, the catalog is answered, and the gateway stays in
    /// the load balancer for that.
    async fn fails_safely(&self) {
        let refused = create(&mut Provisioning::new(self.channel.clone()), &order(SIM)).await;
        assert_eq!(reason(&refused.unwrap_err()).reason, "LEDGER_UNAVAILABLE");
        assert_eq!(self.sandbox.control().received("POST", ORDERS), 0);
        let mut catalog = CatalogClient::new(self.channel.clone());
        catalog.get_product(get(FRANCE)).await.unwrap();
        assert_eq!(fetch(&format!("http://{}/readyz", self.admin)).await, "ready\n");
    }

    async fn orders_again(&self) {
        let mut provisioning = Provisioning::new(self.channel.clone());
        until("orders are placed again", async || {
            create(&mut provisioning, &order(SIM)).await.is_ok()
        })
        .await;
        self.until(
            "orders are counted again",
            &["transatel_gateway_orders_unknown_for_seconds{"],
            true,
        )
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgresql_that_stops_is_seen_in_metrics_and_in_the_log_with_the_reason() {
    let Some(database) = postgres::database().await else {
        return;
    };
    let relay = Relay::start(&postgres::socket(&database)).await;
    let address: SocketAddr = relay.address();
    let url = postgres::through(&relay, &database);
    let mut gateway = Running::with(&[
        ("STORE__URL", &url),
        ("STORE__OPERATION_TIMEOUT", "500ms"),
        ("STORE__CONNECTIONS", "3"),
    ])
    .await;
    for parts in [
        &[
            "db_client_operation_duration_seconds_count{",
            "db_operation_name=\"counts\"",
            "postgresql",
        ][..],
        &["transatel_gateway_ledger_last_success{", "access=\"read\""],
        &["transatel_gateway_ledger_last_success{", "access=\"write\""],
        &["db_client_connection_max{", "} 3"],
        &[
            "db_client_connection_count{",
            "db_client_connection_state=\"idle\"",
        ],
        &["db_client_connection_pending_requests{"],
    ] {
        gateway.until(parts[0], parts, true).await;
    }
    drop(relay);
    let line = loop {
        let line = gateway.process.logged("the ledger fails").await;
        if line.contains("error_type=connection_refused ") {
            break line;
        }
    };
    assert!(line.contains("ERROR") && line.contains("refused"), "{line}");
    gateway
        .until(
            "the failures are counted",
            &[
                "db_client_operation_duration_seconds_count{",
                "error_type=\"connection_refused\"",
            ],
            true,
        )
        .await;
    // A figure that does not move would look like one that is right.
    gateway
        .until(
            "the counts are gone",
            &["transatel_gateway_orders_unknown_for_seconds{"],
            false,
        )
        .await;
    gateway
        .until("the counts are gone", &["transatel_gateway_orders{"], false)
        .await;
    gateway.fails_safely().await;

    let _relay = Relay::on(
        TcpListener::bind(address).await.unwrap(),
        &postgres::socket(&database),
    );
    gateway.orders_again().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_takes_nothing_more_is_seen_in_metrics_and_in_the_log_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("ledger.db").display());
    let mut gateway = Running::with(&[("STORE__URL", &url)]).await;
    let limit = async |gateway: &Running, limit: &str| {
        let pid = format!("--pid={}", gateway.process.id());
        let limited = tokio::process::Command::new("prlimit")
            .args([&pid, &format!("--fsize={limit}:")])
            .status();
        assert!(limited.await.unwrap().success());
    };
    limit(&gateway, "0").await;
    gateway.fails_safely().await;
    let line = gateway.process.logged("the ledger fails").await;
    assert!(
        line.contains("ERROR") && line.contains("error_type=disk "),
        "{line}"
    );
    gateway
        .until(
            "the failures are counted",
            &[
                "db_client_operation_duration_seconds_count{",
                "\"begin\"",
                "error_type=\"disk\"",
                "sqlite",
            ],
            true,
        )
        .await;
    // What finds nothing to write goes on working, and shows nothing.
    let written = async |gateway: &Running| {
        let name = "transatel_gateway_ledger_last_success{";
        value(&gateway.metrics().await, name, &[("access", "write")]).unwrap()
    };
    let looks = async |gateway: &Running| {
        let name = "db_client_operation_duration_seconds_count{";
        value(
            &gateway.metrics().await,
            name,
            &[("db_operation_name", "take_due")],
        )
        .unwrap()
    };
    let (before, looked) = (written(&gateway).await, looks(&gateway).await);
    until("it looks for orders", async || {
        looks(&gateway).await >= looked + 3.0
    })
    .await;
    assert_eq!(written(&gateway).await, before);
    limit(&gateway, "unlimited").await;
    gateway.orders_again().await;
    assert!(written(&gateway).await > before);
}
