//! `docs/metrics.md` says of every metric what is so.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message as _;
use prost_types::FileDescriptorSet;
use transatel_gateway::domain::change::OptionalOperation;
use transatel_gateway::grpc::DESCRIPTORS;
use transatel_gateway::telemetry::REVISION;
use transatel_gateway::transatel::client::endpoint;

use crate::operations::identity::metrics_of_certificates;
use crate::operations::whole_run::run;
use crate::support::gateway::TestEnv;

const TABLE: &str = include_str!("../../../docs/metrics.md");

/// What a run through everything does not show, and why.
const RARELY_SEEN: [(&str, &str, &str); 13] = [
    ("outcome", "timed_out", "takes a TLS handshake of ten seconds"),
    ("outcome", "connect", "the provider's port is open all the while"),
    (
        "outcome",
        "no_time_left",
        "takes a deadline that ends between two checks of it",
    ),
    (
        "reason",
        "crowded",
        "takes more requests at once than one caller makes",
    ),
    (
        "reason",
        "retry_budget",
        "takes more failures than the breaker lets through here",
    ),
    (
        "outcome",
        "store_failed",
        "takes a store that fails; see tests/it/events/webhook.rs",
    ),
    (
        "why",
        "too_slow",
        "takes a reader that stops; see tests/it/events/streams.rs",
    ),
    ("why", "shutdown", "comes after the last look at the metrics"),
    ("why", "expired", "takes a log that forgets under a reader"),
    ("why", "failed", "takes a store that fails"),
    (
        "reference",
        "database",
        "takes PostgreSQL; see tests/it/operations/clock_skew.rs",
    ),
    (
        "state",
        "carried_out_twice",
        "takes a provider that does twice what it was told once; see tests/it/writes/orders_late.rs",
    ),
    (
        "state",
        "subscription_conflict",
        "takes a provider that gives an id again; see tests/it/writes/orders_late/claimed.rs",
    ),
];

/// Labels whose values depend on the account and the provider.
const OPEN: [&str; 7] = [
    "caller",
    "currency",
    "pool",
    "error_type",
    "http_response_status_code",
    "server_address",
    "server_port",
];

/// Labels that a series may be without.
const OPTIONAL: [&str; 3] = ["currency", "error_type", "http_response_status_code"];

/// Metrics whose values of labels are those of an enum of the code, and not all of
/// them seen in one run.
const BY_THE_CODE: [&str; 10] = [
    // Of a file that changes; see tests/it/writes/orders/cost.rs.
    "transatel_gateway_prices_reloads_total",
    // Off by default; see tests/it/writes/stock_levels.rs.
    "transatel_gateway_stock_searches_total",
    "transatel_gateway_stock_set_aside_total",
    // Its states are those of the transitions.
    "transatel_gateway_orders",
    "transatel_gateway_orders_refused_total",
    "transatel_gateway_caller_limit_refused_total",
    "transatel_gateway_caller_limit_used",
    "transatel_gateway_background_failures_total",
    "transatel_gateway_cache_answers_total",
    "transatel_gateway_cache_loads_total",
];

/// A row of the table.
struct Row {
    metric: String,
    unit: String,
    /// Names as in Prometheus, with the values that they may have.
    labels: BTreeMap<String, BTreeSet<String>>,
    says: String,
}

fn words(list: &str) -> BTreeSet<String> {
    list.split(',').map(|word| word.trim().to_owned()).collect()
}

