//! The SQL of the ledger, one text for both databases. Values are always
//! placeholders; only names of states are put into the texts.

use sqlx::{AssertSqlSafe, SqlSafeStr as _, SqlStr};

use crate::domain::write::State;

/// States in flight, as the partial indexes `orders_one_in_flight` and
/// `orders_in_flight` have them.
macro_rules! in_flight {
    () => {
        "state IN ('submitting', 'unknown', 'needs_operator')"
    };
}
pub(super) use in_flight;

/// The other states, as the partial index `orders_over` has them.
macro_rules! over {
    () => {
        "state IN ('placed', 'rejected', 'not_placed')"
    };
}
pub(super) use over;

/// Rows that are over and have nothing left to check, by the index
/// `orders_over`.
macro_rules! forgettable {
    () => {
        concat!(
            over!(),
            " AND updated_at < $1 AND (state IN ('rejected', 'not_placed') AND next_check_at IS NULL \
             OR state = 'placed' AND (subscription_id IS NOT NULL OR next_check_at IS NULL))"
        )
    };
}

/// Rows that are checked when it is due.
macro_rules! watched {
    () => {
        "(state IN ('unknown', 'not_placed', 'rejected') OR state = 'placed' AND subscription_id IS NULL)"
    };
}

/// An event that carries the order's reference proves that it was carried out.
/// Not `LIKE`, which ignores letter case in SQLite.
macro_rules! confirmed {
    () => {
        "EXISTS (SELECT 1 FROM events WHERE events.order_id = orders.id \
         AND SUBSTR(events.type, 1, 12) = 'OCS/PRODUCT/')"
    };
}

/// Every column that a record is read from.
macro_rules! columns {
    () => {
        "id, request_id, iccid, msisdn, product_id, activation, reference, max_price_currency, \
         max_price_units, max_price_nanos, caller, state, subscription_id, provider_reference, \
         failure_reason, failure_provider_code, failure_provider_request_id, created_at, updated_at, \
         next_check_at, attempt, baseline, sent_by, checks, act, details, first_baseline, checked_at, \
         absent_for, watched_for, note, noted_by, activation_used, pool, reservation_id, list_price_currency, \
         list_price_units, list_price_nanos, list_price_as_of, list_price_version"
    };
}
pub(super) use columns;

pub(super) const FIND: SqlStr =
    SqlStr::from_static(concat!("SELECT ", columns!(), " FROM orders WHERE id = $1"));

pub(super) const FIND_REQUEST: SqlStr = SqlStr::from_static(concat!(
    "SELECT ",
    columns!(),
    " FROM orders WHERE request_id = $1"
));

pub(super) const DATABASE_TIME: SqlStr =
    SqlStr::from_static("SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT) AS now");

/// The rows of the slot `$1`, `$2`: a SIM has few. A product may have most of all
/// rows, also one for which PostgreSQL expects none because its statistics are older:
/// the concatenation keeps it from the index of products.
macro_rules! of_slot {
    () => {
        "msisdn = $1 AND product_id || '' = $2"
    };
}

/// The status of the slot `$1`, `$2`, from rows that fulfil one more condition.
macro_rules! slot_status {
    ($condition:literal) => {
        concat!(
            "SELECT CAST(COALESCE(SUM(attempt), 0) AS BIGINT) AS generation, MIN(CASE WHEN ",
            in_flight!(),
            " THEN id END) AS in_flight, (SELECT CAST(COUNT(*) AS BIGINT) FROM stock WHERE stock.msisdn = $1 \
             AND stock.state = 'reserved') AS reserved FROM orders WHERE ",
            of_slot!(),
            $condition
        )
    };
}

pub(super) const SLOT_STATUS: SqlStr = SqlStr::from_static(slot_status!(""));

/// The record of the request `$3`, whose columns are empty when there is none, and
/// only then the status of the slot: its rows are not read for a repeat. PostgreSQL
/// only.
pub(super) const LOOK_UP: SqlStr = SqlStr::from_static(concat!(
    "SELECT generation, in_flight, reserved, ",
    columns!(),
    " FROM (",
    slot_status!(" AND NOT EXISTS (SELECT 1 FROM orders AS known WHERE known.request_id = $3)"),
    ") AS slot LEFT JOIN orders ON request_id = $3"
));

/// Every purchase for a SIM.
pub(super) const SIM_PURCHASES: SqlStr = SqlStr::from_static(
    "SELECT id, state, attempt, iccid, subscription_id, CAST(CASE WHEN state IN ('not_placed', 'rejected') \
     AND next_check_at IS NOT NULL THEN 1 ELSE 0 END AS BIGINT) AS watched \
     FROM orders WHERE msisdn = $1 AND act = 'buy' ORDER BY id",
);

