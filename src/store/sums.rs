//! The SQL of sums. What is placed is summed by triggers (migration 13), and what
//! is in flight is few rows: the costs are those of the days, callers and
//! products, however many orders there are.

use sqlx::SqlStr;

use super::statements::in_flight;

/// Rows of one sum, of all or, with `$whose`, of some: `$1` the first day, `$2` the
/// day after the last.
macro_rules! spent {
    ($placed:expr, $whose:literal) => {
        concat!(
            "SELECT caller, product_id, currency, CAST(1 AS BIGINT) AS placed, \
             CAST(SUM(orders) AS BIGINT) AS orders, CAST(SUM(units) AS BIGINT) AS units, \
             CAST(SUM(nanos) AS BIGINT) AS nanos FROM ",
            $placed,
            " WHERE day >= $1 AND day < $2",
            $whose,
            " GROUP BY caller, product_id, currency UNION ALL \
             SELECT caller, product_id, currency, CAST(0 AS BIGINT), COUNT(*), \
             CAST(COALESCE(SUM(units), 0) AS BIGINT), CAST(COALESCE(SUM(nanos), 0) AS BIGINT) FROM \
             (SELECT COALESCE(sent_day, created_at / 86400000000) AS day, COALESCE(caller, '') AS caller, \
             product_id, COALESCE(list_price_currency, '') AS currency, list_price_units AS units, \
             list_price_nanos AS nanos FROM orders WHERE ",
            in_flight!(),
            " AND act = 'buy') AS opened WHERE day >= $1 AND day < $2",
            $whose,
            " GROUP BY caller, product_id, currency"
        )
    };
}

/// The sums of a day by currency, of all or, with `$whose`, of some: `$1` the
/// day.
macro_rules! used {
    ($placed:expr, $whose:literal) => {
        concat!(
            "SELECT currency, CAST(SUM(orders) AS BIGINT) AS orders, CAST(SUM(units) AS BIGINT) AS units, \
             CAST(SUM(nanos) AS BIGINT) AS nanos FROM (SELECT currency, orders, units, nanos FROM ",
            $placed,
            " WHERE day = $1",
            $whose,
            " UNION ALL SELECT currency, orders, units, nanos FROM (SELECT \
             COALESCE(sent_day, created_at / 86400000000) AS day, COALESCE(caller, '') AS caller, \
             COALESCE(list_price_currency, '') AS currency, CAST(1 AS BIGINT) AS orders, \
             COALESCE(list_price_units, 0) AS units, COALESCE(list_price_nanos, 0) AS nanos \
             FROM orders WHERE ",
            in_flight!(),
            " AND act = 'buy') AS opened WHERE day = $1",
            $whose,
            ") AS used GROUP BY currency"
        )
    };
}

/// What the databases do not have in common.
pub(super) struct Statements {
    /// Of some days, by all callers.
    pub(super) spent: SqlStr,
    /// Of some days, by the caller `$3`.
    pub(super) spent_by_caller: SqlStr,
    /// Of one day, by all callers.
    pub(super) used: SqlStr,
    /// Of one day, by the caller `$2`.
    pub(super) used_by_caller: SqlStr,
    /// Excludes others with the same text, until the end of the transaction;
    /// `None` where there is one writer.
    pub(super) exclude: Option<SqlStr>,
}

pub(super) const SQLITE: Statements = Statements {
    spent: SqlStr::from_static(spent!("spend_totals", "")),
    spent_by_caller: SqlStr::from_static(spent!("spend_totals", " AND caller = $3")),
    used: SqlStr::from_static(used!("spend_totals", "")),
    used_by_caller: SqlStr::from_static(used!("spend_totals", " AND caller = $2")),
    exclude: None,
};

/// The sums, with the changes that are not in them yet.
macro_rules! kept {
    () => {
        "(SELECT day, caller, product_id, currency, orders, units, nanos FROM spend_totals UNION ALL \
         SELECT day, caller, product_id, currency, writes, units, nanos FROM order_changes) AS kept"
    };
}

pub(super) const POSTGRES: Statements = Statements {
    spent: SqlStr::from_static(spent!(kept!(), "")),
    spent_by_caller: SqlStr::from_static(spent!(kept!(), " AND caller = $3")),
    used: SqlStr::from_static(used!(kept!(), "")),
    used_by_caller: SqlStr::from_static(used!(kept!(), " AND caller = $2")),
    exclude: Some(SqlStr::from_static(
        "SELECT pg_advisory_xact_lock(hashtextextended($1, 1))",
    )),
};
