//! The runbook's commands, one after the other, against a gateway that callers
//! reach with TLS only and of which each may do little: nothing that an operator
//! is asked to type may depend on either being off.

use std::collections::VecDeque;

use transatel_gateway_client::connectivity::v1::provisioning_client::ProvisioningClient;

use crate::operations::commands::run;
use crate::operations::grpcurl::{self, shell_words};
use crate::support::gateway::{Gateway, OPERATIONS, SECRET, Secret, settings, simulator};
use crate::support::markdown::page;
use crate::support::pki::{Authority, Files, Name, connect};
use crate::support::stuck::{self, SOON_STUCK};

/// A shop may buy and follow what it bought; nobody may resolve.
const POLICY: &str = r#"{ "shop.internal" = ["Provisioning/CreateOrder", "Provisioning/GetOrder", "Provisioning/SuspendSim",
    "Provisioning/GetSimOperation"] }"#;

/// What every command in the container is given.
const CONFIG: &str = "--config /etc/transatel-gateway/config/gateway.toml";

/// What `kubectl` does without a command in the container; it needs a cluster.
const OF_THE_CLUSTER: [&str; 5] = [
    "kubectl get ",
    "kubectl logs ",
    "kubectl describe ",
    "kubectl rollout ",
    "kubectl port-forward ",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_works_with_tls_and_with_callers_that_may_do_little() {
    let sandbox = simulator().await;
    let authority = Authority::new();
    let files = Files::new(&authority.server(), Some(&authority));
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/ledger.db", folder.path().display());
    let secret = Secret::new(SECRET);
    let own = [("STORE__URL", url.as_str()), ("CALLERS__ALLOW", POLICY)];
    let own = [
        &OPERATIONS[..],
        &SOON_STUCK,
        &files.settings(),
        &secret.settings(),
        &own,
    ]
    .concat();
    let shop = authority.issue(&[Name::Dns("shop.internal")]);
    let gateway = Gateway::start_with(&sandbox.base_url(), &own, async |address| {
        connect(address, &authority, Some(&shop)).await.unwrap()
    })
    .await;
    let control = sandbox.control();
    control.configure(|settings| {
        settings.follow_ups.enabled = true;
        settings.operations.delay = std::time::Duration::ZERO;
    });
    let mut client = ProvisioningClient::new(gateway.channel());
    let mut orders = VecDeque::new();
    for msisdn in ["882470000000001", "882470000000002"] {
        orders.push_back(stuck::order(&control, &mut client, msisdn).await);
    }
    let mut operations = VecDeque::new();
    for number in ["38", "8"] {
        let sim = control.sim(number).unwrap();
        operations.push_back(stuck::operation(&control, &mut client, &sim.msisdn).await);
    }

    let container = settings(&sandbox.base_url(), &own);
    let admin = gateway.addresses.admin.to_string();
    let runbook = page("docs/runbook.md");
    let blocks = runbook.blocks("sh");
    let code = blocks.iter().map(|(code, _)| code.replace("\\\n", " "));
    let lines: Vec<String> = code
        .flat_map(|code| {
            code.lines()
                .map(|line| line.trim().to_owned())
                .collect::<Vec<_>>()
        })
        .filter(|line| !line.is_empty())
        .collect();
    let (mut commands, mut calls) = (0, 0);
    for line in lines {
        if let Some(command) = line.strip_prefix("kubectl exec deployment/NAME -- /transatel-gateway ") {
            let command = command
                .strip_suffix(CONFIG)
                .unwrap_or_else(|| panic!("no {CONFIG}: {line}"));
            let order = orders.front().unwrap();
            let filled = command
                .replace("SUBSCRIPTION_ID", &stuck::subscription(&control, order))
                .replace("ORDER_ID", &order.order_id)
                .replace("OPERATION_ID", &operations[0].operation_id);
            let words = shell_words(&filled);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let (code, out, err) = run(&words, &container).await;
            assert_eq!(code, Some(0), "{line}: {out}{err}");
            // What is resolved once is so.
            match words[..] {
                ["orders", "resolve", ..] => orders.rotate_left(1),
                ["operations", "resolve", ..] => operations.rotate_left(1),
                _ => {}
            }
            commands += 1;
        } else if line.starts_with("grpcurl ") {
            let address = gateway.addresses.grpc.to_string();
            let call = line.replace("ORDER_ID", &orders[0].order_id);
            grpcurl::run(&call, &address).await.unwrap();
        } else if line == "curl -i -X POST https://HOST/webhooks/transatel -d '{}'" {
            let posted = crate::events::webhook::client()
                .post(gateway.webhook())
                .body("{}")
                .send();
            assert_eq!(posted.await.unwrap().status(), 401);
            calls += 1;
        } else if let Some(path) = line.strip_prefix("curl http://127.0.0.1:9090") {
            let answer = crate::events::webhook::client()
                .get(format!("http://{admin}{path}"))
                .send();
            assert!(answer.await.unwrap().status().is_success(), "{line}");
            calls += 1;
        } else {
            let known = OF_THE_CLUSTER.iter().any(|start| line.starts_with(start));
            assert!(known, "it is not known how to check {line:?}");
        }
    }
    assert!(commands >= 10 && calls >= 1, "{commands} {calls}");
}