/// Values: `row::new_row`.
pub(super) const INSERT: SqlStr = SqlStr::from_static(concat!(
    "INSERT INTO orders (id, request_id, iccid, msisdn, product_id, activation, reference, \
     max_price_currency, max_price_units, max_price_nanos, caller, created_at, updated_at, baseline, \
     sent_by, lease_until, act, details, owner, activation_used, list_price_currency, list_price_units, \
     list_price_nanos, list_price_as_of, list_price_version, pool, reservation_id, sent_day, state, attempt, \
     checks) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, \
     $23, $24, $25, $26, $27, $13 / 86400000000, 'submitting', 1, 0) \
     ON CONFLICT DO NOTHING RETURNING ",
    columns!()
));

/// Values: `row::new_row` and the generation. PostgreSQL only.
pub(super) const BEGIN_FIRST: SqlStr = SqlStr::from_static(concat!(
    "SELECT ",
    columns!(),
    " FROM begin_order($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, \
     $20, $21, $22, $23, $24, $25, $26)"
));

/// The next check stays planned: it applies again when the repeat is released.
pub(super) const REPEAT: SqlStr = SqlStr::from_static(concat!(
    "UPDATE orders SET state = 'submitting', attempt = attempt + 1, subscription_id = NULL, \
     provider_reference = NULL, failure_reason = NULL, failure_provider_code = NULL, \
     failure_provider_request_id = NULL, iccid = COALESCE($3, iccid), updated_at = $4, \
     first_baseline = COALESCE(first_baseline, baseline), baseline = $5, sent_by = $6, lease_until = $6, \
     owner = $7, activation_used = $8, list_price_currency = $9, list_price_units = $10, \
     list_price_nanos = $11, list_price_as_of = $12, list_price_version = $13, \
     sent_day = $4 / 86400000000 WHERE id = $1 AND attempt = $2 AND state = 'not_placed' AND NOT ",
    confirmed!(),
    " RETURNING ",
    columns!()
));

pub(super) const SET_ACTIVATION_USED: SqlStr =
    SqlStr::from_static("UPDATE orders SET activation_used = $3 WHERE id = $1 AND attempt = $2");

/// Purchases that were first requested after `$2`; `$1` is less than their ids,
/// which are in the order of creation. A sale from the stock is one, however many
/// of its SIMs are refused: such an order has lost its `request_id` to the next.
macro_rules! new_orders {
    () => {
        "id >= $1 AND created_at > $2 AND act = 'buy' AND request_id <> id"
    };
}

/// Those of the caller `$3`.
pub(super) const NEW_ORDERS: SqlStr = SqlStr::from_static(concat!(
    "SELECT COUNT(*) AS orders, MIN(created_at) AS oldest FROM orders WHERE caller = $3 AND ",
    new_orders!()
));

/// The same of callers that are not known.
pub(super) const NEW_ORDERS_OF_UNKNOWN: SqlStr = SqlStr::from_static(concat!(
    "SELECT COUNT(*) AS orders, MIN(created_at) AS oldest FROM orders WHERE caller IS NULL AND ",
    new_orders!()
));

/// The same by caller, which is empty when it is not known.
pub(super) const NEW_ORDERS_BY_CALLER: SqlStr = SqlStr::from_static(concat!(
    "SELECT COALESCE(caller, '') AS caller, COUNT(*) AS orders FROM orders WHERE ",
    new_orders!(),
    " GROUP BY COALESCE(caller, '')"
));

/// Whether events prove that an order was carried out.
pub(super) const CONFIRMED: SqlStr = SqlStr::from_static(concat!(
    "SELECT COUNT(*) AS confirmed FROM orders WHERE id = $1 AND ",
    confirmed!()
));

pub(super) const RELEASE_FIRST: SqlStr = SqlStr::from_static(
    "DELETE FROM orders WHERE id = $1 AND attempt = $2 AND attempt = 1 AND state = 'submitting'",
);

pub(super) const RELEASE_REPEATED: SqlStr = SqlStr::from_static(
    "UPDATE orders SET state = 'not_placed', lease_until = NULL, updated_at = $3 \
     WHERE id = $1 AND attempt = $2 AND attempt > 1 AND state = 'submitting'",
);

/// What is in flight becomes `UNKNOWN`: `$1` now.
macro_rules! take_over {
    () => {
        concat!(
            "UPDATE orders SET state = 'unknown', checks = 0, next_check_at = $1, updated_at = $1, \
             checked_at = NULL, absent_for = 0, watched_for = 0, \
             sent_by = CASE WHEN lease_until > sent_by THEN lease_until ELSE sent_by END, lease_until = NULL \
             WHERE ",
            in_flight!(),
            " AND state = 'submitting'"
        )
    };
}

