//! One of each in the tree: two versions of these do not work together.

use std::collections::BTreeMap;

#[test]
fn there_is_one_version_of_what_must_be_one() {
    let lock: toml::Table = std::fs::read_to_string("Cargo.lock").unwrap().parse().unwrap();
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
}
