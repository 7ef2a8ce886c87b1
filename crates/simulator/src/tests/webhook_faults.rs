use serde_json::json;

use super::{
    orders::{order, post},
    webhooks::{HOUR, Receiver, SECRET, delivered, hmac, types},
    *,
};
use crate::{Disturbance, SimStatus};

const TEN_MINUTES: Duration = Duration::from_secs(600);

/// Sends events that differ by their type.
pub(super) fn send(bench: &Bench, names: &[&str]) {
    let control = bench.sandbox.control();
    for name in names {
        control.send_event(name, json!({}));
    }
}

/// Returns when so many attempts have ended.
pub(super) async fn attempts(bench: &Bench, count: usize) {
    let control = bench.sandbox.control();
    let ended = async {
        while control.deliveries().len() < count {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.unwrap();
}

#[tokio::test]
async fn an_event_is_sent_until_it_is_answered_with_204() {
    let receiver = Receiver::start().await;
    let bench = receiver.bench().await;
    let control = bench.sandbox.control();
    receiver.answer([503, 202, 200]);
    send(&bench, &["A"]);
    for attempt in 1..=3 {
        attempts(&bench, attempt).await;
        assert_eq!(control.webhook_status().waiting, 1);
        control.advance(TEN_MINUTES);
    }
    let deliveries = delivered(&bench).await;
    let answers: Vec<_> = deliveries
        .iter()
        .map(|delivery| (delivery.attempt, delivery.status))
        .collect();
    assert_eq!(
        answers,
        [(1, Some(503)), (2, Some(202)), (3, Some(200)), (4, Some(204))]
    );
    // The same message each time.
    let received = receiver.received();
    assert!(received.iter().all(|(_, body)| *body == received[0].1));
    let status = control.webhook_status();
    assert_eq!((status.published, status.delivered, status.lost), (1, 1, 0));
}

#[tokio::test]
async fn a_refused_event_does_not_hold_up_the_next() {
    let receiver = Receiver::start().await;
    let bench = receiver.bench().await;
    receiver.answer([500]);
    send(&bench, &["A", "B"]);
    attempts(&bench, 2).await;
    bench.sandbox.control().flush_events().await;
    assert_eq!(types(&delivered(&bench).await), ["A", "B", "A"]);
}

#[tokio::test]
async fn a_receiver_that_is_not_there_is_tried_again() {
    let receiver = Receiver::start().await;
    let bench = receiver.bench().await;
    let control = bench.sandbox.control();
    // A port that nobody else gets, and that nobody listens on.
    let silent = tokio::net::TcpSocket::new_v4().unwrap();
    silent.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let nobody = format!("http://{}/", silent.local_addr().unwrap());
    control
        .set_webhook(Some(crate::Webhook::new(nobody, SECRET)))
        .unwrap();
    send(&bench, &["A"]);
    attempts(&bench, 1).await;
    let failed = control.deliveries().remove(0);
    assert!(failed.status.is_none() && failed.error.is_some());
    // What waits goes to the new address.
    control
        .set_webhook(Some(crate::Webhook::new(&receiver.url, SECRET)))
        .unwrap();
    control.flush_events().await;
    assert_eq!(receiver.received().len(), 1);
}

#[tokio::test]
async fn a_stream_that_fails_for_too_long_is_suspended() {
    let receiver = Receiver::start().await;
    let bench = receiver.bench().await;
    let control = bench.sandbox.control();
    control.configure(|settings| settings.webhooks.retry_after = 5 * HOUR);
    receiver.answer([400; 3]);
    send(&bench, &["A"]);
    for attempt in 1..=3 {
        attempts(&bench, attempt).await;
        assert_eq!(control.webhook_status().suspended, attempt == 3);
        control.advance(5 * HOUR);
    }
    send(&bench, &["B"]);
    assert_eq!(control.webhook_status().lost, 2);
    control.resume_webhook();
    send(&bench, &["C"]);
    assert_eq!(types(&delivered(&bench).await), ["A", "A", "A", "C"]);
}

#[tokio::test]
async fn events_can_come_twice_late_in_another_order_and_never() {
    let receiver = Receiver::start().await;
    let bench = receiver.bench().await;
    let control = bench.sandbox.control();
    control.disturb_events([
        Disturbance::Duplicate { times: 2 },
        Disturbance::Reorder,
        Disturbance::Pass,
        Disturbance::Lose,
        Disturbance::Delay { duration: HOUR },
    ]);
    send(
        &bench,
        &["twice", "after", "before", "never", "late", "last", "end"],
    );
    receiver.until(7).await;
    attempts(&bench, 7).await;
    let deliveries = control.deliveries();
    assert_eq!(
        types(&deliveries),
        ["twice", "twice", "twice", "before", "after", "last", "end"]
    );
    assert_eq!(deliveries[0].body, deliveries[2].body);
    assert_eq!(control.webhook_status().waiting, 1);
    control.advance(HOUR);
    assert_eq!(types(&delivered(&bench).await).last(), Some(&"late"));
    assert_eq!(control.webhook_status().lost, 1);

    // A flush lets go what is held back or late.
    control.clear_deliveries();
    control.disturb_events([Disturbance::Delay { duration: HOUR }, Disturbance::Reorder]);
    send(&bench, &["late", "held"]);
    control.flush_events().await;
    assert_eq!(types(&delivered(&bench).await).len(), 2);
}

#[tokio::test]
async fn a_spoilt_event_comes_again_as_it_should_be() {
    let receiver = Receiver::start().await;
    let bench = receiver.bench().await;
    let control = bench.sandbox.control();
    let disturbances = [
        Disturbance::WrongSignature,
        Disturbance::NoSignature,
        Disturbance::NoEventId,
        Disturbance::Garbage,
    ];
    for (round, disturbance) in disturbances.into_iter().enumerate() {
        receiver.answer([401]);
        control.disturb_events([disturbance]);
        send(&bench, &["A"]);
        receiver.until(2 * round + 1).await;
        attempts(&bench, 2 * round + 1).await;
        control.flush_events().await;
    }
    let received = receiver.received();
    let seen: Vec<_> = received
        .iter()
        .map(|(headers, body)| {
            let signed = headers
                .get("x-tsl-signature-256")
                .map(|signature| *signature == hmac(SECRET, body));
            let event: Option<Value> = serde_json::from_slice(body).ok();
            let has_id = event.map(|event| event["header"]["eventId"].is_string());
            (signed, has_id)
        })
        .collect();
    let good = (Some(true), Some(true));
    assert_eq!(
        seen,
        [
            (Some(false), Some(true)),
            good,
            (None, Some(true)),
            good,
            (Some(true), Some(false)),
            good,
            (Some(true), None),
            good,
        ]
    );
    assert_eq!(control.deliveries()[0].disturbance, Some("wrong_signature"));
    control.send_raw_event("not an event");
    receiver.until(9).await;
    let (headers, body) = receiver.received().pop().unwrap();
    assert_eq!(body.as_ref(), b"not an event");
    assert_eq!(headers["x-tsl-signature-256"], hmac(SECRET, &body));
}

#[tokio::test]
async fn a_receiver_that_never_answers_slows_nobody_down() {
    let receiver = Receiver::start().await;
    let bench = receiver.bench().await;
    let control = bench.sandbox.control();
    control.configure(|settings| settings.webhooks.capacity = 10);
    receiver.answer([0]);
    for number in 0..30 {
        let order = order("882470000000001", "preload", &format!("r-{number}"));
        assert_eq!(post(&bench, &order).await.0, StatusCode::CREATED);
    }
    receiver.until(1).await;
    let status = control.webhook_status();
    assert_eq!((status.published, status.in_flight, status.waiting), (30, 1, 10));
    assert_eq!(status.lost, 19);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_takes_too_long_is_none() {
    let receiver = Receiver::start().await;
    let bench = receiver.bench().await;
    bench
        .sandbox
        .control()
        .configure(|settings| settings.webhooks.retry_after = Duration::from_secs(1));
    receiver.answer([0]);
    send(&bench, &["A"]);
    let deliveries = delivered(&bench).await;
    assert_eq!(deliveries[0].error.as_deref(), Some("no answer in time"));
    assert_eq!(deliveries[1].status, Some(204));
}

#[tokio::test]
async fn several_events_can_be_on_their_way() {
    let receiver = Receiver::start().await;
    let bench = receiver.bench().await;
    let control = bench.sandbox.control();
    control.configure(|settings| settings.webhooks.in_flight = 3);
    receiver.answer([0; 3]);
    send(&bench, &["A", "B", "C", "D"]);
    receiver.until(3).await;
    let status = control.webhook_status();
    assert_eq!((status.in_flight, status.waiting), (3, 1));
}

#[tokio::test]
async fn the_http_control_api_steers_events_too() {
    let receiver = Receiver::start().await;
    let bench = Bench::start().await;
    let control = bench.sandbox.control();
    let wrong = json!({ "url": "ftp://127.0.0.1/" });
    assert_eq!(
        bench.post_control("/webhook", wrong).await.0,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    let webhook = json!({ "url": receiver.url, "secret": SECRET });
    let (status, body) = bench.post_control("/webhook", webhook).await;
    assert_eq!((status, &body["url"]), (StatusCode::OK, &json!(receiver.url)));
    let disturbances = json!({ "disturbances": [{ "disturbance": "delay", "for": "1h" }, { "disturbance": "duplicate", "times": 1 }] });
    assert_eq!(
        bench.post_control("/webhook/disturbances", disturbances).await.0,
        StatusCode::NO_CONTENT
    );
    let event = json!({ "event_type": "T", "body": { "a": 1 } });
    let id = bench.post_control("/webhook/events", event).await.1["event_id"].clone();
    control.set_sim_status("2", SimStatus::Suspended).unwrap();
    let raw = bench
        .post_control("/webhook/events", json!({ "raw": "text" }))
        .await;
    assert_eq!(raw.0, StatusCode::NO_CONTENT);
    let flushed = bench.post_control("/webhook/flush", json!({})).await.1;
    assert_eq!(
        (&flushed["waiting"], &flushed["delivered"]),
        (&json!(0), &json!(4))
    );
    let waited = bench
        .post_control("/webhook/wait", json!({ "for": "5s" }))
        .await
        .1;
    assert_eq!(waited["in_flight"], 0);
    let deliveries = bench.get_control("/webhook/deliveries").await;
    let mut names: Vec<_> = deliveries
        .as_array()
        .unwrap()
        .iter()
        .map(|delivery| delivery["event_type"].as_str().unwrap())
        .collect();
    names.sort_unstable();
    let suspended = "CONNECTIVITY-MANAGEMENT/SUBSCRIBER/SUSPENDED";
    assert_eq!(names, ["", suspended, suspended, "T"]);
    let mine = deliveries
        .as_array()
        .unwrap()
        .iter()
        .find(|delivery| delivery["event_id"] == id);
    assert_eq!(mine.unwrap()["status"], 204);
    assert_eq!(
        bench.post_control("/webhook/resume", json!({})).await.0,
        StatusCode::NO_CONTENT
    );
    let url = format!("{}/__sandbox/webhook", bench.sandbox.base_url());
    assert_eq!(
        bench.client.delete(url).send().await.unwrap().status(),
        StatusCode::NO_CONTENT
    );
    assert_eq!(bench.get_control("/webhook").await["url"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_orders_at_once_each_is_told_once() {
    let receiver = Receiver::start().await;
    let bench = receiver.bench().await;
    let control = bench.sandbox.control();
    control.configure(|settings| settings.webhooks.in_flight = 8);
    let sims = control.find_sims(crate::Criteria::FRESH, 20);
    let orders = (0..200).map(|number| {
        let sim = &sims[number % sims.len()];
        let order = order(&sim.msisdn, "preload", &format!("m-{number}"));
        let bench = &bench;
        async move { post(bench, &order).await.0 }
    });
    let answers = futures_util::future::join_all(orders).await;
    assert!(answers.iter().all(|status| *status == StatusCode::CREATED));
    let mut references: Vec<_> = delivered(&bench)
        .await
        .iter()
        .map(|delivery| {
            let event: Value = serde_json::from_str(&delivery.body).unwrap();
            event["body"]["externalReference"].as_str().unwrap().to_owned()
        })
        .collect();
    references.sort_unstable();
    references.dedup();
    assert_eq!((references.len(), receiver.received().len()), (200, 200));
}