/// A check that was made due meanwhile is not postponed.
pub(super) const POSTPONE: SqlStr = SqlStr::from_static(concat!(
    "UPDATE orders SET checks = checks + 1, lease_until = NULL, checked_at = $3, absent_for = $4, \
     watched_for = $5, next_check_at = CASE WHEN next_check_at = $6 THEN $7 ELSE next_check_at END \
     WHERE id = $1 AND attempt = $2 AND ",
    watched!()
));

/// A row that cannot be read waits, so that others are processed.
pub(super) const PUT_OFF: SqlStr =
    SqlStr::from_static("UPDATE orders SET lease_until = NULL, next_check_at = $2 WHERE id = $1");

/// Also while a check is running, which may have read too early.
pub(super) const MAKE_DUE: SqlStr = SqlStr::from_static(concat!(
    "UPDATE orders SET next_check_at = $2, lease_until = NULL \
     WHERE (provider_reference = $1 OR id = $1) AND next_check_at IS NOT NULL AND ",
    watched!()
));

pub(super) const CLAIMED: SqlStr = SqlStr::from_static(
    "SELECT subscription_id FROM orders \
     WHERE msisdn = $1 AND id <> $2 AND subscription_id IS NOT NULL ORDER BY id",
);

pub(super) const RIVALS: SqlStr = SqlStr::from_static(concat!(
    "SELECT COUNT(*) AS rivals FROM orders WHERE ",
    of_slot!(),
    " AND id <> $3 AND act = 'buy' AND (",
    in_flight!(),
    " OR state = 'placed' AND subscription_id IS NULL \
     OR state IN ('not_placed', 'rejected') AND next_check_at IS NOT NULL)"
));

/// The condition occurs twice: PostgreSQL rechecks only the outer one when a
/// row was changed meanwhile, and what became `SUBMITTING` must stay.
pub(super) const PURGE: SqlStr = SqlStr::from_static(concat!(
    "DELETE FROM orders WHERE id IN (SELECT id FROM orders WHERE ",
    forgettable!(),
    " LIMIT $2) AND ",
    forgettable!()
));

/// What is in flight is counted, and the totals of the rest are kept by
/// triggers.
pub(super) const COUNTS: SqlStr = SqlStr::from_static(concat!(
    "SELECT act, state, COUNT(*) AS writes FROM orders WHERE ",
    in_flight!(),
    " GROUP BY act, state UNION ALL SELECT act, state, writes FROM order_totals WHERE writes <> 0 \
     ORDER BY act, state"
));

/// With the changes that are not in the totals yet.
pub(super) const POSTGRES_COUNTS: SqlStr = SqlStr::from_static(concat!(
    "SELECT act, state, COUNT(*) AS writes FROM orders WHERE ",
    in_flight!(),
    " GROUP BY act, state UNION ALL SELECT act, state, CAST(SUM(writes) AS BIGINT) AS writes FROM \
     (SELECT act, state, writes FROM order_totals UNION ALL SELECT act, state, writes FROM order_changes) \
     AS kept GROUP BY act, state HAVING SUM(writes) <> 0 ORDER BY act, state"
));

/// When the oldest `UNKNOWN` order changed its state.
pub(super) const UNKNOWN_SINCE: SqlStr = SqlStr::from_static(concat!(
    "SELECT MIN(updated_at) AS since FROM orders WHERE ",
    in_flight!(),
    " AND state = 'unknown'"
));

/// Those of a state in flight that have been in it for longest: `$1` state, `$2` at
/// most.
pub(super) const OLDEST_IN_FLIGHT: SqlStr = SqlStr::from_static(concat!(
    "SELECT id, act, state, updated_at FROM orders WHERE ",
    in_flight!(),
    " AND state = $1 ORDER BY updated_at LIMIT $2"
));

/// For SQLite, when this process is the file's only user: the holders of leases
/// are dead. A lease is of an order in flight, or of one that is checked, and each
/// has an index: nothing reads all orders.
pub(super) const END_LEASES: [SqlStr; 2] = [
    SqlStr::from_static(concat!(
        "UPDATE orders SET lease_until = 0 WHERE lease_until > 0 AND ",
        in_flight!()
    )),
    SqlStr::from_static(
        "UPDATE orders SET lease_until = 0 WHERE lease_until > 0 AND next_check_at IS NOT NULL",
    ),
];

/// Makes every row in flight `UNKNOWN`: `$1` now.
pub(super) const TAKE_OVER_ALL: SqlStr = SqlStr::from_static(take_over!());

