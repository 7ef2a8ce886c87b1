//! What an error says of the request is what the ledger holds when it is given.

use std::sync::atomic::{AtomicU32, Ordering};

use transatel_gateway::service::writes::steps::Step;

use super::*;
use crate::support::frozen::{Frozen, seams};
use crate::support::gateway::{Gateway, simulator};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_does_not_say_that_nothing_is_known_of_what_was_begun_meanwhile() {
    // The first call before it begins, and the second one after it has found nothing.
    let [first, second] = [(); 2].map(|()| Frozen::new());
    let (at_begin, at_reads, looked) = (first.clone(), second.clone(), AtomicU32::new(0));
    let seams = seams(move |step| match step {
        Step::BeforeReads if looked.fetch_add(1, Ordering::Relaxed) == 1 => Some(at_reads.clone()),
        Step::BeforeDurable => Some(at_begin.clone()),
        _ => None,
    });
    let sandbox = simulator().await;
    let gateway = Gateway::start_in(&sandbox.base_url(), &[], seams).await;
    let request = order(FRESH);
    let placed = spawn_create(gateway.provisioning(), &request);
    first.until_reached().await;
    let too_dear = api::CreateOrderRequest {
        max_price: Some(Money {
            currency_code: "EUR".into(),
            units: 0,
            nanos: 10_000_000,
        }),
        ..request
    };
    let refused = spawn_create(gateway.provisioning(), &too_dear);
    second.until_reached().await;
    first.wake();
    let placed = placed.await.unwrap().unwrap();
    second.wake();
    let error = reason(&refused.await.unwrap().unwrap_err());
    assert_eq!(error.reason, "PRICE_ABOVE_MAXIMUM");
    assert_eq!(error.metadata["known_state"], "PLACED");
    assert_eq!(error.metadata["known_order_id"], placed.order_id);
}
