//! Events that no reader expects: what is stored reaches every follower, as
//! far as it can be read, and keeps nobody from what comes after it.

use prost_types::value::Kind;
use prost_types::{Struct, Value};
use serde_json::json;
use sqlx::{Connection as _, Executor as _, PgConnection};

use crate::events::streams::{Follower, from_the_beginning};
use crate::events::webhook::{EventSource, all, client, deliver, envelope};
use crate::support::gateway::{Gateway, SECRET, Secret};
use crate::support::postgres;

/// Levels below the attributes, and whether what is at the bottom is there.
fn depth(attributes: &Struct) -> (usize, bool) {
    let mut levels = 0;
    let mut value: &Value = &attributes.fields["deep"];
    loop {
        match value.kind.as_ref() {
            Some(Kind::ListValue(list)) => value = &list.values[0],
            Some(Kind::StringValue(text)) => return (levels, text == "bottom"),
            other => {
                assert_eq!(other, Some(&Kind::NullValue(0)));
                return (levels, false);
            }
        }
        levels += 1;
    }
}

#[tokio::test]
async fn an_event_that_is_nested_too_deep_is_shown_without_its_depths() {
    let source = EventSource::open(&[]).await;
    let mut events = source.gateway.events();
    let mut follower = Follower::start(&mut events, from_the_beginning()).await;
    for levels in [1, 10, 33, 60, 110] {
        let mut deep = json!("bottom");
        for _ in 0..levels {
            deep = json!([deep]);
        }
        let body = json!({ "msisdn": "882470000000001", "deep": deep });
        source.send(levels, "T", body).await;
        let event = follower.event().await;
        assert_eq!(event.event_id, levels.to_string());
        assert_eq!(event.sim.unwrap().msisdn, "882470000000001");
        let (shown, whole) = depth(event.attributes.as_ref().unwrap());
        assert_eq!(whole, levels <= 10, "{levels}");
        assert!(shown == levels || (12..20).contains(&shown), "{levels}: {shown}");
    }
    let ids: Vec<String> = all(&mut events)
        .await
        .into_iter()
        .map(|event| event.event_id)
        .collect();
    assert_eq!(ids, ["1", "10", "33", "60", "110"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_row_is_shown_as_far_as_it_can_be_read_and_stops_nobody() {
    let Some(store) = postgres::database().await else {
        return;
    };
    let secret = Secret::new(SECRET);
    let settings = [&secret.settings()[..], &[("STORE__URL", &*store)]].concat();
    let gateway = Gateway::start("http://127.0.0.1:9", &settings).await;
    let client = client();
    for id in ["1", "2", "3", "4"] {
        let body = envelope(id, "T", json!({ "msisdn": "882470000000001", "id": id }));
        assert_eq!(deliver(&client, &gateway.webhook(), body).await, Some(204));
    }
    let mut server = PgConnection::connect(&store).await.unwrap();
    for damage in [
        "UPDATE events SET body = '{' WHERE sequence = 1",
        "UPDATE events SET msisdn = 'nonsense', order_id = NULL, request_id = 'x' WHERE sequence = 3",
    ] {
        server.execute(damage).await.unwrap();
    }
    // A process that has none of it in memory.
    let other = Gateway::start("http://127.0.0.1:9", &settings).await;
    let mut follower = Follower::start(&mut other.events(), from_the_beginning()).await;
    let mut found = Vec::new();
    for _ in 0..4 {
        let event = follower.event().await;
        let attributes = event.attributes.unwrap_or_default().fields.len();
        found.push((event.event_id, event.sim.unwrap_or_default().msisdn, attributes));
    }
    let number = "882470000000001".to_owned();
    let expected = [
        ("1".to_owned(), number.clone(), 0),
        ("2".to_owned(), number.clone(), 2),
        ("3".to_owned(), String::new(), 2),
        ("4".to_owned(), number, 2),
    ];
    assert_eq!(found, expected);
    let metrics = other.metrics().await;
    let damaged = metrics
        .lines()
        .find(|line| line.starts_with("transatel_gateway_events_damaged_total"));
    assert!(damaged.is_some_and(|line| !line.ends_with(" 0")), "{damaged:?}");
}