/// The same for those whose lease has ended, or lies beyond `$3`, and that
/// process `$2` does not carry out itself.
pub(super) const TAKE_OVER_DEAD: SqlStr = SqlStr::from_static(concat!(
    take_over!(),
    " AND (lease_until <= $1 OR lease_until > $3) AND (owner IS NULL OR owner <> $2)"
));

/// Leases what is due: `$1` now, `$2` the lease, `$3` the horizon. The limit is in
/// the text: SQLite prepares a statement anew whenever a bound limit is set.
pub(super) fn take_due(skip_locked: &'static str, limit: i64) -> SqlStr {
    AssertSqlSafe(format!(
        "WITH due AS (SELECT id AS due_id FROM orders WHERE (next_check_at <= $1 OR next_check_at > $3) \
         AND (lease_until IS NULL OR lease_until <= $1 OR lease_until > $3) AND {} \
         ORDER BY next_check_at, id LIMIT {limit} {skip_locked}) \
         UPDATE orders SET lease_until = $2 FROM due WHERE id = due_id RETURNING {}",
        watched!(),
        columns!()
    ))
    .into_sql_str()
}

/// Settles an attempt; values: `operations::settle`. A refused repeat says
/// nothing about the attempts before it, which are still checked. The domain
/// decides which states may become `next`; with `names_subscription`, a placed
/// order without a subscription gets it, and one that has it gets the other new
/// values. `placed` is true of the order, whichever attempt it resulted from.
pub(super) fn settle(next: State, names_subscription: bool, by_operator: bool) -> SqlStr {
    let from = State::ALL.into_iter().filter(|state| state.may_become(next));
    let from = names(from);
    let fills = if names_subscription {
        " OR state = 'placed' AND (subscription_id IS NULL OR subscription_id = $4)"
    } else {
        ""
    };
    let unless = match next {
        State::NotDone if !by_operator => concat!(" AND NOT ", confirmed!()),
        _ => "",
    };
    // Another SIM of the pool is tried for the request, which is free for that.
    let request_id = match next {
        State::Rejected => {
            "request_id = CASE WHEN pool IS NOT NULL AND attempt = 1 \
             AND $6 IN ('sim_not_found', 'sim_status_not_eligible') \
             AND NOT EXISTS (SELECT 1 FROM orders AS other WHERE other.request_id = orders.id) \
             THEN id ELSE request_id END, "
        }
        _ => "",
    };
    AssertSqlSafe(format!(
        "UPDATE orders SET {request_id}state = $3, subscription_id = $4, \
         provider_reference = COALESCE($5, provider_reference), failure_reason = $6, \
         failure_provider_code = $7, failure_provider_request_id = $8, \
         next_check_at = CASE WHEN $3 = 'rejected' AND attempt > 1 THEN next_check_at ELSE $9 END, \
         sent_by = COALESCE($10, sent_by), checks = CASE WHEN state = $3 THEN checks ELSE 0 END, \
         absent_for = CASE WHEN state = $3 THEN absent_for ELSE 0 END, \
         watched_for = CASE WHEN state = $3 THEN watched_for ELSE 0 END, checked_at = $11, \
         updated_at = CASE WHEN state = $3 THEN updated_at ELSE $11 END, lease_until = NULL, \
         note = COALESCE($12, note), noted_by = CASE WHEN $12 IS NULL THEN noted_by ELSE $13 END \
         WHERE id = $1 AND (attempt = $2 OR $3 = 'placed') AND (state IN ({from}){fills}){unless} RETURNING {}",
        columns!()
    ))
    .into_sql_str()
}

/// The names of states as literals. In the order of `State::ALL` and without
/// duplicates, so that there are few texts to prepare.
pub(super) fn names(states: impl Iterator<Item = State>) -> String {
    let wanted: Vec<State> = states.collect();
    let names = State::ALL.into_iter().filter(|state| wanted.contains(state));
    let quoted: Vec<String> = names.map(|state| format!("'{}'", state.order_name())).collect();
    quoted.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_states_in_flight_are_the_domains() {
        let in_flight = State::ALL.into_iter().filter(|state| state.is_in_flight());
        assert_eq!(in_flight!(), format!("state IN ({})", names(in_flight)));
    }

    #[test]
    fn both_schemas_know_every_state_and_the_same_states_in_flight() {
        let all = names(State::ALL.into_iter());
        for schema in [
            include_str!("../../migrations/sqlite/0001_orders.sql"),
            include_str!("../../migrations/postgres/0001_orders.sql"),
        ] {
            assert!(schema.contains(&all), "{schema}");
            assert!(schema.contains(concat!("WHERE ", in_flight!())), "{schema}");
        }
    }
}
