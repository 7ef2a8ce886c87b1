//! How often an order waits for PostgreSQL.

use sqlx::{Connection as _, Executor as _, PgConnection};
use transatel_gateway_client::connectivity::v1::OrderState;
use transatel_simulator::Criteria;

use crate::support::gateway::TestEnv;
use crate::support::relay::Relay;
use crate::support::trips::{PING, Trips};

use super::*;
use crate::writes::orders;

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
async fn a_call_for_a_number_waits_for_postgresql_three_times() {
    let Some(address) = postgres::database().await else {
        return;
    };
    let relay = Relay::start(&postgres::socket(&address)).await;
    let trips = relay.read_along();
    let store = postgres::through(&relay, &address);
    let env = TestEnv::with(&[("STORE__URL", &store)]).await;
    let mut client = env.provisioning();
    let sims = env.control().find_sims(Criteria::FRESH, 4);
    let steps = [
        (
            "the request or its slot",
            "SELECT generation, in_flight, reserved, id",
        ),
        (
            "the request, or begins",
            "SELECT id, request_id, iccid, msisdn, product_id, activation",
        ),
        ("the slot", "SELECT CAST(COALESCE(SUM(attempt)"),
        ("settles", "UPDATE orders SET state = $3"),
    ];
    for sim in sims {
        trips.take();
        let request = orders::order(&sim.msisdn);
        let order = client
            .create_order(request)
            .await
            .unwrap()
            .into_inner()
            .order
            .unwrap();
        assert_eq!(order.state(), OrderState::Placed);
        let asked = trips.take();
        let asked: Vec<&str> = asked
            .iter()
            .filter_map(|sql| steps.iter().find(|(_, start)| sql.starts_with(start)))
            .map(|(step, _)| *step)
            .collect();
        assert_eq!(
            asked,
            ["the request or its slot", "the request, or begins", "settles"]
        );
    }
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

/// Each row that is deleted makes its commit 6 ms longer.
const SLOW_COMMITS: &str = "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS \
    $$ BEGIN PERFORM pg_sleep(0.006); RETURN NULL; END $$; \
    CREATE CONSTRAINT TRIGGER slow AFTER DELETE ON orders DEFERRABLE INITIALLY DEFERRED \
    FOR EACH ROW EXECUTE FUNCTION wait()";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_commits_do_not_make_the_batches_of_a_purge_small() {
    let Some(address) = postgres::database().await else {
        return;
    };
    let relay = Relay::start(&postgres::socket(&address)).await;
    let trips = relay.read_along();
    let ledger = open_postgres(&postgres::through(&relay, &address)).await;
    for sim in 0..60 {
        let record = begun(&*ledger, wanted(sim, "P", request(sim.into()))).await;
        settled(&*ledger, &record, placed(Some("S")), 1).await;
    }
    let mut connection = PgConnection::connect(&address).await.unwrap();
    connection.execute(SLOW_COMMITS).await.unwrap();
    trips.take();
    assert_eq!(ledger.purge(at(2)).await.unwrap(), 60);
    let batches = trips.take();
    let batches = batches.iter().filter(|sql| sql.starts_with("DELETE FROM orders"));
    // 11 of one row and more, the number of which depends on how busy the machine is; 61 when
    // each has one.
    let batches = batches.count();
    assert!((11..60).contains(&batches), "{batches}");
}
