//! One life of the real binary, as talkative as it can be, through everything
//! that it does: what it gave away, and what it must not have.

/// Notes a question and its answer.
macro_rules! ask {
    ($visitor:ident, $client:expr, $method:ident, $request:expr) => {{
        let request = $request;
        $visitor.printed.push(format!("{request:?}"));
        let answer = $client.$method(request).await.map(|answer| answer.into_inner());
        $visitor.printed.push(format!("{answer:?}"));
        answer
    }};
}

mod events;
mod orders;
mod reads;
mod stock;
mod trouble;

use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::Value;
use tokio::sync::OnceCell;
use tonic::transport::{Channel, Endpoint};
use transatel_simulator::{Control, Options, Webhook};

use crate::events::streams::Follower;
use crate::events::webhook::client;
use crate::support::collector::Collector;
use crate::support::gateway::{OPERATIONS, SECRET, Secret, fetch, is_counted, settings, simulator, until};
use crate::support::process::Process;

/// What the process gave away.
pub struct Run {
    /// Lines of its log.
    pub log: Vec<String>,
    /// What a careless caller would log: `Debug` of questions and answers.
    pub printed: Vec<String>,
    /// What was sent to the collector, encoded.
    pub exported: Vec<Vec<u8>>,
    /// The spans among it.
    pub spans: Vec<Span>,
    /// What `/metrics` said at the end.
    pub metrics: String,
    /// What none of it may hold, with what each is.
    pub secrets: Vec<(&'static str, String)>,
}

/// The run, which is made once for all who look at it.
pub async fn run() -> &'static Run {
    static RUN: OnceCell<Run> = OnceCell::const_new();
    RUN.get_or_init(live).await
}

async fn live() -> Run {
    let collector = Collector::start().await;
    let sandbox = simulator().await;
    let control = sandbox.control();
    control.configure(|settings| settings.follow_ups.enabled = true);
    let secret = Secret::new(SECRET);
    let own = [
        ("TELEMETRY__OTLP_ENDPOINT", collector.endpoint()),
        ("TELEMETRY__LOG_FORMAT", "json"),
        ("TELEMETRY__LOG_LEVEL", "trace"),
        ("WEBHOOK__READ_TIMEOUT", "500ms"),
        ("WEBHOOK__MAX_BODY_BYTES", "4096"),
        ("CALLERS__LIMITS", r#"{ "*" = ["100000 orders/day"] }"#),
        // Still open when it is looked at.
        ("BREAKER__OPEN_FOR", "1h"),
        ("TRANSATEL__RETRY_FIRST_WAIT", "1ms"),
        ("TRANSATEL__ATTEMPT_TIMEOUT", "2s"),
    ];
    let all = [&own[..], &secret.settings(), &OPERATIONS].concat();
    let mut process = Process::start(&["serve"], &settings(&sandbox.base_url(), &all));
    let mut log = vec![process.logged("\"listening\"").await];
    let listening: Value = serde_json::from_str(&log[0]).unwrap();
    let of = |name: &str| format!("http://{}", listening[name].as_str().unwrap());
    let webhook = format!("{}/webhooks/transatel", of("webhook"));
    control
        .set_webhook(Some(Webhook::new(webhook.clone(), SECRET)))
        .unwrap();
    log.push(process.logged("\"ready\"").await);

    let mut env = Visitor {
        channel: Endpoint::from_shared(of("grpc"))
            .unwrap()
            .connect()
            .await
            .unwrap(),
        grpc: of("grpc"),
        admin: of("admin"),
        webhook,
        control,
        printed: Vec::new(),
        secrets: secrets(&sandbox.base_url()).await,
    };
    // The pipe is read all the while: a full one would stop the gateway.
    let (follower, metrics) = {
        let mut visit = std::pin::pin!(env.visit());
        loop {
            tokio::select! {
                seen = &mut visit => break seen,
                line = process.stderr.next_line() => log.push(line.unwrap().expect("it runs")),
            }
        }
    };
    process.signal("TERM").await;
    while let Some(line) = process.stderr.next_line().await.unwrap() {
        log.push(line);
    }
    while let Some(line) = process.stdout.next_line().await.unwrap() {
        log.push(line);
    }
    assert_eq!(process.ended().await, Some(0));
    drop(follower);
    Run {
        log,
        printed: env.printed,
        exported: collector.encoded(),
        spans: collector.spans(),
        metrics,
        secrets: env.secrets,
    }
}

/// What is secret before anything happens.
async fn secrets(provider: &str) -> Vec<(&'static str, String)> {
    let options = Options::default();
    let mut form = client().post(format!("{provider}/authentication/api/token"));
    form = form.basic_auth(&options.client_id, Some(&options.client_secret));
    let body = "grant_type=client_credentials";
    let request = form
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body);
    let answer: Value = serde_json::from_str(&request.send().await.unwrap().text().await.unwrap()).unwrap();
    let token = answer["access_token"].as_str().unwrap();
    vec![
        // Every token begins so.
        ("access token", token.split('.').next().unwrap().to_owned()),
        ("scripted token", SCRIPTED.to_owned()),
        ("client secret", options.client_secret),
        ("webhook secret", SECRET.to_owned()),
        ("authorization", "Bearer ".to_owned()),
        ("link", "LPA:1$".to_owned()),
        ("link", "carddata".to_owned()),
        ("picture", "</svg>".to_owned()),
        ("activation material", "BROKEN-ID-77".to_owned()),
        ("subscriber", SUBSCRIBER.to_owned()),
        ("the provider's text", PRIVATE.to_owned()),
    ]
}

const SCRIPTED: &str = "a-token-that-was-scripted-0815";
const SUBSCRIBER: &str = "Erika Mustermann";
const PRIVATE: &str = "call her at home";

struct Visitor {
    channel: Channel,
    grpc: String,
    admin: String,
    webhook: String,
    control: Control,
    printed: Vec<String>,
    secrets: Vec<(&'static str, String)>,
}

impl Visitor {
    /// Everything; gives a stream that is still open and the metrics.
    async fn visit(&mut self) -> (Follower, String) {
        for number in 1..=100 {
            let sim = self.control.sim(&number.to_string()).unwrap();
            self.secrets.push(("ICCID", sim.iccid));
            self.secrets.push(("MSISDN", sim.msisdn));
            self.secrets.extend(sim.eid.map(|eid| ("EID", eid)));
        }
        self.tokens().await;
        self.catalog().await;
        self.inventory().await;
        let esims = crate::reads::esim::every_call(&self.control, self.grpc.clone()).await;
        self.note(esims);
        let operations = crate::writes::sim_operations::every_call(&self.control, self.grpc.clone()).await;
        self.note(operations);
        self.orders().await;
        self.stock().await;
        self.about_subscriptions().await;
        self.post_events().await;
        let follower = self.follow().await;
        self.strangers().await;
        self.trouble().await;
        let mut metrics = String::new();
        let address = format!("{}/metrics", self.admin);
        until(
            "the end of the streams and of the read that hangs is counted",
            async || {
                metrics = fetch(&address).await;
                let expected = ["why=\"gone\"", "outcome=\"too_slow\"", "outcome=\"timeout\""];
                expected.iter().all(|label| is_counted(&metrics, &[label]))
            },
        )
        .await;
        (follower, metrics)
    }

    fn note(&mut self, (printed, secrets): (Vec<String>, Vec<String>)) {
        self.printed.extend(printed);
        let secrets = secrets.into_iter().map(|secret| ("of a call", secret));
        self.secrets.extend(secrets);
    }
}
