//! The pages for callers and the contract's comments are true.

use prost::Message as _;
use prost_types::FileDescriptorSet;
use serde_json::Value;
use tonic_types::StatusExt as _;
use transatel_gateway::config::{self, Sources};
use transatel_gateway::domain::sim_operation;
use transatel_gateway::domain::write::State;
use transatel_gateway::grpc::DESCRIPTORS;

use crate::operations::grpcurl;
use crate::support::gateway::{TestEnv, settings, until};
use crate::support::markdown::{Page, first_cells, page};

/// Pages with calls, in the order in which a reader comes to them: a later one
/// finds what an earlier one has ordered.
const PAGES: [&str; 5] = [
    "README.md",
    "docs/stock.md",
    "docs/catalog-and-inventory.md",
    "docs/orders.md",
    "docs/events.md",
];

/// Members whose values change from run to run.
const CHANGING: [&str; 25] = [
    "eventId",
    "expirationDate",
    "externalReference",
    "occurredAt",
    "receivedAt",
    "subscriptionDate",
    "activatedAt",
    "createdAt",
    "operationId",
    "orderId",
    "providerReference",
    "subscriptionId",
    "updatedAt",
    "activationDeadline",
    "asOf",
    "expiresAt",
    "lastSeenAt",
    "nextCheckAt",
    "nextPageToken",
    "orderedAt",
    "periodEnd",
    "periodStart",
    "statusChangedAt",
    // Also follow the times of products that are sold for a while.
    "catalogVersion",
    "version",
];

fn assert_same(expected: &Value, answered: &Value, path: &str) {
    match (expected, answered) {
        (Value::Object(expected), Value::Object(answered)) => {
            assert_eq!(
                expected.keys().collect::<Vec<_>>(),
                answered.keys().collect::<Vec<_>>(),
                "members of {path}"
            );
            for (key, value) in expected {
                if !CHANGING.contains(&key.as_str()) {
                    assert_same(value, &answered[key], &format!("{path}.{key}"));
                }
            }
        }
        (Value::Array(expected), Value::Array(answered)) => {
            assert_eq!(expected.len(), answered.len(), "length of {path}");
            for (at, (expected, answered)) in expected.iter().zip(answered).enumerate() {
                assert_same(expected, answered, &format!("{path}[{at}]"));
            }
        }
        _ => assert_eq!(expected, answered, "{path}"),
    }
}

/// The calls of a page, each with the answer that is printed below it.
fn calls(page: &Page) -> Vec<(&str, Option<Value>)> {
    let blocks = page.blocks("sh");
    let calls = blocks.into_iter().filter(|(code, _)| code.starts_with("grpcurl"));
    calls
        .map(|(call, rest)| {
            let printed = rest.trim_start().strip_prefix("```json\n");
            let printed = printed.map(|rest| rest.split_once("```").unwrap().0);
            (call, printed.map(|json| serde_json::from_str(json).unwrap()))
        })
        .collect()
}

#[tokio::test]
async fn every_call_in_the_pages_answers_as_printed() {
    let env = TestEnv::with_everything().await;
    let address = env.gateway.addresses.grpc.to_string();
    let (mut made, mut compared) = (0, 0);
    for path in PAGES {
        let page = page(path);
        let calls = calls(&page);
        assert!(!calls.is_empty(), "{path}");
        for (call, printed) in calls {
            let ask = async || {
                let answer = grpcurl::run(call, &address).await;
                answer.unwrap_or_else(|status| panic!("{path}: {call}: {status:?}"))
            };
            let mut answer = ask().await;
            // The page waits some seconds for this one.
            if call.contains("GetSimOperation") {
                until("the operation is over", async || {
                    answer = ask().await;
                    answer[0]["operation"]["state"] != "SIM_OPERATION_STATE_PENDING"
                })
                .await;
            }
            // An order is placed before its event has come in.
            if call.contains("ListEvents") {
                until("the event is there", async || {
                    answer = ask().await;
                    answer[0]["events"].is_array()
                })
                .await;
            }
            // What is taken out of the answer is in it.
            for member in call.split("| jq -r .").skip(1) {
                let member = member.split_whitespace().next().unwrap();
                assert!(answer[0][member].is_string(), "{path}: {call}: no {member}");
            }
            made += 1;
            if let Some(printed) = printed {
                assert_same(&printed, &answer[0], &format!("{path}: {call}"));
                compared += 1;
            }
        }
    }
    assert!(made >= 17 && compared >= 12, "{made}, {compared}");
}