/// Values of the labels that are the same everywhere.
fn shared() -> BTreeMap<String, BTreeSet<String>> {
    let lines = TABLE.lines().filter_map(|line| line.strip_prefix("- `"));
    let lists = lines.map(|line| line.split_once("`: ").unwrap());
    let mut shared: BTreeMap<_, _> = lists.map(|(name, list)| (name.to_owned(), words(list))).collect();
    let contract = FileDescriptorSet::decode(DESCRIPTORS).unwrap();
    let mut methods: BTreeSet<String> = [
        "_OTHER",
        "grpc.health.v1.Health/Check",
        "grpc.health.v1.Health/Watch",
        "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    ]
    .map(str::to_owned)
    .into();
    for file in &contract.file {
        for service in &file.service {
            let name = |method: &str| format!("{}.{}/{method}", file.package(), service.name());
            methods.extend(service.method.iter().map(|method| name(method.name())));
        }
    }
    let operations = OptionalOperation::ALL.map(endpoint::of_operation);
    let endpoints = [&endpoint::TOKEN].into_iter().chain(endpoint::ALWAYS);
    let templates = endpoints.chain(operations).map(|known| known.template.to_owned());
    for (name, values) in [
        ("url.template", templates.collect()),
        ("rpc.method", methods),
        ("version", BTreeSet::from([env!("CARGO_PKG_VERSION").to_owned()])),
        ("revision", BTreeSet::from([REVISION.to_owned()])),
    ] {
        // In words in the table.
        assert!(shared.insert(name.to_owned(), values).is_some(), "{name}");
    }
    shared
}

/// The table, by names in Prometheus.
fn table() -> BTreeMap<String, Row> {
    let shared = shared();
    let mut rows = BTreeMap::new();
    for line in TABLE.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [metric, name, unit, labels, says] = cells[..] else {
            panic!("{line}");
        };
        let mut listed = BTreeMap::new();
        let mut parts = labels.split('`').skip(1);
        while let (Some(label), Some(behind)) = (parts.next(), parts.next()) {
            let own = behind
                .trim_start()
                .strip_prefix('(')
                .map(|list| words(list.split(')').next().unwrap()));
            let values = own.unwrap_or_else(|| shared[label].clone());
            listed.insert(label.replace('.', "_"), values);
        }
        let row = Row {
            metric: metric.trim_matches('`').to_owned(),
            unit: unit.to_owned(),
            labels: listed,
            says: says.to_owned(),
        };
        assert!(
            rows.insert(name.trim_matches('`').to_owned(), row).is_none(),
            "{name} twice"
        );
    }
    assert!(rows.len() >= 19, "{}", rows.len());
    rows
}

/// A series: its name and its labels.
fn series(line: &str) -> (&str, BTreeMap<&str, &str>) {
    let (series, _) = line.rsplit_once(' ').unwrap();
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    let labels = labels
        .trim_end_matches('}')
        .split("\",")
        .filter(|label| !label.is_empty());
    let labels = labels.map(|label| label.split_once("=\"").unwrap());
    (
        name,
        labels
            .map(|(name, value)| (name, value.trim_end_matches('"')))
            .collect(),
    )
}

