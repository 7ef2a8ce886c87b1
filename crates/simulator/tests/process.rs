//! The simulator as a process of its own, which is what its image runs: started,
//! asked and stopped as a cluster does.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::{path::Path, process::Stdio, sync::Arc, time::Duration};

use axum::{Router, extract::State, http::HeaderMap, routing::any};
use bytes::Bytes;
use ring::hmac;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader},
    net::TcpListener,
    process::{Child, Command},
    sync::mpsc,
    task::JoinSet,
};

const PAGE: &str = include_str!("../../../docs/simulator.md");
const SECRET: &str = "a secret of the webhook";
/// Longest wait for anything that has to happen: only a defect takes longer.
const SOON: Duration = Duration::from_secs(20);
const ATTACH: &str = "/__sandbox/sims/882470000000004/attach";

fn command(arguments: &[&str], settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_transatel-simulator"));
    command
        .args(arguments)
        .env_clear()
        .envs(settings.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// A process that ends by itself: its exit code, and what it printed.
async fn ended(arguments: &[&str], settings: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let output = tokio::time::timeout(SOON, command(arguments, settings).output());
    let output = output.await.expect("the process does not end").unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// One that serves.
struct Running {
    process: Child,
    out: BufReader<tokio::process::ChildStdout>,
    /// What it has printed.
    line: String,
    url: String,
}

impl Running {
    async fn start(settings: &[(&str, &str)]) -> Self {
        let free = [&[("SIMULATOR_LISTEN", "127.0.0.1:0")], settings].concat();
        let mut process = command(&[], &free).spawn().unwrap();
        let mut out = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        let read = tokio::time::timeout(SOON, out.read_line(&mut line));
        read.await.expect("nothing is printed").unwrap();
        let address = line.split(" on ").nth(1).and_then(|rest| rest.split(": ").next());
        let url = format!("http://{}", address.unwrap_or_else(|| panic!("{line:?}")));
        Self {
            process,
            out,
            line,
            url,
        }
    }

    async fn post(&self, path: &str, body: &'static str) -> String {
        let answer = client().post(format!("{}{path}", self.url)).body(body).send();
        let answer = answer.await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
        answer.text().await.unwrap()
    }

    /// Sends the signal and gives the exit code and all that was printed.
    async fn stop(mut self, signal: &str) -> (Option<i32>, String) {
        let id = self.process.id().unwrap().to_string();
        let sent = Command::new("kill").args([signal, &id]).status().await.unwrap();
        assert!(sent.success());
        let end = async {
            let mut printed = self.line;
            self.out.read_to_string(&mut printed).await.unwrap();
            let mut errors = self.process.stderr.take().unwrap();
            errors.read_to_string(&mut printed).await.unwrap();
            (self.process.wait().await.unwrap().code(), printed)
        };
        let began = std::time::Instant::now();
        let ended = tokio::time::timeout(SOON, end).await;
        println!("{signal}: ended after {:?}", began.elapsed());
        ended.unwrap_or_else(|_| panic!("{signal} does not end the process"))
    }
}

fn client() -> reqwest::Client {
    // No other test of this process may have done it yet.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// An event as it came.
type Event = (HeaderMap, Bytes);

/// Receives events, and answers them if it `answers`.
async fn receiver(answers: bool) -> (String, mpsc::Receiver<Event>, JoinSet<()>) {
    let (sender, events) = mpsc::channel(100);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/webhooks/transatel", listener.local_addr().unwrap());
    let take =
        async move |State(sender): State<Arc<mpsc::Sender<Event>>>, headers: HeaderMap, body: Bytes| {
            sender.send((headers, body)).await.unwrap();
            if !answers {
                std::future::pending::<()>().await;
            }
        };
    let router = Router::new()
        .route("/webhooks/transatel", any(take))
        .with_state(Arc::new(sender));
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, events, tasks)
}

async fn next(events: &mut mpsc::Receiver<Event>) -> Event {
    let event = tokio::time::timeout(SOON, events.recv()).await;
    event.expect("no event comes").unwrap()
}

fn file_with(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, text).unwrap();
    file
}

fn path_of(file: &tempfile::NamedTempFile) -> &str {
    file.path().to_str().unwrap()
}

#[tokio::test]
async fn without_settings_it_listens_on_loopback_only() {
    let mut process = command(&[], &[]).spawn().unwrap();
    let mut out = BufReader::new(process.stdout.take().unwrap());
    let mut line = String::new();
    let read = tokio::time::timeout(SOON, out.read_line(&mut line));
    read.await.expect("nothing is printed").unwrap();
    if line.is_empty() {
        // Another program has that port, which is said with the setting to change.
        let mut error = String::new();
        let mut errors = process.stderr.take().unwrap();
        errors.read_to_string(&mut error).await.unwrap();
        let expected = "the simulator cannot run: cannot listen on 127.0.0.1:8080 (SIMULATOR_LISTEN): ";
        assert!(error.starts_with(expected), "{error}");
        assert_eq!(process.wait().await.unwrap().code(), Some(1));
        return;
    }
    assert!(
        line.contains(" on 127.0.0.1:8080: a simulated Transatel"),
        "{line}"
    );
    assert!(line.ends_with("events are not posted\n"), "{line}");
}

#[tokio::test]
async fn a_port_that_is_taken_is_named_with_its_setting() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, out, err) = ended(&[], &[("SIMULATOR_LISTEN", &address)]).await;
    assert_eq!((code, out.as_str()), (Some(1), ""));
    let expected = format!("the simulator cannot run: cannot listen on {address} (SIMULATOR_LISTEN): ");
    assert!(err.starts_with(&expected), "{err}");
}

