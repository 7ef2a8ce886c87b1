//! What an error says of the request is what the ledger holds when it is given.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::Semaphore;
use transatel_gateway::app::Seams;
use transatel_gateway::service::writes::steps::{Step, Steps};

use super::*;
use crate::support::gateway::{Gateway, simulator};

/// Holds the first call back before it begins, and the second one after it has found
/// nothing of the request.
fn two_held() -> ([Arc<Semaphore>; 4], Seams) {
    let signals = [0; 4].map(|permits| Arc::new(Semaphore::new(permits)));
    let [first_held, first_go, second_held, second_go] = signals.clone();
    let looked = AtomicU32::new(0);
    let steps = Steps::new(move |step| {
        let gate = match step {
            Step::BeforeReads if looked.fetch_add(1, Ordering::Relaxed) == 1 => {
                Some((&second_held, &second_go))
            }
            Step::BeforeDurable => Some((&first_held, &first_go)),
            _ => None,
        };
        let gate = gate.map(|(held, go)| (Arc::clone(held), Arc::clone(go)));
        Box::pin(async move {
            if let Some((held, go)) = gate {
                held.add_permits(1);
                let _ = go.acquire().await;
            }
        })
    });
    let seams = Seams {
        steps,
        ..Seams::default()
    };
    (signals, seams)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_does_not_say_that_nothing_is_known_of_what_was_begun_meanwhile() {
    let ([first_held, first_go, second_held, second_go], seams) = two_held();
    let sandbox = simulator().await;
    let gateway = Gateway::start_in(&sandbox.base_url(), &[], seams).await;
    let first = order(FRESH);
    let placed = spawn_create(gateway.provisioning(), &first);
    first_held.acquire().await.unwrap().forget();
    let too_dear = api::CreateOrderRequest {
        max_price: Some(Money {
            currency_code: "EUR".into(),
            units: 0,
            nanos: 10_000_000,
        }),
        ..first
    };
    let refused = spawn_create(gateway.provisioning(), &too_dear);
    second_held.acquire().await.unwrap().forget();
    first_go.add_permits(1);
    let placed = placed.await.unwrap().unwrap();
    second_go.add_permits(1);
    let error = reason(&refused.await.unwrap().unwrap_err());
    assert_eq!(error.reason, "PRICE_ABOVE_MAXIMUM");
    assert_eq!(error.metadata["known_state"], "PLACED");
    assert_eq!(error.metadata["known_order_id"], placed.order_id);
}
