//! The operations of the log, shared by both databases. Each function runs in
//! its caller's transaction.

use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::{Extent, Logged, row, statements};
use crate::domain::event::Event;
use crate::domain::write::WriteId;
use crate::store::row::{self as cells, Cells as _, values};
use crate::store::session::Session;

/// Outcomes that one transaction appends: other appends wait no longer than for
/// these.
pub(in crate::store) const PUBLISHED_AT_ONCE: usize = 250;

pub(in crate::store) async fn events_after<S: Session>(
    session: &mut S,
    sequence: u64,
    limit: u32,
) -> sqlx::Result<Vec<Logged>> {
    let values = values![row::number(sequence)?, i64::from(limit)];
    let rows = session.rows(statements::AFTER, values).await?;
    rows.iter().map(row::logged).collect()
}

/// Appends up to [`PUBLISHED_AT_ONCE`] outcomes. PostgreSQL only.
pub(in crate::store) async fn publish<S: Session>(session: &mut S) -> sqlx::Result<u64> {
    let most = i64::try_from(PUBLISHED_AT_ONCE).unwrap_or(i64::MAX);
    let found = session.row(statements::PUBLISH, values![most]).await?;
    let found = found.ok_or(sqlx::Error::RowNotFound)?;
    count(cells::number(&found, "moved")?)
}

pub(in crate::store) async fn events_of<S: Session>(
    session: &mut S,
    order: WriteId,
) -> sqlx::Result<Vec<Event>> {
    let rows = session.rows(statements::OF_ORDER, values![order]).await?;
    Ok(rows.iter().map(row::event).collect())
}

/// Adds what became of orders to their totals, which are as right without it, only
/// slower to read. PostgreSQL only.
pub(in crate::store) async fn total<S: Session>(session: &mut S) -> sqlx::Result<()> {
    session.row(statements::TOTAL, values![]).await?;
    Ok(())
}

pub(in crate::store) async fn aged_until<S: Session>(
    session: &mut S,
    now: Timestamp,
    elapsed: Duration,
) -> sqlx::Result<Timestamp> {
    let found = session.row(statements::AGED_UNTIL, values![now]).await?;
    let found = found.ok_or(sqlx::Error::RowNotFound)?;
    let before = cells::time(&found, "aged_until")?.ok_or_else(|| cells::unusable("aged_until"))?;
    let aged = now.min(before.saturating_add(elapsed.saturating_mul(2)).unwrap_or(now));
    session.execute(statements::AGE, values![aged]).await?;
    Ok(aged)
}

pub(in crate::store) async fn extent<S: Session>(session: &mut S) -> sqlx::Result<Extent> {
    let found = session.row(statements::EXTENT, values![]).await?;
    let found = found.ok_or(sqlx::Error::RowNotFound)?;
    let latest = count(cells::number(&found, "last_sequence")?)?;
    let earliest = found.number("earliest")?.map(count).transpose()?;
    let log = cells::parsed(&found, "id", |text| Uuid::try_parse(text).ok())?;
    Ok(Extent {
        log: log.ok_or_else(|| cells::unusable("id"))?,
        earliest: earliest.unwrap_or(latest + 1),
        latest,
    })
}

pub(in crate::store) async fn last_received_at<S: Session>(
    session: &mut S,
) -> sqlx::Result<Option<Timestamp>> {
    match session.row(statements::LAST_RECEIVED, values![]).await? {
        Some(found) => cells::time(&found, "received_at"),
        None => Ok(None),
    }
}

/// Deletes up to so many that could not be read.
pub(in crate::store) async fn forget_unreadable<S: Session>(
    session: &mut S,
    before: Timestamp,
    rows: u32,
) -> sqlx::Result<u64> {
    let values = values![before, i64::from(rows)];
    session.execute(statements::FORGET_UNREADABLE, values).await
}

/// Deletes up to so many events.
pub(in crate::store) async fn forget<S: Session>(
    session: &mut S,
    before: Timestamp,
    rows: u32,
) -> sqlx::Result<u64> {
    let oldest = session.rows(statements::OLDEST, values![i64::from(rows)]).await?;
    let mut last = None;
    for found in &oldest {
        if cells::time(found, "received_at")?.is_some_and(|at| at >= before) {
            break;
        }
        last = Some(cells::number(found, "sequence")?);
    }
    match last {
        Some(last) => session.execute(statements::FORGET, values![last]).await,
        None => Ok(0),
    }
}

pub(in crate::store) async fn orders_without_event<S: Session>(
    session: &mut S,
    from: Timestamp,
    until: Timestamp,
    limit: i64,
) -> sqlx::Result<Vec<WriteId>> {
    let values = values![from, until, limit];
    let rows = session.rows(statements::WITHOUT_EVENT, values).await?;
    rows.iter().map(|found| cells::id(found, "id")).collect()
}

fn count(number: i64) -> sqlx::Result<u64> {
    u64::try_from(number).map_err(|_| cells::unusable("sequence"))
}
