//! The chart in `helm/` and this gateway agree: versions, metrics, probes,
//! the call that the notes show, and the time that going down takes.
//!
//! What only the chart has to say of itself is checked by `helm/tests/check.py`.
//! Tests that render it need helm: without one on the path they say so and are
//! not run; `REQUIRE_HELM=1` makes it required.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::Duration;

use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use transatel_gateway::app::CLOSING;
use transatel_simulator::{Fault, Script};

use crate::operations::grpcurl;
use crate::support::gateway::{CATALOG, TestEnv, settings, simulator, until};
use crate::support::pki::{Authority, Files};
use crate::support::ports::reserved;
use crate::support::process::Process;

const CHART: &str = include_str!("../../../helm/transatel-gateway/Chart.yaml");
const ALERTS: &str = include_str!("../../../helm/transatel-gateway/templates/prometheusrule.yaml");
pub(super) const DASHBOARD: &str =
    include_str!("../../../helm/transatel-gateway/dashboards/transatel-gateway.json");
const METRICS: &str = include_str!("../../../docs/metrics.md");
const PAGES: [&str; 2] = [
    include_str!("../../../docs/operations.md"),
    include_str!("../../../docs/runbook.md"),
];

#[test]
fn the_chart_has_the_version_of_the_gateway() {
    let stated = |key: &str| {
        let line = CHART.lines().find_map(|line| line.strip_prefix(key));
        line.unwrap().trim().trim_matches('"').to_owned()
    };
    assert_eq!(stated("version:"), env!("CARGO_PKG_VERSION"));
    assert_eq!(stated("appVersion:"), env!("CARGO_PKG_VERSION"));
}

#[test]
fn the_newest_release_in_the_changelog_is_of_this_version() {
    let changelog = include_str!("../../../CHANGELOG.md");
    let headings = changelog.lines().filter_map(|line| line.strip_prefix("## "));
    let mut releases = headings.filter(|heading| *heading != "Unreleased");
    // `.ci/release` refuses a version without a section of its own.
    if let Some(newest) = releases.next() {
        assert_eq!(
            newest.split(' ').next(),
            Some(env!("CARGO_PKG_VERSION")),
            "{newest}"
        );
    }
}

/// The metrics there are and the labels of each, by their names in Prometheus;
/// `tests/it/operations/metrics.rs` compares them with a gateway's.
pub(super) fn table() -> BTreeMap<String, BTreeSet<String>> {
    let rows = METRICS.lines().filter(|line| line.starts_with("| `"));
    rows.filter_map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [_, name, _, labels, _] = cells[..] else {
            return None;
        };
        let labels = labels.split('`').skip(1).step_by(2);
        let labels = labels.map(|label| label.replace('.', "_")).collect();
        Some((name.trim_matches('`').to_owned(), labels))
    })
    .collect()
}

/// The metric that a series belongs to.
pub(super) fn metric_of<'a>(
    table: &'a BTreeMap<String, BTreeSet<String>>,
    series: &str,
) -> Option<(&'a String, &'a BTreeSet<String>)> {
    let histogram = ["_bucket", "_count", "_sum"]
        .iter()
        .find_map(|end| series.strip_suffix(end));
    table
        .get_key_value(series)
        .or_else(|| table.get_key_value(histogram?))
}

/// How the names of our metrics begin.
const OURS: [&str; 8] = [
    "transatel_gateway_",
    "rpc_server_",
    "http_client_",
    "process_",
    "db_client_operation_duration",
    // Others that begin with `db_client_` are labels.
    "db_client_connection_count",
    "db_client_connection_max",
    "db_client_connection_pending",
];

/// Words of a text that look like a metric of ours.
pub(super) fn mentioned(text: &str) -> BTreeSet<&str> {
    text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'))
        .filter(|word| OURS.iter().any(|prefix| word.starts_with(prefix)))
        .collect()
}

/// Labels that an expression selects or groups by, with the metric that each
/// belongs to.
fn labels_used(expression: &str) -> Vec<(String, BTreeSet<String>)> {
    let mut used = Vec::new();
    for word in mentioned(expression) {
        for (at, _) in expression.match_indices(&format!("{word}{{")) {
            let (inside, _) = expression[at + word.len() + 1..].split_once('}').unwrap();
            let selectors = inside.split(',').filter_map(|part| part.split_once(['=', '!']));
            used.push((
                word.to_owned(),
                selectors.map(|(label, _)| label.trim().to_owned()).collect(),
            ));
        }
    }
    used
}

