//! A product that PostgreSQL's statistics do not know yet.

use sqlx::{Connection as _, Executor as _, PgConnection};
use transatel_gateway_client::connectivity::v1::OrderState;
use transatel_simulator::Criteria;

use super::*;
use crate::support::gateway::{TestEnv, until};
use crate::writes::orders;

/// Settled orders of ten products for 2,000 SIMs.
const KNOWN: &str = "INSERT INTO orders (id, request_id, msisdn, product_id, reference, state, created_at, updated_at, \
    attempt, baseline, sent_by, checks, act) \
    SELECT CAST(gen_random_uuid() AS TEXT), CAST(gen_random_uuid() AS TEXT), '88247' || (1000000000 + i % 2000), \
    'P' || i % 10, '', 'placed', 1, 1, 1, '[]', 1, 0, 'buy' FROM generate_series(1, 20000) AS i";

const READ: &str = "SELECT COALESCE(SUM(idx_scan) FILTER (WHERE indexrelname = 'orders_one_per_request'), 0)::BIGINT, \
    COALESCE(SUM(idx_tup_read) FILTER (WHERE indexrelname = 'orders_of_product'), 0)::BIGINT \
    FROM pg_stat_user_indexes";

const ORDERS: usize = 40;

/// It expects no orders of such a product, and would read all of them for each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_of_a_new_product_reads_no_other_orders_of_it() {
    let Some(address) = postgres::database().await else {
        return;
    };
    let env = TestEnv::with(&[("STORE__URL", &address)]).await;
    let mut connection = PgConnection::connect(&address).await.unwrap();
    connection.execute(KNOWN).await.unwrap();
    connection.execute("ANALYZE orders").await.unwrap();
    let mut client = env.provisioning();
    for sim in env.control().find_sims(Criteria::FRESH, ORDERS) {
        let placed = orders::create(&mut client, &orders::order(&sim.msisdn))
            .await
            .unwrap();
        assert_eq!(placed.state(), OrderState::Placed);
    }
    // What connections have read is counted when they end.
    env.gateway.stop().await;
    let mut read: (i64, i64) = (0, 0);
    until("all reads are counted", async || {
        read = sqlx::query_as(READ).fetch_one(&mut connection).await.unwrap();
        read.0 >= 2 * ORDERS as i64
    })
    .await;
    assert_eq!(read.1, 0, "entries of orders_of_product");
}
