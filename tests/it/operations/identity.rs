//! Who calls, and what each caller may call.

mod policy;

use opentelemetry_proto::tonic::common::v1::any_value;
use rcgen::ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
use serde_json::Value;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use transatel_gateway_client::connectivity::v1 as api;
use transatel_gateway_client::connectivity::v1::catalog_client::CatalogClient;
use transatel_gateway_client::connectivity::v1::provisioning_client::ProvisioningClient;

use crate::support::collector::Collector;
use crate::support::gateway::{FRANCE, Gateway, TestEnv, get, reason, settings, simulator, until};
use crate::support::pki::{Authority, Files, Name, Pair, Validity, connect};
use crate::support::process::Process;
use crate::writes::orders::order as order_request;

const SHOP: &str = "spiffe://company.example/ns/shop/sa/web";
const SUPPORT: &str = "support.internal";

/// The shop may buy, support may look, everybody with a name may browse.
const POLICY: (&str, &str) = (
    "CALLERS__ALLOW",
    r#"{ "spiffe://company.example/ns/shop/sa/web" = ["Provisioning/CreateOrder", "Provisioning/GetOrder", "Provisioning/ListOrders"],
         "support.internal" = ["Esim/GetEsim", "Inventory/*"], "*" = ["Catalog/*"] }"#,
);

/// A gateway that asks for certificates.
struct Secured {
    sandbox: transatel_simulator::Sandbox,
    gateway: Gateway,
    authority: Authority,
    files: Files,
}

impl Secured {
    async fn open(more: &[(&str, &str)]) -> Self {
        let authority = Authority::new();
        let files = Files::new(&authority.server(), Some(&authority));
        let sandbox = simulator().await;
        let own = files.settings();
        let caller = authority.issue(&[Name::Dns("probe.internal")]);
        let app_settings = [own.as_slice(), more].concat();
        let gateway = Gateway::start_with(&sandbox.base_url(), &app_settings, async |address| {
            connect(address, &authority, Some(&caller)).await.unwrap()
        })
        .await;
        Self {
            sandbox,
            gateway,
            authority,
            files,
        }
    }

    async fn connect(&self, own: Option<&Pair>) -> Result<Channel, tonic::transport::Error> {
        connect(self.gateway.addresses.grpc, &self.authority, own).await
    }

