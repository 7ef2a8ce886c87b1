//! The token, proven with the simulator's counters.

use std::time::Duration;

use tonic::Code;
use transatel_gateway_client::connectivity::v1::CheckEligibilityRequest;
use transatel_simulator::{Fault, Script};

use crate::support::gateway::{FRANCE, PRODUCTS, StillClock, TOKEN, TestEnv, by_msisdn, get, reason, until};

/// A call that is never cached and needs a token.
fn live() -> CheckEligibilityRequest {
    CheckEligibilityRequest {
        sim: by_msisdn("882470000000001"),
        product_ids: vec![FRANCE.into()],
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_lives_a_minute_is_refreshed_ahead_of_its_end() {
    let _still = StillClock::hold();
    let env = TestEnv::open().await;
    let control = env.control();
    control.configure(|settings| settings.token_lifetime = Duration::from_secs(60));
    let mut catalog = env.catalog();
    catalog.check_eligibility(live()).await.unwrap();
    tokio::time::advance(Duration::from_secs(45)).await;
    catalog.check_eligibility(live()).await.unwrap();
    assert_eq!(control.received("POST", TOKEN), 1, "it is still good");
    tokio::time::advance(Duration::from_secs(7)).await;
    catalog.check_eligibility(live()).await.unwrap();
    until("the refresh", async || control.received("POST", TOKEN) == 2).await;
    until("the new token is used", async || {
        catalog.check_eligibility(live()).await.unwrap();
        let sent = control.requests();
        let used: std::collections::BTreeSet<_> = sent
            .iter()
            .filter(|request| request.route == Some(PRODUCTS))
            .map(|request| request.headers["authorization"].clone())
            .collect();
        used.len() == 2
    })
    .await;
    tokio::time::advance(Duration::from_secs(10)).await;
    catalog.check_eligibility(live()).await.unwrap();
    assert_eq!(
        control.counters().unauthorized,
        0,
        "no call ever met an expired token"
    );
}

#[tokio::test]
async fn a_revoked_token_costs_one_401_and_one_replay() {
    let env = TestEnv::open().await;
    let control = env.control();
    let mut catalog = env.catalog();
    catalog.check_eligibility(live()).await.unwrap();
    control.revoke_tokens();
    catalog.check_eligibility(live()).await.unwrap();
    assert_eq!(control.counters().unauthorized, 1);
    assert_eq!(control.received("POST", TOKEN), 2);
    assert_eq!(control.received("GET", PRODUCTS), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_that_meet_a_revoked_token_together_share_the_new_one() {
    let env = TestEnv::open().await;
    let control = env.control();
    env.catalog().check_eligibility(live()).await.unwrap();
    control.revoke_tokens();
    let calls = (0..100).map(|_| {
        let mut catalog = env.catalog();
        async move { catalog.check_eligibility(live()).await.unwrap() }
    });
    futures_util::future::join_all(calls).await;
    assert_eq!(control.received("POST", TOKEN), 2);
}

#[tokio::test]
async fn an_api_that_refuses_a_fresh_token_is_our_fault_not_the_callers() {
    let env = TestEnv::open().await;
    let control = env.control();
    control.queue(Script::on("GET", PRODUCTS).then(Fault::Unauthorized.step().forever()));
    let refused = reason(&env.catalog().check_eligibility(live()).await.unwrap_err());
    assert_eq!(
        (refused.code, refused.reason.as_str()),
        (Code::Internal, "PROVIDER_CREDENTIALS_REJECTED")
    );
    assert_eq!(control.received("GET", PRODUCTS), 2);
}

#[tokio::test(start_paused = true)]
async fn an_api_that_refuses_every_token_does_not_cost_a_token_a_call() {
    let _still = StillClock::hold();
    let env = TestEnv::open().await;
    let control = env.control();
    control.queue(Script::on("GET", PRODUCTS).then(Fault::Unauthorized.step().forever()));
    let mut catalog = env.catalog();
    for _ in 0..200 {
        let refused = reason(&catalog.check_eligibility(live()).await.unwrap_err());
        assert_eq!(refused.reason, "PROVIDER_CREDENTIALS_REJECTED");
    }
    // The first one, and three instead of it that were refused too.
    assert_eq!(control.received("POST", TOKEN), 4);
    // An hour of one call a second is a handful of requests.
    for _ in 0..3600 {
        tokio::time::advance(Duration::from_secs(1)).await;
        catalog.check_eligibility(live()).await.unwrap_err();
    }
    let asked = control.received("POST", TOKEN);
    assert!((10..=25).contains(&asked), "{asked}");
    // Other APIs go on with the token that is there, and an API that takes it
    // again is noticed at once.
    env.inventory()
        .get_inventory(transatel_gateway_client::connectivity::v1::GetInventoryRequest {
            sim: by_msisdn("882470000000001"),
            ..Default::default()
        })
        .await
        .unwrap();
    control.clear_faults();
    catalog.check_eligibility(live()).await.unwrap();
    assert_eq!(control.received("POST", TOKEN), asked);
    // A token that is revoked after a quiet time is replaced at once again.
    tokio::time::advance(Duration::from_secs(1200)).await;
    control.revoke_tokens();
    catalog.check_eligibility(live()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn refused_credentials_do_not_hammer_the_token_endpoint() {
    let _still = StillClock::hold();
    let env = TestEnv::open().await;
    let control = env.control();
    control.configure(|settings| settings.credentials_refused = true);
    for _ in 0..200 {
        let refused = reason(&env.catalog().check_eligibility(live()).await.unwrap_err());
        assert_eq!(
            (refused.code, refused.reason.as_str()),
            (Code::Internal, "PROVIDER_CREDENTIALS_REJECTED")
        );
        assert_eq!(refused.metadata["provider_code"], "invalid_client");
    }
    assert_eq!(control.received("POST", TOKEN), 1);
    // An hour of one call a second is a handful of requests.
    for _ in 0..3600 {
        tokio::time::advance(Duration::from_secs(1)).await;
        env.catalog().check_eligibility(live()).await.unwrap_err();
    }
    let asked = control.received("POST", TOKEN);
    assert!((10..=20).contains(&asked), "{asked}");
    // Mended credentials are noticed.
    control.configure(|settings| settings.credentials_refused = false);
    tokio::time::advance(Duration::from_secs(301)).await;
    env.catalog().check_eligibility(live()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_token_endpoint_that_is_down_is_survived_while_the_old_token_lives() {
    let _still = StillClock::hold();
    let env = TestEnv::open().await;
    let control = env.control();
    env.catalog().check_eligibility(live()).await.unwrap();
    control.queue(Script::on("POST", TOKEN).then(Fault::status(500).step().forever()));
    tokio::time::advance(Duration::from_secs(3590)).await;
    for _ in 0..20 {
        env.catalog().check_eligibility(live()).await.unwrap();
    }
    tokio::time::advance(Duration::from_secs(9)).await;
    let down = reason(&env.catalog().check_eligibility(live()).await.unwrap_err());
    assert_eq!(
        (down.code, down.reason.as_str()),
        (Code::Unavailable, "PROVIDER_UNAVAILABLE")
    );
}

#[tokio::test]
async fn the_token_request_is_what_the_provider_documents() {
    let env = TestEnv::with(&[(
        "TRANSATEL__SCOPES",
        "CATALOG_PRODUCTS_READ,INVENTORY_SUBSCRIPTIONS_READ",
    )])
    .await;
    env.catalog().get_product(get(FRANCE)).await.unwrap();
    let sent = env.control().requests();
    let token = sent.iter().find(|request| request.route == Some(TOKEN)).unwrap();
    assert_eq!(
        token.body,
        "grant_type=client_credentials&scope=CATALOG_PRODUCTS_READ+INVENTORY_SUBSCRIPTIONS_READ"
    );
    assert_eq!(token.headers["content-type"], "application/x-www-form-urlencoded");
    assert!(token.headers["authorization"].starts_with("Basic"));
}
