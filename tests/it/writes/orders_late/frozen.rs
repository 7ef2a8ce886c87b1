//! Processes that stand still for longer than their lease, and wake.

use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::{Connection as _, PgConnection, Row as _};
use transatel_gateway::app::Seams;
use transatel_gateway::service::writes::steps::{Step, Steps};
use transatel_gateway_client::connectivity::v1::OrderState;
use transatel_simulator::Visibility;

use super::{FRESH, SOON, hide};
use crate::support::frozen::Frozen;
use crate::support::gateway::{Gateway, ORDERS, simulator, spawn, until};
use crate::support::postgres;
use crate::writes::orders::{create, order, spawn_create, until_state};

/// Does something at the first order that reaches a step.
pub fn at(step: Step, what: impl Fn() + Send + Sync + 'static) -> Seams {
    let done = AtomicBool::new(false);
    let steps = Steps::new(move |reached| {
        if reached == step && !done.swap(true, Ordering::Relaxed) {
            what();
        }
        Box::pin(std::future::ready(()))
    });
    Seams {
        steps,
        ..Seams::default()
    }
}

/// Of the one that freezes: as short as can be, since its end is waited for.
const SHORT: (&str, &str) = ("ORDERS__LEASE", "1s");
/// Of the other: what it sends is not to be late.
const LONG: (&str, &str) = ("ORDERS__LEASE", "4s");
/// Not in the time of the first order.
const LOADS_CATALOG_FIRST: (&str, &str) = ("CATALOG__WARM_UP", "10s");

/// A gateway that will freeze, and one that will not, on one PostgreSQL.
async fn two(base_url: &str, step: Step, more: &[(&str, &str)]) -> Option<(Frozen, Gateway, Gateway)> {
    let store = postgres::database().await?;
    Some(two_on(&store, base_url, step, more).await)
}

async fn two_on(
    store: &str,
    base_url: &str,
    step: Step,
    more: &[(&str, &str)],
) -> (Frozen, Gateway, Gateway) {
    let settings = |lease| {
        let own = [lease, LOADS_CATALOG_FIRST, ("STORE__URL", store)];
        [SOON.as_slice(), &own, more].concat()
    };
    let (frozen, seams) = Frozen::after(0, step);
    let freezes = Gateway::start_in(base_url, &settings(SHORT), seams).await;
    let other = Gateway::start(base_url, &settings(LONG)).await;
    (frozen, freezes, other)
}

/// How often the table of orders was looked into, as the server counts.
async fn reads(store: &str) -> i64 {
    let mut connection = PgConnection::connect(store).await.unwrap();
    let row = sqlx::query("SELECT idx_scan + seq_scan FROM pg_stat_user_tables WHERE relname = 'orders'")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    row.get(0)
}

const CALLS: i64 = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_201_that_is_written_down_after_not_placed_counts() {
    let sandbox = simulator().await;
    let Some((frozen, freezes, other)) = two(&sandbox.base_url(), Step::Answered, &[]).await else {
        return;
    };
    let control = sandbox.control();
    hide(&control, FRESH, Visibility::Never);
    control.clear_faults();
    let request = order(FRESH);
    let call = spawn_create(freezes.provisioning(), &request);
    frozen.until_reached().await;
    let mut client = other.provisioning();
    until_state(&mut client, &request, OrderState::NotPlaced).await;
    frozen.wake();
    assert_eq!(call.await.unwrap().unwrap().state(), OrderState::Placed);
    assert_eq!(
        create(&mut client, &request).await.unwrap().state(),
        OrderState::Placed
    );
    assert_eq!(control.received("POST", ORDERS), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_wakes_after_its_lease_sends_nothing() {
    let sandbox = simulator().await;
    let Some((frozen, freezes, other)) = two(&sandbox.base_url(), Step::Durable, &[]).await else {
        return;
    };
    let control = sandbox.control();
    let request = order(FRESH);
    let call = spawn_create(freezes.provisioning(), &request);
    frozen.until_reached().await;
    let mut client = other.provisioning();
    until_state(&mut client, &request, OrderState::NotPlaced).await;
    // The other one buys it.
    let placed = create(&mut client, &request).await.unwrap();
    assert_eq!(placed.state(), OrderState::Placed);
    frozen.wake();
    assert_eq!(call.await.unwrap().unwrap(), placed, "what the ledger knows");
    assert_eq!(control.received("POST", ORDERS), 1);
    assert_eq!(control.sim(FRESH).unwrap().bought().count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_wait_for_another_processes_order_ask_the_ledger_as_one() {
    let sandbox = simulator().await;
    let slow = [
        ("ORDERS__LEASE", "60s"),
        ("ORDERS__RECONCILE_AFTER", "10s"),
        ("ORDERS__RECONCILE_AT_MOST", "10s"),
        ("ORDERS__SETTLE_WINDOW", "30s"),
    ];
    let Some(store) = postgres::database().await else {
        return;
    };
    let (frozen, freezes, other) = two_on(&store, &sandbox.base_url(), Step::Durable, &slow).await;
    let request = order(FRESH);
    let call = spawn_create(freezes.provisioning(), &request);
    frozen.until_reached().await;
    let before = reads(&store).await;
    let waiting: Vec<_> = (0..CALLS)
        .map(|_| {
            let (mut client, request) = (other.provisioning(), request.clone());
            spawn(async move { create(&mut client, &request).await })
        })
        .collect();
    // Each looks once, and then all wait together: one question each 50 ms, where it would
    // be thousands in this time. The server counts with a delay of up to a second, and on a
    // busy machine many of the first looks may be counted late.
    until("each has looked", async || reads(&store).await - before >= CALLS).await;
    let (started, before) = (std::time::Instant::now(), reads(&store).await);
    until("they have waited", async || started.elapsed().as_millis() > 1_500).await;
    let asked = reads(&store).await - before;
    assert!(asked < 10 * CALLS, "{asked} reads");
    frozen.wake();
    for waiting in waiting {
        assert_eq!(waiting.await.unwrap().unwrap().state(), OrderState::Placed);
    }
    assert_eq!(call.await.unwrap().unwrap().state(), OrderState::Placed);
    assert_eq!(sandbox.control().received("POST", ORDERS), 1);
}