#[tokio::test]
async fn its_probe_succeeds_and_every_answer_says_what_it_is() {
    let running = Running::start(&[]).await;
    assert!(running.line.contains("nothing costs money or reaches a SIM"));
    for (path, status) in [
        // What the chart's probe asks.
        ("/__sandbox/", 200),
        ("/__sandbox/nothing", 404),
        ("/ocs/catalog/api/cos/WW_M2MA_COS_SPC/products", 401),
        ("/nothing", 401),
    ] {
        let answer = client()
            .get(format!("{}{path}", running.url))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), status, "{path}");
        let version = answer.headers().get("x-transatel-simulator");
        let version = version.unwrap_or_else(|| panic!("{path} does not say it"));
        assert_eq!(version, env!("CARGO_PKG_VERSION"), "{path}");
    }
}

#[tokio::test]
async fn events_are_posted_to_the_receiver_and_signed_and_the_secret_is_printed_nowhere() {
    let (url, mut events, _tasks) = receiver(true).await;
    // As editors write it.
    let file = file_with(&format!("{SECRET}\n"));
    let settings = [
        ("SIMULATOR_WEBHOOK_URL", url.as_str()),
        ("SIMULATOR_WEBHOOK_SECRET_FILE", path_of(&file)),
    ];
    let running = Running::start(&settings).await;
    assert!(
        running.line.ends_with("events are posted to the webhook\n"),
        "{}",
        running.line
    );
    running.post(ATTACH, r#"{"country":"FR"}"#).await;
    let (headers, body) = next(&mut events).await;
    let given = headers["x-tsl-signature-256"].to_str().unwrap();
    let given = given.strip_prefix("sha256=").unwrap();
    let given: Vec<u8> = (0..given.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&given[at..at + 2], 16).unwrap())
        .collect();
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    hmac::verify(&key, &body, &given).unwrap();
    let (code, printed) = running.stop("-TERM").await;
    assert_eq!(code, Some(0));
    assert!(!printed.contains(SECRET), "{printed}");
}

