use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use axum::{Router, extract::State, routing::any};
use bytes::Bytes;
use http::HeaderMap;
use serde_json::json;
use tokio::{sync::watch, task::JoinSet};

use super::{
    operations::{PLAN, begin, iccid, plan},
    orders::{but, order, post},
    *,
};
use crate::{Delivery, Impossible, SimStatus, Webhook, world::stock::ids::SimNumber};

pub(super) const SECRET: &str = "shared-secret";
pub(super) const HOUR: Duration = Duration::from_secs(3_600);
const MONTHLY: &str = "WW_901O_STACK_RECURRING_FRANCE_5GB_1M";

/// A receiver of events.
pub(super) struct Receiver {
    pub(super) url: String,
    inbox: Arc<Inbox>,
    _tasks: JoinSet<()>,
}

#[derive(Default)]
struct Inbox {
    received: Mutex<Vec<(HeaderMap, Bytes)>>,
    count: watch::Sender<usize>,
    /// Statuses of the next answers; 204 when there is none, no answer at all for 0.
    answers: Mutex<VecDeque<u16>>,
}

async fn receive(State(inbox): State<Arc<Inbox>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let count = {
        let mut received = inbox.received.lock().unwrap();
        received.push((headers, body));
        received.len()
    };
    inbox.count.send_replace(count);
    let answer = inbox.answers.lock().unwrap().pop_front().unwrap_or(204);
    if answer == 0 {
        std::future::pending::<()>().await;
    }
    StatusCode::from_u16(answer).unwrap()
}

impl Receiver {
    pub(super) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/webhooks/transatel", listener.local_addr().unwrap());
        let inbox = Arc::new(Inbox::default());
        let router = Router::new()
            .route("/webhooks/transatel", any(receive))
            .with_state(Arc::clone(&inbox));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            url,
            inbox,
            _tasks: tasks,
        }
    }

    /// A simulator that tells this receiver.
    pub(super) async fn bench(&self) -> Bench {
        Bench::with(Options {
            webhook: Some(Webhook::new(&self.url, SECRET)),
            ..Options::default()
        })
        .await
    }

    pub(super) fn answer(&self, statuses: impl IntoIterator<Item = u16>) {
        self.inbox.answers.lock().unwrap().extend(statuses);
    }

    /// Returns when so many requests have come.
    pub(super) async fn until(&self, count: usize) {
        let mut counts = self.inbox.count.subscribe();
        let reached = counts.wait_for(|reached| *reached >= count);
        tokio::time::timeout(PATIENCE, reached).await.unwrap().unwrap();
    }

    pub(super) fn received(&self) -> Vec<(HeaderMap, Bytes)> {
        self.inbox.received.lock().unwrap().clone()
    }
}

/// The signature as RFC 2104 builds it, from nothing but a hash.
pub(super) fn hmac(secret: &str, body: &[u8]) -> String {
    let hash = |parts: [&[u8]; 2]| ring::digest::digest(&ring::digest::SHA256, &parts.concat());
    let mut key = [0_u8; 64];
    key[..secret.len()].copy_from_slice(secret.as_bytes());
    let inner = hash([&key.map(|byte| byte ^ 0x36), body]);
    let outer = hash([&key.map(|byte| byte ^ 0x5c), inner.as_ref()]);
    let hex: String = outer.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={hex}")
}

/// The deliveries, once everything that has happened was sent.
pub(super) async fn delivered(bench: &Bench) -> Vec<Delivery> {
    let control = bench.sandbox.control();
    tokio::time::timeout(PATIENCE, control.until_events_sent())
        .await
        .unwrap();
    control.deliveries()
}

pub(super) fn types(deliveries: &[Delivery]) -> Vec<&str> {
    deliveries
        .iter()
        .map(|delivery| delivery.event_type.as_str())
        .collect()
}

fn body(delivery: &Delivery) -> Value {
    serde_json::from_str::<Value>(&delivery.body).unwrap()["body"].take()
}

