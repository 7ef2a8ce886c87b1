//! The error table, the contract's comments and `docs/errors.md` say the same.
//!
//! The page's tables are written from the other two: `UPDATE_DOCS=1` rewrites
//! them, and without it a difference is a failure.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message as _;
use prost_types::FileDescriptorSet;
use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt as _};

use super::examples::{KEYS, errors};

const PAGE: &str = "docs/errors.md";
const ERRORS: &str = "| Reason | Code | `retry` | When, and what to do |\n|---|---|---|---|\n";
const METADATA: &str = "| Key | With | What it is |\n|---|---|---|\n";

/// A reason as the contract has it.
struct Documented {
    reason: String,
    code: String,
    text: String,
}

/// The contract's reasons; those of one code follow each other.
fn documented() -> Vec<Documented> {
    let contract = FileDescriptorSet::decode(crate::grpc::DESCRIPTORS).unwrap();
    let is_ours = |name: &str| name == "connectivity/v1/error_reason.proto";
    let file = contract.file.iter().find(|file| is_ours(file.name())).unwrap();
    let comments = &file.source_code_info.as_ref().unwrap().location;
    let mut by_code: Vec<Vec<Documented>> = Vec::new();
    for (at, value) in file.enum_type[0].value.iter().enumerate().skip(1) {
        // Enum 5, value 2: the numbers of descriptor.proto.
        let path = [5, 0, 2, i32::try_from(at).unwrap()];
        let comment = comments.iter().find(|location| location.path == path).unwrap();
        let words: Vec<&str> = comment.leading_comments().split_whitespace().collect();
        let comment = words.join(" ");
        let (code, text) = comment
            .strip_prefix('`')
            .and_then(|comment| comment.split_once("`: "))
            .unwrap_or_else(|| panic!("{}: not `CODE`: text", value.name()));
        let row = Documented {
            reason: value.name().replace("ERROR_REASON_", ""),
            code: code.to_owned(),
            text: text.trim_end_matches('.').to_owned(),
        };
        match by_code.iter_mut().find(|rows| rows[0].code == row.code) {
            Some(rows) => rows.push(row),
            None => by_code.push(vec![row]),
        }
    }
    by_code.into_iter().flatten().collect()
}

/// What each example becomes: its code and its details.
fn real() -> impl Iterator<Item = (String, ErrorDetails)> {
    errors().into_iter().map(|error| {
        let status = Status::from(error);
        (
            screaming(&format!("{:?}", status.code())),
            status.get_error_details(),
        )
    })
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

/// The reasons of the examples, with their codes and whether they say when to
/// try again.
fn reasons() -> BTreeMap<(String, String), bool> {
    let mut reasons = BTreeMap::new();
    for (code, details) in real() {
        let reason = details.error_info().unwrap().reason.clone();
        // A reason that an order was refused for waits for nothing.
        *reasons.entry((reason, code)).or_default() |= details.retry_info().is_some();
    }
    reasons
}

#[test]
fn the_error_table_is_what_the_code_does() {
    let mut expected = Vec::new();
    for row in documented() {
        expected.push((row.reason, row.code));
    }
    expected.sort();
    assert_eq!(expected, reasons().into_keys().collect::<Vec<_>>());
}

/// What may be done after the errors of each reason.
fn retries() -> BTreeMap<String, BTreeSet<String>> {
    let mut retries: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (_, details) in real() {
        let info = details.error_info().unwrap();
        let retry = info.metadata["retry"].clone();
        retries.entry(info.reason.clone()).or_default().insert(retry);
    }
    retries
}

#[test]
fn every_error_says_of_a_closed_set_what_may_be_done() {
    let known = ["SAME_REQUEST_ID", "NEW_REQUEST_ID", "NEVER"];
    for (_, details) in real() {
        let info = details.error_info().unwrap();
        let retry = info.metadata["retry"].as_str();
        assert!(known.contains(&retry), "{}: {retry}", info.reason);
        // A time to wait is for a repeat of the same request.
        if details.retry_info().is_some() {
            assert_eq!(retry, "SAME_REQUEST_ID", "{}", info.reason);
        }
        let in_the_way = info.reason.ends_with("_IN_PROGRESS");
        let is_refused = ["order_id", "operation_id"]
            .iter()
            .any(|key| info.metadata.contains_key(*key));
        // Only what was refused for good bought nothing under its id, whatever came before.
        assert_eq!(
            retry == "NEW_REQUEST_ID",
            is_refused && !in_the_way,
            "{}",
            info.reason
        );
    }
    let all: BTreeSet<String> = retries().into_values().flatten().collect();
    assert_eq!(all, known.map(str::to_owned).into());
}

/// What a comment says of `RetryInfo` is what the error carries.
#[test]
fn the_error_table_says_which_errors_carry_a_time_to_wait() {
    let waits = reasons();
    for row in documented() {
        let says = row.text.contains("`RetryInfo`");
        assert_eq!(says, waits[&(row.reason.clone(), row.code)], "{}", row.reason);
    }
}

#[test]
fn every_key_of_the_errors_metadata_is_explained() {
    let mut keys: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (_, details) in real() {
        let info = details.error_info().unwrap();
        for key in info.metadata.keys() {
            keys.entry(key.clone()).or_default().insert(info.reason.clone());
        }
    }
    let mut explained = Vec::new();
    for row in KEYS.lines() {
        let [_, key, with, _, _] = row.split('|').collect::<Vec<_>>()[..] else {
            panic!("not a key, its errors and what it is: {row}");
        };
        let key = key.trim_matches([' ', '`']);
        for reason in with.split('`').skip(1).step_by(2) {
            assert!(keys[key].contains(reason), "{reason} has no {key}");
        }
        explained.push(key);
    }
    explained.sort_unstable();
    assert_eq!(explained, keys.keys().collect::<Vec<_>>());
}

#[test]
fn the_page_has_the_tables_of_the_contract_and_the_code() {
    let retries = retries();
    let mut rows = String::new();
    for Documented { reason, code, text } in documented() {
        let retry: Vec<_> = retries[&reason]
            .iter()
            .map(|retry| format!("`{retry}`"))
            .collect();
        rows += &format!("| `{reason}` | `{code}` | {} | {text} |\n", retry.join(" or "));
    }
    let page = std::fs::read_to_string(PAGE).unwrap();
    let wanted = with_table(&with_table(&page, ERRORS, &rows), METADATA, KEYS);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(PAGE, wanted).unwrap();
    } else {
        assert!(
            page == wanted,
            "{PAGE} is not up to date: UPDATE_DOCS=1 cargo test --lib status"
        );
    }
}

/// The page with these rows in the table of this head.
fn with_table(page: &str, head: &str, rows: &str) -> String {
    let (before, rest) = page.split_once(head).unwrap_or_else(|| panic!("no {head}"));
    let after = rest.split_once("\n\n").map_or("", |(_, after)| after);
    format!("{before}{head}{rows}\n{after}")
}
