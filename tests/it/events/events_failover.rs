//! A database that is replaced by a standby that lagged behind: numbers of
//! events are given again, under the same name of the log.

use serde_json::json;
use sqlx::{Connection as _, Executor as _, PgConnection};
use transatel_gateway_client::connectivity::v1::{
    Event, ListEventsRequest, StreamEventsRequest, stream_events_response::Message,
};

use crate::events::streams::{Follower, after, from_the_beginning};
use crate::events::webhook::{client, deliver, envelope};
use crate::support::gateway::{Events, Gateway, SECRET, SOON, Secret, reason, until};
use crate::support::postgres;

struct Log {
    gateway: Gateway,
    store: String,
    events: Events,
    client: reqwest::Client,
}

impl Log {
    async fn open() -> Option<Self> {
        let store = postgres::database().await?;
        let secret = Secret::new(SECRET);
        let quick = [("EVENTS__HEARTBEAT", "100ms"), ("EVENTS__POLL_INTERVAL", "50ms")];
        let settings = [&secret.settings()[..], &[("STORE__URL", &*store)], &quick].concat();
        let gateway = Gateway::start("http://127.0.0.1:9", &settings).await;
        Some(Self {
            events: gateway.events(),
            client: client(),
            gateway,
            store,
        })
    }

    async fn post(&self, ids: &[&str]) {
        for id in ids {
            let body = envelope(id, "T", json!({}));
            assert_eq!(
                deliver(&self.client, &self.gateway.webhook(), body).await,
                Some(204)
            );
        }
    }

    /// The standby had received no more than so many events.
    async fn fail_over(&self, received: u32) {
        let mut server = PgConnection::connect(&self.store).await.unwrap();
        let delete = format!("DELETE FROM events WHERE sequence > {received}");
        let reset = format!("UPDATE event_log SET last_sequence = {received}");
        let mut transaction = server.begin().await.unwrap();
        transaction.execute(sqlx::AssertSqlSafe(reset)).await.unwrap();
        transaction.execute(sqlx::AssertSqlSafe(delete)).await.unwrap();
        transaction.commit().await.unwrap();
    }

    /// The next event after a token.
    async fn next(&self, token: &str) -> Result<Event, tonic::Status> {
        let mut events = self.events.clone();
        let within = std::time::Instant::now() + SOON;
        let mut stream = events.stream_events(after(token)).await?.into_inner();
        loop {
            assert!(std::time::Instant::now() < within, "no event, and no end");
            if let Some(Message::Event(event)) = stream.message().await?.unwrap().message {
                return Ok(event);
            }
        }
    }

    async fn page(&self, token: &str, page_size: i32) -> Result<(Vec<String>, String), tonic::Status> {
        let request = ListEventsRequest {
            page_token: token.into(),
            page_size,
            ..Default::default()
        };
        let page = self.events.clone().list_events(request).await?.into_inner();
        let ids = page.events.into_iter().map(|event| event.event_id);
        Ok((ids.collect(), page.next_page_token))
    }
}

/// Reads a stream to its end; gives what came and why it ended.
async fn end(mut follower: Follower) -> (Vec<String>, String) {
    let mut ids = Vec::new();
    let within = std::time::Instant::now() + SOON;
    loop {
        assert!(std::time::Instant::now() < within, "it does not end: {ids:?}");
        match follower.message().await {
            Ok(Some(Message::Event(event))) => ids.push(event.event_id),
            Ok(Some(Message::Heartbeat(_))) => {}
            Ok(None) => return (ids, String::new()),
            Err(status) => return (ids, reason(&status).reason),
        }
    }
}

const INVALID: &str = "EVENT_CURSOR_INVALID";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_of_a_lost_future_is_refused_and_nothing_is_skipped() {
    let Some(log) = Log::open().await else {
        return;
    };
    log.post(&["1", "2", "3", "4", "5"]).await;
    let mut follower = Follower::start(&mut log.events.clone(), from_the_beginning()).await;
    let mut tokens = vec![follower.token.clone()];
    for _ in 0..5 {
        follower.event().await;
        tokens.push(follower.token.clone());
    }
    let (_, pages_of_four) = log.page("", 4).await.unwrap();
    let (_, pages_of_three) = log.page("", 3).await.unwrap();
    drop(follower);
    log.fail_over(3).await;
    log.post(&["4b", "5b", "6b"]).await;
    // What was read before may be shown until somebody looks.
    until("the log is looked at", async || {
        log.next(&tokens[3])
            .await
            .is_ok_and(|event| event.event_id == "4b")
    })
    .await;
    for (token, expected) in [
        (&tokens[0], Ok("1")),
        (&tokens[2], Ok("3")),
        (&tokens[3], Ok("4b")),
        (&tokens[4], Err(INVALID)),
        (&tokens[5], Err(INVALID)),
    ] {
        let found = log.next(token).await;
        let found = found.as_ref().map(|event| event.event_id.as_str());
        assert_eq!(
            found.map_err(|status| reason(status).reason),
            expected.map_err(str::to_owned)
        );
    }
    let (ids, _) = log.page(&pages_of_three, 3).await.unwrap();
    assert_eq!(ids, ["4b", "5b", "6b"]);
    let refused = log.page(&pages_of_four, 4).await.unwrap_err();
    assert_eq!(reason(&refused).reason, INVALID);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_across_a_failover_ends_and_skips_nothing() {
    let Some(log) = Log::open().await else {
        return;
    };
    log.post(&["1", "2", "3"]).await;
    // One has seen what is lost, the other has not.
    let mut ahead = Follower::start(&mut log.events.clone(), from_the_beginning()).await;
    for _ in 0..3 {
        ahead.event().await;
    }
    log.fail_over(2).await;
    // It ends when nothing comes, too.
    assert_eq!(end(ahead).await, (vec![], INVALID.into()));

    let mut follower = Follower::start(&mut log.events.clone(), StreamEventsRequest::default()).await;
    log.post(&["3b"]).await;
    assert_eq!(follower.event().await.event_id, "3b");
    // Before anybody looks the number is given again.
    log.fail_over(2).await;
    log.post(&["3c", "4c"]).await;
    assert_eq!(end(follower).await, (vec![], INVALID.into()));
    // A follower that begins now sees all that there is.
    let mut follower = Follower::start(&mut log.events.clone(), from_the_beginning()).await;
    for id in ["1", "2", "3c", "4c"] {
        assert_eq!(follower.event().await.event_id, id);
    }
}
