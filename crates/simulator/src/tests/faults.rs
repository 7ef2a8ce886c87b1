use std::error::Error as _;

use super::*;
use crate::{Availability, Fault, Script};

fn products(steps: impl IntoIterator<Item = Fault>) -> Script {
    steps
        .into_iter()
        .fold(Script::on("GET", PRODUCTS_TEMPLATE), Script::then)
}

async fn send(bench: &Bench) -> reqwest::Result<Response> {
    bench.request(Method::GET, PRODUCTS).send().await
}

/// The I/O error under a failed request.
fn io_kind(error: &reqwest::Error) -> Option<std::io::ErrorKind> {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            return Some(error.kind());
        }
        source = error.source();
    }
    None
}

#[tokio::test]
async fn answers_can_be_replaced() {
    let bench = Bench::start().await;
    bench.sandbox.control().queue(products([
        Fault::status(500),
        Fault::problem(400, "PRODUCT_NOT_ELIGIBLE"),
        Fault::body(502, "<html>"),
        Fault::RateLimited {
            retry_after: Some(Duration::from_secs(7)),
        },
        Fault::RateLimited { retry_after: None },
        Fault::Unauthorized,
    ]));
    let (status, body) = read(send(&bench).await.unwrap()).await;
    assert_eq!((status.as_u16(), title(&body)), (500, "INTERNAL_ERROR"));
    let (status, body) = read(send(&bench).await.unwrap()).await;
    assert_eq!((status.as_u16(), title(&body)), (400, "PRODUCT_NOT_ELIGIBLE"));
    let response = send(&bench).await.unwrap();
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(response.text().await.unwrap(), "<html>");
    let response = send(&bench).await.unwrap();
    assert_eq!(response.headers()["retry-after"], "7");
    assert_eq!(title(&read(response).await.1), "TOO_MANY_REQUESTS");
    assert!(!send(&bench).await.unwrap().headers().contains_key("retry-after"));
    assert_eq!(send(&bench).await.unwrap().status(), StatusCode::UNAUTHORIZED);
    assert_eq!(send(&bench).await.unwrap().status(), StatusCode::OK);
    let counters = bench.sandbox.control().counters();
    assert_eq!(counters.faults_applied, 6);
    assert_eq!(counters.unauthorized, 0);
}

#[tokio::test]
async fn a_reset_is_a_reset_and_a_close_is_not() {
    let bench = Bench::start().await;
    bench
        .sandbox
        .control()
        .queue(products([Fault::Reset, Fault::Close]));
    let error = send(&bench).await.unwrap_err();
    assert_eq!(
        io_kind(&error),
        Some(std::io::ErrorKind::ConnectionReset),
        "{error:?}"
    );
    let error = send(&bench).await.unwrap_err();
    assert_ne!(
        io_kind(&error),
        Some(std::io::ErrorKind::ConnectionReset),
        "{error:?}"
    );
    assert_eq!(send(&bench).await.unwrap().status(), StatusCode::OK);
    let faults: Vec<_> = bench
        .sandbox
        .control()
        .requests()
        .into_iter()
        .map(|r| (r.fault, r.status))
        .collect();
    assert_eq!(
        faults[1..3],
        [(Some("reset".into()), None), (Some("close".into()), None)]
    );
}

#[tokio::test]
async fn bodies_can_be_unreadable() {
    let bench = Bench::start().await;
    bench.sandbox.control().queue(
        products([Fault::Garbage, Fault::Html, Fault::Truncated])
            .then(Fault::Truncated.after_commit())
            .then(Fault::Oversize { bytes: 3_000_000 }),
    );
    let garbage = send(&bench).await.unwrap();
    assert_eq!(
        (garbage.status().as_u16(), &garbage.headers()["content-type"]),
        (200, &"application/json".parse().unwrap())
    );
    serde_json::from_slice::<Value>(&garbage.bytes().await.unwrap()).unwrap_err();
    let html = send(&bench).await.unwrap();
    assert!(
        html.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/html")
    );
    for _ in 0..2 {
        let truncated = send(&bench).await.unwrap();
        assert_eq!(truncated.status(), StatusCode::OK);
        assert!(truncated.content_length().unwrap() > 10);
        truncated.bytes().await.unwrap_err();
    }
    let oversize = send(&bench).await.unwrap();
    assert_eq!(oversize.content_length(), None);
    assert_eq!(oversize.bytes().await.unwrap().len(), 3_000_000);
}

#[tokio::test]
async fn a_truncated_answer_comes_half() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let bench = Bench::start().await;
    bench
        .sandbox
        .control()
        .queue(Script::on_path("").then(Fault::Truncated.after_commit()));
    let mut socket = tokio::net::TcpStream::connect(bench.sandbox.address())
        .await
        .unwrap();
    let request = format!(
        "GET {PRODUCTS}/{FRANCE} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n",
        bench.token
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let promised = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .unwrap();
    let promised: usize = promised.parse().unwrap();
    assert!(body.starts_with("{\"cos\""));
    assert_eq!(body.len(), promised / 2);
}

