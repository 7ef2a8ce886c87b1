//! A PostgreSQL of several servers, and the parameters of its address.

use std::time::Duration;

use serde_json::json;
use tokio::net::TcpListener;
use transatel_gateway::config::{Store, StoreUrl};
use transatel_gateway::domain::Clock;
use transatel_gateway::store;
use transatel_gateway_client::connectivity::v1::StreamEventsRequest;

use crate::events::streams::Follower;
use crate::events::webhook::{EventSource, envelope};
use crate::operations::commands::run;
use crate::support::gateway::{settings, until};
use crate::support::postgres;
use crate::support::relay::Relay;

/// Why a store cannot be opened; `None` when it can.
async fn refused(url: &str, operation_timeout: Duration) -> Option<String> {
    let config = Store {
        url: StoreUrl::parse(url).unwrap(),
        connections: 2,
        operation_timeout,
    };
    let opened = store::open(&config, Clock::system()).await;
    opened.err().map(|error| error.to_string())
}

/// A port that takes connections and never answers.
async fn silent() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

#[tokio::test]
async fn the_next_server_is_used_when_one_refuses_or_is_silent() {
    let Some(database) = postgres::database().await else {
        return;
    };
    let relay = Relay::start(&postgres::socket(&database)).await;
    let one = postgres::through(&relay, &database);
    let (start, name) = one.rsplit_once('/').unwrap();
    let host = relay.address();
    let silent = silent().await;
    let start = start.strip_suffix(&host.to_string()).unwrap();
    for others in ["127.0.0.1:1".to_owned(), silent.local_addr().unwrap().to_string()] {
        let url = format!("{start}{others},{host}/{name}?target_session_attrs=read-write");
        assert_eq!(refused(&url, Duration::from_secs(4)).await, None, "{others}");
    }
    // Each is named with its reason, and the password is not.
    let url = format!("postgres://shop:hunter2@127.0.0.1:1,localhost:2/{name}");
    let text = refused(&url, Duration::from_secs(4)).await.unwrap();
    for part in ["no server accepts writes", "127.0.0.1:1: ", "localhost:2: "] {
        assert!(text.contains(part), "{part} not in {text}");
    }
    assert!(!text.contains("hunter2"), "{text}");
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up_after_connect_timeout() {
    let silent = silent().await;
    let address = silent.local_addr().unwrap();
    let url = format!("postgres://shop@{address}/orders?connect_timeout=1");
    let text = refused(&url, Duration::from_secs(3_600)).await.unwrap();
    assert!(
        text.contains("did not answer within its time to connect"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_that_accepts_writes_is_found_at_the_start_and_after_a_failover() {
    let Some([primary, standby]) = postgres::with_standby().await else {
        return;
    };
    let sockets = [&standby, &primary].map(|server| postgres::socket(&server.address()));
    let relays = [Relay::start(&sockets[0]).await, Relay::start(&sockets[1]).await];
    let url = format!(
        "postgres://postgres@{},{}/postgres?target_session_attrs=read-write",
        relays[0].address(),
        relays[1].address(),
    );
    let quick = [("STORE__URL", &*url), ("STORE__OPERATION_TIMEOUT", "2s")];
    let source = EventSource::open(&quick).await;
    let mut follower = Follower::start(&mut source.gateway.events(), StreamEventsRequest::default()).await;
    source.send("before", "T", json!({})).await;
    assert_eq!(follower.event().await.event_id, "before");
    for (turn, [first, second]) in [[1, 0], [0, 1]].into_iter().enumerate() {
        relays[0].switch(&sockets[first]);
        relays[1].switch(&sockets[second]);
        let id = format!("after {turn}");
        until("events are taken again", async || {
            source.deliver(envelope(&id, "T", json!({}))).await == Some(204)
        })
        .await;
        assert_eq!(follower.event().await.event_id, id);
    }
}

#[tokio::test]
async fn what_the_driver_lacks_is_refused_in_words_that_say_so() {
    for (parameter, said) in [
        (
            "channel_binding=require",
            "store.url: the driver for PostgreSQL does not support the parameter \"channel_binding\"",
        ),
        (
            "gssencmode=disable",
            "does not support the parameter \"gssencmode\"",
        ),
        (
            "target_session_attrs=standby",
            "the ledger needs a server that accepts writes",
        ),
        ("sslmod=require", "PostgreSQL knows no parameter \"sslmod\""),
    ] {
        let url = format!("postgres://shop:hunter2@one,two:5433/orders?{parameter}");
        let environment = settings("http://127.0.0.1:9", &[("STORE__URL", &url)]);
        let (code, _, text) = run(&["check-config"], &environment).await;
        assert_eq!(code, Some(64), "{text}");
        assert!(
            text.contains(said) && !text.contains("hunter2"),
            "{said} not in {text}"
        );
    }
    let url = "postgres://shop:hunter2@one,two:5433/orders?connect_timeout=2&target_session_attrs=primary";
    let environment = settings("http://127.0.0.1:9", &[("STORE__URL", url)]);
    let (code, printed, text) = run(&["print-config"], &environment).await;
    assert_eq!(code, Some(0), "{text}");
    assert!(
        printed.contains("shop:redacted@one,two:5433/orders?"),
        "{printed}"
    );
}
