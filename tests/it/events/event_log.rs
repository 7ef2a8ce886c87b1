//! One log of events, whichever database keeps it: every check runs on a
//! SQLite file, on SQLite in memory and on PostgreSQL.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use transatel_gateway::config::StoreUrl;
use transatel_gateway::domain::event::Event;
use transatel_gateway::domain::opaque::Opaque;
use transatel_gateway::domain::write::{State, WriteId};
use transatel_gateway::domain::{Iccid, SimIds};
use transatel_gateway::store::events::{Appended, Arrival, EventLog, Incoming};
use transatel_gateway::store::{self, Ledger};

use crate::support::postgres;
use crate::writes::ledger::{
    at, begun, horizon, in_state, msisdn, open, placed, request, settled, suite_of, unknown, wanted,
};

suite_of! { crate::events::event_log::Stage:
    what_was_appended_is_read_as_it_came,
    numbers_are_in_the_order_of_the_log_and_have_no_gaps,
    an_event_that_comes_again_is_known,
    an_event_is_joined_to_its_order,
    what_cannot_be_read_is_kept_apart,
    a_mixed_batch_is_answered_in_its_order,
    the_oldest_are_forgotten_and_their_numbers_stay_theirs,
    a_clock_that_was_behind_does_not_keep_everything_for_as_long,
    many_may_append_at_once,
    a_log_keeps_its_name,
    an_order_is_made_due_by_either_name,
    time_passes_no_faster_than_it_was_seen_to_pass,
    orders_that_no_event_names_are_found,
}

/// Keeps what a log lives in.
pub struct Stage {
    pub log: Arc<dyn EventLog>,
    /// Another replica on the same store; in memory the same one again.
    pub other: Arc<dyn EventLog>,
    pub ledger: Arc<dyn Ledger>,
    _folder: Option<tempfile::TempDir>,
}

impl Stage {
    pub async fn file() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let url = || StoreUrl::File(folder.path().join("store.db"));
        let one = open(url()).await;
        Some(Self {
            log: one.events,
            other: open(url()).await.events,
            ledger: one.ledger,
            _folder: Some(folder),
        })
    }

    pub async fn memory() -> Option<Self> {
        let one = open(StoreUrl::Memory).await;
        Some(Self {
            other: one.events.clone(),
            log: one.events,
            ledger: one.ledger,
            _folder: None,
        })
    }

    pub async fn postgresql() -> Option<Self> {
        let url = postgres::database().await?;
        let one = open(StoreUrl::parse(&url).unwrap()).await;
        Some(Self {
            log: one.events,
            other: open(StoreUrl::parse(&url).unwrap()).await.events,
            ledger: one.ledger,
            _folder: None,
        })
    }
}

pub fn event(id: &str) -> Event {
    Event {
        id: id.into(),
        raw_type: "OCS/PRODUCT/ACTIVATED".into(),
        received_at: at(0),
        sim: SimIds {
            iccid: None,
            msisdn: Some(msisdn(1)),
        },
        ..Event::default()
    }
}

pub fn incoming(event: Event) -> Arrival {
    Arrival::Event(Box::new(Incoming {
        event,
        body: "{}".into(),
    }))
}

pub fn named(id: impl std::fmt::Display) -> Arrival {
    incoming(event(&id.to_string()))
}

fn new(sequence: u64) -> Appended {
    Appended::New {
        sequence,
        order_id: None,
    }
}

pub async fn ids(log: &dyn EventLog, after: u64) -> Vec<(u64, String)> {
    let page = log.events_after(after, 10_000).await.unwrap();
    page.into_iter()
        .map(|logged| (logged.sequence, logged.event.id))
        .collect()
}

async fn what_was_appended_is_read_as_it_came(stage: &Stage) {
    let whole = Event {
        occurred_at: Some(at(-5)),
        received_at: Timestamp::from_microsecond(1_800_000_000_123_456).unwrap(),
        sim: SimIds {
            iccid: Iccid::parse("8988247000000000019"),
            msisdn: Some(msisdn(7)),
        },
        subscription_id: Some("S'1".into()),
        product_id: Some("P".into()),
        transaction_id: Some("T".into()),
        infrastructure: true,
        ..event("an \"id\" é\u{1F4F1}")
    };
    let body = r#"{"b":[1,2.5,9007199254740993,"x\u0000",null,true],"a":{}}"#;
    let arrival = Arrival::Event(Box::new(Incoming {
        event: whole.clone(),
        body: body.into(),
    }));
    assert_eq!(stage.log.append(vec![arrival]).await.unwrap(), [new(1)]);
    let page = stage.other.events_after(0, 10).await.unwrap();
    assert_eq!((page.len(), page[0].sequence, &page[0].event), (1, 1, &whole));
    let Opaque::Object(members) = &page[0].attributes else {
        panic!("no object")
    };
    let list = &members.iter().find(|(name, _)| name == "b").unwrap().1;
    let text = |text: &str| Opaque::Text(text.into());
    let expected = Opaque::List(vec![
        Opaque::Number(1.0),
        Opaque::Number(2.5),
        text("9007199254740993"),
        text("x\0"),
        Opaque::Null,
        Opaque::Bool(true),
    ]);
    assert!(*list == expected);
}

