//! The SQL of the log, one text for both databases.

use sqlx::SqlStr;

use crate::store::statements::over;

/// Every column but the body and the details.
macro_rules! columns {
    () => {
        "event_id, type, occurred_at, received_at, iccid, msisdn, subscription_id, product_id, \
         transaction_id, infrastructure, order_id, operation_id, request_id, caller, reference, by_gateway"
    };
}

/// Moves outcomes into the log; `$1` is the most outcomes. PostgreSQL only.
pub(in crate::store) const PUBLISH: SqlStr = SqlStr::from_static("SELECT publish_outcomes($1) AS moved");

/// Adds changes to the totals of orders and of the stock. PostgreSQL only.
pub(in crate::store) const TOTAL: SqlStr =
    SqlStr::from_static("SELECT total_changes() AS orders, total_stock_changes() AS sims");

/// What [`selection::read`](super::selection::read) adds conditions to.
pub(super) const SELECTED: &str = concat!(
    "SELECT sequence, body, details, ",
    columns!(),
    " FROM events WHERE sequence > $1 AND sequence <= $2"
);

pub(super) const AFTER: SqlStr = SqlStr::from_static(concat!(
    "SELECT sequence, body, details, ",
    columns!(),
    " FROM events WHERE sequence > $1 ORDER BY sequence LIMIT $2"
));

/// What the gateway concluded itself is no evidence.
pub(super) const OF_ORDER: SqlStr = SqlStr::from_static(concat!(
    "SELECT ",
    columns!(),
    " FROM events WHERE order_id = $1 AND by_gateway = 0 ORDER BY sequence"
));

/// How far time has passed according to the store; initially up to the newest
/// row, and for an empty store up to now: `$1`.
pub(super) const AGED_UNTIL: SqlStr = SqlStr::from_static(
    "SELECT COALESCE(aged_until, (SELECT MAX(at) FROM (SELECT (SELECT received_at FROM events \
     ORDER BY sequence DESC LIMIT 1) AS at UNION ALL SELECT (SELECT updated_at FROM orders \
     ORDER BY id DESC LIMIT 1)) AS newest), $1) AS aged_until FROM event_log",
);

/// Never decreases: otherwise a clock that is behind for a moment would delay
/// deletion by as much as it is behind.
pub(super) const AGE: SqlStr = SqlStr::from_static(
    "UPDATE event_log SET aged_until = CASE WHEN aged_until > $1 THEN aged_until ELSE $1 END",
);

pub(super) const EXTENT: SqlStr = SqlStr::from_static(
    "SELECT id, last_sequence, (SELECT MIN(sequence) FROM events) AS earliest FROM event_log",
);

/// Not further back than that many numbers: a log of outcomes only is not read
/// whole.
pub(super) const LAST_RECEIVED: SqlStr = SqlStr::from_static(
    "SELECT received_at FROM events WHERE by_gateway = 0 \
     AND sequence > (SELECT last_sequence FROM event_log) - 100000 ORDER BY sequence DESC LIMIT 1",
);

pub(super) const OLDEST: SqlStr =
    SqlStr::from_static("SELECT sequence, received_at FROM events ORDER BY sequence LIMIT $1");

pub(super) const FORGET: SqlStr = SqlStr::from_static("DELETE FROM events WHERE sequence <= $1");

pub(super) const FORGET_UNREADABLE: SqlStr = SqlStr::from_static(
    "DELETE FROM unreadable_events WHERE id IN (SELECT id FROM unreadable_events WHERE received_at < $1 LIMIT $2)",
);

pub(super) const WITHOUT_EVENT: SqlStr = SqlStr::from_static(concat!(
    "SELECT id FROM orders WHERE ",
    over!(),
    " AND state = 'placed' AND act = 'buy' AND updated_at >= $1 AND updated_at < $2 \
     AND NOT EXISTS (SELECT 1 FROM events WHERE events.order_id = orders.id AND by_gateway = 0) \
     ORDER BY updated_at, id LIMIT $3",
));
