//! `clients/service_config.json`: what callers take for their channel.

use serde_json::Value;

/// The deadline that a method has by the file, in seconds.
fn timeout(config: &Value, service: &str, method: &str) -> Option<u64> {
    let groups = config["methodConfig"].as_array().unwrap();
    let of = |named: &dyn Fn(&Value) -> bool| {
        let group = groups
            .iter()
            .find(|group| group["name"].as_array().unwrap().iter().any(named))?;
        group["timeout"].as_str()?.trim_end_matches('s').parse().ok()
    };
    of(&|name| name["service"] == service && name["method"] == method)
        .or_else(|| of(&|name| name["service"] == service && name["method"].is_null()))
}

/// gRPC takes the smaller one of a call's own deadline and that of the file.
#[test]
fn a_call_that_may_wait_is_not_cut_short() {
    let text = std::fs::read_to_string("clients/service_config.json").unwrap();
    let config: Value = serde_json::from_str(&text).unwrap();
    let proto = std::fs::read_to_string("proto/connectivity/v1/provisioning.proto").unwrap();
    let waiting: Vec<&str> = proto
        .split("\nmessage ")
        .filter(|message| {
            message
                .split("\n}")
                .next()
                .unwrap()
                .contains("google.protobuf.Duration wait = ")
        })
        .map(|message| message.split("Request").next().unwrap())
        .collect();
    assert_eq!(waiting, ["GetOrder", "GetSimOperation"]);
    for method in waiting {
        let timeout = timeout(&config, "connectivity.v1.Provisioning", method);
        assert!(timeout >= Some(30), "{method}: {timeout:?}");
    }
    assert_eq!(timeout(&config, "connectivity.v1.Events", "ListEvents"), Some(5));
}
