//! The operations of the history, shared by both databases. With SQLite each
//! runs in a transaction; with PostgreSQL each statement takes effect alone,
//! and may be repeated.

use jiff::{Span, Timestamp};

use super::{Appending, Keep, Newest, Recorded, row, statements};
use crate::domain::Language;
use crate::domain::catalog_change::Since;
use crate::store::row::{Cells as _, values};
use crate::store::session::Session;

/// How exactly it is known when a language was last read.
const CONFIRMED_EVERY_HOURS: i64 = 24;

pub(in crate::store) async fn newest<S: Session>(
    session: &mut S,
    language: &Language,
    version: &str,
) -> sqlx::Result<Option<Newest>> {
    let values = values![language.as_str(), version];
    let found = session.row(statements::NEWEST, values).await?;
    found.as_ref().map(row::newest).transpose()
}

pub(in crate::store) async fn append<S: Session>(session: &mut S, version: &Appending) -> sqlx::Result<bool> {
    let language = version.language.as_str();
    let values = values![
        language,
        version.version.as_str(),
        version.seen_at,
        row::changes_json(&version.changes)?.as_str(),
        row::number(version.after.unwrap_or_default())?,
        row::known_json(&version.known)?.as_str(),
    ];
    let appended = session.execute(statements::APPEND, values).await? > 0;
    if appended {
        session.execute(statements::DROP_KNOWN, values![language]).await?;
    }
    Ok(appended)
}

pub(in crate::store) async fn confirm<S: Session>(
    session: &mut S,
    language: &Language,
    now: Timestamp,
) -> sqlx::Result<()> {
    let before = now - Span::new().hours(CONFIRMED_EVERY_HOURS);
    let values = values![language.as_str(), now, before];
    session.execute(statements::CONFIRM, values).await?;
    Ok(())
}

pub(in crate::store) async fn find<S: Session>(
    session: &mut S,
    language: &Language,
    since: &Since,
) -> sqlx::Result<Option<u64>> {
    let found = match since {
        Since::Version(version) => {
            let values = values![language.as_str(), version.as_str()];
            session.row(statements::FIND_VERSION, values).await?
        }
        Since::Time(time) => {
            let values = values![language.as_str(), *time];
            session.row(statements::FIND_TIME, values).await?
        }
    };
    let found = found.ok_or(sqlx::Error::RowNotFound)?;
    found.number("sequence")?.map(row::count).transpose()
}

pub(in crate::store) async fn versions_from<S: Session>(
    session: &mut S,
    language: &Language,
    sequence: u64,
    limit: u32,
) -> sqlx::Result<Vec<Recorded>> {
    let values = values![language.as_str(), row::number(sequence)?, i64::from(limit)];
    let rows = session.rows(statements::FROM, values).await?;
    rows.iter().map(row::recorded).collect()
}

pub(in crate::store) async fn forget<S: Session>(
    session: &mut S,
    language: &Language,
    keep: Keep,
) -> sqlx::Result<()> {
    let language = language.as_str();
    let old = values![language, keep.current_since];
    session.execute(statements::FORGET_OLD, old).await?;
    let many = values![language, i64::from(keep.versions)];
    session.execute(statements::FORGET_MANY, many).await?;
    let languages = values![keep.current_since, i64::from(keep.languages)];
    session.execute(statements::FORGET_LANGUAGES, languages).await?;
    Ok(())
}