#[tokio::test]
async fn an_order_is_followed_to_its_activation_by_its_reference() {
    let receiver = Receiver::start().await;
    let bench = receiver.bench().await;
    let (_, bought) = post(&bench, &order("882470000000001", "preload", "ours-1")).await;
    bench.sandbox.control().attach("1", "FR").unwrap();
    let deliveries = delivered(&bench).await;
    assert_eq!(
        types(&deliveries),
        [
            "OCS/PRODUCT/PRELOADED",
            "SIM-MANAGEMENT/ESIM/DOWNLOADED",
            "SIM-MANAGEMENT/ESIM/INSTALLED",
            "SIM-MANAGEMENT/ESIM/ENABLED",
            "CONNECTIVITY-MANAGEMENT/SUBSCRIBER/ACTIVATED",
            // The subscription, and the walled garden that comes with the first attach.
            "OCS/PRODUCT/ACTIVATED",
            "OCS/PRODUCT/ACTIVATED",
        ]
    );
    let received = receiver.received();
    assert_eq!(received.len(), deliveries.len());
    for (headers, bytes) in &received {
        assert_eq!(headers["x-tsl-signature-256"], hmac(SECRET, bytes));
        assert_eq!(headers["content-type"], "application/json");
        let event: Value = serde_json::from_slice(bytes).unwrap();
        event["header"]["eventId"]
            .as_str()
            .unwrap()
            .parse::<uuid::Uuid>()
            .unwrap();
        assert!(event["header"]["eventDate"].as_str().unwrap().ends_with('Z'));
    }
    let mine: Vec<Value> = deliveries
        .iter()
        .map(body)
        .filter(|body| body["externalReference"] == "ours-1")
        .collect();
    assert_eq!(mine.len(), 2);
    for event in &mine {
        assert_eq!(event["iccid"], iccid(1));
        assert_eq!(event["msisdn"], "882470000000001");
        assert_eq!(event["mvnoRef"], "M2MA_WW_TSL_SANDBOX");
        assert_eq!(event["cos"], "WW_M2MA_COS_SPC");
        assert_eq!(
            event["productSubscription"]["subscriptionId"],
            bought["subscriptionId"]
        );
        assert_eq!(
            event["productSubscription"]["productDefinition"]["productId"],
            FRANCE
        );
    }
    let dates = |event: &Value| {
        let subscription = &event["productSubscription"];
        (
            subscription["activationDate"].is_string(),
            subscription["expirationDate"].clone(),
        )
    };
    let (preloaded, activated) = (dates(&mine[0]), dates(&mine[1]));
    assert!(!preloaded.0 && activated.0 && preloaded.1 != activated.1);
}

#[tokio::test]
async fn a_subscription_tells_its_whole_life() {
    let receiver = Receiver::start().await;
    let bench = receiver.bench().await;
    let control = bench.sandbox.control();
    control.set_price(FRANCE, 1);
    post(&bench, &order("882470000000038", "subscribe", "r")).await;
    control.attach("38", "FR").unwrap();
    control.use_data("38", 900 * 1024 * 1024).unwrap();
    control.use_data("38", 900 * 1024 * 1024).unwrap();
    // Nobody looks at the SIM when its subscription ends.
    control.advance(8 * 24 * HOUR);
    let deliveries = delivered(&bench).await;
    assert_eq!(
        types(&deliveries),
        [
            "OCS/PRODUCT/DEFERRED",
            "OCS/PRODUCT/ACTIVATED",
            "OCS/PRODUCT/RESOURCE/THRESHOLD",
            "OCS/PRODUCT/RESOURCE/EXHAUSTED",
            "OCS/PRODUCT/EXPIRED",
        ]
    );
    assert!(
        deliveries
            .iter()
            .all(|delivery| body(delivery)["externalReference"] == "r")
    );
    assert_eq!(body(&deliveries[3])["resource"]["resourceValue"], 0);
    let event: Value = serde_json::from_str(&deliveries[4].body).unwrap();
    // It ended when it ended, not when somebody noticed.
    assert_eq!(
        event["header"]["eventDate"],
        event["body"]["productSubscription"]["expirationDate"]
    );
}

#[tokio::test]
async fn renewals_cancellations_and_endings_are_told() {
    let receiver = Receiver::start().await;
    let bench = receiver.bench().await;
    let control = bench.sandbox.control();
    control.configure(|settings| settings.follow_ups.enabled = true);
    // A SIM tells of itself from the first look on.
    control.sim("26").unwrap();
    control.sim("4").unwrap();
    control.advance(31 * 24 * HOUR);
    let cancel = but(
        order("882470000000026", "cancelRenewal", "c-1"),
        "/product/productId",
        json!(MONTHLY),
    );
    assert_eq!(post(&bench, &cancel).await.0, StatusCode::CREATED);
    let end = order("882470000000004", "terminate", "t-1");
    assert_eq!(post(&bench, &end).await.0, StatusCode::CREATED);
    control.grant("1", FRANCE).unwrap();
    control.advance(190 * 24 * HOUR);
    let deliveries = delivered(&bench).await;
    let of = |number: u32| {
        let mine = deliveries
            .iter()
            .filter(move |delivery| body(delivery)["iccid"] == iccid(number));
        mine.map(|delivery| {
            (
                delivery.event_type.trim_start_matches("OCS/PRODUCT/").to_owned(),
                body(delivery)["externalReference"].as_str().map(str::to_owned),
            )
        })
        .collect::<Vec<_>>()
    };
    let garden_free: Vec<_> = of(26)
        .into_iter()
        .filter(|(event, _)| event != "EXPIRED")
        .collect();
    assert_eq!(
        garden_free,
        [("RENEWED".into(), None), ("CANCELED".into(), Some("c-1".into()))]
    );
    assert_eq!(of(4), [("TERMINATED".into(), Some("t-1".into()))]);
    // Nobody used the subscription that was given away.
    assert_eq!(of(1), [("PRELOADED".into(), None), ("TERMINATED".into(), None)]);
}

