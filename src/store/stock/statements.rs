//! The statements of the stock. Both databases run them, but for the clause
//! that locks what is picked.

use sqlx::{AssertSqlSafe, SqlSafeStr as _, SqlStr};

/// Every column that a SIM of the stock is read from, but its request.
macro_rules! sim {
    () => {
        "iccid, msisdn, pool, state, reason, delivered_at, updated_at"
    };
}

pub(super) const RESERVATION: SqlStr = SqlStr::from_static(
    "SELECT reserved.request_id, reserved.pool, reserved.state, reserved.for_sale, reserved.reference, reserved.caller, \
     reserved.order_id, reserved.created_at, reserved.looked_at, reserved.expires_at, stock.iccid, stock.msisdn \
     FROM stock_reservations AS reserved JOIN stock ON stock.card = reserved.card WHERE reserved.request_id = $1",
);

/// Without a card: waits for another transaction that makes the same.
pub(super) const RESERVE: SqlStr = SqlStr::from_static(
    "INSERT INTO stock_reservations (request_id, pool, card, state, reference, caller, created_at, expires_at, \
     updated_at, for_sale) VALUES ($1, $2, '', 'held', $3, $4, $5, $6, $5, $7) ON CONFLICT DO NOTHING",
);

pub(super) const FORGET_RESERVATION: SqlStr =
    SqlStr::from_static("DELETE FROM stock_reservations WHERE request_id = $1");

/// Excludes every other change of the reservation until the end of the
/// transaction.
pub(super) const LOCK_RESERVATION: SqlStr = SqlStr::from_static(
    "UPDATE stock_reservations SET updated_at = updated_at WHERE request_id = $1 RETURNING state, card, pool, for_sale, \
     caller",
);

/// `$1` the pool, `$2` the request, `$3` now.
pub(super) fn take(skip_locked: &'static str) -> SqlStr {
    AssertSqlSafe(format!(
        "UPDATE stock SET state = 'reserved', request_id = $2, updated_at = $3 WHERE card = \
         (SELECT card FROM stock WHERE pool = $1 AND state = 'available' ORDER BY place LIMIT 1 {skip_locked}) \
         RETURNING card"
    ))
    .into_sql_str()
}

pub(super) const HOLD: SqlStr = SqlStr::from_static(
    "UPDATE stock_reservations SET card = $2, state = 'held', order_id = NULL, looked_at = NULL, expires_at = $3, \
     updated_at = $4 WHERE request_id = $1",
);

/// With the time that it has.
pub(super) const HOLD_NEXT: SqlStr = SqlStr::from_static(
    "UPDATE stock_reservations SET card = $2, looked_at = NULL, updated_at = $3 WHERE request_id = $1",
);

pub(super) const IS_POOL: SqlStr = SqlStr::from_static(
    "SELECT CAST(COUNT(*) AS BIGINT) AS found FROM (SELECT 1 FROM stock WHERE pool = $1 LIMIT 1) AS any_sim",
);

pub(super) const SET_ASIDE: SqlStr = SqlStr::from_static(
    "UPDATE stock SET state = 'set_aside', reason = $3, request_id = NULL, updated_at = $4 \
     WHERE card = $1 AND request_id = $2 AND state = 'reserved'",
);

pub(super) const END_RESERVATION: SqlStr = SqlStr::from_static(
    "UPDATE stock_reservations SET state = $2, updated_at = $3 WHERE request_id = $1 AND state = 'held'",
);

/// Back to the available ones, behind the others.
pub(super) const PUT_BACK: SqlStr = SqlStr::from_static(
    "UPDATE stock SET state = 'available', request_id = NULL, place = $2, updated_at = $2 \
     WHERE request_id = $1 AND state = 'reserved'",
);

/// What is held for too long: `$1` now.
pub(super) fn expire(skip_locked: &'static str, limit: u32) -> SqlStr {
    AssertSqlSafe(format!(
        "UPDATE stock_reservations SET state = 'expired', updated_at = $1 WHERE request_id IN \
         (SELECT request_id FROM stock_reservations WHERE state = 'held' AND expires_at <= $1 \
         ORDER BY expires_at LIMIT {limit} {skip_locked}) RETURNING request_id"
    ))
    .into_sql_str()
}

pub(super) const NOTE_LOOK: SqlStr =
    SqlStr::from_static("UPDATE stock_reservations SET looked_at = $3 WHERE request_id = $1 AND card = $2");

pub(super) const NOTE_NUMBER: SqlStr =
    SqlStr::from_static("UPDATE stock SET msisdn = $2 WHERE card = $1 AND (msisdn IS NULL OR msisdn <> $2)");

/// Kept by triggers: a count of the SIMs themselves would read the whole stock.
pub(in crate::store) const COUNTS: SqlStr = SqlStr::from_static(
    "SELECT pool, state, reason, sims FROM stock_counts WHERE sims <> 0 ORDER BY pool, state, reason",
);

/// With the changes that are not in the counts yet.
pub(in crate::store) const POSTGRES_COUNTS: SqlStr = SqlStr::from_static(
    "SELECT pool, state, reason, CAST(SUM(sims) AS BIGINT) AS sims FROM \
     (SELECT pool, state, reason, sims FROM stock_counts UNION ALL SELECT pool, state, reason, sims FROM stock_changes) \
     AS kept GROUP BY pool, state, reason HAVING SUM(sims) <> 0 ORDER BY pool, state, reason",
);

