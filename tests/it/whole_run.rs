//! One life of the real binary, as talkative as it can be, through everything
//! that it does: what it gave away, and what it must not have.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tonic::Request;
use tonic::transport::{Channel, Endpoint};
use transatel_gateway::client::connectivity::v1::catalog_client::CatalogClient;
use transatel_gateway::client::connectivity::v1::inventory_client::InventoryClient;
use transatel_gateway::client::connectivity::v1::*;
use transatel_gateway::sandbox::{Control, Fault, Options, Script, SimStatus as Sim, Webhook};
use uuid::Uuid;

use crate::collector::Collector;
use crate::events::{Follower, from_the_beginning};
use crate::follow_ups;
use crate::house::{
    BUNDLES, Events, FRANCE, OPERATIONS, ORDERS, Provisioning, SECRET, Secret, TOKEN, by_iccid, by_msisdn,
    fetch, get, settings, simulator, until,
};
use crate::orders::order;
use crate::process::Process;
use crate::webhook::{client, deliver, envelope, post, signature};

/// What the process gave away.
pub struct Run {
    /// Lines of its log.
    pub log: Vec<String>,
    /// What a careless caller would log: `Debug` of questions and answers.
    pub told: Vec<String>,
    /// What was sent to the collector, encoded.
    pub exported: Vec<Vec<u8>>,
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

