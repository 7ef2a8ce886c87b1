//! Answers that come after everybody gave up, and orders that are carried out after that.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{
    orders::{ORDERS, order, post},
    webhooks::{Receiver, delivered},
    *,
};
use crate::{Disturbance, Fault, Script, Step};

const SIM: &str = "882470000000001";
const MINUTE: Duration = Duration::from_secs(60);

fn orders(step: impl Into<Step>) -> Script {
    Script::on("POST", ORDERS).then(step)
}

/// Sends an order on a connection of its own, which stands until it is dropped.
async fn send(bench: &Bench, reference: &str) -> TcpStream {
    let body = order(SIM, "preload", reference).to_string();
    let request = format!(
        "POST {ORDERS} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        bench.token,
        body.len()
    );
    let mut socket = TcpStream::connect(bench.sandbox.address()).await.unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    socket
}

async fn status(socket: &mut TcpStream) -> String {
    let mut line = [0; 12];
    socket.read_exact(&mut line).await.unwrap();
    String::from_utf8(line.to_vec()).unwrap()
}

/// Returns when so many faults have begun to act.
async fn until_faults(bench: &Bench, count: u64) {
    let control = bench.sandbox.control();
    let acted = async {
        while control.counters().faults_applied < count {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, acted).await.unwrap();
}

/// Returns when an order with this reference was carried out.
async fn until_bought(bench: &Bench, reference: &str) {
    let control = bench.sandbox.control();
    let bought = async {
        while control.subscriptions_by_reference(reference).is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, bought).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_answer_to_an_order_that_is_done_comes_ten_minutes_later_on_a_connection_that_stands() {
    let bench = Bench::start().await;
    let control = bench.sandbox.control();
    control.queue(orders(Fault::delay(10 * MINUTE).after_commit()));
    let before = tokio::time::Instant::now();
    let mut socket = send(&bench, "late-answer").await;
    assert_eq!(status(&mut socket).await, "HTTP/1.1 201");
    assert!(before.elapsed() >= 10 * MINUTE);
    let bought = control.subscriptions_by_reference("late-answer");
    let waited = control.now().duration_since(bought[0].ordered_at);
    assert!(
        waited >= (10 * MINUTE).try_into().unwrap(),
        "done at once, not {waited} later"
    );
}

#[tokio::test]
async fn the_answer_can_be_kept_back_for_as_long_as_a_test_likes() {
    let bench = Bench::start().await;
    let control = bench.sandbox.control();
    control.queue(orders(Fault::hold("answers").after_commit()));
    let mut socket = send(&bench, "held-answer").await;
    control.until_held("answers", 1).await;
    assert_eq!(control.subscriptions_by_reference("held-answer").len(), 1);
    control.release("answers");
    assert_eq!(status(&mut socket).await, "HTTP/1.1 201");
    assert_eq!(control.orders_accepted(), 1);
}

#[tokio::test]
async fn an_order_that_waits_is_carried_out_though_its_caller_has_gone() {
    let bench = Bench::start().await;
    let control = bench.sandbox.control();
    control.queue(orders(Fault::delay(Duration::from_millis(50))));
    control.queue(orders(Fault::hold("orders")));
    drop(send(&bench, "delayed").await);
    until_bought(&bench, "delayed").await;
    let socket = send(&bench, "held").await;
    control.until_held("orders", 1).await;
    drop(socket);
    assert_eq!(control.orders_accepted(), 1);
    control.release("orders");
    until_bought(&bench, "held").await;
}

#[tokio::test(start_paused = true)]
async fn an_order_can_be_carried_out_only_once_its_caller_has_gone() {
    let bench = Bench::start().await;
    let control = bench.sandbox.control();
    control.queue(orders(Fault::once_gone(MINUTE)));
    control.queue(orders(Fault::once_gone(Duration::ZERO).after_commit()));
    let socket = send(&bench, "gone").await;
    until_faults(&bench, 1).await;
    // However long its caller waits.
    for _ in 0..30 {
        tokio::time::advance(MINUTE).await;
    }
    assert_eq!(control.orders_accepted(), 0);
    let gone = control.now();
    drop(socket);
    while control.orders_accepted() == 0 {
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(
            control.now().duration_since(gone).as_hours() < 24,
            "never carried out"
        );
    }
    let bought = &control.subscriptions_by_reference("gone")[0];
    assert!(bought.ordered_at.duration_since(gone) >= MINUTE.try_into().unwrap());

    let _socket = send(&bench, "at-once").await;
    until_bought(&bench, "at-once").await;
    let last = control.requests().pop().unwrap();
    assert_eq!((last.fault.as_deref(), last.status), (Some("once_gone"), None));
    assert_eq!(control.orders_accepted(), 2);
}

#[tokio::test]
async fn the_event_of_an_order_can_come_before_its_answer() {
    let receiver = Receiver::start().await;
    let bench = receiver.bench().await;
    let control = bench.sandbox.control();
    control.queue(orders(Fault::AfterEvents));
    // The receiver refuses the event once, and then takes it.
    receiver.answer([500]);
    let answered = async {
        let answer = post(&bench, &order(SIM, "preload", "before")).await;
        (answer.0, control.deliveries())
    };
    let refused_then_taken = async {
        receiver.until(1).await;
        while control.deliveries().is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(control.requests().pop().unwrap().status, None);
        control.flush_events().await;
    };
    let ((status, deliveries), ()) = tokio::join!(answered, refused_then_taken);
    assert_eq!(status, StatusCode::CREATED);
    let answers: Vec<_> = deliveries.iter().map(|delivery| delivery.status).collect();
    assert_eq!(answers, [Some(500), Some(204)]);
}

#[tokio::test]
async fn an_answer_waits_for_its_own_events_only() {
    let receiver = Receiver::start().await;
    let bench = receiver.bench().await;
    let control = bench.sandbox.control();
    control.queue(orders(Fault::AfterEvents.step().times(3)));
    control.disturb_events([Disturbance::Hold, Disturbance::Pass, Disturbance::Lose]);
    control.configure(|settings| settings.subscribe_activates = false);
    let refused = post(&bench, &order(SIM, "subscribe", "refused")).await;
    assert_eq!(refused.0, StatusCode::BAD_REQUEST);
    control.send_event("held", serde_json::json!({}));
    assert_eq!(
        post(&bench, &order(SIM, "preload", "passed")).await.0,
        StatusCode::CREATED
    );
    assert_eq!(control.deliveries().len(), 1);
    // What is lost will never arrive.
    assert_eq!(
        post(&bench, &order(SIM, "preload", "lost")).await.0,
        StatusCode::CREATED
    );
    assert_eq!(control.webhook_status().waiting, 1);
    control.release_events(crate::EventOrder::AsHappened);
    delivered(&bench).await;
}