/// Also what was set aside for a reason that may have passed.
pub(super) const MOVE: SqlStr = SqlStr::from_static(
    "UPDATE stock SET pool = $2, state = 'available', reason = NULL, \
     updated_at = CASE WHEN pool = $2 AND state = 'available' THEN updated_at ELSE $3 END \
     WHERE card = $1 AND (state = 'available' OR state = 'set_aside' AND reason <> 'withdrawn')",
);

/// Orders of others that were carried out for this number, or may have been: `$1`
/// the number, `$2` the request that is none of them.
pub(super) const ORDERS_OF_OTHERS: SqlStr = SqlStr::from_static(
    "SELECT CAST(COUNT(*) AS BIGINT) AS orders FROM orders WHERE msisdn = $1 AND act = 'buy' AND request_id <> $2 \
     AND (reservation_id IS NULL OR reservation_id <> $2) \
     AND (state IN ('submitting', 'unknown', 'needs_operator', 'placed') OR next_check_at IS NOT NULL)",
);

/// The last of several refusals is the answer to their request.
pub(super) const KEEP_REFUSAL: SqlStr = SqlStr::from_static(
    "UPDATE orders SET request_id = reservation_id WHERE id = $1 AND request_id = id AND state = 'rejected' \
     AND pool IS NOT NULL AND NOT EXISTS (SELECT 1 FROM orders AS other WHERE other.request_id = orders.reservation_id)",
);

pub(super) const WITHDRAW: SqlStr = SqlStr::from_static(
    "UPDATE stock SET state = 'set_aside', reason = 'withdrawn', updated_at = $2 \
     WHERE card = $1 AND state IN ('available', 'set_aside') AND reason IS DISTINCT FROM 'withdrawn'",
);

pub(super) const FIND: SqlStr = SqlStr::from_static(concat!(
    "SELECT ",
    sim!(),
    ", request_id FROM stock WHERE card = $1"
));

pub(super) const FORGET_RESERVATIONS: SqlStr = SqlStr::from_static(
    "DELETE FROM stock_reservations WHERE request_id IN (SELECT request_id FROM stock_reservations \
     WHERE state IN ('released', 'expired', 'refused') AND updated_at < $1 LIMIT $2) \
     AND state IN ('released', 'expired', 'refused')",
);

/// Six values a row: card, ICCID, MSISDN, pool, place, now.
pub(super) fn deliver(sims: usize) -> SqlStr {
    let row = |sim: usize| {
        let value = |column: usize| sim * 6 + column;
        format!(
            "(${}, ${}, ${}, ${}, 'available', ${}, ${}, ${})",
            value(1),
            value(2),
            value(3),
            value(4),
            value(5),
            value(6),
            value(6)
        )
    };
    let rows: Vec<String> = (0..sims).map(row).collect();
    AssertSqlSafe(format!(
        "INSERT INTO stock (card, iccid, msisdn, pool, state, place, delivered_at, updated_at) VALUES {} \
         ON CONFLICT (card) DO NOTHING",
        rows.join(", ")
    ))
    .into_sql_str()
}

/// Those of so many cards that the stock has.
pub(super) fn known(cards: usize) -> SqlStr {
    let places: Vec<String> = (1..=cards).map(|place| format!("${place}")).collect();
    AssertSqlSafe(format!(
        "SELECT card FROM stock WHERE card IN ({})",
        places.join(", ")
    ))
    .into_sql_str()
}

/// A page: `$1` the card before it, then the pool and the state where they
/// filter.
pub(super) fn list(by_pool: bool, by_state: bool, own: bool, limit: u32) -> SqlStr {
    let pool = if by_pool { " AND pool = $2" } else { "" };
    let state = match (by_pool, by_state) {
        (_, false) => "",
        (true, true) => " AND state = $3",
        (false, true) => " AND state = $2",
    };
    // The requests of others are not named.
    let request = match own {
        false => "request_id".to_owned(),
        true => format!(
            "(SELECT made.request_id FROM stock_reservations AS made \
             WHERE made.request_id = stock.request_id AND made.caller = ${}) AS request_id",
            2 + u8::from(by_pool) + u8::from(by_state)
        ),
    };
    AssertSqlSafe(format!(
        "SELECT {}, {request} FROM stock WHERE card > $1{pool}{state} ORDER BY card LIMIT {limit}",
        sim!()
    ))
    .into_sql_str()
}

/// Locks the reservation, while it can be sold: `$2` the card, `$3` the order.
pub(super) const LOCK_FOR_ORDER: SqlStr = SqlStr::from_static(
    "UPDATE stock_reservations SET updated_at = updated_at WHERE request_id = $1 AND card = $2 \
     AND (state = 'held' OR state = 'sold' AND order_id = $3)",
);

pub(super) const SELL_RESERVATION: SqlStr = SqlStr::from_static(
    "UPDATE stock_reservations SET state = 'sold', order_id = $2, updated_at = $3 WHERE request_id = $1",
);

pub(super) const SELL: SqlStr = SqlStr::from_static(
    "UPDATE stock SET state = 'sold', updated_at = $2 WHERE request_id = $1 AND state = 'reserved'",
);