#[tokio::test]
async fn the_table_of_metrics_is_what_a_gateway_shows() {
    let metrics = &[run().await.metrics.as_str(), &metrics_of_certificates().await].concat();
    let table = table();
    let mut seen: BTreeMap<&str, BTreeSet<(&str, &str)>> = BTreeMap::new();
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        let (name, mut labels) = series(line);
        if name == "target_info" {
            continue;
        }
        let family = ["_bucket", "_sum", "_count"]
            .into_iter()
            .find_map(|suffix| name.strip_suffix(suffix).filter(|name| table.contains_key(*name)))
            .unwrap_or(name);
        let row = table
            .get(family)
            .unwrap_or_else(|| panic!("{name} is not in the table"));
        assert_eq!(
            labels.remove("otel_scope_name"),
            Some("transatel-gateway"),
            "{line}"
        );
        let is_bucket = labels.remove("le").is_some();
        assert_eq!(is_bucket, name.ends_with("_bucket"), "{line}");
        let required = row.labels.keys().map(String::as_str);
        let required: Vec<&str> = required
            .filter(|label| labels.contains_key(label) || !OPTIONAL.contains(label))
            .collect();
        assert!(labels.keys().copied().eq(required), "{line}");
        for (label, value) in &labels {
            assert!(
                OPEN.contains(label) || row.labels[*label].contains(*value),
                "{label}={value} of {name} is not in the table"
            );
        }
        let family = seen.entry(family).or_default();
        // A counter is there from the start: what it counts is seen with the first.
        if !(name.ends_with("_total") && line.ends_with(" 0")) {
            family.extend(labels);
        }
    }
    let all: BTreeSet<(&str, &str)> = seen.values().flatten().copied().collect();
    for (name, row) in &table {
        let seen = seen
            .get(name.as_str())
            .unwrap_or_else(|| panic!("{name} is not shown"));
        let help = format!("# HELP {name} {}\n", row.says);
        assert!(metrics.contains(&help), "{help}");
        let kind = |kind: &str| metrics.contains(&format!("# TYPE {name} {kind}\n"));
        assert_eq!(kind("counter"), name.ends_with("_total"), "{name}");
        // The only unit that has a place in the name; all others are counts.
        assert_eq!(name.contains("_seconds"), row.unit == "s", "{name}");
        assert_eq!(name.ends_with("_bytes"), row.unit == "By", "{name}");
        assert_eq!(kind("histogram"), row.metric.ends_with(".duration"), "{name}");
        let plain = name.trim_end_matches("_total");
        let plain = plain.trim_end_matches("_seconds").trim_end_matches("_bytes");
        assert_eq!(plain, row.metric.replace('.', "_"), "{name}");
        for (label, values) in &row.labels {
            let everywhere = shared().contains_key(label);
            // Which methods and statuses there are is not the table's to say. Nor do
            // all operations of both stores fail in every way here: see
            // tests/it/operations/ledger_health.rs.
            let of_stores = label.starts_with("db_") || name.starts_with("db_");
            if label.starts_with("rpc_")
                || of_stores
                || OPEN.contains(&label.as_str())
                || BY_THE_CODE.contains(&name.as_str())
            {
                continue;
            }
            for value in values {
                let pair = (label.as_str(), value.as_str());
                let rare = RARELY_SEEN
                    .iter()
                    .any(|(label, value, _)| (*label, *value) == pair);
                let shown = seen.contains(&pair) || everywhere && all.contains(&pair);
                assert!(shown || rare, "{label}={value} of {name} is never seen");
            }
        }
    }
    for (label, value, _) in RARELY_SEEN {
        let known = table.values().filter_map(|row| row.labels.get(label));
        assert!(known.flatten().any(|known| known == value), "{label}={value}");
    }
}

#[tokio::test]
async fn every_counter_is_there_from_the_start_with_all_its_values() {
    let env = TestEnv::with_events(&[]).await;
    let metrics = env.gateway.metrics().await;
    let mut counters = 0;
    for (name, row) in table().iter().filter(|(name, _)| name.ends_with("_total")) {
        let shown = metrics.lines().filter(|line| !line.starts_with('#'));
        let shown: Vec<_> = shown.map(series).filter(|(shown, _)| shown == name).collect();
        assert!(!shown.is_empty(), "{name} is not shown");
        for (label, values) in &row.labels {
            for value in values.iter().filter(|_| !OPEN.contains(&label.as_str())) {
                let has = shown
                    .iter()
                    .any(|(_, labels)| labels.get(label.as_str()) == Some(&value.as_str()));
                assert!(has, "{label}={value} of {name} is not shown");
            }
        }
        counters += 1;
    }
    assert!(counters >= 13, "{counters}");
}

#[test]
fn the_advice_names_metrics_that_there_are() {
    let table = table();
    let mut named = 0;
    for (at, _) in TABLE
        .match_indices("transatel_gateway_")
        .chain(TABLE.match_indices("rpc_server_"))
        .chain(TABLE.match_indices("http_client_"))
    {
        let name: String = TABLE[at..]
            .chars()
            .take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '_')
            .collect();
        let family = name.trim_end_matches("_count");
        assert!(table.contains_key(family), "{name}");
        named += 1;
    }
    assert!(named > table.len());
}
