//! A gateway and a simulated provider, started for one test on free ports.

use std::sync::LazyLock;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt as _;
use transatel_gateway::app::{Addresses, App, Seams};
use transatel_gateway::config::{self, Sources};
use transatel_gateway::domain::change::OptionalOperation;
use transatel_gateway_client::connectivity::v1 as api;
use transatel_simulator::{Control, Options, Sandbox, Script, Webhook};

/// Longest wait for anything that has to happen: only a defect takes longer.
pub const SOON: Duration = Duration::from_secs(40);

/// The route of the whole catalog at the provider.
pub const CATALOG: &str = "/ocs/catalog/api/cos/{cosRef}/products";
/// The route of single products at the provider.
pub const PRODUCTS: &str = "/ocs/catalog/api/cos/{cosRef}/products/{productId}";
/// The route of orders at the provider.
pub const ORDERS: &str = "/ocs/subscriptions/api/orders/products";
/// The route of a SIM's subscriptions at the provider.
pub const SUBSCRIPTIONS: &str = "/ocs/inventory/api/subscriptions/products";
/// The route of eSIMs at the provider.
pub const ESIM: &str = "/sim-management/sims/api/esims/sim-serial/{simSerial}";
/// The route of tokens at the provider.
pub const TOKEN: &str = "/authentication/api/token";

/// The route of suspensions at the provider.
pub const SUSPEND: &str =
    "/connectivity-management/subscribers/api/subscribers/sim-serial/{simSerial}/suspend";
/// The route of transactions at the provider.
pub const TRANSACTION: &str = "/connectivity-management/subscribers/api/transactions/{transactionId}";
/// The route of subscribers by their cards at the provider.
pub const SUBSCRIBER: &str = "/connectivity-management/subscribers/api/subscribers/sim-serial/{simSerial}";
/// The route of subscribers by their numbers at the provider.
pub const LINE: &str = "/connectivity-management/subscribers/api/subscribers/msisdn/{msisdn}";

/// What an account may have beyond buying, all of it; and a quick pace.
pub static OPERATIONS: LazyLock<Vec<(&str, &str)>> = LazyLock::new(|| {
    let all = OptionalOperation::ALL.map(OptionalOperation::name).join(",");
    vec![
        ("TRANSATEL__ENABLED_OPERATIONS", all.leak()),
        ("TRANSATEL__RATE_PLAN", "M2MA_WW_TSL_BUNDLES_1"),
        ("OPERATIONS__POLL_AFTER", "20ms"),
        ("ORDERS__RECONCILE_AFTER", "20ms"),
        ("ORDERS__RECONCILE_AT_MOST", "50ms"),
        ("ORDERS__SETTLE_WINDOW", "400ms"),
    ]
});

/// A product that can always be bought.
pub const FRANCE: &str = "WW_901O_STACK_ONEOFF_FRANCE_1GB_7D";

/// A simulated provider and a gateway in front of it.
pub struct TestEnv {
    pub sandbox: Sandbox,
    pub gateway: Gateway,
}

impl TestEnv {
    /// With the default settings.
    pub async fn open() -> Self {
        Self::with(&[]).await
    }

    /// With these settings beside what a test needs anyway.
    pub async fn with(settings: &[(&str, &str)]) -> Self {
        let sandbox = simulator().await;
        let gateway = Gateway::start(&sandbox.base_url(), settings).await;
        Self { sandbox, gateway }
    }

    /// With everything beyond buying, carried out at once by the provider.
    pub async fn with_operations(more: &[(&str, &str)]) -> Self {
        let env = Self::with(&[OPERATIONS.as_slice(), more].concat()).await;
        env.carry_out_at_once();
        env
    }

    /// With the webhook open, and the simulator posting its events there.
    pub async fn with_events(settings: &[(&str, &str)]) -> Self {
        let sandbox = simulator().await;
        let secret = Secret::new(SECRET);
        let gateway = Gateway::start(&sandbox.base_url(), &[&secret.settings()[..], settings].concat()).await;
        let webhook = Webhook::new(gateway.webhook(), SECRET);
        sandbox.control().set_webhook(Some(webhook)).unwrap();
        Self { sandbox, gateway }
    }

