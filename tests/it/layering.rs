//! Data runs one way: a room may use only the rooms that it is meant to.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Room → rooms it may use. `telemetry` and `config` are under everybody's
/// feet; `app` and `commands` know every part.
const ALLOWED: [(&str, &[&str]); 15] = [
    ("domain", &[]),
    ("cache", &["telemetry"]),
    ("config", &["domain"]),
    ("telemetry", &["config"]),
    ("transatel", &["cache", "config", "domain", "telemetry"]),
    ("store", &["config", "domain"]),
    (
        "service",
        &["cache", "config", "domain", "store", "telemetry", "transatel"],
    ),
    ("grpc", &["config", "domain", "pb", "service", "telemetry"]),
    ("doctor", &["config", "domain", "telemetry", "transatel"]),
    ("webhook", &["config", "domain", "service", "telemetry"]),
    ("admin", &["grpc", "telemetry"]),
    ("sandbox", &[]),
    // Not in the gateway: what fuzz targets call.
    ("fuzzing", &["config", "grpc", "transatel", "webhook"]),
    (
        "app",
        &[
            "admin",
            "config",
            "domain",
            "grpc",
            "service",
            "store",
            "telemetry",
            "transatel",
            "webhook",
        ],
    ),
    (
        "commands",
        &[
            "app",
            "config",
            "doctor",
            "domain",
            "sandbox",
            "store",
            "telemetry",
        ],
    ),
];

/// Crates that only one room may name.
const OWNED: [(&str, &[&str]); 9] = [
    ("tonic", &["grpc", "commands"]),
    ("prost", &["grpc"]),
    ("reqwest", &["transatel"]),
    ("sqlx", &["store"]),
    (
        "serde_json",
        &["transatel", "doctor", "sandbox", "store", "telemetry", "webhook"],
    ),
    ("moka", &["cache"]),
    ("rustls", &["grpc", "transatel"]),
    ("tokio_rustls", &["grpc"]),
    ("webpki", &["grpc"]),
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// The code of a file without its comments and its unit tests.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let text = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap();
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn is_test(path: &Path) -> bool {
    let name = path.to_string_lossy();
    name.ends_with("tests.rs") || name.contains("/tests/")
}

fn room(path: &Path) -> String {
    let relative = path.strip_prefix("src").unwrap();
    let first = relative
        .components()
        .next()
        .unwrap()
        .as_os_str()
        .to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

#[test]
fn no_room_uses_one_that_it_must_not() {
    let rooms: BTreeSet<&str> = ALLOWED
        .iter()
        .map(|(room, _)| *room)
        .chain(["pb", "client"])
        .collect();
    let mut seen = BTreeSet::new();
    for path in sources(Path::new("src"))
        .into_iter()
        .filter(|path| !is_test(path))
    {
        let own = room(&path);
        if matches!(own.as_str(), "lib" | "main") {
            continue;
        }
        let (_, allowed) = ALLOWED
            .iter()
            .find(|(room, _)| *room == own)
            .unwrap_or_else(|| panic!("{own} has no place in the house"));
        seen.insert(own.clone());
        for (at, _) in code(&path).match_indices("crate::") {
            let rest = &code(&path)[at + "crate::".len()..];
            let used: String = rest
                .chars()
                .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
                .collect();
            let known = rooms.contains(used.as_str());
            assert!(
                known,
                "{}: crate::{used} is no room: import rooms one by one",
                path.display()
            );
            assert!(
                used == own || allowed.contains(&used.as_str()),
                "{}: {own} must not use {used}",
                path.display()
            );
        }
    }
    assert_eq!(
        seen.len(),
        ALLOWED.len(),
        "the table names rooms that do not exist"
    );
}

#[test]
fn what_belongs_to_one_room_is_named_in_no_other() {
    for path in sources(Path::new("src"))
        .into_iter()
        .filter(|path| !is_test(path))
    {
        let own = room(&path);
        let code = code(&path);
        for (name, rooms) in OWNED {
            let used = [
                format!("use {name}::"),
                format!(" {name}::"),
                format!("({name}::"),
                format!("<{name}::"),
            ];
            if !rooms.contains(&own.as_str()) {
                let found = used.iter().any(|text| code.contains(text));
                assert!(!found, "{}: {own} must not know {name}", path.display());
            }
        }
    }
}