#[test]
fn the_readme_is_a_sale_from_the_stock_in_three_calls_and_its_events() {
    let readme = page("README.md");
    let calls = calls(&readme);
    assert_eq!(calls.len(), 4);
    // What an answer is piped into is shown instead of it.
    assert!(
        calls
            .iter()
            .all(|(call, printed)| printed.is_some() != call.contains(" | "))
    );
    let lines = readme.text.lines().count();
    assert!(lines <= 160, "{lines}: what is more belongs to a page in docs/");
}

#[tokio::test]
async fn every_call_in_the_contracts_comments_works() {
    let env = TestEnv::with_everything().await;
    let address = env.gateway.addresses.grpc.to_string();
    let contract = FileDescriptorSet::decode(DESCRIPTORS).unwrap();
    let mut documented = 0;
    for file in contract
        .file
        .iter()
        .filter(|file| file.package() == "connectivity.v1")
    {
        let comments = &file.source_code_info.as_ref().unwrap().location;
        for (at, service) in file.service.iter().enumerate() {
            for (number, method) in service.method.iter().enumerate() {
                // Service 6, method 2: the numbers of descriptor.proto.
                let path = [6, at as i32, 2, number as i32];
                let comment = comments.iter().find(|location| location.path == path).unwrap();
                let comment = comment.leading_comments();
                let name = format!("connectivity.v1.{}/{}", service.name(), method.name());
                let lines = comment.lines().map(str::trim);
                let lines: Vec<&str> = lines.filter(|line| line.starts_with("grpcurl")).collect();
                assert!(!lines.is_empty(), "{name} has no grpcurl line");
                for line in lines {
                    assert_eq!(grpcurl::parse(line).method.as_deref(), Some(name.as_str()));
                    let answer = grpcurl::run(line, &address).await;
                    // Needs an order that nobody could find out about, or a version
                    // of another catalog.
                    let expected = match method.name() {
                        "ListCatalogChanges" => "CATALOG_VERSION_UNKNOWN",
                        name if name.starts_with("Resolve") => "_NOT_FOUND",
                        _ => "nothing",
                    };
                    let reached = answer.as_ref().is_err_and(|status| {
                        let details = status.get_error_details();
                        let info = details.error_info();
                        info.is_some_and(|info| info.reason.ends_with(expected))
                    });
                    assert!(reached || answer.is_ok(), "{line}: {answer:?}");
                }
                documented += 1;
            }
        }
    }
    assert!(documented >= 4);
}

#[test]
fn the_commands_come_first() {
    let readme = page("README.md");
    let first = readme.blocks("sh")[0].0;
    assert_eq!(
        first,
        "cargo run -- serve --sandbox   # gateway and simulated Transatel, no account needed\ncargo test                      # everything that needs no extra server\n"
    );
}

/// Settings that a page shows are settings; their files are not there.
#[test]
fn settings_that_a_page_shows_are_accepted() {
    let pages = crate::support::markdown::pages();
    let blocks: Vec<&str> = pages
        .iter()
        .flat_map(|page| page.blocks("toml"))
        .map(|(block, _)| block)
        .collect();
    assert!(!blocks.is_empty());
    for block in blocks {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("gateway.toml");
        let here = format!("{}/", folder.path().display());
        let block = block.replace("/etc/gateway/tls/", &here);
        for name in ["tls.crt", "tls.key", "ca.crt"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        std::fs::write(&file, &block).unwrap();
        let sources = Sources {
            file: Some(file),
            environment: settings("http://127.0.0.1:1", &[]),
            ..Sources::default()
        };
        config::load(&sources).unwrap_or_else(|problems| panic!("{problems}{block}"));
    }
}

#[test]
fn every_state_is_explained() {
    let page = page("docs/orders.md");
    let orders = State::ALL.map(|state| state.order_name().to_uppercase());
    assert_eq!(first_cells(page.section("## States of an order")), orders);
    use sim_operation::State::{Failed, Pending, Succeeded, Unknown};
    let operations = [Pending, Succeeded, Failed, Unknown].map(|state| state.name().to_uppercase());
    assert_eq!(
        first_cells(page.section("## States of an operation on a SIM")),
        operations
    );
}