    /// With all that a gateway can have, and the stock of `serve --sandbox`.
    pub async fn with_everything() -> Self {
        let env = Self::with_events(&OPERATIONS).await;
        env.carry_out_at_once();
        let sims = env.control().delivery().into_iter().map(|sim| api::DeliveredSim {
            iccid: sim.iccid,
            ..Default::default()
        });
        let stock = api::ImportStockRequest {
            pool: "sandbox".into(),
            sims: sims.collect(),
            validate_only: false,
        };
        env.inventory().import_stock(stock).await.unwrap();
        env
    }

    fn carry_out_at_once(&self) {
        self.control().configure(|settings| {
            settings.follow_ups.enabled = true;
            settings.operations.delay = Duration::ZERO;
        });
    }

    pub fn events(&self) -> Events {
        self.gateway.events()
    }

    pub fn control(&self) -> Control {
        self.sandbox.control()
    }

    pub fn catalog(&self) -> api::catalog_client::CatalogClient<Channel> {
        self.gateway.catalog()
    }

    pub fn provisioning(&self) -> Provisioning {
        self.gateway.provisioning()
    }

    /// A caller of orders that leaves the deadline to the server: see
    /// [`Gateway::untimed_catalog`].
    pub fn untimed_provisioning(&self) -> api::provisioning_client::ProvisioningClient<Untimed> {
        let (client, origin) = untimed_client(self.gateway.addresses.grpc);
        api::provisioning_client::ProvisioningClient::with_origin(client, origin)
    }

    pub fn inventory(&self) -> api::inventory_client::InventoryClient<Channel> {
        api::inventory_client::InventoryClient::new(self.gateway.channel.clone())
    }

    /// A batch whose time only the gateway keeps: see
    /// [`Gateway::untimed_catalog`].
    pub async fn batch_untimed(
        &self,
        mut request: Request<api::BatchGetInventoryRequest>,
        timeout: &str,
    ) -> Response<Streaming<api::BatchGetInventoryResponse>> {
        let timeout = timeout.parse().unwrap();
        request.metadata_mut().insert("grpc-timeout", timeout);
        let (client, origin) = untimed_client(self.gateway.addresses.grpc);
        let mut inventory = api::inventory_client::InventoryClient::with_origin(client, origin);
        inventory.batch_get_inventory(request).await.unwrap()
    }
}

/// What the tests' events are signed with.
pub const SECRET: &str = "the webhook's secret";

/// A file with a secret of the webhook.
pub struct Secret {
    pub file: tempfile::NamedTempFile,
    path: String,
}

impl Secret {
    pub fn new(secret: &str) -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, format!("{secret}\n")).unwrap();
        let path = file.path().to_str().unwrap().to_owned();
        Self { file, path }
    }

    /// Opens the webhook with it.
    pub fn settings(&self) -> [(&'static str, &str); 2] {
        [
            ("WEBHOOK__LISTEN", "127.0.0.1:0"),
            ("WEBHOOK__SECRET_FILES", &self.path),
        ]
    }
}

/// A simulated provider with a small stock.
pub async fn simulator() -> Sandbox {
    Sandbox::start(Options {
        sims: 100,
        ..Options::default()
    })
    .await
    .unwrap()
}

/// A gateway as `main` builds it. Ends when dropped.
pub struct Gateway {
    pub addresses: Addresses,
    pub channel: Channel,
    stop: Option<oneshot::Sender<()>>,
    running: JoinSet<()>,
}

/// A caller of the Events service.
pub type Events = api::events_client::EventsClient<Channel>;

/// A caller of the Provisioning service.
pub type Provisioning = api::provisioning_client::ProvisioningClient<Channel>;

/// HTTP/2 without timers.
pub type Untimed =
    hyper_util::client::legacy::Client<hyper_util::client::legacy::connect::HttpConnector, tonic::body::Body>;

/// See [`Gateway::untimed_catalog`].
pub fn untimed(address: std::net::SocketAddr) -> api::catalog_client::CatalogClient<Untimed> {
    let (client, origin) = untimed_client(address);
    api::catalog_client::CatalogClient::with_origin(client, origin)
}

fn untimed_client(address: std::net::SocketAddr) -> (Untimed, http::Uri) {
    let executor = hyper_util::rt::TokioExecutor::new();
    let mut connector = hyper_util::client::legacy::connect::HttpConnector::new();
    // Otherwise the kernel holds the request's last part back for 40 ms.
    connector.set_nodelay(true);
    let client = hyper_util::client::legacy::Client::builder(executor)
        .http2_only(true)
        .build(connector);
    (client, format!("http://{address}").parse().unwrap())
}

