//! One of each in the tree: two versions of these do not work together. And
//! what was measured and is not used.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

fn read(file: &str) -> toml::Table {
    std::fs::read_to_string(file).unwrap().parse().unwrap()
}

#[test]
fn there_is_one_version_of_what_must_be_one() {
    let lock = read("Cargo.lock");
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in lock["package"].as_array().unwrap() {
        let text = |key: &str| package[key].as_str().unwrap();
        versions.entry(text("name")).or_default().push(text("version"));
    }
    for name in [
        "tonic",
        "prost",
        "hyper",
        "h2",
        "http",
        "opentelemetry",
        "opentelemetry_sdk",
        "rustls",
        "reqwest",
        "tracing",
    ] {
        assert_eq!(versions[name].len(), 1, "{name}: {:?}", versions[name]);
    }
    for name in ["openssl", "openssl-sys", "native-tls", "aws-lc-rs", "aws-lc-sys"] {
        assert!(!versions.contains_key(name), "{name}: TLS is rustls with ring");
    }
    for (name, reason) in [
        (
            "reqwest-retry",
            "it repeats a POST on a timeout and ignores Retry-After",
        ),
        (
            "reqwest-tracing",
            "it is an opentelemetry behind, and traceparent silently vanishes",
        ),
        ("reqwest-middleware", "only those two need it"),
    ] {
        assert!(!versions.contains_key(name), "{name}: {reason}");
    }
}

#[test]
fn what_changes_between_patches_is_pinned() {
    let package = read("Cargo.toml");
    let dependencies = package["dependencies"].as_table().unwrap();
    let inherited = &package["workspace"]["dependencies"];
    let mut pinned = 0;
    for (name, wanted) in dependencies.iter().filter(|(name, _)| name.starts_with("tonic")) {
        let wanted = match wanted.get("workspace") {
            Some(_) => &inherited[name],
            None => wanted,
        };
        let version = wanted.as_str().or_else(|| wanted.get("version")?.as_str());
        // 0.14.5 and 0.14.6 panic when a connection reaches its age.
        assert_eq!(version, Some("=0.14.9"), "{name}");
        pinned += 1;
    }
    assert!(pinned >= 5);
}

#[test]
fn callers_do_not_depend_on_the_server() {
    let arguments = "tree --offline --locked --package transatel-gateway-client --edges normal --prefix none --format {p}";
    let tree = Command::new(env!("CARGO"))
        .args(arguments.split(' '))
        .output()
        .unwrap();
    assert!(tree.status.success(), "{tree:?}");
    let tree = String::from_utf8(tree.stdout).unwrap();
    let names: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(names.contains("tonic") && names.len() > 30, "{names:?}");
    for name in &names {
        let of_the_server = [
            "transatel-gateway",
            "transatel-simulator",
            "axum",
            "matchit",
            "moka",
            "reqwest",
        ];
        assert!(
            !of_the_server.contains(name) && !name.starts_with("sqlx") && !name.starts_with("opentelemetry"),
            "{name} is in the tree of callers"
        );
    }
    // 63 when this was written. TLS is the caller's choice.
    assert!(
        !names.contains("rustls") && names.len() < 75,
        "{}: {names:?}",
        names.len()
    );
}
