use tonic::Code;
use tonic_types::{ErrorDetails, StatusExt as _};

use super::*;
use crate::connectivity::v1::{CreateOrderRequest, GetProductRequest};

/// Attempts at a call that always fails so, and how long they took.
async fn attempts<M: Repeatable>(retry: Retry, message: M, status: &Status) -> (u32, Duration) {
    let began = Instant::now();
    let mut attempts = 0;
    let answer: Result<Response<()>, Status> = retrying(retry, message, |request| {
        assert!(request.metadata().contains_key("grpc-timeout"));
        attempts += 1;
        std::future::ready(Err(status.clone()))
    })
    .await;
    assert_eq!(answer.unwrap_err().code(), status.code());
    (attempts, began.elapsed())
}

/// The metadata of an error about an order, with what may be done.
fn advised(retry: &str) -> [(&str, &str); 2] {
    [
        ("order_id", "01a2106e-52e2-7aa3-9d0c-1a35c0f6f2b1"),
        ("retry", retry),
    ]
}

fn retry() -> Retry {
    Retry::within(Duration::from_secs(60))
}

fn order() -> CreateOrderRequest {
    CreateOrderRequest {
        request_id: crate::request_id::random(),
        ..Default::default()
    }
}

fn pushback(value: &str) -> Status {
    let mut status = Status::unavailable("");
    let value = value.parse().unwrap();
    status.metadata_mut().insert("grpc-retry-pushback-ms", value);
    status
}

fn with_reason(code: Code, reason: &str, metadata: &[(&str, &str)], delay: Option<Duration>) -> Status {
    let metadata = metadata
        .iter()
        .map(|(key, value)| ((*key).into(), (*value).into()));
    let mut details = ErrorDetails::with_error_info(
        reason,
        "transatel-gateway",
        metadata.collect::<std::collections::HashMap<String, String>>(),
    );
    if delay.is_some() {
        details.set_retry_info(delay);
    }
    Status::with_error_details(code, "", details)
}

#[tokio::test(start_paused = true)]
async fn a_repeat_waits_for_as_long_as_the_gateway_asks() {
    let (count, took) = attempts(retry(), order(), &pushback("3000")).await;
    assert_eq!(count, 5);
    // Four waits, and the back-off on top: 0.1, 0.2, 0.4 and 0.8 s at most.
    assert!(
        took >= Duration::from_secs(12) && took <= Duration::from_millis(13_510),
        "{took:?}"
    );

    let second = Some(Duration::from_secs(1));
    let limited = with_reason(Code::ResourceExhausted, "PROVIDER_RATE_LIMITED", &[], second);
    let (count, took) = attempts(retry(), GetProductRequest::default(), &limited).await;
    assert_eq!(count, 5);
    assert!(took >= Duration::from_secs(4), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_repeated_when_the_gateway_asks_for_no_repeat() {
    for forbidden in ["-1", "later"] {
        let (count, took) = attempts(retry(), order(), &pushback(forbidden)).await;
        assert_eq!((count, took), (1, Duration::ZERO));
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_is_returned_at_once_when_the_wait_would_end_after_the_deadline() {
    let retry = Retry::within(Duration::from_secs(10));
    let (count, took) = attempts(retry, order(), &pushback("10000")).await;
    assert_eq!((count, took), (1, Duration::ZERO));
    let (count, took) = attempts(retry, order(), &pushback("4000")).await;
    assert_eq!(count, 3);
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn only_what_may_succeed_unchanged_is_repeated() {
    let code = |code| Status::new(code, "");
    let soon = Some(Duration::from_millis(1));
    let refused = [("order_id", "01a2106e-52e2-7aa3-9d0c-1a35c0f6f2b1")];
    for (status, expected) in [
        (code(Code::Unavailable), 5),
        (with_reason(Code::Unavailable, "A_NEW_REASON", &[], soon), 5),
        (
            with_reason(Code::Unavailable, "PROVIDER_UNAVAILABLE", &refused, soon),
            1,
        ),
        (code(Code::ResourceExhausted), 1),
        (
            with_reason(Code::ResourceExhausted, "METADATA_TOO_LARGE", &[], None),
            1,
        ),
        (code(Code::DeadlineExceeded), 1),
        (with_reason(Code::Aborted, "ORDER_IN_PROGRESS", &refused, None), 1),
        (with_reason(Code::Internal, "INTERNAL", &[], None), 1),
        (code(Code::Unknown), 1),
        // The gateway's own word counts, whatever else the error carries.
        (
            with_reason(
                Code::Aborted,
                "ORDER_IN_PROGRESS",
                &advised("SAME_REQUEST_ID"),
                soon,
            ),
            5,
        ),
        (
            with_reason(
                Code::Aborted,
                "ORDER_IN_PROGRESS",
                &advised("SAME_REQUEST_ID"),
                None,
            ),
            1,
        ),
        (
            with_reason(
                Code::Unavailable,
                "PROVIDER_UNAVAILABLE",
                &advised("NEW_REQUEST_ID"),
                soon,
            ),
            1,
        ),
        (
            with_reason(Code::Unavailable, "A_NEW_REASON", &advised("NEVER"), soon),
            1,
        ),
        (Status::from_error("the connection is closed".into()), 5),
    ] {
        let (count, _) = attempts(retry(), order(), &status).await;
        assert_eq!(count, expected, "{status:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_without_a_request_id_is_sent_once() {
    let (count, _) = attempts(retry(), CreateOrderRequest::default(), &Status::unavailable("")).await;
    assert_eq!(count, 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_not_answered_ends_at_the_deadline() {
    let began = Instant::now();
    let answer: Result<Response<()>, Status> =
        retrying(Retry::within(Duration::from_secs(5)), order(), |_| {
            std::future::pending()
        })
        .await;
    assert_eq!(answer.unwrap_err().code(), Code::DeadlineExceeded);
    assert_eq!(began.elapsed(), Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn the_timer_of_the_channel_is_a_passed_deadline_too() {
    let timer = || Status::from_error(Box::new(TimeoutExpired(())));
    assert_eq!(timer().code(), Code::Cancelled);
    let answer: Result<Response<()>, Status> =
        retrying(retry(), order(), |_| std::future::ready(Err(timer()))).await;
    assert_eq!(answer.unwrap_err().code(), Code::DeadlineExceeded);
}
