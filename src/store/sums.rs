//! The SQL of sums. What is placed is summed by triggers (migration 12), and what
//! is in flight is few rows: the costs are those of the days, callers and
//! products, however many orders there are.

use sqlx::SqlStr;

use super::statements::in_flight;

/// Rows of one sum: `$1` the first day, `$2` the day after the last.
macro_rules! spent {
    ($placed:literal) => {
        concat!(
            "SELECT caller, product_id, currency, CAST(1 AS BIGINT) AS placed, \
             CAST(SUM(orders) AS BIGINT) AS orders, CAST(SUM(units) AS BIGINT) AS units, \
             CAST(SUM(nanos) AS BIGINT) AS nanos FROM ",
            $placed,
            " WHERE day >= $1 AND day < $2 GROUP BY caller, product_id, currency UNION ALL \
             SELECT caller, product_id, currency, CAST(0 AS BIGINT), COUNT(*), \
             CAST(COALESCE(SUM(units), 0) AS BIGINT), CAST(COALESCE(SUM(nanos), 0) AS BIGINT) FROM \
             (SELECT COALESCE(sent_day, created_at / 86400000000) AS day, COALESCE(caller, '') AS caller, \
             product_id, COALESCE(list_price_currency, '') AS currency, list_price_units AS units, \
             list_price_nanos AS nanos FROM orders WHERE ",
            in_flight!(),
            " AND act = 'buy') AS opened WHERE day >= $1 AND day < $2 GROUP BY caller, product_id, currency"
        )
    };
}

pub(super) const SQLITE: SqlStr = SqlStr::from_static(spent!("spend_totals"));

/// With the changes that are not in the sums yet.
pub(super) const POSTGRES: SqlStr = SqlStr::from_static(spent!(
    "(SELECT day, caller, product_id, currency, orders, units, nanos FROM spend_totals UNION ALL \
     SELECT day, caller, product_id, currency, writes, units, nanos FROM order_changes) AS kept"
));