#[tokio::test]
async fn either_signal_ends_it_whatever_is_still_on_its_way() {
    for signal in ["-TERM", "-INT"] {
        let (url, mut events, _tasks) = receiver(false).await;
        let file = file_with(SECRET);
        let settings = [
            ("SIMULATOR_WEBHOOK_URL", url.as_str()),
            ("SIMULATOR_WEBHOOK_SECRET_FILE", path_of(&file)),
        ];
        let running = Running::start(&settings).await;
        // A request that is not answered, a connection that sends nothing, and an
        // event that nobody takes.
        let script = r#"{"method":"GET","path":"/ocs","steps":[{"fault":"hold","gate":"for good"}]}"#;
        running.post("/__sandbox/faults", script).await;
        let address = running.url.trim_start_matches("http://").to_owned();
        let _idle = tokio::net::TcpStream::connect(&address).await.unwrap();
        let held = format!("{}/ocs/catalog/api/cos/WW_M2MA_COS_SPC/products", running.url);
        let mut waiting = JoinSet::new();
        waiting.spawn(async move { client().get(held).send().await.map(|_| ()) });
        running.post(ATTACH, r#"{"country":"FR"}"#).await;
        next(&mut events).await;
        let arrived = async {
            let gates = format!("{}/__sandbox/gates", running.url);
            loop {
                let answer = client().get(&gates).send().await.unwrap();
                if answer.text().await.unwrap().contains(r#""for good":1"#) {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(SOON, arrived)
            .await
            .expect("the request does not arrive");
        assert!(waiting.try_join_next().is_none(), "answered");
        let (code, _) = running.stop(signal).await;
        assert_eq!(code, Some(0), "{signal}");
        assert!(waiting.join_next().await.unwrap().unwrap().is_err(), "answered");
    }
}

#[tokio::test]
async fn all_that_is_wrong_with_the_settings_is_named_at_once() {
    let empty = file_with("\n");
    let empty = path_of(&empty);
    let held = file_with(SECRET);
    let held = path_of(&held);
    let (listen, url, file) = (
        "SIMULATOR_LISTEN",
        "SIMULATOR_WEBHOOK_URL",
        "SIMULATOR_WEBHOOK_SECRET_FILE",
    );
    for (settings, lines) in [
        (
            vec![(listen, "8080"), (url, "https://user:hunter2@host/"), (file, empty)],
            vec![
                "SIMULATOR_LISTEN: \"8080\" is not ADDRESS:PORT, such as 127.0.0.1:8080".to_owned(),
                format!("SIMULATOR_WEBHOOK_SECRET_FILE: {empty} is empty"),
                "SIMULATOR_WEBHOOK_URL: is not http://HOST/PATH".to_owned(),
            ],
        ),
        (
            vec![(url, "http://gateway:8080/events")],
            vec!["SIMULATOR_WEBHOOK_SECRET_FILE: required with SIMULATOR_WEBHOOK_URL".to_owned()],
        ),
        (
            vec![(listen, "localhost:0"), (file, held)],
            vec![
                "SIMULATOR_LISTEN: \"localhost:0\" is not ADDRESS:PORT, such as 127.0.0.1:8080".to_owned(),
                "SIMULATOR_WEBHOOK_URL: required with SIMULATOR_WEBHOOK_SECRET_FILE".to_owned(),
            ],
        ),
        (
            vec![(url, "http://gateway:8080/events"), (file, "/nowhere")],
            vec![
                "SIMULATOR_WEBHOOK_SECRET_FILE: /nowhere cannot be read: No such file or directory (os error 2)"
                    .to_owned(),
            ],
        ),
    ] {
        let (code, out, err) = ended(&[], &settings).await;
        assert_eq!((code, out.as_str()), (Some(64), ""), "{settings:?}");
        assert_eq!(err.lines().collect::<Vec<_>>(), lines);
        assert!(!err.contains(SECRET) && !err.contains("hunter2"), "{err}");
    }
}

#[tokio::test]
async fn the_help_and_the_page_name_the_same_settings() {
    let (code, help, _) = ended(&["--help"], &[]).await;
    assert_eq!(code, Some(0));
    let words = help
        .split_whitespace()
        .filter(|word| word.starts_with("SIMULATOR_"));
    let words: Vec<&str> = words.collect();
    let rows = PAGE.lines().filter_map(|line| line.strip_prefix("| `SIMULATOR_"));
    let rows: Vec<String> = rows
        .map(|row| format!("SIMULATOR_{}", row.split('`').next().unwrap()))
        .collect();
    assert_eq!(words, rows);
    let read = std::fs::read_to_string(Path::new("src/environment.rs")).unwrap();
    let read: Vec<&str> = read
        .split('"')
        .filter(|text| text.starts_with("SIMULATOR_"))
        .collect();
    assert!(words.iter().all(|word| read.contains(word)), "{read:?}");

    let (code, version, _) = ended(&["--version"], &[]).await;
    let expected = concat!("transatel-simulator ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!((code, version.as_str()), (Some(0), expected));
    let (code, _, err) = ended(&["serve"], &[]).await;
    assert_eq!((code, err), (Some(64), help));
}