async fn numbers_are_in_the_order_of_the_log_and_have_no_gaps(stage: &Stage) {
    let empty = stage.log.extent().await.unwrap();
    assert_eq!((empty.earliest, empty.latest), (1, 0));
    assert_eq!(stage.log.last_received_at().await.unwrap(), None);
    stage.log.append((1..=3).map(named).collect()).await.unwrap();
    stage.other.append(vec![named(2), named(4)]).await.unwrap();
    stage.log.append(vec![named(5)]).await.unwrap();
    let all: Vec<_> = (1..=5).map(|number: u64| (number, number.to_string())).collect();
    assert_eq!(ids(&*stage.log, 0).await, all);
    assert_eq!(ids(&*stage.other, 3).await, all[3..]);
    assert_eq!(ids(&*stage.log, 5).await, []);
    assert_eq!(stage.log.events_after(1, 2).await.unwrap().len(), 2);
    let extent = stage.other.extent().await.unwrap();
    assert_eq!((extent.earliest, extent.latest), (1, 5));
    assert_eq!(stage.other.last_received_at().await.unwrap(), Some(at(0)));
}

async fn an_event_that_comes_again_is_known(stage: &Stage) {
    let twice = vec![named("A"), named("A"), named("B")];
    assert_eq!(
        stage.log.append(twice).await.unwrap(),
        [new(1), Appended::Known, new(2)]
    );
    let mut later = event("A");
    later.received_at = at(999);
    later.raw_type = "OTHER".into();
    assert_eq!(
        stage.other.append(vec![incoming(later)]).await.unwrap(),
        [Appended::Known]
    );
    let page = stage.log.events_after(0, 10).await.unwrap();
    assert_eq!(page[0].event, event("A"), "the first one counts");
}

async fn an_event_is_joined_to_its_order(stage: &Stage) {
    let order = in_state(&*stage.ledger, 1, State::Unknown).await.write;
    let of = |id: &str, order_id| {
        incoming(Event {
            order_id: Some(order_id),
            ..event(id)
        })
    };
    let appended = stage
        .log
        .append(vec![of("A", order.id), of("B", WriteId::new())])
        .await
        .unwrap();
    let joined = Appended::New {
        sequence: 1,
        order_id: Some(order.id),
    };
    assert_eq!(appended, [joined, new(2)]);
    let page = stage.log.events_after(0, 10).await.unwrap();
    let joined: Vec<_> = page
        .iter()
        .map(|logged| (logged.event.order_id, logged.event.request_id))
        .collect();
    assert_eq!(joined, [(Some(order.id), Some(order.request_id)), (None, None)]);
}

async fn what_cannot_be_read_is_kept_apart(stage: &Stage) {
    let unreadable = Arrival::Unreadable {
        body: bytes::Bytes::from_static(b"\xff\0{"),
        reason: "no JSON",
        received_at: at(0),
    };
    let appended = stage
        .log
        .append(vec![unreadable.clone(), named("A"), unreadable.clone()])
        .await
        .unwrap();
    assert_eq!(appended, [Appended::Apart, new(1), Appended::Apart]);
    assert_eq!(ids(&*stage.log, 0).await.len(), 1);
    stage.log.append(vec![unreadable; 200]).await.unwrap();
    // With the event.
    for (seconds, expected) in [(0, 0), (1, 203), (1, 0)] {
        assert_eq!(stage.other.forget_events(at(seconds)).await.unwrap(), expected);
    }
}

