//! The rows of a full ledger, made by SQL: settled orders of thirty days, one in
//! a hundred an operation on a SIM, and an event for each.

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, SqliteConnection};

/// When the oldest row was made, and over how long all of them, in microseconds.
pub const FIRST_AT: i64 = 1_764_400_000_000_000;
pub const SPAN: i64 = 30 * 24 * 3_600 * 1_000_000;

/// Rows of one statement.
const AT_ONCE: i64 = 500_000;

/// Two new databases on a server.
pub async fn databases(server: &str) -> [String; 2] {
    let mut connection = PgConnection::connect(server).await.unwrap();
    let mut urls = Vec::new();
    for name in ["scale_empty", "scale_full"] {
        for sql in [
            format!("DROP DATABASE IF EXISTS {name}"),
            format!("CREATE DATABASE {name}"),
        ] {
            connection.execute(AssertSqlSafe(sql)).await.unwrap();
        }
        let (start, parameters) = server.split_once('?').unwrap_or((server, ""));
        let (base, _) = start.rsplit_once('/').unwrap();
        urls.push(format!("{base}/{name}?{parameters}"));
    }
    urls.try_into().unwrap()
}

/// The values of an order and of an event by the number `i` and the moment `at`,
/// whose hexadecimal milliseconds are `h`. `hex` writes a number in so many
/// digits.
fn inserts(numbers: &str, hex: fn(&str, u32) -> String, digits: fn(&str) -> String) -> [String; 2] {
    let id = format!(
        "substr(h, 1, 8) || '-' || substr(h, 9, 4) || '-7' || {} || '-8000-' || {}",
        hex("i % 4096", 3),
        hex("i", 12)
    );
    // Not in the order of creation, like those of callers.
    let scattered = |version: &str| {
        format!(
            "{} || '-0000-{version}000-8000-' || {}",
            hex("(i * 2654435761) % 4294967296", 8),
            hex("i", 12)
        )
    };
    let msisdn = digits("i % 1000000");
    [
        format!(
            "INSERT INTO orders (id, request_id, iccid, msisdn, product_id, reference, caller, state, subscription_id, \
             created_at, updated_at, attempt, baseline, sent_by, checks, act, details) \
             SELECT {id}, {}, CASE WHEN i % 100 = 0 THEN '8988247000000000019' END, {msisdn}, \
             CASE WHEN i % 100 = 0 THEN '' ELSE 'P' || (i % 50) END, \
             CASE WHEN i % 3 = 0 THEN 'reference-' || i ELSE '' END, 'caller-' || (i % 5), \
             CASE WHEN i % 100 = 7 THEN 'rejected' WHEN i % 100 = 8 THEN 'not_placed' ELSE 'placed' END, \
             CASE WHEN i % 100 IN (0, 7, 8) OR i % 1000 = 1 THEN NULL ELSE 'S-' || i END, at, at, 1, '[]', at, 0, \
             CASE WHEN i % 100 = 0 THEN 'sim_suspend' WHEN i % 1000 = 1 THEN 'cancel_renewal' ELSE 'buy' END, \
             CASE WHEN i % 100 = 0 THEN '{{}}' WHEN i % 1000 = 1 THEN '{{\"subscription_id\":\"S\"}}' END \
             FROM {numbers}",
            scattered("4"),
        ),
        format!(
            "INSERT INTO events (sequence, event_id, type, occurred_at, received_at, msisdn, subscription_id, \
             product_id, order_id, request_id, infrastructure, body, by_gateway) \
             SELECT i + 1, {}, 'OCS/PRODUCT/ACTIVATED', at, at, {msisdn}, 'S-' || i, 'P' || (i % 50), {id}, {}, 0, \
             '{{\"body\":{{\"filler\":\"' || substr('{}', 1, 400) || '\"}}}}', i % 2 FROM {numbers}",
            scattered("5"),
            scattered("4"),
            "x".repeat(400),
        ),
    ]
}

const TOTALS: &str = "INSERT INTO order_totals (id, act, state, writes) \
    SELECT act || '/' || state, act, state, COUNT(*) FROM orders GROUP BY act, state";

/// Fills a ledger.
pub async fn fill(url: &str, rows: i64) {
    let step = SPAN / rows.max(1);
    let ends = [
        TOTALS.to_owned(),
        format!("UPDATE event_log SET last_sequence = {rows}, aged_until = {FIRST_AT}"),
        // As a server that lives has long done: not by itself while this measures.
        "VACUUM ANALYZE".to_owned(),
    ];
    let parts = (0..rows).step_by(usize::try_from(AT_ONCE).unwrap());
    let parts = parts.map(|first| (first, rows.min(first + AT_ONCE)));
    if url.starts_with("sqlite") {
        let mut connection = SqliteConnection::connect(url).await.unwrap();
        connection.execute("PRAGMA synchronous = OFF").await.unwrap();
        connection.execute("PRAGMA cache_size = -400000").await.unwrap();
        for (first, last) in parts {
            let numbers = format!(
                "(WITH RECURSIVE n (i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {last}) \
                 SELECT i, {FIRST_AT} + i * {step} AS at, printf('%012x', ({FIRST_AT} + i * {step}) / 1000) AS h FROM n)"
            );
            let hex = |number: &str, digits| format!("printf('%0{digits}x', {number})");
            let digits = |number: &str| format!("printf('88247%010d', {number})");
            for sql in inserts(&numbers, hex, digits) {
                connection.execute(AssertSqlSafe(sql)).await.unwrap();
            }
        }
        for sql in &ends[..2] {
            connection.execute(AssertSqlSafe(sql.clone())).await.unwrap();
        }
        connection
            .execute("PRAGMA wal_checkpoint(TRUNCATE)")
            .await
            .unwrap();
        connection.close().await.unwrap();
        return;
    }
    let mut connection = PgConnection::connect(url).await.unwrap();
    for (first, last) in parts {
        let numbers = format!(
            "(SELECT i, {FIRST_AT} + i * {step} AS at, lpad(to_hex(({FIRST_AT} + i * {step}) / 1000), 12, '0') AS h \
             FROM generate_series(CAST({first} AS BIGINT), {last} - 1) AS i) AS n"
        );
        let hex = |number: &str, digits| format!("lpad(to_hex({number}), {digits}, '0')");
        let digits = |number: &str| format!("'88247' || lpad(CAST({number} AS TEXT), 10, '0')");
        for sql in inserts(&numbers, hex, digits) {
            connection.execute(AssertSqlSafe(sql)).await.unwrap();
        }
    }
    for sql in ends {
        connection.execute(AssertSqlSafe(sql)).await.unwrap();
    }
    connection.execute("CHECKPOINT").await.unwrap();
    connection.close().await.unwrap();
}
