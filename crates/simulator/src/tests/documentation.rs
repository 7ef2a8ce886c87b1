//! `docs/simulator.md`, the help page and the code say the same.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::*;
use crate::{
    Disturbance, Fault, Script, Step, control::http::endpoints, faults::fault::FAULTS, kinds::Kind,
    webhooks::disturbance::DISTURBANCES,
};

const PAGE: &str = include_str!("../../../../docs/simulator.md");
const README: &str = include_str!("../../../../README.md");
const ADDRESS: &str = "http://127.0.0.1:50080";

/// The first two cells of the table under a heading, without the marks of code.
pub(super) fn table(heading: &str) -> BTreeMap<String, String> {
    let (_, section) = PAGE.split_once(&format!("\n## {heading}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let mut cells = row
            .trim_start_matches('|')
            .split('|')
            .map(|cell| cell.trim().replace('`', ""));
        let first = cells.next().unwrap();
        (first, cells.next().unwrap())
    })
    .collect()
}

fn members(kinds: &[Kind]) -> BTreeMap<String, String> {
    let members = |kind: &Kind| kind.members.join(", ");
    kinds
        .iter()
        .map(|kind| (kind.name.to_owned(), members(kind)))
        .collect()
}

/// The words that serde knows, from what it says of one that it does not.
pub(super) fn known_to_serde(error: &str) -> BTreeSet<String> {
    error.split('`').skip(3).step_by(2).map(str::to_owned).collect()
}

/// Every member of the settings with its value, by its path.
fn leaves(path: &str, value: &Value, into: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, value) in members {
                let path = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                leaves(&path, value, into);
            }
        }
        value => {
            into.insert(path.to_owned(), value.to_string());
        }
    }
}

async fn help(bench: &Bench, path: &str) -> String {
    let url = format!("{}{path}", bench.sandbox.base_url());
    let response = bench.client.get(url).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "text/plain; charset=utf-8");
    response.text().await.unwrap()
}

#[tokio::test]
async fn every_call_is_documented_and_every_documented_call_is_there() {
    let bench = Bench::start().await;
    let known: BTreeSet<_> = endpoints()
        .iter()
        .map(|endpoint| format!("{} {}", endpoint.method, endpoint.path))
        .collect();
    let documented: BTreeSet<_> = table("Calls").into_keys().collect();
    assert_eq!(documented, known);
    assert!(README.contains("(docs/simulator.md)"));

    let page = help(&bench, "/__sandbox/").await;
    assert_eq!(page, help(&bench, "/__sandbox").await);
    for endpoint in endpoints() {
        let line = format!("{:6} /__sandbox{} ", endpoint.method, endpoint.path);
        assert!(page.contains(&line), "{line}");
        assert!(page.contains(endpoint.takes), "{}", endpoint.takes);
    }
    for kind in FAULTS.iter().chain(DISTURBANCES) {
        assert!(page.contains(&format!("  {:16} ", kind.name)), "{}", kind.name);
    }
}

#[test]
fn every_fault_is_documented_with_its_members() {
    let unknown = serde_json::from_value::<Fault>(json!({ "fault": "?" })).unwrap_err();
    let known: BTreeSet<_> = FAULTS.iter().map(|kind| kind.name.to_owned()).collect();
    assert_eq!(known, known_to_serde(&unknown.to_string()));
    assert_eq!(table("Faults"), members(FAULTS));
}

#[test]
fn every_disturbance_is_documented_with_its_members() {
    // Each name can be read, and there is none beside them.
    for kind in DISTURBANCES {
        let sent = json!({ "disturbance": kind.name, "for": "1s", "times": 2 });
        let mut sent = sent.as_object().unwrap().clone();
        sent.retain(|name, _| name == "disturbance" || kind.members.contains(&name.as_str()));
        let read: Disturbance = serde_json::from_value(Value::Object(sent.clone())).unwrap();
        assert_eq!(read.name(), kind.name);
        assert_eq!(serde_json::to_value(read).unwrap(), Value::Object(sent));
    }
    assert_eq!(table("Disturbances"), members(DISTURBANCES));
}

#[tokio::test]
async fn every_setting_is_documented_with_its_first_value() {
    let bench = Bench::start().await;
    let mut settings = BTreeMap::new();
    leaves("", &bench.get_control("/settings").await, &mut settings);
    let documented = table("Settings");
    assert_eq!(
        documented.keys().collect::<Vec<_>>(),
        settings.keys().collect::<Vec<_>>()
    );
    for (name, value) in &documented {
        // Durations are printed without the marks of a text.
        let same = |stated: &str| [stated.to_owned(), format!("{stated:?}")].contains(&settings[name]);
        assert!(same(value), "{name}: {value}, not {}", settings[name]);
    }
}

#[tokio::test]
async fn every_example_works() {
    let bench = Bench::start().await;
    let mut examples = 0;
    for line in PAGE.lines().filter(|line| line.starts_with("curl ")) {
        let (options, address) = line.split_once(ADDRESS).unwrap();
        let url = format!("{}{}", bench.sandbox.base_url(), address.trim_end_matches('\''));
        let body = options
            .split_once("-d '")
            .map(|(_, rest)| rest.split_once('\'').unwrap().0);
        let method = match options.split_once("-X ") {
            Some((_, rest)) => rest.split_whitespace().next().unwrap().parse().unwrap(),
            None if body.is_some() => Method::POST,
            None => Method::GET,
        };
        // As curl sends it.
        let request = bench
            .client
            .request(method, url)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body.unwrap_or_default().to_owned());
        let (status, body) = read(request.send().await.unwrap()).await;
        assert!(status.is_success(), "{line}: {status} {body}");
        examples += 1;
    }
    assert!(examples >= 20, "{examples}");
}

#[test]
fn a_step_without_a_member_that_it_needs_is_refused() {
    for (step, named) in [
        (json!({ "fault": "delay" }), "for"),
        (json!({ "fault": "hold" }), "gate"),
        (json!({ "commit": true }), "fault"),
        (json!({ "fault": "reset", "repeat": "twice" }), "twice"),
    ] {
        let error = serde_json::from_value::<Step>(step).unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
    }
    let script = Script::on("GET", "/x").then(Fault::once_gone(Duration::ZERO).after_commit());
    let again: Script = serde_json::from_value(serde_json::to_value(&script).unwrap()).unwrap();
    assert_eq!(again, script);
}
