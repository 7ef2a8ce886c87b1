//! How often an order waits for PostgreSQL.

use crate::support::relay::Relay;
use crate::support::trips::{PING, Trips};

use super::*;

/// A ledger behind a relay that reads along.
async fn read_along() -> Option<(Arc<dyn Ledger>, Trips, Relay)> {
    let address = postgres::database().await?;
    let relay = Relay::start(&postgres::socket(&address)).await;
    let trips = relay.read_along();
    let ledger = open_postgres(&postgres::through(&relay, &address)).await;
    // Statements are prepared once for each connection.
    for sim in 0..20 {
        let record = begun(&*ledger, wanted(sim, "P", request(sim.into()))).await;
        settled(&*ledger, &record, placed(None), 1).await;
    }
    trips.take();
    Some((ledger, trips, relay))
}

/// Begins of what was asked. A connection that nobody has used for a moment is
/// asked first whether it still works, which may happen on a slow machine.
fn asked(trips: &Trips) -> Vec<String> {
    let asked = trips.take().into_iter().filter(|asked| asked != PING);
    asked
        .map(|sql| sql.split(['(', ' ']).take(4).collect::<Vec<_>>().join(" "))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_takes_one_round_trip_to_begin_and_one_to_settle() {
    let Some((ledger, trips, _relay)) = read_along().await else {
        return;
    };
    let record = begun(&*ledger, wanted(21, "P", request(21))).await;
    assert_eq!(asked(&trips), ["SELECT id, request_id, iccid,"]);
    settled(&*ledger, &record, placed(None), 1).await;
    assert_eq!(asked(&trips), ["UPDATE orders SET state"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_in_use_is_not_asked_whether_it_works() {
    let Some((ledger, trips, _relay)) = read_along().await else {
        return;
    };
    // Some of them follow at once, however slow the machine is.
    let mut pings = 0;
    for sim in 0..200 {
        assert_eq!(ledger.slot_status(&slot(sim, "P")).await.unwrap().in_flight, None);
        pings += usize::from(trips.take().iter().any(|asked| asked == PING));
    }
    assert!(pings < 200, "each of 200 reads was two round trips");
}