/// Settings with which a gateway finds the simulator.
pub fn settings(base_url: &str, more: &[(&str, &str)]) -> Vec<(String, String)> {
    let options = Options::default();
    let all = [
        ("GRPC__LISTEN", "127.0.0.1:0"),
        ("ADMIN__LISTEN", "127.0.0.1:0"),
        ("TRANSATEL__BASE_URL", base_url),
        ("TRANSATEL__CLIENT_ID", &options.client_id),
        ("TRANSATEL__CLIENT_SECRET", &options.client_secret),
        ("TRANSATEL__MVNO_REF", &options.mvno_ref),
        ("STORE__URL", "sqlite::memory:"),
        ("SHUTDOWN__PROPAGATION_DELAY", "0s"),
        ("CATALOG__WARM_UP", "0s"),
    ];
    let name = |(key, value): &(&str, &str)| (format!("GATEWAY__{key}"), (*value).to_owned());
    all.iter().chain(more).map(name).collect()
}

impl Gateway {
    pub async fn start(base_url: &str, more: &[(&str, &str)]) -> Self {
        Self::start_with(base_url, more, async |address| {
            let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
            endpoint.connect().await.unwrap()
        })
        .await
    }

    /// With a clock, or steps, of the test's own.
    pub async fn start_in(base_url: &str, more: &[(&str, &str)], seams: Seams) -> Self {
        Self::start_with_both(base_url, more, seams, async |address| {
            let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
            endpoint.connect().await.unwrap()
        })
        .await
    }

    /// For callers that connect in a way of their own.
    pub async fn start_with(
        base_url: &str,
        more: &[(&str, &str)],
        connect: impl AsyncFnOnce(std::net::SocketAddr) -> Channel,
    ) -> Self {
        Self::start_with_both(base_url, more, Seams::default(), connect).await
    }

    async fn start_with_both(
        base_url: &str,
        more: &[(&str, &str)],
        seams: Seams,
        connect: impl AsyncFnOnce(std::net::SocketAddr) -> Channel,
    ) -> Self {
        let sources = Sources {
            environment: settings(base_url, more),
            ..Sources::default()
        };
        let config = config::load(&sources).unwrap().config;
        let app = App::build_with(config, seams).await.unwrap();
        let addresses = app.addresses().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let mut running = JoinSet::new();
        running.spawn(async move {
            Box::pin(app.run(async {
                let _ = stopped.await;
            }))
            .await
            .unwrap();
        });
        let channel = connect(addresses.grpc).await;
        let gateway = Self {
            addresses,
            channel,
            stop: Some(stop),
            running,
        };
        gateway.until_serving().await;
        gateway
    }

    pub fn catalog(&self) -> api::catalog_client::CatalogClient<Channel> {
        api::catalog_client::CatalogClient::new(self.channel.clone()).max_decoding_message_size(64 << 20)
    }

    pub fn events(&self) -> Events {
        Events::new(self.channel())
    }

    /// For calls that no generated client makes.
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Where events are posted.
    pub fn webhook(&self) -> String {
        format!("http://{}/webhooks/transatel", self.addresses.webhook.unwrap())
    }

    pub fn provisioning(&self) -> Provisioning {
        Provisioning::new(self.channel.clone())
    }

    /// A caller that leaves the deadline to the server: tonic's own client
    /// would end the call itself when its timer is first.
    pub fn untimed_catalog(&self) -> api::catalog_client::CatalogClient<Untimed> {
        untimed(self.addresses.grpc)
    }

    /// Waits for the health service to say so.
    pub async fn until_serving(&self) {
        let mut health = HealthClient::new(self.channel.clone());
        let request = HealthCheckRequest {
            service: String::new(),
        };
        let mut watch = health.watch(request).await.unwrap().into_inner();
        while watch.message().await.unwrap().unwrap().status() != ServingStatus::Serving {}
    }

    /// Asks the gateway to stop and waits until it has.
    pub async fn stop(mut self) {
        drop(self.stop.take());
        // The channel would hold its connection open.
        drop(self.channel);
        while self.running.join_next().await.is_some_and(|ended| ended.is_ok()) {}
    }