    async fn named(&self, names: &[Name<'_>]) -> Channel {
        let pair = self.authority.issue(names);
        self.connect(Some(&pair)).await.unwrap()
    }

    async fn metric(&self, line: &str) -> Option<String> {
        let metrics = self.gateway.metrics().await;
        let line = metrics.lines().find(|found| found.starts_with(line))?;
        line.rsplit(' ').next().map(str::to_owned)
    }
}

async fn browse(channel: Channel) -> Result<(), Status> {
    CatalogClient::new(channel)
        .get_product(get(FRANCE))
        .await
        .map(|_| ())
}

/// Whether a connection is made and a call on it answered: with TLS 1.3 a
/// caller may find out only with its first call that it is refused.
async fn reaches(connection: impl Future<Output = Result<Channel, tonic::transport::Error>>) -> bool {
    match connection.await {
        Ok(channel) => browse(channel).await.is_ok(),
        Err(_) => false,
    }
}

async fn buy(channel: Channel) -> Result<api::Order, Status> {
    let answer = ProvisioningClient::new(channel)
        .create_order(order_request("882470000000001"))
        .await?;
    Ok(answer.into_inner().order.unwrap())
}

/// Code and reason.
fn verdict(result: Result<(), Status>) -> (Code, String) {
    let error = reason(&result.unwrap_err());
    (error.code, error.reason)
}

fn unauthenticated() -> (Code, String) {
    (Code::Unauthenticated, "CALLER_UNAUTHENTICATED".into())
}

#[tokio::test]
async fn the_name_in_the_certificate_is_in_the_ledger_and_decides() {
    let env = Secured::open(&[POLICY]).await;
    let shop = env
        .named(&[Name::Uri(SHOP), Name::Dns("web.shop.internal")])
        .await;
    browse(shop.clone()).await.unwrap();
    let order = buy(shop.clone()).await.unwrap();
    assert_eq!(order.caller, SHOP);
    let request = api::GetOrderRequest {
        key: Some(api::get_order_request::Key::OrderId(order.order_id)),
        wait: None,
    };
    let kept = ProvisioningClient::new(shop.clone())
        .get_order(request)
        .await
        .unwrap();
    assert_eq!(kept.into_inner().order.unwrap().caller, SHOP);
    for (caller, orders) in [(SHOP, 1), ("another", 0)] {
        let request = api::ListOrdersRequest {
            caller: caller.into(),
            ..Default::default()
        };
        let mut client = ProvisioningClient::new(shop.clone());
        let listed = client.list_orders(request).await.unwrap().into_inner().orders;
        assert_eq!(listed.len(), orders, "{caller}");
    }

    // What it may not, although the next one may.
    let request = api::GetEsimRequest::default();
    let refused = api::esim_client::EsimClient::new(shop).get_esim(request).await;
    let refused = reason(&refused.unwrap_err());
    assert_eq!(
        (refused.code, refused.reason.as_str()),
        (Code::PermissionDenied, "CALLER_NOT_ALLOWED")
    );
    assert_eq!(refused.metadata["caller"], SHOP);
    let support = env
        .named(&[Name::Dns("Support.Internal"), Name::Dns("other")])
        .await;
    let request = api::GetEsimRequest::default();
    let allowed = api::esim_client::EsimClient::new(support.clone())
        .get_esim(request)
        .await;
    assert_eq!(allowed.unwrap_err().code(), Code::InvalidArgument);
    let refused = reason(&buy(support).await.unwrap_err());
    assert_eq!(refused.reason, "CALLER_NOT_ALLOWED");
    assert_eq!(refused.metadata["caller"], SUPPORT);
    assert_eq!(
        env.sandbox
            .control()
            .received("POST", crate::support::gateway::ORDERS),
        1
    );
}

#[tokio::test]
async fn a_certificate_that_is_not_good_does_not_connect() {
    let env = Secured::open(&[POLICY]).await;
    let names = [Name::Uri(SHOP)];
    let good = &env.authority;
    let stranger = Authority::new();
    let cases = [
        ("none", None),
        (
            "expired",
            Some(good.issue_for(&names, Validity::Past, ClientAuth)),
        ),
        (
            "not yet good",
            Some(good.issue_for(&names, Validity::Future, ClientAuth)),
        ),
        (
            "for servers only",
            Some(good.issue_for(&names, Validity::Now, ServerAuth)),
        ),
        ("of another authority", Some(stranger.issue(&names))),
    ];
    for (what, pair) in &cases {
        assert!(!reaches(env.connect(pair.as_ref())).await, "{what}");
    }
    let failed = "transatel_gateway_tls_handshakes_total{outcome=\"failed\"";
    until("each is counted", async || {
        env.metric(failed).await == Some(cases.len().to_string())
    })
    .await;
    // Nothing of theirs came further than the handshake.
    let metrics = env.gateway.metrics().await;
    let calls = [
        "rpc_server_call_duration_seconds_count{",
        "rpc_method=\"connectivity",
    ];
    assert!(!crate::support::gateway::is_counted(&metrics, &calls));

    // Plain text does not come further either.
    let plain = tonic::transport::Endpoint::from_shared(format!("http://{}", env.gateway.addresses.grpc));
    let called = !reaches(plain.unwrap().connect()).await;
    assert!(called);
}

#[tokio::test]
async fn a_certificate_without_a_usable_name_is_nobodys() {
    let env = Secured::open(&[POLICY]).await;
    for names in [
        &[][..],
        &[Name::Dns("*.shop.internal")],
        &[Name::Uri("https://company.example/shop")],
        &[Name::Uri(SHOP), Name::Uri("spiffe://company.example/other")],
        // A SPIFFE certificate is that, and not its DNS name besides.
        &[Name::Uri("spiffe://company.example/a//b"), Name::Dns(SUPPORT)],
    ] {
        let channel = env.named(names).await;
        assert_eq!(verdict(browse(channel.clone()).await), unauthenticated());
        // Probes go on.
        let request = HealthCheckRequest {
            service: String::new(),
        };
        HealthClient::new(channel).check(request).await.unwrap();
    }
}

#[tokio::test]
async fn without_a_policy_names_are_kept_and_everybody_is_let_in() {
    let env = Secured::open(&[]).await;
    let shop = env.named(&[Name::Uri(SHOP)]).await;
    assert_eq!(buy(shop).await.unwrap().caller, SHOP);
    browse(env.named(&[]).await).await.unwrap();
}

#[tokio::test]
async fn certificates_are_exchanged_without_a_restart() {
    let env = Secured::open(&[("GRPC__TLS__RELOAD_INTERVAL", "5ms")]).await;
    let pair = env.authority.issue(&[Name::Uri(SHOP)]);
    let before = env.connect(Some(&pair)).await.unwrap();
    browse(before.clone()).await.unwrap();

    let next = Authority::new();
    env.files.put(&next.server(), Some(&next));
    let own = next.issue(&[Name::Uri(SHOP)]);
    let address = env.gateway.addresses.grpc;
    until("new connections use the new ones", async || {
        reaches(connect(address, &next, Some(&own))).await
    })
    .await;
    // A certificate of the former authority is not trusted any more.
    let stale = !reaches(connect(address, &next, Some(&pair))).await;
    assert!(stale);
    // Connections that exist go on.
    browse(before).await.unwrap();
    let reloads = |outcome| format!("transatel_gateway_tls_reloads_total{{outcome=\"{outcome}\"");
    until("the exchange is counted", async || {
        env.metric(&reloads("ok")).await.is_some_and(|count| count != "0")
    })
    .await;

    // A set that cannot be used leaves the last one in use.
    let foreign = Pair {
        certificate: next.server().certificate,
        key: next.server().key,
    };
    env.files.put(&foreign, None);
    until("the bad set is counted", async || {
        env.metric(&reloads("failed"))
            .await
            .is_some_and(|count| count != "0")
    })
    .await;
    let unusable = "transatel_gateway_tls_files_unusable";
    until("the outcome is reported", async || {
        env.metric(unusable).await.as_deref() == Some("1")
    })
    .await;
    browse(connect(address, &next, Some(&own)).await.unwrap())
        .await
        .unwrap();
    std::fs::remove_file(env.files.path("tls.key")).unwrap();
    browse(connect(address, &next, Some(&own)).await.unwrap())
        .await
        .unwrap();

    // And it is not the end.
    env.files.put(&env.authority.server(), Some(&env.authority));
    until("the first ones are back", async || {
        reaches(env.connect(Some(&pair))).await
    })
    .await;
    until("the outcome is reported", async || {
        env.metric(unusable).await.as_deref() == Some("0")
    })
    .await;
}

#[tokio::test]
async fn tls_alone_encrypts_and_names_nobody() {
    let authority = Authority::new();
    let files = Files::new(&authority.server(), None);
    let sandbox = simulator().await;
    let own = files.settings();
    let gateway = Gateway::start_with(&sandbox.base_url(), &own, async |address| {
        connect(address, &authority, None).await.unwrap()
    })
    .await;
    assert_eq!(buy(gateway.channel.clone()).await.unwrap().caller, "");
    // A client that does not trust its authority does not connect.
    assert!(
        connect(gateway.addresses.grpc, &Authority::new(), None)
            .await
            .is_err()
    );
}

/// What a gateway shows of connections and files of every quality.
pub async fn metrics_of_certificates() -> String {
    let env = Secured::open(&[("GRPC__TLS__RELOAD_INTERVAL", "5ms")]).await;
    let address = env.gateway.addresses.grpc;
    drop(tokio::net::TcpStream::connect(address).await.unwrap());
    assert!(!reaches(env.connect(None)).await);
    let counted = async |name: &str, outcome: &str| {
        let shown = format!("{name}_total{{outcome=\"{outcome}\"");
        env.metric(&shown).await.is_some_and(|count| count != "0")
    };
    let (handshakes, reloads) = (
        "transatel_gateway_tls_handshakes",
        "transatel_gateway_tls_reloads",
    );
    env.files.put(&env.authority.server(), None);
    until("the exchange is counted", async || counted(reloads, "ok").await).await;
    std::fs::write(env.files.path("tls.crt"), "no PEM").unwrap();
    for (name, outcome) in [(reloads, "failed"), (handshakes, "left"), (handshakes, "failed")] {
        until(outcome, async || counted(name, outcome).await).await;
    }
    let metrics = env.gateway.metrics().await;
    let ours = metrics
        .lines()
        .filter(|line| line.contains("transatel_gateway_tls_"));
    ours.flat_map(|line| [line, "\n"]).collect()
}

#[tokio::test]
async fn the_callers_name_is_in_the_log_and_in_the_span() {
    let collector = Collector::start().await;
    let sandbox = simulator().await;
    let more = [
        HEADER,
        ("CALLERS__HEADER_FROM", "127.0.0.1"),
        ("TELEMETRY__OTLP_ENDPOINT", collector.endpoint()),
        ("TELEMETRY__LOG_FORMAT", "json"),
    ];
    let mut gateway = Process::start(&["serve"], &settings(&sandbox.base_url(), &more));
    let listening: Value = serde_json::from_str(&gateway.logged("\"listening\"").await).unwrap();
    let address = format!("http://{}", listening["grpc"].as_str().unwrap());
    gateway.logged("\"ready\"").await;
    let channel = tonic::transport::Endpoint::from_shared(address).unwrap();
    let channel = channel.connect().await.unwrap();

    let mut request = Request::new(get("NO_SUCH"));
    request.metadata_mut().insert("x-caller", SHOP.parse().unwrap());
    CatalogClient::new(channel.clone())
        .get_product(request)
        .await
        .unwrap_err();
    let line: Value = serde_json::from_str(&gateway.logged("\"call failed\"").await).unwrap();
    assert_eq!(line["caller"], SHOP);
    let mut request = Request::new(order_request("882470000000001"));
    request.metadata_mut().insert("x-caller", SHOP.parse().unwrap());
    ProvisioningClient::new(channel)
        .create_order(request)
        .await
        .unwrap();
    let line: Value = serde_json::from_str(&gateway.logged("\"placed\"").await).unwrap();
    assert_eq!(line["caller"], SHOP);

    gateway.signal("TERM").await;
    assert_eq!(gateway.ended().await, Some(0));
    let spans = collector.spans();
    for method in ["Catalog/GetProduct", "Provisioning/CreateOrder"] {
        let name = format!("connectivity.v1.{method}");
        let span = spans.iter().find(|span| span.name == name).unwrap();
        let caller = span
            .attributes
            .iter()
            .find(|attribute| attribute.key == "gateway.caller");
        let value = caller
            .and_then(|caller| caller.value.clone())
            .and_then(|value| value.value);
        assert_eq!(
            value,
            Some(any_value::Value::StringValue(SHOP.to_owned())),
            "{method}"
        );
    }
}

const HEADER: (&str, &str) = ("CALLERS__HEADER", "X-Caller");

fn from(names: &[&str]) -> Request<api::GetProductRequest> {
    let mut request = Request::new(get(FRANCE));
    for name in names {
        request.metadata_mut().append("x-caller", name.parse().unwrap());
    }
    request
}

#[tokio::test]
async fn a_header_counts_from_a_listed_peer_only() {
    let mesh = TestEnv::with(&[HEADER, ("CALLERS__HEADER_FROM", "192.0.2.1, 127.0.0.0/8"), POLICY]).await;
    let mut catalog = mesh.catalog();
    catalog.get_product(from(&[SHOP])).await.unwrap();
    for names in [&[][..], &[""], &["two names"], &[SHOP, SHOP]] {
        let refused = catalog.get_product(from(names)).await.map(|_| ());
        assert_eq!(verdict(refused), unauthenticated(), "{names:?}");
    }
    let mut request = Request::new(order_request("882470000000001"));
    request.metadata_mut().insert("x-caller", SHOP.parse().unwrap());
    let order = mesh.provisioning().create_order(request).await.unwrap();
    assert_eq!(order.into_inner().order.unwrap().caller, SHOP);
    let mut request = Request::new(order_request("882470000000002"));
    request
        .metadata_mut()
        .insert("x-caller", SUPPORT.parse().unwrap());
    let refused = mesh.provisioning().create_order(request).await.map(|_| ());
    assert_eq!(
        verdict(refused),
        (Code::PermissionDenied, "CALLER_NOT_ALLOWED".into())
    );

    let stranger = TestEnv::with(&[HEADER, ("CALLERS__HEADER_FROM", "192.0.2.1"), POLICY]).await;
    let refused = stranger.catalog().get_product(from(&[SHOP])).await.map(|_| ());
    assert_eq!(verdict(refused), unauthenticated());

    // Without a policy it does not get a name into the ledger either.
    let stranger = TestEnv::with(&[HEADER, ("CALLERS__HEADER_FROM", "192.0.2.1")]).await;
    let mut request = Request::new(order_request("882470000000001"));
    request.metadata_mut().insert("x-caller", SHOP.parse().unwrap());
    let order = stranger.provisioning().create_order(request).await.unwrap();
    assert_eq!(order.into_inner().order.unwrap().caller, "");
}

#[tokio::test]
async fn a_proxy_speaks_for_others_and_not_for_itself() {
    let env = Secured::open(&[HEADER, ("CALLERS__HEADER_FROM", "127.0.0.1"), POLICY]).await;
    let mut proxy = CatalogClient::new(env.named(&[Name::Dns(SUPPORT)]).await);
    proxy.get_product(from(&[SHOP])).await.unwrap();
    let refused = proxy.get_product(from(&[])).await.map(|_| ());
    assert_eq!(verdict(refused), unauthenticated());
}
