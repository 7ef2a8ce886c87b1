//! Trouble between a gateway and its PostgreSQL: a network that goes silent,
//! connections that are reset, a server that only reads, a replica that
//! freezes, and callers that do not wait for their answers. Everything works
//! again by itself within [`AGAIN`], and nothing is lost.

mod workload;

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tokio::sync::Notify;
use tonic::Request;
use transatel_gateway::config::{Store, StoreUrl};
use transatel_gateway::domain::Clock;
use transatel_gateway::domain::event::Event;
use transatel_gateway::store::events::{Appended, Arrival, Incoming};
use transatel_gateway::store::{self, Opened};
use transatel_gateway_client::connectivity::v1::{ListOrdersRequest, StreamEventsRequest};

use crate::events::streams::Follower;
use crate::support::postgres;
use crate::support::relay::Relay;
use workload::{AGAIN, CALL_TIMEOUT, Workload};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_network_that_forgets_its_connections() {
    a_silent_network_that_then(Relay::forget).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_network_that_goes_on() {
    a_silent_network_that_then(Relay::forward).await;
}

async fn a_silent_network_that_then(recovers: fn(&Relay)) {
    let Some(database) = postgres::database().await else {
        return;
    };
    let mut workload = Workload::open(&database).await;
    let mut follower = Follower::start(&mut workload.gateway.events(), StreamEventsRequest::default()).await;
    workload.until_everything_works().await;
    for parts in 1..=4 {
        workload.silence_in_an_append(parts).await;
        recovers(&workload.relay);
        workload.until_everything_works().await;
    }
    workload.until_events_are_passed_on(&mut follower).await;
    workload.nothing_is_lost().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_reset_under_load() {
    let Some(database) = postgres::database().await else {
        return;
    };
    let mut workload = Workload::open(&database).await;
    let mut follower = Follower::start(&mut workload.gateway.events(), StreamEventsRequest::default()).await;
    for _ in 0..10 {
        workload.round().await;
        workload.relay.reset();
    }
    workload.until_everything_works().await;
    workload.until_events_are_passed_on(&mut follower).await;
    workload.nothing_is_lost().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_to_a_standby_that_only_reads_and_back() {
    let Some([primary, standby]) = postgres::with_standby().await else {
        return;
    };
    let mut workload = Workload::open_patient(&primary.address()).await;
    let mut follower = Follower::start(&mut workload.gateway.events(), StreamEventsRequest::default()).await;
    workload.until_everything_works().await;
    workload.relay.switch(&postgres::socket(&standby.address()));
    for _ in 0..3 {
        workload.until_nothing_is_written().await;
    }
    // What leads connections moves new ones back and keeps the old.
    workload.relay.lead(&postgres::socket(&primary.address()));
    workload.until_everything_works().await;
    workload.everything_goes_on_working().await;
    workload.until_events_are_passed_on(&mut follower).await;
    workload.nothing_is_lost().await;
}

/// A primary that is made a standby keeps its connections, which only read
/// from then on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_only_reads_for_a_while() {
    let Some([primary, _standby]) = postgres::with_standby().await else {
        return;
    };
    let mut workload = Workload::open(&primary.address()).await;
    let mut server = PgConnection::connect(&primary.address()).await.unwrap();
    workload.until_everything_works().await;
    for (read_only, works) in [("on", false), ("off", true)] {
        for change in [
            format!("ALTER SYSTEM SET default_transaction_read_only = {read_only}"),
            "SELECT pg_reload_conf()".to_owned(),
        ] {
            let change = format!("SET default_transaction_read_only = off; {change}");
            for part in change.split("; ") {
                server.execute(AssertSqlSafe(part.to_owned())).await.unwrap();
            }
        }
        match works {
            true => workload.until_everything_works().await,
            false => workload.until_nothing_is_written().await,
        }
    }
    workload.nothing_is_lost().await;
}

#[tokio::test]
async fn a_server_that_only_reads_is_named_at_the_start() {
    let Some(database) = postgres::database().await else {
        return;
    };
    let name = database.split(['/', '?']).nth(3).unwrap();
    let mut server = PgConnection::connect(&database).await.unwrap();
    let change = format!("ALTER DATABASE {name} SET default_transaction_read_only = on");
    server.execute(AssertSqlSafe(change)).await.unwrap();
    let refused = store::open(&config(&database), Clock::system())
        .await
        .err()
        .expect("opened");
    assert_eq!(
        refused.to_string(),
        "store.url: the order ledger: error communicating with database: the server only reads: \
         it is a standby, or default_transaction_read_only is on"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_that_do_not_wait_cost_no_connections() {
    const CALLS: u32 = 600;
    let Some(database) = postgres::database().await else {
        return;
    };
    let mut workload = Workload::open(&database).await;
    workload.until_everything_works().await;
    let before = workload.relay.accepted();
    // Longer than any of them waits.
    workload.relay.delay(Duration::from_millis(20));
    let mut given_up = 0;
    for _ in 0..CALLS / 20 {
        let calls = (0..20).map(|_| {
            let mut provisioning = workload.gateway.provisioning();
            let mut request = Request::new(ListOrdersRequest::default());
            request.set_timeout(Duration::from_millis(15));
            async move { provisioning.list_orders(request).await.is_err() }
        });
        let ended = futures_util::future::join_all(calls).await;
        given_up += ended.into_iter().filter(|given_up| *given_up).count();
    }
    workload.relay.delay(Duration::ZERO);
    workload.until_everything_works().await;
    let made = workload.relay.accepted() - before;
    println!("{given_up} of {CALLS} calls gave up; {made} connections were made");
    assert!(given_up > 500, "{given_up}");
    // A pool that gives up with its callers makes one for nearly every call.
    assert!(made <= 50, "{made} connections for {given_up} calls");
}

fn config(url: &str) -> Store {
    Store {
        url: StoreUrl::parse(url).unwrap(),
        connections: 10,
        operation_timeout: Duration::from_secs(1),
    }
}

async fn open(url: &str) -> Opened {
    store::open(&config(url), Clock::system()).await.unwrap()
}

async fn open_with(url: &str, operation_timeout: Duration) -> Opened {
    let config = Store {
        operation_timeout,
        ..config(url)
    };
    store::open(&config, Clock::system()).await.unwrap()
}

fn arrival(id: String) -> Arrival {
    let event = Event {
        id,
        raw_type: "T".into(),
        received_at: Timestamp::now(),
        ..Event::default()
    };
    Arrival::Event(Box::new(Incoming {
        event,
        body: "{}".into(),
    }))
}

/// Whatever a replica was about when it froze, others can append.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_freezes_while_it_appends_holds_nobody_up() {
    let Some(database) = postgres::database().await else {
        return;
    };
    let other = open_with(&database, Duration::from_secs(5)).await.events;
    for parts in 1..=12 {
        let relay = Relay::start(&postgres::socket(&database)).await;
        // What it holds, the server would end after that long: when the other
        // one has waited for longer than it does.
        let patience = 3 * AGAIN;
        let frozen = open_with(&postgres::through(&relay, &database), patience)
            .await
            .events;
        let warm = arrival(format!("warm {parts}"));
        frozen.append(vec![warm]).await.unwrap();
        relay.silence_after(parts);
        let batch = (0..5).map(|turn| arrival(format!("{parts} {turn}"))).collect();
        // However that ends.
        let _ = tokio::time::timeout(CALL_TIMEOUT, frozen.append(batch)).await;
        relay.silence();
        let began = Instant::now();
        let appended = other.append(vec![arrival(format!("other {parts}"))]);
        let appended = tokio::time::timeout(AGAIN, appended).await;
        assert!(
            matches!(appended, Ok(Ok(_))),
            "held up after {parts} parts for {:?}: {appended:?}",
            began.elapsed()
        );
    }
}

/// A batch is one statement, whatever is in it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_of_events_is_one_statement() {
    let Some(database) = postgres::database().await else {
        return;
    };
    let name = database.split(['/', '?']).nth(3).unwrap();
    let mut server = PgConnection::connect(&database).await.unwrap();
    let logged = format!("ALTER DATABASE {name} SET log_statement = 'all'");
    server.execute(AssertSqlSafe(logged)).await.unwrap();
    let log = open(&database).await.events;
    log.append(vec![arrival("known".into())]).await.unwrap();
    let statements = || {
        let prefix = format!("{name} LOG:  ");
        let log = postgres::log(&database);
        let lines = log.lines().filter(|line| line.starts_with(&prefix));
        lines
            .map(|line| line[prefix.len()..].to_owned())
            .collect::<Vec<_>>()
    };
    let before = statements().len();
    let unreadable = Arrival::Unreadable {
        body: bytes::Bytes::from_static(b"\0"),
        reason: "no JSON",
        received_at: Timestamp::now(),
    };
    let mut batch: Vec<_> = (0..254).map(|turn| arrival(turn.to_string())).collect();
    batch.extend([arrival("known".into()), unreadable]);
    let appended = log.append(batch).await.unwrap();
    assert_eq!(appended.len(), 256);
    assert_eq!(appended[254..], [Appended::Known, Appended::Apart]);
    let statements = statements().split_off(before);
    assert_eq!(statements.len(), 1, "{statements:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_that_nobody_answers_listens_again() {
    let Some(database) = postgres::database().await else {
        return;
    };
    let relay = Relay::start(&postgres::socket(&database)).await;
    let listening = open(&postgres::through(&relay, &database)).await.events;
    let other = open(&database).await.events;
    let notify = Arc::new(Notify::new());
    let notified = async {
        // The first says that it listens.
        notify.notified().await;
        for turn in 0..3 {
            let accepted = relay.accepted();
            relay.silence();
            relay.forget();
            // Listening again.
            notify.notified().await;
            assert!(relay.accepted() > accepted);
            other.append(vec![arrival(turn.to_string())]).await.unwrap();
            notify.notified().await;
        }
    };
    tokio::select! {
        () = listening.listen(&notify) => unreachable!("it listens until it is dropped"),
        notified = tokio::time::timeout(3 * AGAIN, notified) => notified.expect("it does not listen again"),
    }
}
