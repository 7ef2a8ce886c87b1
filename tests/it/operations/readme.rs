//! The pages for callers and the contract's comments are true.

use std::collections::BTreeMap;

use prost::Message as _;
use prost_types::FileDescriptorSet;
use serde_json::Value;
use tonic_types::StatusExt as _;
use transatel_gateway::config::{self, Sources};
use transatel_gateway::domain::ProviderDetail;
use transatel_gateway::domain::error::{LedgerState, PageTokenFault};
use transatel_gateway::domain::failure::{Failure, Reason};
use transatel_gateway::domain::money::{Currency, Money};
use transatel_gateway::domain::sim::Identifier;
use transatel_gateway::domain::sim_operation;
use transatel_gateway::domain::write::{State, WriteId};
use transatel_gateway::domain::{Caller, Error, error::Violation};
use transatel_gateway::grpc::DESCRIPTORS;

use crate::operations::grpcurl;
use crate::support::gateway::{TestEnv, settings, until};
use crate::support::markdown::{Page, first_cells, page};

/// Pages with calls, in the order in which a reader comes to them: a later one
/// finds what an earlier one has ordered.
const PAGES: [&str; 4] = [
    "README.md",
    "docs/catalog-and-inventory.md",
    "docs/orders.md",
    "docs/events.md",
];