#[tokio::test(start_paused = true)]
async fn operations_are_told_with_their_transaction_when_they_are_done() {
    let receiver = Receiver::start().await;
    let bench = receiver.bench().await;
    let control = bench.sandbox.control();
    let begun = std::cell::Cell::new(0);
    let done = async |number: u32, operation: &str, body: Value| {
        let id = begin(&bench, number, operation, body).await;
        begun.set(begun.get() + 1);
        // Time alone ends it; nobody asks.
        receiver.until(begun.get()).await;
        id
    };
    let labels = json!({ "ratePlan": PLAN, "externalReference": "x-1", "group": "fleet-z" });
    let suspend = done(2, "suspend", plan()).await;
    let reactivate = done(2, "reactivate", plan()).await;
    let modify = done(2, "modify", labels).await;
    let swap = done(
        2,
        "sim-swap",
        json!({ "ratePlan": PLAN, "newSimSerial": iccid(1) }),
    )
    .await;
    let deliveries = delivered(&bench).await;
    assert_eq!(
        types(&deliveries)
            .iter()
            .map(|name| name.trim_start_matches("CONNECTIVITY-MANAGEMENT/SUBSCRIBER/"))
            .collect::<Vec<_>>(),
        ["SUSPENDED", "REACTIVATED", "MODIFIED", "SIMCARD/SWAPPED"]
    );
    for (delivery, id) in deliveries.iter().zip([suspend, reactivate, modify, swap]) {
        let body = body(delivery);
        assert_eq!(body["transactionId"], json!(id));
        assert_eq!(body["source"], "api");
        assert_eq!(body["msisdn"], SimNumber(2).msisdn());
    }
    let (first, last) = (body(&deliveries[0]), body(&deliveries[3]));
    assert_eq!(
        (
            &first["status"],
            &first["simSerial"],
            first.get("externalReference")
        ),
        (&json!("Suspended"), &json!(iccid(2)), None)
    );
    assert_eq!(
        (&last["simSerial"], &last["externalReference"], &last["group"]),
        (&json!(iccid(1)), &json!("x-1"), &json!("fleet-z"))
    );
    // What the provider does by itself has no transaction.
    control.set_sim_status("2", SimStatus::TariffHoliday).unwrap();
    let deliveries = delivered(&bench).await;
    let last = deliveries.last().unwrap();
    assert!(last.event_type.ends_with("/HOLIDAY/ENTERED"));
    assert_eq!(body(last).get("transactionId"), None);
    assert_eq!(body(last)["source"], "system");
}

#[tokio::test(start_paused = true)]
async fn a_terminated_sim_takes_its_subscriptions_along() {
    let receiver = Receiver::start().await;
    let bench = receiver.bench().await;
    begin(&bench, 2, "terminate", plan()).await;
    receiver.until(4).await;
    let deliveries = delivered(&bench).await;
    assert_eq!(
        types(&deliveries),
        [
            "CONNECTIVITY-MANAGEMENT/SUBSCRIBER/TERMINATED",
            "OCS/PRODUCT/TERMINATED",
            "OCS/PRODUCT/TERMINATED",
            "OCS/PRODUCT/TERMINATED"
        ]
    );
    assert!(body(&deliveries[0])["terminationDate"].is_string());
}

#[tokio::test]
async fn only_what_was_asked_for_is_sent_and_only_while_it_is() {
    let receiver = Receiver::start().await;
    let bench = Bench::start().await;
    let control = bench.sandbox.control();
    control.attach("1", "FR").unwrap();
    assert_eq!(
        control.set_webhook(Some(Webhook::new("https://127.0.0.1/", SECRET))),
        Err(Impossible::Receiver)
    );
    let webhook = Webhook {
        url: receiver.url.clone(),
        secret: None,
        events: vec!["CONNECTIVITY-MANAGEMENT/SUBSCRIBER/SUSPENDED".to_owned()],
    };
    control.set_webhook(Some(webhook)).unwrap();
    control.set_sim_status("1", SimStatus::Suspended).unwrap();
    control.set_sim_status("1", SimStatus::Active).unwrap();
    let deliveries = delivered(&bench).await;
    assert_eq!(
        types(&deliveries),
        ["CONNECTIVITY-MANAGEMENT/SUBSCRIBER/SUSPENDED"]
    );
    // Without a secret there is no signature.
    assert_eq!(receiver.received()[0].0.get("x-tsl-signature-256"), None);
    control.set_webhook(None).unwrap();
    control.set_sim_status("1", SimStatus::Suspended).unwrap();
    assert_eq!(delivered(&bench).await.len(), 1);
    assert_eq!(control.webhook_status().url, None);
}

#[tokio::test]
async fn what_was_never_published_is_a_setting() {
    let receiver = Receiver::start().await;
    let bench = receiver.bench().await;
    let control = bench.sandbox.control();
    control.configure(|settings| {
        settings.webhooks.deferred_event = String::new();
        settings.webhooks.esim_serial_member = "iccid".to_owned();
    });
    post(&bench, &order("882470000000038", "subscribe", "r")).await;
    control
        .set_esim_status("38", crate::ProfileStatus::Disabled)
        .unwrap();
    let deliveries = delivered(&bench).await;
    assert_eq!(types(&deliveries), ["SIM-MANAGEMENT/ESIM/DISABLED"]);
    assert_eq!(body(&deliveries[0])["iccid"], iccid(38));
}