#[test]
fn dashboard_alerts_and_pages_use_metrics_and_labels_that_exist() {
    let table = table();
    for (what, text) in [
        ("dashboard", DASHBOARD),
        ("alerts", ALERTS),
        ("page", PAGES[0]),
        ("page", PAGES[1]),
    ] {
        let words = mentioned(text);
        assert!(!words.is_empty(), "{what}");
        for word in words {
            assert!(
                metric_of(&table, word).is_some(),
                "the {what} uses {word}, which does not exist"
            );
        }
    }
    // Given by Prometheus to whatever it scrapes.
    let given = ["namespace", "job", "pod"];
    let dashboard: serde_json::Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.filter_map(|panel| panel["targets"].as_array()).flatten();
    let mut expressions: Vec<String> = targets
        .map(|target| target["expr"].as_str().unwrap().to_owned())
        .collect();
    assert!(expressions.len() > 20);
    expressions.push(ALERTS.replace("{{- $own -}}", "").replace("{ ", "{"));
    for expression in expressions {
        for (word, labels) in labels_used(&expression) {
            let (_, known) = metric_of(&table, &word).unwrap();
            for label in labels.iter().filter(|label| !given.contains(&label.as_str())) {
                assert!(known.contains(label), "{word} has no label {label}: {expression}");
            }
        }
    }
    // Whatever is measured is shown.
    let shown: BTreeSet<&String> = mentioned(DASHBOARD)
        .into_iter()
        .map(|word| metric_of(&table, word).unwrap().0)
        .collect();
    let unseen: Vec<&String> = table.keys().filter(|name| !shown.contains(name)).collect();
    assert!(unseen.is_empty(), "no panel shows {unseen:?}");
}

/// What helm makes of a command; `None`, loudly, where there is no helm.
fn helm(action: &[&str], more: &[&str]) -> Option<String> {
    let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/helm/transatel-gateway");
    let values = concat!(env!("CARGO_MANIFEST_DIR"), "/helm/tests/values/default.yaml");
    let Ok(output) = Command::new("helm")
        .args(action)
        .args(["gateway", chart, "--values", values])
        .args(more)
        .output()
    else {
        assert!(
            std::env::var_os("REQUIRE_HELM").is_none(),
            "REQUIRE_HELM is set and there is no helm on the path"
        );
        eprintln!("!! NOT RUN: the chart needs helm, and there is none on the path");
        return None;
    };
    let text = |bytes| String::from_utf8(bytes).unwrap();
    assert!(output.status.success(), "{}", text(output.stderr));
    Some(text(output.stdout))
}

/// The pod of the chart.
struct Pod(serde_json::Value);

impl Pod {
    fn render(more: &[&str]) -> Option<Self> {
        let only = ["--show-only", "templates/deployment.yaml"];
        let text = helm(&["template"], &[&only, more].concat())?;
        let deployment: serde_json::Value = serde_yaml_ng::from_str(&text).unwrap();
        Some(Self(deployment["spec"]["template"]["spec"].clone()))
    }

    fn probe(&self, name: &str) -> Probe {
        let probe = &self.0["containers"][0][name];
        let number = |value: &serde_json::Value| value.as_u64();
        let within = Duration::from_secs(number(&probe["timeoutSeconds"]).unwrap_or(1));
        match (&probe["httpGet"], &probe["grpc"]) {
            (serde_json::Value::Null, grpc) => Probe::Grpc {
                port: number(&grpc["port"]).unwrap(),
                service: grpc["service"].as_str().unwrap_or_default().to_owned(),
                within,
            },
            (http, _) => Probe::Http {
                port: number(&http["port"]).unwrap(),
                path: http["path"].as_str().unwrap().to_owned(),
                within,
            },
        }
    }
}

/// A probe as a kubelet performs it.
#[derive(Debug)]
enum Probe {
    Http {
        port: u64,
        path: String,
        within: Duration,
    },
    Grpc {
        port: u64,
        service: String,
        within: Duration,
    },
}

/// The ports of the pod, and where the process under test has them.
const GRPC: u64 = 50051;
const ADMIN: u64 = 9090;

impl Probe {
    async fn succeeds(&self, ports: &BTreeMap<u64, String>) -> bool {
        match self {
            Self::Http { port, path, within } => {
                let url = format!("http://{}{path}", ports[port]);
                let answer = tokio::time::timeout(*within, reqwest::get(url)).await;
                matches!(answer, Ok(Ok(answer)) if answer.status().is_success())
            }
            Self::Grpc {
                port,
                service,
                within,
            } => {
                let ask = async {
                    let address = format!("http://{}", ports[port]);
                    let channel = Endpoint::from_shared(address).unwrap().connect().await.ok()?;
                    let service = service.clone();
                    let answer = HealthClient::new(channel)
                        .check(HealthCheckRequest { service })
                        .await;
                    Some(answer.ok()?.into_inner().status() == ServingStatus::Serving)
                };
                tokio::time::timeout(*within, ask).await.ok().flatten() == Some(true)
            }
        }
    }
}

