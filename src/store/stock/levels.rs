//! What was reported of the levels of pools, and who reads SIM Search when.
//! What a report changes is an event, by a trigger of the migration
//! `0017_stock_levels.sql`.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use sqlx::SqlStr;

use super::operations;
use crate::domain::Pool;
use crate::domain::stock::StockState;
use crate::domain::stock_level::{Reported, StockLevel};
use crate::store::row::{Cells, number, parsed, unusable, values};
use crate::store::session::Session;

const LEVELS: SqlStr = SqlStr::from_static("SELECT pool, is_low, threshold FROM stock_levels");

const BEGIN_LEVEL: SqlStr = SqlStr::from_static(
    "INSERT INTO stock_levels (pool, is_low, threshold, available, updated_at) VALUES ($1, 0, 0, 0, $2) \
     ON CONFLICT DO NOTHING",
);

/// Excludes every other report of the pool until the end of the transaction.
const LOCK_LEVEL: SqlStr = SqlStr::from_static(
    "UPDATE stock_levels SET updated_at = updated_at WHERE pool = $1 RETURNING is_low, threshold",
);

const REPORT: SqlStr = SqlStr::from_static(
    "UPDATE stock_levels SET is_low = $2, threshold = $3, available = $4, updated_at = $5 WHERE pool = $1",
);

const BEGIN_SEARCHES: SqlStr = SqlStr::from_static(
    "INSERT INTO stock_searches (pool, next_at, page) VALUES ($1, 0, 1) ON CONFLICT DO NOTHING",
);

/// `$2` now, `$3` the time after it. What is later than that is of an interval
/// that was longer.
const CLAIM_SEARCH: SqlStr = SqlStr::from_static(
    "UPDATE stock_searches SET next_at = $3 WHERE pool = $1 AND (next_at <= $2 OR next_at > $3) RETURNING page",
);

const END_SEARCH: SqlStr = SqlStr::from_static("UPDATE stock_searches SET page = $2 WHERE pool = $1");

pub(super) async fn levels<S: Session>(session: &mut S) -> sqlx::Result<BTreeMap<Pool, Reported>> {
    let rows = session.rows(LEVELS, values![]).await?;
    rows.iter()
        .map(|row| {
            let pool = parsed(row, "pool", Pool::parse)?.ok_or_else(|| unusable("pool"))?;
            Ok((pool, reported(row)?))
        })
        .collect()
}

fn reported(row: &impl Cells) -> sqlx::Result<Reported> {
    Ok(Reported {
        is_low: number(row, "is_low")? != 0,
        threshold: u64::try_from(number(row, "threshold")?).map_err(|_| unusable("threshold"))?,
    })
}

/// Counts again, where no other report can come between.
pub(super) async fn report_level<S: Session>(
    session: &mut S,
    pool: &Pool,
    threshold: u64,
    now: Timestamp,
) -> sqlx::Result<Option<StockLevel>> {
    session.execute(BEGIN_LEVEL, values![pool.as_str(), now]).await?;
    let before = session.row(LOCK_LEVEL, values![pool.as_str()]).await?;
    let before = reported(&before.ok_or(sqlx::Error::RowNotFound)?)?;
    let counts = operations::count(session).await?;
    let available = counts
        .iter()
        .filter(|count| count.pool == *pool && count.state == StockState::Available);
    let level = StockLevel {
        pool: pool.clone(),
        available: available.map(|count| count.sims).sum(),
        threshold,
    };
    if !level.is_new(before) {
        return Ok(None);
    }
    let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let values = values![
        pool.as_str(),
        i64::from(level.is_low()),
        whole(level.threshold),
        whole(level.available),
        now,
    ];
    session.execute(REPORT, values).await?;
    Ok(Some(level))
}

pub(super) async fn claim_search<S: Session>(
    session: &mut S,
    pool: &Pool,
    now: Timestamp,
    interval: Duration,
) -> sqlx::Result<Option<u32>> {
    session.execute(BEGIN_SEARCHES, values![pool.as_str()]).await?;
    let next = now.checked_add(interval).unwrap_or(Timestamp::MAX);
    let claimed = session
        .row(CLAIM_SEARCH, values![pool.as_str(), now, next])
        .await?;
    let page = claimed.map(|claimed| number(&claimed, "page")).transpose()?;
    Ok(page.map(|page| u32::try_from(page).unwrap_or(1).max(1)))
}

pub(super) async fn end_search<S: Session>(session: &mut S, pool: &Pool, page: u32) -> sqlx::Result<()> {
    session
        .execute(END_SEARCH, values![pool.as_str(), i64::from(page)])
        .await?;
    Ok(())
}
