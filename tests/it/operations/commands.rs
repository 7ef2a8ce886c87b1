//! The commands, as a new user meets them.

use prost_reflect::{DescriptorPool, MessageDescriptor};
use serde_json::Value;
use transatel_gateway::grpc::DESCRIPTORS;

use crate::operations::grpcurl;
use crate::support::gateway::{SECRET, Secret, fetch, settings, simulator};
use crate::support::process::{Process, command};

pub async fn run(arguments: &[&str], environment: &[(String, String)]) -> (Option<i32>, String, String) {
    let output = command(arguments, environment).output().await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn without_settings_every_missing_one_is_named_and_the_exit_code_says_so() {
    for arguments in [&[][..], &["serve"], &["check-config"]] {
        let (code, out, err) = run(arguments, &[]).await;
        assert_eq!(code, Some(64), "{arguments:?}");
        assert_eq!(out, "");
        for key in ["transatel.client_id", "transatel.client_secret"] {
            assert!(
                err.contains(&format!("  {key}: required")),
                "{arguments:?}: {err}"
            );
        }
    }
}

#[tokio::test]
async fn settings_are_checked_and_printed_without_secrets() {
    let environment = settings("http://127.0.0.1:1", &[]);
    let (code, out, err) = run(&["check-config"], &environment).await;
    assert_eq!(
        (code, out.as_str(), err.as_str()),
        (Some(0), "the configuration is valid\n", "")
    );
    let (code, printed, _) = run(&["print-config"], &environment).await;
    assert_eq!(code, Some(0));
    assert!(!printed.contains("sandbox-secret"), "{printed}");

    // What was printed is itself a configuration, before or after the command.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.toml");
    std::fs::write(&file, &printed).unwrap();
    let file = file.to_str().unwrap();
    for arguments in [
        ["--config", file, "print-config"],
        ["print-config", "--config", file],
    ] {
        let (code, again, err) = run(&arguments, &[]).await;
        assert_eq!((code, again, err.as_str()), (Some(0), printed.clone(), ""));
    }
}

/// As a reader of somebody else's settings has them: without the secrets, and
/// without the files that hold them.
#[tokio::test]
async fn settings_are_printed_without_credentials() {
    let (code, printed, err) = run(&["print-config"], &[]).await;
    assert_eq!(code, Some(0), "{err}");
    let lines: Vec<&str> = printed.lines().collect();
    for line in ["# client_id =", "# client_secret =", "settle_window = \"15m\""] {
        assert!(lines.contains(&line), "{line}: {printed}");
    }
    for key in ["transatel.client_id", "transatel.client_secret"] {
        let said = format!("missing, to start with these settings: {key}: required");
        assert!(err.contains(&said), "{err}");
    }

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.toml");
    let absent = folder.path().join("absent");
    let (file, absent) = (file.to_str().unwrap(), absent.to_str().unwrap());
    let text = format!(
        "[orders]\nlease = \"3m\"\n[transatel]\nclient_id = \"id\"\nclient_secret_file = {absent:?}\n\
         [webhook]\nsecret_files = [{absent:?}]\n[store]\nurl = \"postgres://gateway@db/ledger\"\n\
         password_file = {absent:?}\n"
    );
    std::fs::write(file, text).unwrap();
    let (code, printed, err) = run(&["print-config", "--config", file], &[]).await;
    assert_eq!(code, Some(0), "{err}");
    let printed: toml::Table = printed.parse().unwrap();
    assert_eq!(printed["orders"]["lease"].as_str(), Some("3m"));
    assert_eq!(printed["transatel"]["client_secret_file"].as_str(), Some(absent));
    for key in [
        "transatel.client_secret_file",
        "webhook.secret_files",
        "store.password_file",
    ] {
        assert!(err.contains(&format!(": {key}: ")), "{key}: {err}");
    }
    let (code, _, _) = run(&["check-config", "--config", file], &[]).await;
    assert_eq!(code, Some(64));

    // What is wrong is still refused, with all that is missing beside it.
    std::fs::write(file, "[orders]\nlease = \"soon\"\n").unwrap();
    let (code, printed, err) = run(&["print-config", "--config", file], &[]).await;
    assert_eq!((code, printed.as_str()), (Some(64), ""));
    assert!(
        err.contains("orders.lease: ") && err.contains("transatel.client_id: "),
        "{err}"
    );
}

/// Durations, addresses and numbers, whichever layer they are from.
#[tokio::test]
async fn settings_print_as_they_are_written() {
    let more = [
        ("EVENTS__KEEP_FOR", "45d"),
        ("SHUTDOWN__DRAIN", " 90s "),
        ("TELEMETRY__SAMPLE_RATIO", "0.25"),
    ];
    let (code, printed, err) = run(&["print-config"], &settings("http://127.0.0.1:1", &more)).await;
    assert_eq!(code, Some(0), "{err}");
    let printed: toml::Table = printed.parse().unwrap();
    assert_eq!(printed["events"]["keep_for"].as_str(), Some("45d"));
    assert_eq!(printed["shutdown"]["drain"].as_str(), Some("90s"));
    assert_eq!(printed["telemetry"]["sample_ratio"].as_float(), Some(0.25));
    // Every default as `default.toml` has it.
    let defaults: toml::Table = transatel_gateway::config::DEFAULTS.parse().unwrap();
    let given: Vec<String> = settings("", &more).into_iter().map(|(name, _)| name).collect();
    let mut compared = 0;
    for (section, keys) in &defaults {
        for (key, default) in keys.as_table().unwrap() {
            let variable = format!("GATEWAY__{section}__{key}").to_uppercase();
            let shown = printed.get(section).and_then(|section| section.get(key));
            if let (Some(shown), false, false) = (shown, default.is_table(), given.contains(&variable)) {
                assert_eq!(shown, default, "{section}.{key}");
                compared += 1;
            }
        }
    }
    assert!(compared > 80, "{compared}");
}

#[tokio::test]
async fn the_descriptor_set_is_what_reflection_serves_and_the_details_of_errors() {
    let output = command(&["descriptor-set"], &[]).output().await.unwrap();
    assert!(output.status.success());
    let pool = DescriptorPool::decode(output.stdout.as_slice()).unwrap();
    assert!(output.stdout.starts_with(DESCRIPTORS));
    assert!(pool.get_message_by_name("google.rpc.ErrorInfo").is_some());
    let secret = pool.get_message_by_name("connectivity.v1.SimRef").unwrap();
    let iccid = secret.get_field_by_name("iccid").unwrap();
    let redacted = iccid
        .options()
        .get_field_by_name("debug_redact")
        .unwrap()
        .as_bool();
    assert_eq!(redacted, Some(true));
}

#[tokio::test]
async fn the_plain_descriptor_set_is_the_same_contract_with_standard_options_only() {
    let output = command(&["descriptor-set", "--plain"], &[])
        .output()
        .await
        .unwrap();
    assert!(output.status.success());
    let plain = DescriptorPool::decode(output.stdout.as_slice()).unwrap();
    let whole = DescriptorPool::decode(DESCRIPTORS).unwrap();
    let ours = |name: &str| name.starts_with("connectivity.v1.");
    let mut messages = 0;
    for message in whole.all_messages().filter(|message| ours(message.full_name())) {
        messages += 1;
        let same = plain.get_message_by_name(message.full_name()).unwrap();
        let fields = |message: &MessageDescriptor| -> Vec<_> {
            let fields = message.fields();
            fields
                .map(|field| (field.number(), field.name().to_owned()))
                .collect()
        };
        assert_eq!(fields(&same), fields(&message));
        for field in same.fields() {
            let mut options = field.options();
            // Packed, deprecated and the like are known to every protoc.
            assert_eq!(options.take_unknown_fields().count(), 0, "{}", field.full_name());
            let redacted = options.get_field_by_name("debug_redact").unwrap();
            assert_eq!(redacted.as_bool(), Some(false), "{}", field.full_name());
        }
    }
    assert!(messages > 80, "{messages}");
    for file in plain.files() {
        assert!(!file.name().starts_with("buf/"), "{}", file.name());
        let foreign = file
            .dependencies()
            .find(|import| import.name().starts_with("buf/"));
        assert!(foreign.is_none(), "{}", file.name());
    }
    let calls = |pool: &DescriptorPool| -> usize {
        let services = pool.services().filter(|service| ours(service.full_name()));
        services.map(|service| service.methods().len()).sum()
    };
    assert_eq!(calls(&plain), calls(&whole));
}

fn free_ports() -> Vec<(String, String)> {
    ["GRPC", "ADMIN", "SANDBOX"]
        .map(|section| (format!("GATEWAY__{section}__LISTEN"), "127.0.0.1:0".to_owned()))
        .to_vec()
}

#[tokio::test]
async fn the_sandbox_greets_with_calls_that_work_as_pasted_and_ends_on_ctrl_c() {
    // As on a machine behind a proxy: the simulator is not asked through it.
    let proxied = ["HTTP_PROXY", "http_proxy", "ALL_PROXY"]
        .map(|name| (name.to_owned(), "http://127.0.0.1:9".to_owned()));
    let environment = [free_ports(), proxied.to_vec()].concat();
    let mut process = Process::start(&["serve", "--sandbox"], &environment);
    let mut address = None;
    let mut calls = Vec::new();
    let mut attach = None;
    while let Some(line) = process.stdout.next_line().await.unwrap() {
        let line = line.trim();
        if let Some(grpc) = line.strip_prefix("gRPC ") {
            address = Some(grpc.trim().to_owned());
        }
        if line.starts_with("grpcurl") {
            calls.push(line.to_owned());
        }
        if line.starts_with("curl") {
            attach = line.rsplit(' ').next().map(str::to_owned);
        }
        if line.starts_with("Ctrl-C") {
            break;
        }
    }
    let address = address.unwrap();
    assert_eq!(calls.len(), 4);
    let attached = crate::events::webhook::client()
        .post(attach.unwrap())
        .header("content-type", "application/json")
        .body(r#"{"country":"FR"}"#)
        .send();
    assert!(attached.await.unwrap().status().is_success());
    let stock = "grpcurl -plaintext 127.0.0.1:50051 connectivity.v1.Inventory/GetStock";
    let stock = grpcurl::run(stock, &address).await.unwrap();
    let pool = serde_json::json!({"pool": "sandbox", "available": "100", "delivered": "100"});
    assert_eq!(stock, [serde_json::json!({ "pools": [pool] })]);
    for call in calls {
        let mut call = call.replace(&address, "127.0.0.1:50051");
        let follows = call.contains("StreamEvents");
        if follows {
            call = call.replace("-plaintext", "-plaintext -max-time 1");
        }
        let answer = grpcurl::run(&call, &address).await.unwrap();
        assert!(!answer.is_empty() && answer[0] != serde_json::json!({}), "{call}");
        let began = |message: &serde_json::Value| message["event"]["type"] == "EVENT_TYPE_PRODUCT_ACTIVATED";
        assert!(!follows || answer.iter().any(began), "{answer:?}");
    }
    let (code, out, _) = run(&["health", "--address", &address], &[]).await;
    assert_eq!((code, out.as_str()), (Some(0), "SERVING\n"));
    process.signal("INT").await;
    assert_eq!(process.ended().await, Some(0));
    let (code, _, err) = run(&["health", "--address", &address], &[]).await;
    assert_eq!(code, Some(1));
    assert!(err.contains("cannot connect"), "{err}");
}

#[tokio::test]
async fn the_sandbox_runs_alone() {
    let mut process = Process::start(&["sandbox"], &free_ports());
    let line = process.stdout.next_line().await.unwrap().unwrap();
    let url = line.strip_prefix("simulated Transatel on ").unwrap();
    let counters = fetch(&format!("{url}/__sandbox/counters")).await;
    assert!(counters.starts_with('{'), "{counters}");
    process.signal("TERM").await;
    assert_eq!(process.ended().await, Some(0));
}

#[tokio::test]
async fn a_port_that_is_taken_is_named_with_its_setting() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (key, setting) in [("GRPC__LISTEN", "grpc.listen"), ("ADMIN__LISTEN", "admin.listen")] {
        let (code, _, err) = run(&["serve"], &settings("http://127.0.0.1:1", &[(key, &address)])).await;
        assert_eq!(code, Some(1));
        assert!(
            err.contains(&format!("cannot listen on {address} ({setting})")),
            "{err}"
        );
    }
    let mut environment = free_ports();
    environment.push(("GATEWAY__SANDBOX__LISTEN".into(), address.clone()));
    let (code, _, err) = run(&["serve", "--sandbox"], &environment).await;
    assert_eq!(code, Some(1));
    assert!(
        err.contains(&format!("cannot listen on {address} (sandbox.listen)")),
        "{err}"
    );
}

#[tokio::test]
async fn a_second_signal_does_not_wait_for_the_drain() {
    let sandbox = simulator().await;
    let mut environment = settings(&sandbox.base_url(), &[]);
    environment.retain(|(key, _)| !key.contains("PROPAGATION"));
    environment.push(("GATEWAY__SHUTDOWN__PROPAGATION_DELAY".into(), "1h".into()));
    let mut process = Process::start(&["serve"], &environment);
    process.logged("ready").await;
    process.signal("TERM").await;
    process.logged("stopping").await;
    process.signal("TERM").await;
    assert_eq!(process.ended().await, Some(130));
}

#[tokio::test]
async fn a_product_that_cannot_be_read_is_logged_once_with_its_id_and_reason() {
    let sandbox = simulator().await;
    let more = [
        ("CATALOG__FRESH_FOR", "1s"),
        ("TELEMETRY__LOG_FORMAT", "json"),
        ("CATALOG__WARM_UP", "10s"),
    ];
    let mut gateway = Process::start(&["serve"], &settings(&sandbox.base_url(), &more));
    let line = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    let address = line(&gateway.logged("listening").await)["grpc"]
        .as_str()
        .unwrap()
        .to_owned();
    // Callers, so that the catalog is refreshed when it is stale.
    let mut callers = tokio::task::JoinSet::new();
    callers.spawn(async move {
        let call = "grpcurl -plaintext 127.0.0.1:50051 connectivity.v1.Catalog/ListDestinations";
        loop {
            let _ = grpcurl::run(call, &address).await;
        }
    });
    let (mut loads, mut odd) = (0, Vec::new());
    while loads < 3 {
        let text = tokio::time::timeout(crate::support::gateway::SOON, gateway.stderr.next_line()).await;
        let entry = line(&text.expect("the catalog is loaded again").unwrap().unwrap());
        match entry["message"].as_str() {
            Some("catalog loaded") => loads += 1,
            Some("a product cannot be read") => {
                assert!(!entry["reason"].as_str().unwrap().is_empty());
                odd.push(entry["product_id"].as_str().unwrap().to_owned());
            }
            _ => {}
        }
    }
    callers.abort_all();
    let unique: std::collections::BTreeSet<&String> = odd.iter().collect();
    assert!(!odd.is_empty());
    assert_eq!(unique.len(), odd.len(), "once each, in {loads} loads: {odd:?}");
}

#[tokio::test]
async fn every_phase_of_start_and_end_is_logged_with_its_duration() {
    let sandbox = simulator().await;
    let secret = Secret::new(SECRET);
    let own = [
        ("TELEMETRY__LOG_FORMAT", "json"),
        ("CATALOG__WARM_UP", "20s"),
        ("SHUTDOWN__PROPAGATION_DELAY", "20ms"),
    ];
    let all = [&own[..], &secret.settings()].concat();
    let mut process = Process::start(&["serve"], &settings(&sandbox.base_url(), &all));
    let mut phases = Vec::new();
    let mut ready = false;
    while let Some(line) = process.stderr.next_line().await.unwrap() {
        let line: Value = serde_json::from_str(&line).unwrap();
        if line["message"] == "ready" {
            ready = true;
            process.signal("TERM").await;
        }
        if let Some(phase) = line["phase"].as_str() {
            let (way, _) = line["message"]
                .as_str()
                .unwrap()
                .split_once(": a phase ended")
                .unwrap();
            assert_eq!(way, if ready { "stopping" } else { "starting" });
            assert!(line["milliseconds"].is_u64(), "{line}");
            if phase == "notice" {
                assert!(line["milliseconds"].as_u64().unwrap() >= 20, "{line}");
            }
            phases.push(phase.to_owned());
        }
    }
    assert_eq!(process.ended().await, Some(0));
    assert_eq!(
        phases,
        [
            "store",
            "orders left by others",
            "catalog",
            "notice",
            "calls",
            "orders",
            "webhook",
            "events",
            "background loads",
            "admin",
            "metrics",
            "traces",
        ]
    );
}