/// Members whose values change from run to run.
const CHANGING: [&str; 23] = [
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
fn the_readme_is_a_sale_in_five_calls_with_their_answers() {
    let readme = page("README.md");
    let calls = calls(&readme);
    assert_eq!(calls.len(), 5);
    assert!(calls.iter().all(|(_, printed)| printed.is_some()));
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
                let line = comment.lines().find(|line| line.trim().starts_with("grpcurl"));
                let line = line
                    .unwrap_or_else(|| panic!("{name} has no grpcurl line"))
                    .trim();
                assert_eq!(grpcurl::parse(line).method.as_deref(), Some(name.as_str()));
                let answer = grpcurl::run(line, &address).await;
                // Needs an order that nobody could find out about.
                let reached = method.name().starts_with("Resolve")
                    && answer.as_ref().is_err_and(|status| {
                        let details = status.get_error_details();
                        details
                            .error_info()
                            .is_some_and(|info| info.reason.ends_with("_NOT_FOUND"))
                    });
                assert!(reached || answer.is_ok(), "{line}: {answer:?}");
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

/// One of every error there is.
fn every_error() -> Vec<Error> {
    let provider = ProviderDetail::default;
    let retry_after = std::time::Duration::from_secs(1);
    vec![
        Error::InvalidRequest(vec![Violation {
            field: "f".into(),
            description: "d".into(),
        }]),
        Error::PageTokenInvalid(PageTokenFault::Foreign),
        Error::EventCursorInvalid,
        Error::EventCursorExpired,
        Error::EventStreamTooSlow,
        Error::EventLogUnavailable,
        Error::ProductNotFound {
            product_id: "P".into(),
        },
        Error::RequestIdReused,
        Error::OrderNotFound,
        Error::OrderInProgress {
            order_id: WriteId::new(),
        },
        Error::OrderNotResolvable { state: State::Done },
        Error::SimOperationNotFound,
        Error::SimOperationInProgress {
            operation_id: WriteId::new(),
        },
        Error::SimBusy { provider: provider() },
        Error::SimOperationNotResolvable {
            state: sim_operation::State::Failed,
        },
        Error::SubscriptionNotEligible { why: "w" },
        Error::PriceAboveMaximum {
            price: Money::from_cents(Currency::parse("EUR").unwrap(), 1),
        },
        Error::PriceNotComparable { price: None },
        Error::LedgerUnavailable,
        Error::CallerUnauthenticated,
        Error::CallerNotAllowed {
            caller: Caller::parse("shop.internal").unwrap(),
        },
        Error::SimNotFound { provider: provider() },
        Error::SubscriptionNotFound {
            subscription_id: "S".into(),
        },
        Error::SimNotResolvable {
            needed: Identifier::Msisdn,
        },
        Error::EsimNotFound { provider: provider() },
        Error::EsimNotReleased,
        Error::OperationNotEnabled { provider: provider() },
        Error::ProviderRejected { provider: provider() },
        Error::ProviderCredentialsRejected { provider: provider() },
        Error::ProviderRateLimited {
            retry_after,
            provider: provider(),
        },
        Error::ProviderUnavailable {
            retry_after,
            provider: provider(),
        },
        Error::ProviderCircuitOpen { retry_after },
        Error::Overloaded { retry_after },
        Error::ProviderProtocol { provider: provider() },
        Error::DeadlineExceeded,
        Error::ShuttingDown,
        Error::Internal,
    ]
    .into_iter()
    .chain(Reason::ALL.into_iter().flat_map(|reason| {
        let failure = Failure {
            reason,
            provider: provider(),
        };
        let (order_id, operation_id) = (WriteId::new(), WriteId::new());
        [
            Error::OrderRejected {
                order_id,
                failure: failure.clone(),
            },
            Error::SimOperationRejected {
                operation_id,
                failure,
            },
        ]
    }))
    .collect()
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
fn the_error_table_is_what_the_code_does() {
    let page = page("docs/errors.md");
    let mut documented: Vec<(String, String)> = page
        .text
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.split('`');
            let reason = cells.next()?;
            let code = cells.nth(1)?;
            let is_code = code
                .chars()
                .all(|letter| letter.is_ascii_uppercase() || letter == '_');
            (is_code
                && reason
                    .chars()
                    .all(|letter| letter.is_ascii_uppercase() || letter == '_'))
            .then(|| (reason.to_owned(), code.to_owned()))
        })
        .collect();
    let mut real: Vec<(String, String)> = every_error()
        .into_iter()
        .map(|error| {
            let status = tonic::Status::from(error);
            let reason = status.get_error_details().error_info().unwrap().reason.clone();
            (reason, screaming(&format!("{:?}", status.code())))
        })
        .collect();
    documented.sort();
    real.sort();
    real.dedup();
    assert_eq!(documented, real);
}

/// What a row says of `RetryInfo` is what the error carries.
#[test]
fn the_error_table_says_which_errors_carry_a_time_to_wait() {
    let page = page("docs/errors.md");
    // A reason that an order was refused for waits for nothing.
    let mut waits: BTreeMap<String, bool> = BTreeMap::new();
    for error in every_error() {
        let details = tonic::Status::from(error).get_error_details();
        let reason = details.error_info().unwrap().reason.clone();
        *waits.entry(reason).or_default() |= details.retry_info().is_some();
    }
    for (reason, waits) in waits {
        let start = format!("| `{reason}` ");
        let row = page.text.lines().find(|line| line.starts_with(&start));
        assert_eq!(row.unwrap().contains("`RetryInfo`"), waits, "{reason}");
    }
}

#[test]
fn every_key_of_the_errors_metadata_is_explained() {
    let detail = ProviderDetail {
        code: Some("C".into()),
        request_id: Some("R".into()),
    };
    let price = Money::from_cents(Currency::parse("EUR").unwrap(), 1);
    let known = LedgerState::Write(WriteId::new(), State::Done.order_name());
    let more = [
        Error::ProviderRejected { provider: detail },
        Error::PriceNotComparable { price: Some(price) },
        Error::OrderNotFound.after_ledger(known),
    ];
    let mut real: Vec<String> = every_error()
        .into_iter()
        .chain(more)
        .flat_map(|error| {
            let details = tonic::Status::from(error).get_error_details();
            details.error_info().unwrap().metadata.clone().into_keys()
        })
        .collect();
    real.sort();
    real.dedup();
    let page = page("docs/errors.md");
    let mut documented = first_cells(page.section("## Metadata"));
    documented.sort();
    assert_eq!(documented, real);
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

fn screaming(camel: &str) -> String {
    let mut name = String::new();
    for letter in camel.chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.extend(letter.to_uppercase());
    }
    name
}
