//! A call with too short a deadline is refused: nothing was sent, and the answer says
//! how much it needs.

use std::time::Duration;

use tonic::{Code, Request, Status};
use transatel_gateway_client::connectivity::v1 as api;
use transatel_simulator::{Fault, Script};

use super::{FRESH, create, order};
use crate::support::gateway::{TestEnv, by_msisdn, reason, until};

fn within<M>(message: M, milliseconds: u64) -> Request<M> {
    let mut request = Request::new(message);
    request.set_timeout(Duration::from_millis(milliseconds));
    request
}

/// Whether the error says so; on a busy machine so short a deadline may have
/// passed instead.
fn is_too_short(status: &Status) -> bool {
    let error = reason(status);
    assert_eq!(
        (error.code, error.reason.as_str()),
        (Code::DeadlineExceeded, "DEADLINE_EXCEEDED")
    );
    let Some(least) = error.metadata.get("least_deadline_ms") else {
        return false;
    };
    let least = format!("{least} ms");
    assert!(
        status.message().contains("nothing was sent"),
        "{}",
        status.message()
    );
    assert!(status.message().contains(&least), "{}", status.message());
    let proto = std::fs::read_to_string("proto/connectivity/v1/provisioning.proto").unwrap();
    assert!(proto.contains(&least), "the least deadline is documented");
    true
}

#[tokio::test]
async fn a_deadline_in_which_nothing_can_be_sent_is_refused_at_once() {
    let env = TestEnv::with_everything().await;
    let client = env.untimed_provisioning();
    let before = env.control().counters().requests;
    for milliseconds in [50, 150] {
        until("an order is refused", async || {
            let status = client
                .clone()
                .create_order(within(order(FRESH), milliseconds))
                .await;
            is_too_short(&status.unwrap_err())
        })
        .await;
        until("an order from the stock is refused", async || {
            let from_stock = api::CreateOrderRequest {
                sim: None,
                pool: "sandbox".into(),
                ..order(FRESH)
            };
            let status = client
                .clone()
                .create_order(within(from_stock, milliseconds))
                .await;
            is_too_short(&status.unwrap_err())
        })
        .await;
        until("an operation is refused", async || {
            let suspend = api::SuspendSimRequest {
                request_id: uuid::Uuid::new_v4().to_string(),
                sim: by_msisdn("882470000000038"),
                ..Default::default()
            };
            let status = client.clone().suspend_sim(within(suspend, milliseconds)).await;
            is_too_short(&status.unwrap_err())
        })
        .await;
    }
    assert_eq!(env.control().counters().requests, before);
}

#[tokio::test]
async fn the_least_deadline_that_is_told_is_enough_when_reads_take_as_long_again() {
    let env = TestEnv::open().await;
    let client = env.untimed_provisioning();
    // The token and the catalog are there.
    create(&mut env.provisioning(), &order("882470000000002"))
        .await
        .unwrap();
    let slow = Fault::delay(Duration::from_millis(150)).step().forever();
    env.control().queue(Script::on("GET", "").then(slow));
    let mut told = 0;
    let mut milliseconds = 250;
    until("an order is answered within what was told", async || {
        let sent = client
            .clone()
            .create_order(within(order(FRESH), milliseconds))
            .await;
        match sent {
            Ok(_) => true,
            Err(status) => {
                let error = reason(&status);
                let least = error.metadata.get("least_deadline_ms");
                if let Some(least) = least.and_then(|least| least.parse().ok()) {
                    told += 1;
                    milliseconds = least;
                }
                false
            }
        }
    })
    .await;
    assert!(told > 0 && milliseconds > 250, "{told} {milliseconds}");
}

#[tokio::test]
async fn an_order_that_is_known_is_answered_within_any_deadline() {
    let env = TestEnv::open().await;
    let request = order(FRESH);
    let placed = create(&mut env.provisioning(), &request).await.unwrap();
    let mut client = env.untimed_provisioning();
    until("it is answered", async || {
        match client.create_order(within(request.clone(), 120)).await {
            Ok(repeated) => repeated.into_inner().order.as_ref() == Some(&placed),
            Err(status) => {
                assert!(!is_too_short(&status));
                false
            }
        }
    })
    .await;
}
