//! A move that is killed (`kill -9`): the target is empty or whole, no
//! gateway starts on the old ledger before that is known, and the same command
//! again ends the move.

use jiff::Timestamp;
use sqlx::{Connection as _, PgConnection, Row as _};
use tokio::io::AsyncBufReadExt as _;
use transatel_gateway::config::{Store, StoreUrl};
use transatel_gateway::domain::Clock;
use transatel_gateway::domain::event::Event;
use transatel_gateway::domain::write::{State, WriteId};
use transatel_gateway::store::events::{Arrival, Extent, Incoming, Logged};
use transatel_gateway::store::moves::Step;
use transatel_gateway::store::{self, Key, Opened, Record};

use super::{Harness, move_ledger, url};
use crate::support::postgres;
use crate::support::process::{Process, command};
use crate::support::stopping;
use crate::writes::ledger::{at, in_state};

const EVENTS: usize = 400;
/// And those of the orders that have an outcome.
const OUTCOMES: usize = 4;

pub(super) async fn open(url: StoreUrl) -> Result<Opened, String> {
    let opened = store::open(
        &Store {
            url,
            connections: 2,
            operation_timeout: crate::support::postgres::OPERATION_TIMEOUT,
        },
        Clock::system(),
    )
    .await;
    opened.map_err(|error| error.to_string())
}

async fn open_file(harness: &Harness) -> Result<Opened, String> {
    open(StoreUrl::File(harness.file.clone())).await
}

/// Everything that can be asked of a ledger.
#[derive(Debug, PartialEq)]
pub(super) struct Contents {
    orders: Vec<Record>,
    events: Vec<Logged>,
    log: Extent,
}

async fn contents(opened: &Opened, ids: &[WriteId]) -> Contents {
    let mut orders = Vec::new();
    for id in ids {
        orders.extend(opened.ledger.find(Key::Write(*id)).await.unwrap());
    }
    Contents {
        orders,
        events: opened.events.events_after(0, 10_000).await.unwrap(),
        log: opened.events.extent().await.unwrap(),
    }
}

/// A ledger with an order in every state, and events that quote all that may
/// be in a text.
pub(super) async fn fill(harness: &Harness) -> (Vec<WriteId>, Contents) {
    let opened = open_file(harness).await.unwrap();
    let mut ids = Vec::new();
    for (sim, state) in (1..).zip(State::ALL) {
        ids.push(in_state(&*opened.ledger, sim, state).await.write.id);
    }
    let arrival = |number: usize| {
        let event = Event {
            id: format!("{number}"),
            raw_type: "a\\N \t\r\n \"'\u{1F4F1}".into(),
            occurred_at: number.is_multiple_of(2).then_some(Timestamp::UNIX_EPOCH),
            received_at: at(0),
            subscription_id: Some(String::new()),
            product_id: Some("\\.".into()),
            order_id: ids.get(number).copied(),
            infrastructure: number.is_multiple_of(3),
            ..Event::default()
        };
        let body = format!("{{\"padding\":\"{}\"}}", "\\n\u{e9}".repeat(200));
        Arrival::Event(Box::new(Incoming { event, body }))
    };
    let unreadable = Arrival::Unreadable {
        body: bytes::Bytes::from_static(b"\xff\0{"),
        reason: "no JSON",
        received_at: at(0),
    };
    let mut arrivals: Vec<Arrival> = (0..EVENTS).map(arrival).collect();
    arrivals.push(unreadable);
    opened.events.append(arrivals).await.unwrap();
    let contents = contents(&opened, &ids).await;
    assert_eq!(
        (contents.orders.len(), contents.events.len()),
        (6, EVENTS + OUTCOMES)
    );
    (ids, contents)
}

/// Rows in the tables of a database, the log's head aside; 0 before there are
/// tables.
pub(super) async fn rows(url: &str) -> i64 {
    let mut server = PgConnection::connect(url).await.unwrap();
    let counted = sqlx::query(
        "SELECT (SELECT COUNT(*) FROM orders) + (SELECT COUNT(*) FROM events) \
         + (SELECT COUNT(*) FROM unreadable_events) + (SELECT COUNT(*) FROM moves)",
    )
    .fetch_one(&mut server)
    .await;
    match counted {
        Ok(row) => row.get(0),
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("42P01") => 0,
        Err(error) => panic!("{error}"),
    }
}

/// With the note of the move.
const WHOLE: i64 = 6 + (EVENTS + OUTCOMES) as i64 + 1 + 1;

/// The target holds what the source held, and the source is closed.
async fn assert_moved(harness: &Harness, to: &str, ids: &[WriteId], before: &Contents) {
    assert_eq!(rows(to).await, WHOLE);
    let target = open(StoreUrl::parse(to).unwrap()).await.unwrap();
    assert_eq!(contents(&target, ids).await, *before);
    let refusal = open_file(harness).await.err().unwrap();
    assert!(
        refusal.contains("was moved to postgres://postgres@localhost/"),
        "{refusal}"
    );
    // Its numbers go on where the source's ended.
    let next = Event {
        id: "next".into(),
        raw_type: "T".into(),
        received_at: at(9),
        ..Event::default()
    };
    let next = Incoming {
        event: next,
        body: "{}".into(),
    };
    let appended = target
        .events
        .append(vec![Arrival::Event(Box::new(next))])
        .await
        .unwrap();
    let sequence = (EVENTS + OUTCOMES) as u64 + 1;
    assert_eq!(
        appended,
        [store::events::Appended::New {
            sequence,
            order_id: None
        }]
    );
}