    let mut house = Visitor {
        channel: Endpoint::from_shared(of("grpc"))
            .unwrap()
            .connect()
            .await
            .unwrap(),
        grpc: of("grpc"),
        admin: of("admin"),
        webhook,
        control,
        told: Vec::new(),
        secrets: secrets(&sandbox.base_url()).await,
    };
    // The pipe is read all the while: a full one would stop the gateway.
    let (follower, metrics) = {
        let mut visit = std::pin::pin!(house.visit());
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
        told: house.told,
        exported: collector.encoded(),
        metrics,
        secrets: house.secrets,
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
    told: Vec<String>,
    secrets: Vec<(&'static str, String)>,
}

/// Notes a question and its answer.
macro_rules! ask {
    ($visitor:ident, $client:expr, $method:ident, $request:expr) => {{
        let request = $request;
        $visitor.told.push(format!("{request:?}"));
        let answer = $client.$method(request).await.map(|answer| answer.into_inner());
        $visitor.told.push(format!("{answer:?}"));
        answer
    }};
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
        let esims = crate::esim::every_call(&self.control, self.grpc.clone()).await;
        self.note(esims);
        let operations = crate::sim_operations::every_call(&self.control, self.grpc.clone()).await;
        self.note(operations);
        self.orders().await;
        self.about_bundles().await;
        self.post_events().await;
        let follower = self.follow().await;
        self.strangers().await;
        self.trouble().await;
        let mut metrics = String::new();
        let address = format!("{}/metrics", self.admin);
        until("the end of the streams is counted", async || {
            metrics = fetch(&address).await;
            metrics.contains("why=\"gone\"") && metrics.contains("outcome=\"too_slow\"")
        })
        .await;
        (follower, metrics)
    }

    fn note(&mut self, (told, secrets): (Vec<String>, Vec<String>)) {
        self.told.extend(told);
        let secrets = secrets.into_iter().map(|secret| ("of a call", secret));
        self.secrets.extend(secrets);
    }

    /// A token that the APIs refuse, then one that they take.
    async fn tokens(&mut self) {
        let body = json!({ "access_token": SCRIPTED, "expires_in": 3600 });
        self.control
            .queue(Script::on("POST", TOKEN).then(Fault::body(200, body.to_string())));
        let mut catalog = CatalogClient::new(self.channel.clone());
        ask!(self, catalog, get_product, get(FRANCE)).unwrap();
    }

    async fn catalog(&mut self) {
        let mut catalog = CatalogClient::new(self.channel.clone()).max_decoding_message_size(64 << 20);
        let listed = ListProductsRequest {
            countries: vec!["FR".into()],
            page_size: 2,
            ..Default::default()
        };
        ask!(self, catalog, list_products, listed).unwrap();
        ask!(
            self,
            catalog,
            list_destinations,
            ListDestinationsRequest::default()
        )
        .unwrap();
        ask!(self, catalog, get_product, get("NO_SUCH")).unwrap_err();
        for sim in [by_msisdn("882470000000001"), by_iccid("8988247000000000027")] {
            let request = CheckEligibilityRequest {
                sim,
                product_ids: vec![FRANCE.into(), "NO_SUCH".into()],
                ..Default::default()
            };
            ask!(self, catalog, check_eligibility, request).unwrap();
        }
    }

    async fn inventory(&mut self) {
        let mut inventory = InventoryClient::new(self.channel.clone());
        for number in [1, 2, 26, 36, 38] {
            let sim = self.control.sim(&number.to_string()).unwrap();
            let refs = [
                by_iccid(&sim.iccid),
                by_msisdn(&sim.msisdn),
                by_msisdn(&format!("+{}", sim.msisdn)),
            ];
            for sim_ref in refs {
                let request = GetInventoryRequest {
                    sim: sim_ref.clone(),
                    include_ended: true,
                    ..Default::default()
                };
                ask!(self, inventory, get_inventory, request).unwrap();
                let request = GetSimRequest { sim: sim_ref.clone() };
                ask!(self, inventory, get_sim, request).unwrap();
                let request = GetSubscriptionRequest {
                    sim: sim_ref,
                    subscription_id: "NO_SUCH".into(),
                    ..Default::default()
                };
                ask!(self, inventory, get_subscription, request).unwrap_err();
            }
        }
        let sims = (1..=100).filter_map(|number| by_msisdn(&format!("88247{number:010}")));
        let request = BatchGetInventoryRequest {
            sims: sims.chain(by_iccid("8988247000000999999")).collect(),
            ..Default::default()
        };
        let mut batch = ask!(self, inventory, batch_get_inventory, request).unwrap();
        while let Some(answer) = batch.message().await.unwrap() {
            self.told.push(format!("{answer:?}"));
        }
        let request = ListSimsRequest {
            page_size: 60,
            ..Default::default()
        };
        ask!(self, inventory, list_sims, request).unwrap();
        // What is wrong with a request is said without what was in it.
        for wrong in ["8988247000000000019x", "++882470000000001"] {
            for sim in [by_iccid(wrong), by_msisdn(wrong)] {
                ask!(self, inventory, get_sim, GetSimRequest { sim }).unwrap_err();
            }
        }
        // A refusal whose words are personal, an answer about somebody else.
        let told = json!({ "title": "ODD", "detail": format!("{PRIVATE}: 882470000000003"), "status": 400 });
        let other = json!({ "sims": [{ "simSerial": "8988247000000000043", "group": SUBSCRIBER }] });
        self.control.queue(
            Script::on_path("/sim-search")
                .then(Fault::body(400, told.to_string()))
                .then(Fault::body(200, other.to_string())),
        );
        for number in [51, 52] {
            let sim = by_msisdn(&format!("88247{number:010}"));
            let _ = ask!(self, inventory, get_sim, GetSimRequest { sim });
        }
    }

    async fn until_settled(&mut self, request_id: &str) -> Order {
        let mut client = Provisioning::new(self.channel.clone());
        let key = get_order_request::Key::RequestId(request_id.to_owned());
        let request = GetOrderRequest { key: Some(key) };
        let mut order = Order::default();
        until("the order is settled", async || {
            let answer = ask!(self, client, get_order, request.clone()).unwrap();
            order = answer.order.unwrap();
            order.next_check_at.is_none() && order.state() != OrderState::Submitting
        })
        .await;
        order
    }

    /// Placed, repeated, refused in several ways, lost and found, lost and
    /// never found, and one that an operator has to settle.
    async fn orders(&mut self) {
        let mut client = Provisioning::new(self.channel.clone());
        let order = |msisdn: &str| CreateOrderRequest {
            activation: Activation::OnFirstUse.into(),
            ..order(msisdn)
        };
        for msisdn in ["882470000000041", "882470000000042", "882470000000043"] {
            self.control.set_sim_status(msisdn, Sim::PreActivated).unwrap();
        }
        let placed = CreateOrderRequest {
            reference: "shop 17".into(),
            ..order("882470000000001")
        };
        for request in [placed.clone(), placed.clone()] {
            ask!(self, client, create_order, request).unwrap();
        }
        let reused = CreateOrderRequest {
            sim: by_msisdn("882470000000002"),
            ..placed.clone()
        };
        ask!(self, client, create_order, reused).unwrap_err();
        let personal =
            json!({ "title": "PRODUCT_NOT_ELIGIBLE", "detail": format!("{PRIVATE}, 8988247000000000019") });
        for fault in [
            Fault::body(400, personal.to_string()),
            Fault::problem(402, "INSUFFICIENT_FUND"),
            Fault::RateLimited { retry_after: None },
            Fault::Unauthorized,
        ] {
            self.control.queue(Script::on("POST", ORDERS).then(fault));
            let _ = ask!(self, client, create_order, order("882470000000041"));
        }
        for (step, state) in [
            (Fault::Reset.after_commit(), OrderState::Placed),
            (Fault::Garbage.step(), OrderState::NotPlaced),
        ] {
            self.control.queue(Script::on("POST", ORDERS).then(step));
            let request = order("882470000000042");
            let lost = ask!(self, client, create_order, request.clone()).unwrap();
            assert_eq!(lost.order.unwrap().state(), OrderState::Unknown);
            assert_eq!(self.until_settled(&request.request_id).await.state(), state);
        }
        // Somebody else buys the same while an order is lost, and no event
        // tells which is whose.
        self.control.set_webhook(None).unwrap();
        self.control
            .queue(Script::on("POST", ORDERS).then(Fault::Reset.after_commit()));
        self.control.queue(
            Script::on("GET", BUNDLES)
                .then(Fault::Pass)
                .then(Fault::hold("look").step().forever()),
        );
        let request = order("882470000000043");
        ask!(self, client, create_order, request.clone()).unwrap();
        self.control.grant("882470000000043", FRANCE).unwrap();
        self.control.clear_faults();
        self.control.release("look");
        let doubtful = self.until_settled(&request.request_id).await;
        assert_eq!(doubtful.state(), OrderState::NeedsOperator);
        let webhook = Webhook::new(self.webhook.clone(), SECRET);
        self.control.set_webhook(Some(webhook)).unwrap();
        // Counted, before it is settled.
        let address = format!("{}/metrics", self.admin);
        until("it is counted", async || {
            fetch(&address).await.contains("state=\"needs_operator\"")
        })
        .await;
        let resolution = ResolveOrderRequest {
            order_id: doubtful.order_id,
            resolution: Resolution::NotPlaced.into(),
            note: "the provider says so".into(),
            ..Default::default()
        };
        ask!(self, client, resolve_order, resolution).unwrap();
        let listed = ListOrdersRequest {
            sim: by_msisdn("882470000000001"),
            page_size: 1,
            ..Default::default()
        };
        ask!(self, client, list_orders, listed).unwrap();
        let resolution = ResolveSimOperationRequest {
            operation_id: Uuid::new_v4().to_string(),
            resolution: Resolution::NotPlaced.into(),
            ..Default::default()
        };
        ask!(self, client, resolve_sim_operation, resolution).unwrap_err();
    }

    /// The orders about a bundle, and the operations that the rest leaves out.
    async fn about_bundles(&mut self) {
        let mut client = Provisioning::new(self.channel.clone());
        for (ask, number) in [(follow_ups::Ask::Cancel, "26"), (follow_ups::Ask::End, "26")] {
            let sim = self.control.sim(number).unwrap();
            let bundle = sim.bought().next().unwrap().subscription_id;
            let wish = follow_ups::Wish::new(ask, &sim.msisdn, bundle);
            self.told.push(format!("{:?}", wish.ask(&mut client).await));
        }
        for number in [12, 15] {
            let sim = by_msisdn(&format!("88247{number:010}"));
            let request_id = Uuid::new_v4().to_string();
            let request = ActivateSimRequest {
                request_id,
                sim: sim.clone(),
                ..Default::default()
            };
            let _ = ask!(self, client, activate_sim, request);
            let request = ReactivateSimRequest {
                request_id: Uuid::new_v4().to_string(),
                sim,
                ..Default::default()
            };
            let _ = ask!(self, client, reactivate_sim, request);
        }
    }

    /// Events of every kind and quality, besides those of the simulator.
    async fn post_events(&mut self) {
        self.control.attach("882470000000001", "FR").unwrap();
        let client = client();
        let person = json!({ "iccid": "8988247000000000019", "msisdn": "+882470000000001", "name": SUBSCRIBER,
            "eid": "89049032000000000000000000000001", "activationCode": "1$rsp.sandbox.example$BROKEN-ID-77" });
        let event = envelope("an-event", "SIM-MANAGEMENT/ESIM/RELEASED", person.clone());
        for expected in [204, 204] {
            assert_eq!(
                deliver(&client, &self.webhook, event.clone()).await,
                Some(expected)
            );
        }
        for unreadable in [
            person.to_string(),
            format!("{SUBSCRIBER} 8988247000000000019"),
            String::new(),
        ] {
            assert_eq!(deliver(&client, &self.webhook, unreadable).await, Some(204));
        }
        let unsigned = envelope("unsigned", "T", person);
        let own = signature(SECRET, unsigned.as_bytes());
        let another = signature("another secret", unsigned.as_bytes());
        self.secrets
            .push(("signature", own["sha256=".len()..].to_owned()));
        self.secrets
            .push(("signature", another["sha256=".len()..].to_owned()));
        self.secrets.push((
            "signature",
            signature(SECRET, event.as_bytes())["sha256=".len()..].to_owned(),
        ));
        for header in [
            None,
            Some(another.as_str()),
            Some(&own[..40]),
            Some("sha256=8988247000000000019"),
        ] {
            assert_eq!(
                post(&client, &self.webhook, unsigned.clone(), header).await,
                Some(401)
            );
        }
        let _ = deliver(&client, &self.webhook, "8988247000000000019".repeat(1_000)).await;
        let elsewhere = format!("{}/8988247000000000019?msisdn=882470000000001", self.webhook);
        let _ = deliver(&client, &elsewhere, event).await;
        let address = self
            .webhook
            .trim_start_matches("http://")
            .split('/')
            .next()
            .unwrap();
        let mut slow = TcpStream::connect(address).await.unwrap();
        let beginning = b"POST /webhooks/transatel HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n\r\n{";
        slow.write_all(beginning).await.unwrap();
        let address = format!("{}/metrics", self.admin);
        until("it is sent away", async || {
            fetch(&address).await.contains("outcome=\"too_slow\"")
        })
        .await;
    }

    /// Streams of events that end in different ways; the last one is open.
    async fn follow(&mut self) -> Follower {
        let mut events = Events::new(self.channel.clone());
        let filter = EventFilter {
            sims: by_iccid("8988247000000000019").into_iter().collect(),
            ..Default::default()
        };
        let listed = ListEventsRequest {
            filter: Some(filter.clone()),
            page_size: 10,
            ..Default::default()
        };
        ask!(self, events, list_events, listed).unwrap();
        let mut request = Request::new(StreamEventsRequest {
            filter: Some(filter),
            ..from_the_beginning()
        });
        request.set_timeout(Duration::from_millis(300));
        let mut brief = events.stream_events(request).await.unwrap().into_inner();
        while let Ok(Some(message)) = brief.message().await {
            self.told.push(format!("{message:?}"));
        }
        let wrong = StreamEventsRequest {
            resume_token: "8988247000000000019".into(),
            ..Default::default()
        };
        assert!(events.stream_events(wrong).await.is_err());
        drop(Follower::start(&mut events, from_the_beginning()).await);
        let mut open = Follower::start(&mut events, from_the_beginning()).await;
        for _ in 0..3 {
            let event = open.event().await;
            self.told.push(format!("{event:?}"));
        }
        open
    }

    /// Requests that are none of ours.
    async fn strangers(&mut self) {
        let mut nobody = tonic::client::Grpc::new(self.channel.clone());
        nobody.ready().await.unwrap();
        let path = "/connectivity.v1.Nobody/8988247000000000019".parse().unwrap();
        let codec = tonic_prost::ProstCodec::<GetProductRequest, GetProductResponse>::default();
        let answer = nobody.unary(Request::new(get(FRANCE)), path, codec).await;
        self.told.push(format!("{:?}", answer.map(|_| ())));
        let client = client();
        for path in [
            "/connectivity.v1.Nobody/8988247000000000019",
            "/8988247000000000019",
        ] {
            let request = client.post(format!("{}{path}?msisdn=882470000000001", self.grpc));
            let _ = request.header("content-type", "application/grpc").send().await;
            let _ = client.get(format!("{}{path}", self.admin)).send().await;
        }
    }

    /// The provider in every bad state, at the end: its inventory is left
    /// alone from here on, and there is no token.
    async fn trouble(&mut self) {
        let mut inventory = InventoryClient::new(self.channel.clone());
        let faults = [
            Fault::Garbage,
            Fault::Html,
            Fault::Truncated,
            Fault::Close,
            Fault::Reset,
            Fault::problem(404, "SUBSCRIBER_NOT_FOUND"),
        ];
        for fault in faults {
            self.control
                .queue(Script::on("GET", BUNDLES).then(fault.step().times(3)));
            let request = GetInventoryRequest {
                sim: by_msisdn("882470000000036"),
                ..Default::default()
            };
            let _ = ask!(self, inventory, get_inventory, request);
            self.control.clear_faults();
        }
        self.control.queue(Script::on("GET", BUNDLES).then(Fault::Hang));
        let mut hurried = Request::new(GetInventoryRequest {
            sim: by_msisdn("882470000000036"),
            ..Default::default()
        });
        hurried.set_timeout(Duration::from_millis(150));
        assert!(inventory.get_inventory(hurried).await.is_err());
        self.control.clear_faults();
        self.control.queue(Script::on("GET", BUNDLES).then(Fault::Hang));
        let request = GetInventoryRequest {
            sim: by_msisdn("882470000000035"),
            ..Default::default()
        };
        let _ = ask!(self, inventory, get_inventory, request);
        self.control.clear_faults();
        self.control
            .queue(Script::on("GET", BUNDLES).then(Fault::status(503).step().forever()));
        for _ in 0..20 {
            let request = GetInventoryRequest {
                sim: by_msisdn("882470000000037"),
                ..Default::default()
            };
            let _ = ask!(self, inventory, get_inventory, request);
        }
        self.control.clear_faults();
        let told = json!({ "error": "invalid_client", "error_description": PRIVATE });
        self.control
            .queue(Script::on("POST", TOKEN).then(Fault::body(401, told.to_string()).step().forever()));
        self.control.revoke_tokens();
        let mut esims = esim_client::EsimClient::new(self.channel.clone());
        let request = GetEsimRequest {
            sim: by_iccid("8988247000000000019"),
            ..Default::default()
        };
        ask!(self, esims, get_esim, request).unwrap_err();
    }
}