#[tokio::test(start_paused = true)]
async fn a_hang_and_a_stall_never_end() {
    let bench = Bench::start().await;
    bench
        .sandbox
        .control()
        .queue(products([Fault::Hang, Fault::Stalled]));
    assert!(send(&bench).await.unwrap_err().is_timeout());
    let stalled = send(&bench).await.unwrap();
    assert!(stalled.bytes().await.unwrap_err().is_timeout());
    assert_eq!(send(&bench).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_delay_is_waited_for() {
    let bench = Bench::start().await;
    bench
        .sandbox
        .control()
        .queue(products([Fault::delay(Duration::from_secs(5))]));
    let before = tokio::time::Instant::now();
    assert_eq!(send(&bench).await.unwrap().status(), StatusCode::OK);
    assert!(before.elapsed() >= Duration::from_secs(5));
    bench
        .sandbox
        .control()
        .configure(|settings| settings.latency = Duration::from_secs(3));
    let before = tokio::time::Instant::now();
    assert_eq!(send(&bench).await.unwrap().status(), StatusCode::OK);
    assert!(before.elapsed() >= Duration::from_secs(3));
}

#[tokio::test]
async fn a_held_request_goes_on_when_released() {
    let bench = Bench::start().await;
    let control = bench.sandbox.control();
    control.queue(products([Fault::hold("g")]));
    let release = async {
        control.until_held("g", 1).await;
        assert_eq!(
            control.counters().requests[&format!("GET {PRODUCTS_TEMPLATE}")].in_flight,
            1
        );
        assert_eq!(control.release("g"), 1);
    };
    let (response, ()) = tokio::join!(send(&bench), release);
    assert_eq!(response.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_held_request_is_carried_out_though_its_caller_has_gone() {
    let bench = Bench::start().await;
    let control = bench.sandbox.control();
    control.queue(Script::on("POST", "/authentication").then(Fault::hold("g")));
    {
        let call = fetch_token(&bench.sandbox, &bench.client);
        tokio::select! {
            _ = call => panic!("not released yet"),
            () = control.until_held("g", 1) => {}
        }
    }
    assert_eq!(control.counters().tokens_issued, 1);
    control.release("g");
    let issued = async {
        while control.counters().tokens_issued < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, issued).await.unwrap();
}

#[tokio::test]
async fn commit_carries_the_request_out_before_the_answer_is_lost() {
    let bench = Bench::start().await;
    let control = bench.sandbox.control();
    let token = async || {
        bench
            .client
            .post(format!("{}/authentication/api/token", bench.sandbox.base_url()))
            .basic_auth("sandbox", Some("sandbox-secret"))
            .form(&[("grant_type", "client_credentials")])
            .send()
            .await
    };
    for (fault, commit, issued) in [
        (Fault::Reset, false, 1),
        (Fault::Reset, true, 2),
        (Fault::status(500), false, 2),
        (Fault::status(500), true, 3),
        (Fault::Close, true, 4),
        (Fault::Garbage, true, 5),
    ] {
        let step = if commit {
            fault.after_commit()
        } else {
            fault.step()
        };
        control.queue(Script::on("POST", "/authentication").then(step));
        let _ = token().await;
        assert_eq!(control.counters().tokens_issued, issued);
    }
}

#[tokio::test]
async fn the_token_endpoint_fails_in_its_own_shape() {
    let bench = Bench::start().await;
    bench
        .sandbox
        .control()
        .queue(Script::on("POST", "/authentication").then(Fault::status(500)));
    let url = format!("{}/authentication/api/token", bench.sandbox.base_url());
    let (status, body) = read(bench.client.post(url).send().await.unwrap()).await;
    assert_eq!((status.as_u16(), &body["error"]), (500, &"server_error".into()));
}

#[tokio::test]
async fn a_dead_provider_refuses_and_comes_back_on_the_same_port() {
    let bench = Bench::start().await;
    let control = bench.sandbox.control();
    for _ in 0..3 {
        control.set_dead(true).await.unwrap();
        let error = send(&bench).await.unwrap_err();
        assert_eq!(
            io_kind(&error),
            Some(std::io::ErrorKind::ConnectionRefused),
            "{error:?}"
        );
        control.set_dead(false).await.unwrap();
        assert_eq!(send(&bench).await.unwrap().status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn a_provider_can_reset_every_connection() {
    let bench = Bench::start().await;
    let control = bench.sandbox.control();
    control.set_availability(Availability::Resetting).await.unwrap();
    let error = send(&bench).await.unwrap_err();
    assert_eq!(
        io_kind(&error),
        Some(std::io::ErrorKind::ConnectionReset),
        "{error:?}"
    );
    control.set_availability(Availability::Up).await.unwrap();
    assert_eq!(send(&bench).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_silent_provider_reads_and_says_nothing() {
    let bench = Bench::start().await;
    let control = bench.sandbox.control();
    control.set_availability(Availability::Silent).await.unwrap();
    assert!(send(&bench).await.unwrap_err().is_timeout());
    assert_eq!(control.requests().last().unwrap().status, None);
    control.set_availability(Availability::Up).await.unwrap();
    assert_eq!(send(&bench).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn open_connections_can_be_reset_under_a_request() {
    let bench = Bench::start().await;
    let control = bench.sandbox.control();
    control.queue(products([Fault::Hang]));
    let cut = async {
        while control.counters().faults_applied == 0 {
            tokio::task::yield_now().await;
        }
        control.reset_connections();
    };
    let (response, ()) = tokio::join!(send(&bench), cut);
    assert_eq!(
        io_kind(&response.unwrap_err()),
        Some(std::io::ErrorKind::ConnectionReset)
    );
}
