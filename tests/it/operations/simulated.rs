//! `transatel.provider = "simulator"`: callers and operators see that nothing is
//! bought, and an account's credentials are refused.

use reqwest::{Client, Response};
use transatel_simulator::Options;

use crate::support::gateway::{Gateway, SOON, fetch, settings, simulator, until};
use crate::support::ports::refusing;
use crate::support::process::{Process, command};

const SIMULATED: (&str, &str) = ("TRANSATEL__PROVIDER", "simulator");

/// A call with one message, as far as its headers.
struct Call {
    path: &'static str,
    message: &'static [u8],
    headers: Vec<(&'static str, String)>,
    /// Of HTTP, and of gRPC where it is in the headers.
    expected: (u16, Option<&'static str>),
}

impl Call {
    fn new(path: &'static str, expected: Option<&'static str>) -> Self {
        Self {
            path,
            message: &[],
            headers: vec![("content-type", "application/grpc".to_owned())],
            expected: (200, expected),
        }
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    async fn send(&self, client: &Client, gateway: &Gateway) -> Response {
        let url = format!("http://{}{}", gateway.addresses.grpc, self.path);
        let length = u8::try_from(self.message.len()).unwrap();
        let mut request = client
            .post(url)
            .body([&[0, 0, 0, 0, length], self.message].concat());
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let answer = tokio::time::timeout(SOON, request.send()).await;
        answer
            .unwrap_or_else(|_| panic!("{}: no answer", self.path))
            .unwrap()
    }
}

const GET_PRODUCT: &str = "/connectivity.v1.Catalog/GetProduct";

/// One of each kind of answer: by handlers, streams, health, reflection, the
/// framework, and the layers that refuse.
fn calls() -> Vec<Call> {
    let no_grpc = Call {
        headers: vec![("content-type", "application/json".to_owned())],
        expected: (415, Some("3")),
        ..Call::new(GET_PRODUCT, None)
    };
    let no_service = Call {
        // The name of a service that does not exist.
        message: b"\x0a\x01x",
        ..Call::new("/grpc.health.v1.Health/Check", Some("5"))
    };
    vec![
        Call::new("/connectivity.v1.Catalog/ListProducts", None),
        Call::new(GET_PRODUCT, Some("3")),
        Call::new("/connectivity.v1.Events/StreamEvents", None),
        Call::new("/connectivity.v1.Inventory/BatchGetInventory", Some("3")),
        Call::new("/grpc.health.v1.Health/Check", None),
        Call::new("/grpc.health.v1.Health/Watch", None),
        no_service,
        Call::new("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", None),
        Call::new(
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
            None,
        ),
        Call::new("/connectivity.v1.Catalog/Sell", Some("12")),
        Call::new("/a.B/C", Some("12")),
        no_grpc,
        Call::new(GET_PRODUCT, Some("8")).with("large", &"x".repeat(20_000)),
        Call::new(GET_PRODUCT, Some("12")).with("grpc-encoding", "br"),
    ]
}

/// Those of a gateway that knows its callers.
fn of_callers() -> Vec<Call> {
    vec![
        Call::new(GET_PRODUCT, Some("16")),
        Call::new(GET_PRODUCT, Some("7")).with("x-caller", "shop.internal"),
    ]
}

#[tokio::test]
async fn every_answer_of_every_kind_says_that_the_provider_is_simulated_and_no_other() {
    let sandbox = simulator().await;
    let policy = [
        ("CALLERS__HEADER", "x-caller"),
        ("CALLERS__HEADER_FROM", "127.0.0.1"),
        ("CALLERS__ALLOW", r#"{ "shop.internal" = ["Esim/*"] }"#),
    ];
    for (simulated, settings, calls) in [
        (true, vec![SIMULATED], calls()),
        (true, [&policy[..], &[SIMULATED]].concat(), of_callers()),
        (false, vec![], calls()),
        (false, policy.to_vec(), of_callers()),
    ] {
        let gateway = Gateway::start(&sandbox.base_url(), &settings).await;
        let client = Client::builder().no_proxy().http2_prior_knowledge();
        let client = client.build().unwrap();
        for call in calls {
            let answer = call.send(&client, &gateway).await;
            let header = |name| answer.headers().get(name).map(|value| value.to_str().unwrap());
            let seen = (answer.status().as_u16(), header("grpc-status"));
            assert_eq!(seen, call.expected, "{}: {answer:?}", call.path);
            let expected = simulated.then_some("true");
            assert_eq!(
                header("x-transatel-simulated"),
                expected,
                "{}: {answer:?}",
                call.path
            );
        }
        gateway.stop().await;
    }
}

#[tokio::test]
async fn the_log_the_metric_the_page_and_doctor_say_that_the_provider_is_simulated() {
    let sandbox = simulator().await;
    for simulated in [true, false] {
        let provider = if simulated { &[SIMULATED][..] } else { &[] };
        let environment = settings(&sandbox.base_url(), provider);
        let mut process = Process::start(&["serve"], &environment);
        let mut before = Vec::new();
        let line = loop {
            let line = tokio::time::timeout(SOON, process.stderr.next_line()).await;
            let line = line.unwrap().unwrap().unwrap();
            if line.contains("the admin port is open") {
                break line;
            }
            before.push(line);
        };
        let warning = "the provider is simulated: nothing is bought, and no SIM is real";
        let warned = before
            .iter()
            .any(|line| line.contains("WARN") && line.contains(warning));
        assert_eq!(warned, simulated, "{before:#?}");
        let admin = line.split("admin=").nth(1).unwrap().split(' ').next().unwrap();
        process.logged("ready").await;

        let metrics = fetch(&format!("http://{admin}/metrics")).await;
        let gauge = metrics
            .lines()
            .find(|line| line.starts_with("transatel_gateway_provider_simulated"));
        let gauge = gauge.and_then(|line| line.rsplit(' ').next());
        assert_eq!(gauge, Some(if simulated { "1" } else { "0" }), "{metrics}");

        let page = fetch(&format!("http://{admin}/")).await;
        assert_eq!(page.contains("The provider is simulated"), simulated, "{page}");
        assert_eq!(page.contains("transatel-gateway, simulated</title>"), simulated);

        let output = command(&["doctor"], &environment).output().await.unwrap();
        let table = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{table}");
        let mut lines = table.lines();
        assert_eq!(
            lines.next(),
            Some(sandbox.base_url().as_str())
                .map(|url| format!("{url}/"))
                .as_deref()
        );
        let said = lines.next() == Some("a simulator plays the provider: no account is checked");
        assert_eq!(said, simulated, "{table}");
        let whose = if simulated { "simulator" } else { "account" };
        let able = format!("the gateway can do its job with this {whose}");
        assert!(table.contains(&able), "{table}");
        let output = command(&["doctor", "--json"], &environment)
            .output()
            .await
            .unwrap();
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["simulated"], simulated);
        process.signal("TERM").await;
        assert_eq!(process.ended().await, Some(0));
    }
}

#[tokio::test]
async fn the_page_says_it_while_the_gateway_still_waits_for_its_ledger() {
    let sandbox = simulator().await;
    let (_refusing, address) = refusing();
    let store = format!("postgres://gateway@{address}/ledger");
    let environment = settings(&sandbox.base_url(), &[SIMULATED, ("STORE__URL", &store)]);
    let mut process = Process::start(&["serve"], &environment);
    let line = process.logged("the admin port is open").await;
    let admin = line.split("admin=").nth(1).unwrap().split(' ').next().unwrap();
    until("the page says both", async || {
        let page = fetch(&format!("http://{admin}/")).await;
        page.contains("waiting for the ledger") && page.contains("The provider is simulated")
    })
    .await;
}

/// What a gateway says of these settings at its start, and how it ends.
async fn refusal(more: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut environment = settings("http://127.0.0.1:1", &[]);
    environment.retain(|(key, _)| !key.contains("__TRANSATEL__"));
    environment.extend(
        more.iter()
            .map(|(key, value)| (format!("GATEWAY__{key}"), (*value).to_owned())),
    );
    let output = command(&["serve"], &environment).output();
    let output = tokio::time::timeout(SOON, output)
        .await
        .expect("it starts")
        .unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[tokio::test]
async fn an_accounts_credentials_and_address_are_refused_at_the_start_by_their_settings() {
    const ID: &str =
        "transatel.client_id: has to be \"sandbox\": a simulator is not given an account's credentials";
    const SECRET: &str = "transatel.client_secret: has to be \"sandbox-secret\": a simulator is not given an account's credentials";
    const FILE: &str = "transatel.client_secret_file: has to be \"sandbox-secret\": a simulator is not given an account's credentials";
    const URL: &str = "transatel.base_url: is Transatel's own, and transatel.provider says \"simulator\"";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("client-secret");
    std::fs::write(&file, "hunter2\n").unwrap();
    let own = Options::default();
    let id = ("TRANSATEL__CLIENT_ID", own.client_id.as_str());
    let secret = ("TRANSATEL__CLIENT_SECRET", own.client_secret.as_str());
    let url = ("TRANSATEL__BASE_URL", "http://simulator.esim.svc:8080");
    for (settings, problems) in [
        (
            vec![("TRANSATEL__CLIENT_ID", "an-account"), secret, url],
            vec![ID],
        ),
        (
            vec![id, ("TRANSATEL__CLIENT_SECRET", "hunter2"), url],
            vec![SECRET],
        ),
        (
            vec![id, ("TRANSATEL__CLIENT_SECRET_FILE", file.to_str().unwrap()), url],
            vec![FILE],
        ),
        // The default is Transatel's.
        (vec![id, secret], vec![URL]),
        (
            vec![
                id,
                secret,
                ("TRANSATEL__BASE_URL", "https://API.transatel.com./x"),
            ],
            vec![URL],
        ),
        (
            vec![id, secret, ("TRANSATEL__BASE_URL", "https://transatel.com")],
            vec![URL],
        ),
        (
            vec![
                ("TRANSATEL__CLIENT_ID", "an-account"),
                ("TRANSATEL__CLIENT_SECRET", "hunter2"),
                ("TRANSATEL__BASE_URL", "https://api.transatel.com"),
            ],
            vec![URL, ID, SECRET],
        ),
    ] {
        let (code, said) = refusal(&[&[SIMULATED], &settings[..]].concat()).await;
        assert_eq!(code, Some(64), "{settings:?}: {said}");
        for problem in &problems {
            assert!(
                said.lines().any(|line| line.trim() == *problem),
                "{settings:?}: {problem} is not in {said}"
            );
        }
        let named = said
            .lines()
            .filter(|line| line.trim().starts_with("transatel."))
            .count();
        assert_eq!(named, problems.len(), "{said}");
        assert!(
            !said.contains("hunter2") && !said.contains("an-account"),
            "{said}"
        );
    }

    // A simulator's own are accepted, over plain http too, which an account's are not.
    let check = async |settings: &[(&str, &str)]| {
        let environment = settings
            .iter()
            .map(|(key, value)| (format!("GATEWAY__{key}"), (*value).to_owned()));
        let environment: Vec<_> = environment.collect();
        let output = command(&["check-config"], &environment).output().await.unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(
        check(&[SIMULATED, id, secret, url]).await,
        (Some(0), String::new())
    );
    let (code, said) = check(&[id, secret, url]).await;
    assert_eq!(code, Some(64));
    assert!(said.contains("transatel.base_url: has to be https"), "{said}");
    let (code, said) = check(&[("TRANSATEL__PROVIDER", "sandbox"), id, secret, url]).await;
    assert_eq!(code, Some(64));
    assert!(
        said.contains("transatel.provider: \"sandbox\" is not one of \"transatel\", \"simulator\""),
        "{said}"
    );
}

#[tokio::test]
async fn serve_with_the_sandbox_in_its_process_says_it_too() {
    let environment = ["GRPC", "ADMIN", "SANDBOX"]
        .map(|section| (format!("GATEWAY__{section}__LISTEN"), "127.0.0.1:0".to_owned()));
    let mut process = Process::start(&["serve", "--sandbox"], &environment);
    process.logged("the provider is simulated").await;
}