async fn a_mixed_batch_is_answered_in_its_order(stage: &Stage) {
    let order = in_state(&*stage.ledger, 1, State::Unknown).await.write;
    stage.other.append(vec![named("A")]).await.unwrap();
    let of_order = incoming(Event {
        order_id: Some(order.id),
        ..event("C")
    });
    let unreadable = Arrival::Unreadable {
        body: bytes::Bytes::from_static(b"\0"),
        reason: "no JSON",
        received_at: at(0),
    };
    let mut batch = vec![named("B"), named("A"), unreadable, named("B"), of_order];
    // Both are kept as the second.
    batch.extend([named("D\0"), named("D\u{FFFD}")]);
    // None is a number, and none ends a text.
    batch.extend(["007", "7", "it's", "\"}", "\\u0000", "b"].map(named));
    let appended = stage.log.append(batch.clone()).await.unwrap();
    let joined = Appended::New {
        sequence: 3,
        order_id: Some(order.id),
    };
    let known = Appended::Known;
    let first = [new(2), known, Appended::Apart, known, joined, new(4), known];
    assert_eq!(appended[..7], first);
    assert_eq!(appended[7..], [5, 6, 7, 8, 9, 10].map(new));
    let kept = ids(&*stage.other, 4).await;
    let kept: Vec<_> = kept.iter().map(|(_, id)| id.as_str()).collect();
    assert_eq!(kept, ["007", "7", "it's", "\"}", "\\u0000", "b"]);
    let again = stage.other.append(batch).await.unwrap();
    assert!(
        again
            .iter()
            .all(|appended| !matches!(appended, Appended::New { .. }))
    );
    assert_eq!(stage.log.extent().await.unwrap().latest, 10);
}

async fn the_oldest_are_forgotten_and_their_numbers_stay_theirs(stage: &Stage) {
    let aged = |id: i64, seconds| {
        let received_at = at(seconds);
        incoming(Event {
            received_at,
            ..event(&id.to_string())
        })
    };
    // The third came late: the clocks of replicas differ.
    let ages = [10, 30, 20, 40];
    let arrivals = (1..).zip(ages).map(|(id, age)| aged(id, age)).collect();
    stage.log.append(arrivals).await.unwrap();
    assert_eq!(
        stage.log.forget_events(at(25)).await.unwrap(),
        1,
        "only a beginning"
    );
    assert_eq!(stage.other.extent().await.unwrap().earliest, 2);
    assert_eq!(stage.log.forget_events(at(35)).await.unwrap(), 2);
    assert_eq!(stage.log.forget_events(at(99)).await.unwrap(), 1);
    assert_eq!(stage.log.forget_events(at(99)).await.unwrap(), 0);
    let extent = stage.log.extent().await.unwrap();
    assert_eq!((extent.earliest, extent.latest), (5, 4));
    stage.log.append(vec![aged(5, 50)]).await.unwrap();
    assert_eq!(ids(&*stage.log, 0).await, [(5, "5".into())]);
    let many = (6..2_600).map(|id| aged(id, 60)).collect();
    stage.log.append(many).await.unwrap();
    assert_eq!(stage.log.forget_events(at(61)).await.unwrap(), 2_595);
}

async fn a_clock_that_was_behind_does_not_keep_everything_for_as_long(stage: &Stage) {
    const DAY: i64 = 24 * 3600;
    let hour = Duration::from_secs(3600);
    let log = &stage.log;
    assert_eq!(log.aged_until(at(400 * DAY), hour).await.unwrap(), at(400 * DAY));
    // What is deleted goes by the earlier of the two; what is known stays.
    assert_eq!(stage.other.aged_until(at(0), hour).await.unwrap(), at(0));
    assert_eq!(
        log.aged_until(at(400 * DAY + 3600), hour).await.unwrap(),
        at(400 * DAY + 3600)
    );
    // One that is ahead gains no more than twice what has passed.
    assert_eq!(
        log.aged_until(at(800 * DAY), hour).await.unwrap(),
        at(400 * DAY + 3 * 3600)
    );
}

async fn many_may_append_at_once(stage: &Stage) {
    const EACH: u64 = 40;
    let appends = (0..8_u64).map(|writer| {
        let log = if writer % 2 == 0 { &stage.log } else { &stage.other };
        async move {
            let mut seen = 0;
            for turn in 0..EACH {
                // Every other event is everybody's.
                let id = if turn % 2 == 0 {
                    turn
                } else {
                    1_000 * (writer + 1) + turn
                };
                log.append(vec![named(id)]).await.unwrap();
                // A concurrent reader sees no gap.
                let read = ids(&**log, seen).await;
                for (at, (sequence, _)) in (seen + 1..).zip(&read) {
                    assert_eq!(*sequence, at);
                }
                seen += read.len() as u64;
            }
        }
    });
    futures_util::future::join_all(appends).await;
    let all = ids(&*stage.log, 0).await;
    assert_eq!(all.len() as u64, EACH / 2 + 8 * EACH / 2);
    let distinct: BTreeSet<_> = all.iter().map(|(_, id)| id).collect();
    assert_eq!(distinct.len(), all.len());
}

