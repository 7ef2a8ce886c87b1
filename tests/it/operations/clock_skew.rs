//! A clock that is not the provider's or the database's, as a running gateway
//! shows it.

use jiff::SignedDuration;
use transatel_gateway_client::connectivity::v1 as api;

use crate::support::gateway::{TestEnv, by_msisdn, until};
use crate::support::postgres;

/// How far the gateway says that its clock is ahead.
async fn offset(env: &TestEnv, reference: &str) -> Option<f64> {
    let metrics = env.gateway.metrics().await;
    let start = "transatel_gateway_clock_offset_seconds{";
    let label = format!("reference=\"{reference}\"");
    let mut shown = metrics
        .lines()
        .filter(|line| line.starts_with(start) && line.contains(&label));
    let (_, value) = shown.next()?.rsplit_once(' ').unwrap();
    Some(value.parse().unwrap())
}

/// A call that the provider answers.
async fn call(env: &TestEnv) {
    let request = api::CheckEligibilityRequest {
        sim: by_msisdn("882470000000001"),
        product_ids: vec![crate::support::gateway::FRANCE.into()],
    };
    env.catalog().check_eligibility(request).await.unwrap();
}

#[tokio::test]
async fn a_clock_that_is_not_the_providers_shows_in_the_metrics() {
    let env = TestEnv::open().await;
    assert_eq!(offset(&env, "provider").await, None);
    for (skew, least, most) in [(-90, 80.0, 90.0), (90, -90.0, -80.0), (0, 0.0, 0.0)] {
        let skew = SignedDuration::from_secs(skew);
        env.control().configure(|settings| settings.date_skew = skew);
        call(&env).await;
        let shown = offset(&env, "provider").await.unwrap();
        assert!((least..=most).contains(&shown), "{skew}: {shown}");
    }
    // SQLite has no clock of its own.
    assert_eq!(offset(&env, "database").await, None);
}

#[tokio::test]
async fn the_clock_of_postgresql_shows_in_the_metrics_of_an_idle_gateway() {
    let Some(url) = postgres::database().await else {
        return;
    };
    let env = TestEnv::with(&[("STORE__URL", &url)]).await;
    until("the database's clock is shown", async || {
        offset(&env, "database").await == Some(0.0)
    })
    .await;
}