/// A move that stops at a step.
fn stopping(harness: &Harness, to: &str, step: Step) -> Process {
    stopping::move_until(step, &url(&harness.file), to)
}

async fn kill_at(harness: &Harness, to: &str, step: Step) {
    let mut process = stopping(harness, to, step);
    process.logged("stopped at a step").await;
    process.signal("KILL").await;
    assert_eq!(process.ended().await, None, "{step:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_every_step_it_is_ended_by_the_same_command_again() {
    for step in Step::ALL {
        let Some(to) = postgres::database().await else {
            return;
        };
        let harness = Harness::new();
        let (ids, before) = fill(&harness).await;
        kill_at(&harness, &to, step).await;
        let committed = matches!(step, Step::Committed | Step::Ended);
        // The server may not have noticed yet; the next move waits for that.
        crate::support::gateway::until("the target is empty or whole", async || {
            rows(&to).await == if committed { WHOLE } else { 0 }
        })
        .await;
        match (step, open_file(&harness).await) {
            (Step::Ready, Ok(opened)) => assert_eq!(contents(&opened, &ids).await, before),
            (Step::Ready, Err(error)) => panic!("{error}"),
            (Step::Ended, opened) => assert!(opened.err().unwrap().contains("was moved to")),
            (_, opened) => {
                let refusal = opened.err().unwrap();
                assert!(refusal.contains("run move-ledger again"), "{step:?}: {refusal}");
            }
        }
        // Who saw that everything is there may have begun to use it.
        let _early = if committed {
            open(StoreUrl::parse(&to).unwrap()).await.ok()
        } else {
            None
        };
        let (code, out, err) = move_ledger(&harness.file, &to, &[]).await;
        if step == Step::Ended {
            assert_eq!(code, Some(1));
            assert!(err.contains("was moved to"), "{err}");
        } else {
            assert_eq!(code, Some(0), "{step:?}: {err}");
            assert_eq!(out.contains("was in"), committed, "{step:?}: {out}");
        }
        assert_moved(&harness, &to, &ids, &before).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_whatever_moment_nothing_is_lost() {
    let Some(to) = postgres::database().await else {
        return;
    };
    let harness = Harness::new();
    let (ids, before) = fill(&harness).await;
    let mut whole = false;
    for turn in 0.. {
        let from = url(&harness.file);
        let mut child = command(&["move-ledger", "--from", &from, "--to", &to], &[])
            .stderr(std::process::Stdio::piped())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        // Later each time, counted from when there is something to disturb.
        let mut stderr = tokio::io::BufReader::new(child.stderr.take().unwrap()).lines();
        let begun = stderr.next_line().await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(4 * turn)).await;
        child.start_kill().unwrap();
        let ended = child.wait().await.unwrap();
        assert!(ended.code().is_none_or(|code| code == 0), "{turn}: {ended}");
        assert!(begun.is_some(), "{turn}");
        let held = rows(&to).await;
        assert!(held == 0 || held == WHOLE, "{turn}: {held} of {WHOLE}");
        whole = whole || held == WHOLE;
        if ended.success() || whole {
            break;
        }
    }
    assert!(whole);
    // Cut off between the two commits or not, this finds out.
    let (_, _, err) = move_ledger(&harness.file, &to, &[]).await;
    assert!(err.is_empty() || err.contains("was moved to"), "{err}");
    assert_moved(&harness, &to, &ids, &before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_that_was_cut_off_goes_to_its_target_or_is_abandoned() {
    let (Some(to), Some(other)) = (postgres::database().await, postgres::database().await) else {
        return;
    };
    let harness = Harness::new();
    let (ids, before) = fill(&harness).await;
    let (code, _, err) = move_ledger(&harness.file, &to, &["--abandon"]).await;
    assert_eq!(code, Some(1));
    assert!(err.contains("there is nothing to abandon"), "{err}");

    kill_at(&harness, &to, Step::Copied).await;
    let (code, _, err) = move_ledger(&harness.file, &other, &[]).await;
    assert_eq!(code, Some(1));
    assert!(err.contains("this target is another database"), "{err}");
    assert_eq!(rows(&other).await, 0);

    let (code, out, err) = move_ledger(&harness.file, &to, &["--abandon"]).await;
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("may be started"), "{out}");
    let opened = open_file(&harness).await.unwrap();
    assert_eq!(contents(&opened, &ids).await, before);
    drop(opened);
    let (code, _, err) = move_ledger(&harness.file, &other, &[]).await;
    assert_eq!(code, Some(0), "{err}");
    assert_moved(&harness, &other, &ids, &before).await;

    // Once it is whole there is no way back.
    let harness = Harness::new();
    let (ids, before) = fill(&harness).await;
    kill_at(&harness, &to, Step::Committed).await;
    let (code, out, err) = move_ledger(&harness.file, &to, &["--abandon"]).await;
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("was in"), "{out}");
    assert_moved(&harness, &to, &ids, &before).await;
}