async fn a_log_keeps_its_name(stage: &Stage) {
    let name = stage.log.extent().await.unwrap().log;
    assert_eq!(stage.other.extent().await.unwrap().log, name);
    let elsewhere = open(StoreUrl::Memory).await.events;
    assert_ne!(elsewhere.extent().await.unwrap().log, name);
}

async fn an_order_is_made_due_by_either_name(stage: &Stage) {
    let ledger = &*stage.ledger;
    let record = begun(ledger, wanted(1, "P", request(1))).await;
    let mut sent = unknown(1_000);
    if let store::Settlement::Unknown {
        provider_reference, ..
    } = &mut sent
    {
        *provider_reference = Some("TX".into());
    }
    let record = settled(ledger, &record, sent, 1).await;
    let id = record.write.id.to_string();
    let due = async |turn| {
        let taken = ledger.take_due(at(turn), at(900), horizon(), 9).await;
        taken.unwrap().len()
    };
    for (turn, name) in [(10, "TX"), (20, &id)] {
        assert_eq!(due(turn).await, 0);
        assert_eq!(ledger.make_due(name, at(turn)).await.unwrap(), 1);
        // Also when somebody has been looking for it since before.
        assert_eq!(due(turn).await, 1);
    }
    assert_eq!(ledger.make_due("ANOTHER", at(30)).await.unwrap(), 0);
    settled(ledger, &record, placed(Some("S")), 40).await;
    assert_eq!(ledger.make_due("TX", at(50)).await.unwrap(), 0, "it is settled");
}

async fn time_passes_no_faster_than_it_was_seen_to_pass(stage: &Stage) {
    const DAY: i64 = 24 * 3600;
    let day = Duration::from_secs(24 * 3600);
    stage.log.append(vec![named("A")]).await.unwrap();
    let log = &stage.log;
    let aged = async |now, elapsed| log.aged_until(at(now), elapsed).await.unwrap();
    // A clock that is 90 days ahead of the newest row.
    assert_eq!(aged(90 * DAY, Duration::ZERO).await, at(0));
    assert_eq!(aged(90 * DAY, day).await, at(2 * DAY));
    // Also when something new was written by it, and for another replica.
    let late = Event {
        received_at: at(90 * DAY),
        ..event("B")
    };
    stage.log.append(vec![incoming(late)]).await.unwrap();
    assert_eq!(
        stage.other.aged_until(at(91 * DAY), day).await.unwrap(),
        at(4 * DAY)
    );
    // One that was put right.
    assert_eq!(aged(3 * DAY, day).await, at(3 * DAY));
    assert_eq!(aged(3 * DAY + 60, day).await, at(3 * DAY + 60));
}

async fn orders_that_no_event_names_are_found(stage: &Stage) {
    let ledger = &*stage.ledger;
    let mut orders = Vec::new();
    for (sim, state) in (1..).zip(State::ALL) {
        orders.push(in_state(ledger, sim, state).await.write);
    }
    let placed = orders.iter().find(|order| order.state == State::Done).unwrap();
    let without = async |from, until| {
        let found = stage.log.orders_without_event(at(from), at(until), 10).await;
        found.unwrap()
    };
    assert_eq!(without(0, 10).await, [placed.id]);
    assert_eq!(without(2, 10).await, []);
    assert_eq!(without(0, 1).await, []);
    let sent = Event {
        order_id: Some(placed.id),
        ..event("A")
    };
    stage.log.append(vec![incoming(sent)]).await.unwrap();
    assert_eq!(without(0, 10).await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_tells_the_others_with_the_commit() {
    let Some(stage) = Stage::postgresql().await else {
        return;
    };
    let notify = Notify::new();
    let listening = stage.other.listen(&notify);
    let notified = async {
        // The first ring says that it listens.
        notify.notified().await;
        let twice = vec![named("A"), named("A")];
        stage.log.append(twice).await.unwrap();
        notify.notified().await;
        assert_eq!(ids(&*stage.other, 0).await.len(), 1);
    };
    tokio::select! {
        () = listening => unreachable!("it listens until it is dropped"),
        notified = tokio::time::timeout(crate::support::gateway::SOON, notified) => notified.unwrap(),
    }
}
