//! Nothing that names a SIM, opens an account or installs a profile leaves
//! the gateway but as the answer to a call.

use prost::Message as _;
use prost_types::FileDescriptorSet;
use transatel_gateway::grpc::DESCRIPTORS;

use crate::operations::whole_run::run;
use crate::support::gateway::is_counted;
use crate::support::scanner::Scanner;

#[tokio::test]
async fn no_identifier_or_secret_reaches_a_log_a_span_a_metric_or_debug() {
    let run = run().await;
    let exported = run.exported.concat();
    let log = run.log.concat();

    // It was a whole run: every method was called and traced, at the finest
    // level, and everything that is scanned has something in it.
    let saw = |text: &str| {
        exported
            .windows(text.len())
            .any(|window| window == text.as_bytes())
    };
    let contract = FileDescriptorSet::decode(DESCRIPTORS).unwrap();
    let ours = contract
        .file
        .iter()
        .filter(|file| file.package() == "connectivity.v1");
    let mut methods = 0;
    for service in ours.flat_map(|file| &file.service) {
        for method in &service.method {
            let name = format!("connectivity.v1.{}/{}", service.name(), method.name());
            assert!(saw(&name), "{name} was not called");
            methods += 1;
        }
    }
    assert!(methods >= 27, "{methods}");
    assert!(saw("url.template") && saw("service.version") && saw("transatel_gateway.orders.transitions"));
    for text in [
        "\"level\":\"trace\"",
        "\"trace_id\"",
        "an answer of the provider cannot be used",
        "no token from the provider",
        "stopping: a phase ended",
    ] {
        assert!(log.contains(text), "{text} was not logged");
    }
    assert!(is_counted(&run.metrics, &["outcome=\"wrong_signature\""]) && run.printed.len() > 500);

    let scanner = Scanner::new(&run.secrets);
    let lines = run.log.iter().chain(&run.printed).map(String::as_bytes);
    let mut found: Vec<String> = lines
        .chain(run.exported.iter().map(Vec::as_slice))
        .chain([run.metrics.as_bytes()])
        .flat_map(|text| scanner.scan(text))
        .collect();
    let count = found.len();
    found.truncate(10);
    assert!(found.is_empty(), "{count} found:\n{}", found.join("\n"));
}