    /// What `/metrics` says.
    pub async fn metrics(&self) -> String {
        fetch(&format!("http://{}/metrics", self.addresses.admin)).await
    }
}

/// Work beside the test; ends with its runtime.
pub fn spawn<F>(work: F) -> tokio::task::JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    tokio_util::task::TaskTracker::new().spawn(work)
}

/// The text of a page.
pub async fn fetch(url: &str) -> String {
    // No gateway in this process may have done it yet.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::get(url).await.unwrap().text().await.unwrap()
}

/// Whether a series with all of this in its name and labels is more than 0.
pub fn is_counted(metrics: &str, parts: &[&str]) -> bool {
    let mut lines = metrics.lines().filter(|line| !line.starts_with('#'));
    lines.any(|line| parts.iter().all(|part| line.contains(part)) && !line.ends_with(" 0"))
}

/// The value of the series that has all these labels.
pub fn value(metrics: &str, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let line = metrics.lines().find(|line| {
        let (series, _) = line.rsplit_once(' ').unwrap();
        let Some(("", has)) = series.split_once(name) else {
            return false;
        };
        let has = |(label, value): &(&str, &str)| has.contains(&format!("{label}=\"{value}\""));
        labels.iter().all(has)
    })?;
    line.rsplit(' ').next().unwrap().parse().ok()
}

/// Keeps a paused clock still while real bytes are on their way: tokio does
/// not advance it as long as blocking work runs. `tokio::time::advance` still
/// works.
pub struct StillClock(#[expect(dead_code, reason = "its end is the signal")] mpsc::Sender<()>);

impl StillClock {
    pub fn hold() -> Self {
        let (hold, mut held) = mpsc::channel::<()>(1);
        tokio::task::spawn_blocking(move || held.blocking_recv());
        Self(hold)
    }
}

/// A script for the reads of one SIM's subscriptions. Reads about other SIMs, such as
/// those that look for an order for as long as the gateway runs, use up none of its steps.
pub fn subscriptions_of(msisdn: &str) -> Script {
    Script::on("GET", SUBSCRIPTIONS).with_query(&format!("msisdn={msisdn}"))
}

/// Polls until something is so.
pub async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let started = std::time::Instant::now();
    while !so().await {
        assert!(started.elapsed() < SOON, "still not so: {what}");
        tokio::task::yield_now().await;
    }
}

/// The code and the reason of an error, and the rest of its details.
pub struct Reason {
    pub code: Code,
    pub reason: String,
    pub metadata: std::collections::HashMap<String, String>,
    pub details: tonic_types::ErrorDetails,
}

pub fn reason(status: &Status) -> Reason {
    let details = status.get_error_details();
    let info = details
        .error_info()
        .unwrap_or_else(|| panic!("no ErrorInfo in {status:?}"));
    assert_eq!(info.domain, "transatel-gateway");
    Reason {
        code: status.code(),
        reason: info.reason.clone(),
        metadata: info.metadata.clone(),
        details,
    }
}

/// Fields that a request was refused for, sorted.
pub fn violations(status: &Status) -> Vec<String> {
    let reason = reason(status);
    assert_eq!(
        (reason.code, reason.reason.as_str()),
        (Code::InvalidArgument, "INVALID_REQUEST")
    );
    let request = reason.details.bad_request().unwrap();
    let mut fields: Vec<String> = request
        .field_violations
        .iter()
        .map(|violation| violation.field.clone())
        .collect();
    fields.sort();
    fields
}

/// A request for one product.
pub fn get(product_id: &str) -> api::GetProductRequest {
    api::GetProductRequest {
        product_id: product_id.into(),
        ..Default::default()
    }
}

/// Whether the catalog that a product is answered from is stale.
pub async fn is_stale(catalog: &mut api::catalog_client::CatalogClient<Channel>) -> bool {
    let answer = catalog.get_product(get(FRANCE)).await.unwrap();
    answer.into_inner().freshness.unwrap().stale
}

/// A SIM by its number.
pub fn by_msisdn(msisdn: &str) -> Option<api::SimRef> {
    Some(api::SimRef {
        id: Some(api::sim_ref::Id::Msisdn(msisdn.into())),
    })
}

/// A SIM by its card.
pub fn by_iccid(iccid: &str) -> Option<api::SimRef> {
    Some(api::SimRef {
        id: Some(api::sim_ref::Id::Iccid(iccid.into())),
    })
}
