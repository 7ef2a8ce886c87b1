//! The catalog cache, proven with the simulator's counters.

use std::time::Duration;

use futures_util::future::join_all;
use tonic::{Code, Request};
use transatel_simulator::{Fault, Script};

use crate::support::gateway::{CATALOG, FRANCE, StillClock, TOKEN, TestEnv, get, is_stale, reason, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_cold_callers_cost_one_token_and_one_catalog() {
    let env = TestEnv::open().await;
    let control = env.control();
    control.queue(Script::on("GET", CATALOG).then(Fault::hold("crowd").step()));
    let calls = (0..10_000).map(|_| {
        let mut catalog = env.catalog();
        async move {
            catalog
                .get_product(get(FRANCE))
                .await
                .unwrap()
                .into_inner()
                .product
                .unwrap()
                .product_id
        }
    });
    let crowd = join_all(calls);
    let gate = async {
        control.until_held("crowd", 1).await;
        control.release("crowd");
    };
    let (ids, ()) = tokio::join!(crowd, gate);
    assert_eq!(ids.len(), 10_000);
    assert!(ids.iter().all(|id| id == FRANCE));
    assert_eq!(control.received("POST", TOKEN), 1);
    assert_eq!(control.received("GET", CATALOG), 1);
}

#[tokio::test(start_paused = true)]
async fn a_dead_provider_leaves_the_catalog_served_and_marked_stale() {
    let _still = StillClock::hold();
    let env = TestEnv::open().await;
    let mut catalog = env.catalog();
    let fresh = catalog.get_product(get(FRANCE)).await.unwrap().into_inner();
    assert!(!fresh.freshness.as_ref().unwrap().stale);
    env.control().set_dead(true).await.unwrap();
    for hours in [1, 10, 12] {
        tokio::time::advance(Duration::from_secs(hours * 3600)).await;
        let stale = catalog.get_product(get(FRANCE)).await.unwrap().into_inner();
        let freshness = stale.freshness.unwrap();
        assert!(freshness.stale);
        assert_eq!(freshness.as_of, fresh.freshness.as_ref().unwrap().as_of);
        assert_eq!(stale.product, fresh.product);
    }
    // A day later nothing is sold from it any more.
    tokio::time::advance(Duration::from_secs(2 * 3600)).await;
    drop(_still);
    let gone = reason(&catalog.get_product(get(FRANCE)).await.unwrap_err());
    assert_eq!(
        (gone.code, gone.reason.as_str()),
        (Code::Unavailable, "PROVIDER_UNAVAILABLE")
    );
    assert!(gone.details.retry_info().is_some());
}

#[tokio::test]
async fn impatient_callers_neither_cancel_nor_multiply_a_load() {
    let env = TestEnv::open().await;
    let control = env.control();
    control.queue(Script::on("GET", CATALOG).then(Fault::hold("slow").step()));
    for _ in 0..5 {
        let mut request = Request::new(get(FRANCE));
        request.set_timeout(Duration::from_millis(40));
        let late = reason(
            &env.gateway
                .untimed_catalog()
                .get_product(request)
                .await
                .unwrap_err(),
        );
        assert_eq!(
            (late.code, late.reason.as_str()),
            (Code::DeadlineExceeded, "DEADLINE_EXCEEDED")
        );
    }
    control.until_held("slow", 1).await;
    control.release("slow");
    env.catalog().get_product(get(FRANCE)).await.unwrap();
    assert_eq!(control.received("GET", CATALOG), 1);
    assert_eq!(control.received("POST", TOKEN), 1);
}

#[tokio::test]
async fn a_stale_catalog_is_refreshed_in_the_background_by_one_request() {
    let env = TestEnv::with(&[("CATALOG__FRESH_FOR", "1s")]).await;
    let control = env.control();
    env.catalog().get_product(get(FRANCE)).await.unwrap();
    control.queue(Script::on("GET", CATALOG).then(Fault::hold("refresh").step()));
    until("the catalog is stale", async || {
        is_stale(&mut env.catalog()).await
    })
    .await;
    let calls = (0..100).map(|_| {
        let mut catalog = env.catalog();
        async move { is_stale(&mut catalog).await }
    });
    assert!(
        join_all(calls).await.into_iter().all(|stale| stale),
        "nobody waits for the refresh"
    );
    control.until_held("refresh", 1).await;
    assert_eq!(control.received("GET", CATALOG), 2);
    control.release("refresh");
    until("the catalog is fresh again", async || {
        !is_stale(&mut env.catalog()).await
    })
    .await;
}

#[tokio::test]
async fn a_failed_cold_load_is_not_repeated_at_once() {
    let env = TestEnv::with(&[("TRANSATEL__READ_ATTEMPTS", "1")]).await;
    let control = env.control();
    control.queue(Script::on("GET", CATALOG).then(Fault::status(503).step().forever()));
    let calls = (0..50).map(|_| {
        let mut catalog = env.catalog();
        async move { reason(&catalog.get_product(get(FRANCE)).await.unwrap_err()).reason }
    });
    assert!(
        join_all(calls)
            .await
            .iter()
            .all(|reason| reason == "PROVIDER_UNAVAILABLE")
    );
    assert_eq!(control.received("GET", CATALOG), 1);
    control.clear_faults();
    until("the next load", async || {
        env.catalog().get_product(get(FRANCE)).await.is_ok()
    })
    .await;
    assert_eq!(control.received("GET", CATALOG), 2);
}
