//! A follower that resumes by itself.

use tonic::transport::Channel;
use transatel_gateway_client::connectivity::v1::{ErrorReason, EventFilter};
use transatel_gateway_client::{Follower, Position, Reason, Update};

use crate::events::webhook::EventSource;
use crate::support::gateway::{SOON, violations};

fn follow(source: &EventSource, position: Position) -> Follower<Channel> {
    Follower::new(source.gateway.events(), EventFilter::default(), position)
}

async fn next(follower: &mut Follower<Channel>) -> Update {
    let update = tokio::time::timeout(SOON, follower.next());
    update.await.expect("there is something to report").unwrap()
}

/// The next event's id and the token after it.
async fn event(follower: &mut Follower<Channel>) -> (String, String) {
    loop {
        match next(follower).await {
            Update::Event { event, token } => return (event.event_id, token),
            Update::Quiet { token } => assert!(!token.is_empty()),
            other => panic!("{other:?}"),
        }
    }
}

/// Streams that ended because they were old.
async fn ended(source: &EventSource) -> u32 {
    let metrics = source.gateway.metrics().await;
    let mut lines = metrics.lines();
    let line = lines.find(|line| {
        line.starts_with("transatel_gateway_events_streams_ended_total") && line.contains(r#"why="in_time""#)
    });
    line.map_or(0, |line| line.rsplit_once(' ').unwrap().1.parse().unwrap())
}

#[tokio::test]
async fn a_follower_sees_every_event_once_over_many_ends_of_streams() {
    let source = EventSource::open(&[("EVENTS__MAX_STREAM_AGE", "100ms")]).await;
    let mut follower = follow(&source, Position::Earliest);
    let mut sent = 0;
    let mut seen = Vec::new();
    // Some events wait while no stream is open.
    while ended(&source).await < 5 {
        source.send_many(sent..sent + 3).await;
        sent += 3;
        while seen.len() < sent as usize {
            seen.push(event(&mut follower).await);
        }
    }
    let ids: Vec<String> = seen.iter().map(|(id, _)| id.clone()).collect();
    let all: Vec<String> = (0..sent).map(|id| id.to_string()).collect();
    assert_eq!(ids, all);
    assert!(follower.trouble().is_none());

    // Another process goes on with the token that was stored.
    let (_, token) = seen.swap_remove(0);
    let mut resumed = follow(&source, Position::After(token));
    for id in &all[1..] {
        assert_eq!(event(&mut resumed).await.0, *id);
    }
}

#[tokio::test]
async fn a_follower_that_begins_with_the_next_event_has_a_token_before_it() {
    let source = EventSource::open(&[]).await;
    source.send_many(0..2).await;
    let mut follower = follow(&source, Position::Latest);
    let Update::Quiet { token } = next(&mut follower).await else {
        panic!("the position comes first");
    };
    // It ends here: what comes now is not missed by the next one.
    drop(follower);
    source.send_many(2..3).await;
    let mut resumed = follow(&source, Position::After(token));
    assert_eq!(event(&mut resumed).await.0, "2");
}

#[tokio::test]
async fn a_follower_whose_token_is_of_another_log_says_so_and_goes_on() {
    let source = EventSource::open(&[]).await;
    source.send_many(0..2).await;
    let mut follower = follow(&source, Position::After("foreign".into()));
    let lost = Update::Lost {
        reason: ErrorReason::EventCursorInvalid,
    };
    assert_eq!(next(&mut follower).await, lost);
    assert_eq!(event(&mut follower).await.0, "0");
    assert_eq!(event(&mut follower).await.0, "1");
}

#[tokio::test]
async fn a_follower_ends_with_what_does_not_go_away_by_itself() {
    let source = EventSource::open(&[]).await;
    let filter = EventFilter {
        raw_types: vec![String::new()],
        ..Default::default()
    };
    let mut follower = Follower::new(source.gateway.events(), filter, Position::Earliest);
    for _ in 0..2 {
        let status = tokio::time::timeout(SOON, follower.next())
            .await
            .unwrap()
            .unwrap_err();
        assert_eq!(Reason::of(&status).reason, ErrorReason::InvalidRequest);
        assert_eq!(violations(&status), ["filter.raw_types[0]"]);
    }
}

#[tokio::test]
async fn a_follower_waits_for_a_gateway_that_cannot_be_reached() {
    let source = EventSource::open(&[]).await;
    source.send_many(0..1).await;
    let mut follower = follow(&source, Position::Earliest);
    event(&mut follower).await;
    let ((), ()) = tokio::join!(source.gateway.stop(), async {
        // Dropped again and again, as in a `select!`: nothing is skipped.
        while follower.trouble().is_none() {
            let slice = std::time::Duration::from_millis(20);
            if let Ok(update) = tokio::time::timeout(slice, follower.next()).await {
                assert!(matches!(update.unwrap(), Update::Quiet { .. }));
            }
        }
    });
    let reason = Reason::of(follower.trouble().unwrap());
    assert!(reason.is_transient(), "{reason:?}");
}
