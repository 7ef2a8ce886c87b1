//! Two gateways on one PostgreSQL: what is posted to one reaches the streams
//! of the other.

use std::time::{Duration, Instant};

use serde_json::json;
use transatel_gateway_client::connectivity::v1::StreamEventsRequest;

use crate::events::streams::{Follower, after};
use crate::events::webhook::{client, deliver, envelope};
use crate::support::gateway::{Gateway, SECRET, Secret};
use crate::support::postgres;

async fn gateways(settings: &[(&str, &str)]) -> Option<[Gateway; 2]> {
    let store = postgres::database().await?;
    let secret = Secret::new(SECRET);
    let all = [&secret.settings()[..], &[("STORE__URL", &*store)], settings].concat();
    let open = || Gateway::start("http://127.0.0.1:9", &all);
    Some([open().await, open().await])
}

/// The median time from the answer to a post at one replica to the stream of
/// the other.
async fn typical(here: &Gateway, there: &Gateway) -> Duration {
    let client = client();
    let mut follower = Follower::start(&mut there.events(), StreamEventsRequest::default()).await;
    let mut times = Vec::new();
    for id in 0..21 {
        let body = envelope(&id.to_string(), "T", json!({}));
        assert_eq!(deliver(&client, &here.webhook(), body).await, Some(204));
        let taken = Instant::now();
        assert_eq!(follower.event().await.event_id, id.to_string());
        times.push(taken.elapsed());
    }
    // The median: other tests use the same processors.
    times.sort();
    times[times.len() / 2]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_reaches_the_other_replica_by_notification() {
    // It would not be found by looking.
    let Some([here, there]) = gateways(&[("EVENTS__POLL_INTERVAL", "1h")]).await else {
        return;
    };
    typical(&here, &there).await;
    // A token of one is good at the other.
    let mut begun = Follower::start(&mut here.events(), crate::events::streams::from_the_beginning()).await;
    begun.event().await;
    let mut resumed = Follower::start(&mut there.events(), after(&begun.token)).await;
    assert_eq!(resumed.event().await.event_id, "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_reaches_the_other_replica_by_looking() {
    let settings = [("EVENTS__WAKE", "poll"), ("EVENTS__POLL_INTERVAL", "100ms")];
    let Some([here, there]) = gateways(&settings).await else {
        return;
    };
    let typical = typical(&here, &there).await;
    // Far more than the interval: the machine may be busy.
    assert!(typical < Duration::from_secs(3), "{typical:?}");
}