async fn the_probes_tell(pod: &Pod, ready_by: &str, more: &[(&str, &str)]) {
    // No gateway in this process may have done it yet.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let sandbox = simulator().await;
    let control = sandbox.control();
    control.queue(Script::on("GET", CATALOG).then(Fault::hold("start").step()));
    let ports = BTreeMap::from([GRPC, ADMIN].map(|name| (name, reserved().to_string())));
    let own: [(&str, &str); 4] = [
        ("GRPC__LISTEN", &ports[&GRPC]),
        ("ADMIN__LISTEN", &ports[&ADMIN]),
        ("CATALOG__WARM_UP", "1h"),
        ("SHUTDOWN__PROPAGATION_DELAY", "6s"),
    ];
    let environment = settings(&sandbox.base_url(), &[own.as_slice(), more].concat());
    let [startup, live, ready] =
        ["startupProbe", "livenessProbe", "readinessProbe"].map(|name| pod.probe(name));
    assert!(format!("{ready:?}").contains(ready_by), "{ready:?}");

    let mut process = Process::start(&["serve"], &environment);
    control.until_held("start", 1).await;
    // It lives, but has no catalog yet.
    until("it has started", async || startup.succeeds(&ports).await).await;
    assert!(live.succeeds(&ports).await);
    assert!(!ready.succeeds(&ports).await);

    control.release("start");
    until("it is ready", async || ready.succeeds(&ports).await).await;
    assert!(live.succeeds(&ports).await);

    process.signal("TERM").await;
    until("it is not ready", async || !ready.succeeds(&ports).await).await;
    assert!(
        live.succeeds(&ports).await,
        "a draining gateway must not be killed"
    );
    // Callers that do not know of it yet are still served.
    if more.is_empty() {
        let call = "grpcurl -plaintext 127.0.0.1:50051 connectivity.v1.Catalog/ListDestinations";
        grpcurl::run(call, &ports[&GRPC]).await.unwrap();
    }
    assert_eq!(process.ended().await, Some(0));
    assert!(!live.succeeds(&ports).await);
}

#[tokio::test]
async fn probes_tell_start_service_and_drain_apart() {
    let Some(pod) = Pod::render(&[]) else { return };
    the_probes_tell(&pod, "Grpc", &[]).await;
}

#[tokio::test]
async fn the_probes_of_a_gateway_with_tls_tell_the_same() {
    let Some(pod) = Pod::render(&["--set", "tls.enabled=true,tls.mutual=true,tls.secret=t"]) else {
        return;
    };
    let authority = Authority::new();
    let files = Files::new(&authority.server(), Some(&authority));
    let own = files.settings();
    the_probes_tell(&pod, "/readyz", &own).await;
}

#[test]
fn the_grace_period_covers_every_phase() {
    let Some(pod) = Pod::render(&[]) else { return };
    let defaults: toml::Table = transatel_gateway::config::DEFAULTS.parse().unwrap();
    let phases = defaults["shutdown"].as_table().unwrap().values();
    let phases: Duration = phases
        .map(|phase| humantime::parse_duration(phase.as_str().unwrap()).unwrap())
        .sum();
    let grace = Duration::from_secs(pod.0["terminationGracePeriodSeconds"].as_u64().unwrap());
    let needed = phases + CLOSING;
    assert!(grace >= needed, "{grace:?} for {needed:?}");
    assert!(
        grace < needed + Duration::from_secs(5),
        "{grace:?} for {needed:?}: what for?"
    );
}

#[tokio::test]
async fn the_call_in_the_notes_works() {
    let Some(notes) = helm(&["install"], &["--dry-run=client"]) else {
        return;
    };
    let call = notes
        .lines()
        .map(str::trim)
        .find(|line| line.starts_with("grpcurl"))
        .unwrap();
    let env = TestEnv::open().await;
    let answer = grpcurl::run(call, &env.gateway.addresses.grpc.to_string())
        .await
        .unwrap();
    assert!(
        !answer[0]["products"].as_array().unwrap().is_empty(),
        "{answer:?}"
    );
}

#[test]
fn sizes_are_what_was_measured() {
    let measured = include_str!("../../../docs/benchmarks.md").replace(',', "");
    let (_, rest) = PAGES[0].split_once("| What | One replica |").unwrap();
    let (table, _) = rest.split_once("\n\n").unwrap();
    let mut figures = 0;
    for row in table.lines().skip(2) {
        let figure = row.rsplit('|').nth(1).unwrap().replace(',', "");
        for number in figure.split(|letter: char| !(letter.is_ascii_digit() || letter == '.')) {
            // Small ones are units and sizes.
            if number.trim_matches('.').len() > 1 {
                assert!(measured.contains(number), "{number} of {row} was not measured");
                figures += 1;
            }
        }
    }
    assert!(figures > 8, "{figures}");
}
