//! The operations of the ledger, shared by both databases.
//!
//! Each function leaves its rows consistent however it ends: it makes one
//! change, as its last statement, which the backend makes durable.

use std::time::Duration;

use jiff::Timestamp;

use super::error::Error;
use super::row::{self, values};
use super::session::Session;
use super::{
    Check, Claims, Count, InFlight, Key, LookUp, Note, Record, Released, Settled, Settlement, SimPurchase,
    Slot, SlotStatus, TakeOver, kind, statements,
};
use crate::domain::Msisdn;
use crate::domain::failure::Failure;
use crate::domain::write::{Activation, RequestId, State, WriteId};

pub(super) async fn find<S: Session>(session: &mut S, key: Key) -> sqlx::Result<Option<Record>> {
    let found = match key {
        Key::Write(id) => session.row(statements::FIND, values![id]).await?,
        Key::Request(id) => session.row(statements::FIND_REQUEST, values![id]).await?,
    };
    found.as_ref().map(row::record).transpose()
}

/// The database's own clock. PostgreSQL only.
pub(super) async fn database_time<S: Session>(session: &mut S) -> sqlx::Result<Timestamp> {
    let found = session.row(statements::DATABASE_TIME, values![]).await?;
    let found = found.ok_or(sqlx::Error::RowNotFound)?;
    row::time(&found, "now")?.ok_or_else(|| row::unusable("now"))
}

pub(super) async fn slot_status<S: Session>(session: &mut S, slot: &Slot) -> sqlx::Result<SlotStatus> {
    let (msisdn, product_id) = slot.columns();
    let found = session
        .row(statements::SLOT_STATUS, values![msisdn, product_id])
        .await?;
    row::slot_status(&found.ok_or(sqlx::Error::RowNotFound)?)
}

pub(super) async fn look_up<S: Session>(
    session: &mut S,
    request_id: RequestId,
    slot: &Slot,
) -> sqlx::Result<LookUp> {
    if !S::IS_REMOTE {
        // The statement for both is many times as slow as the first of two.
        return Ok(match find(session, Key::Request(request_id)).await? {
            Some(record) => LookUp::Known(Box::new(record)),
            None => LookUp::New(slot_status(session, slot).await?),
        });
    }
    let (msisdn, product_id) = slot.columns();
    let values = values![msisdn, product_id, request_id];
    let found = session.row(statements::LOOK_UP, values).await?;
    let found = found.ok_or(sqlx::Error::RowNotFound)?;
    Ok(match row::optional_id(&found, "id")? {
        Some(_) => LookUp::Known(Box::new(row::record(&found)?)),
        None => LookUp::New(row::slot_status(&found)?),
    })
}

pub(super) async fn sim_purchases<S: Session>(
    session: &mut S,
    msisdn: &Msisdn,
) -> sqlx::Result<Vec<SimPurchase>> {
    let rows = session
        .rows(statements::SIM_PURCHASES, values![msisdn.as_str()])
        .await?;
    rows.iter().map(row::sim_purchase).collect()
}

pub(super) async fn set_activation_used<S: Session>(
    session: &mut S,
    id: WriteId,
    attempt: i32,
    activation: Activation,
) -> sqlx::Result<()> {
    let values = values![id, attempt, row::activation_name(activation)];
    session.execute(statements::SET_ACTIVATION_USED, values).await?;
    Ok(())
}

pub(super) async fn settle<S: Session>(
    session: &mut S,
    id: WriteId,
    attempt: i32,
    settlement: &Settlement,
    note: Option<&Note>,
    now: Timestamp,
) -> sqlx::Result<Settled> {
    let mut written = Written::default();
    match settlement {
        Settlement::Done {
            subscription_id,
            provider_reference,
            next_check_at,
        } => {
            written.subscription_id = subscription_id.as_deref();
            written.provider_reference = provider_reference.as_deref();
            // With the subscription's id there is nothing left to check.
            written.next_check_at = next_check_at.filter(|_| subscription_id.is_none());
        }
        Settlement::Rejected(failure) | Settlement::NeedsOperator(failure) => {
            written.failure = Some(failure);
        }
        Settlement::Unknown {
            provider_reference,
            sent_by,
            next_check_at,
        } => {
            written.provider_reference = provider_reference.as_deref();
            written.sent_by = Some(*sent_by);
            written.next_check_at = Some(*next_check_at);
        }
        Settlement::NotDone { next_check_at } => written.next_check_at = *next_check_at,
    }
    let next = settlement.state();
    let sql = statements::settle(next, written.subscription_id.is_some(), note.is_some());
    let failure = written.failure;
    let values = values![
        id,
        attempt,
        next.order_name(),
        written.subscription_id,
        written.provider_reference,
        failure.map(|failure| failure.reason.name()),
        failure.and_then(|failure| failure.provider.code.as_deref()),
        failure.and_then(|failure| failure.provider.request_id.as_deref()),
        written.next_check_at,
        written.sent_by,
        now,
        note.map(|note| note.text.as_str()),
        note.and_then(|note| note.by.as_deref()),
    ];
    match session.row(sql, values).await {
        Ok(Some(row)) => Ok(Settled::Yes(Box::new(row::record(&row)?))),
        Ok(None) => Ok(match find(session, Key::Write(id)).await? {
            Some(record) => Settled::No(Box::new(record)),
            None => Settled::Gone,
        }),
        // Another order has the subscription, or is in flight: one that was not
        // placed may need an operator after all.
        Err(error) if is_taken(&error) => Ok(Settled::Claimed),
        Err(error) => Err(error),
    }
}

/// What a settlement writes besides the state.
#[derive(Default)]
struct Written<'a> {
    subscription_id: Option<&'a str>,
    provider_reference: Option<&'a str>,
    failure: Option<&'a Failure>,
    next_check_at: Option<Timestamp>,
    sent_by: Option<Timestamp>,
}

/// Whether a unique index was violated.
pub(super) fn is_taken(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .is_some_and(|error| error.is_unique_violation())
}

pub(super) async fn release<S: Session>(
    session: &mut S,
    id: WriteId,
    attempt: i32,
    now: Timestamp,
) -> sqlx::Result<Released> {
    let gone = session
        .execute(statements::RELEASE_FIRST, values![id, attempt])
        .await?;
    if gone > 0 {
        return Ok(Released::Gone);
    }
    session
        .execute(statements::RELEASE_REPEATED, values![id, attempt, now])
        .await?;
    let kept = find(session, Key::Write(id)).await?;
    Ok(kept.map_or(Released::Gone, |record| Released::Kept(Box::new(record))))
}

pub(super) async fn take_over<S: Session>(
    session: &mut S,
    whose: TakeOver,
    now: Timestamp,
    horizon: Timestamp,
) -> sqlx::Result<u64> {
    match whose {
        TakeOver::All => session.execute(statements::TAKE_OVER_ALL, values![now]).await,
        TakeOver::DeadExcept(owner) => {
            session
                .execute(statements::TAKE_OVER_DEAD, values![now, owner, horizon])
                .await
        }
    }
}

/// How long a row that cannot be read is postponed.
const UNREADABLE_FOR: Duration = Duration::from_secs(3600);

pub(super) async fn take_due<S: Session>(
    session: &mut S,
    now: Timestamp,
    lease_until: Timestamp,
    horizon: Timestamp,
    limit: i64,
) -> sqlx::Result<Vec<Record>> {
    let sql = statements::take_due(S::SKIP_LOCKED, limit.max(0));
    let values = values![now, lease_until, horizon];
    let rows = session.rows(sql, values).await?;
    let mut due = Vec::with_capacity(rows.len());
    for found in &rows {
        match row::record(found) {
            Ok(record) => due.push(record),
            Err(error) => {
                let id = row::text(found, "id")?;
                let error = Error::from(error);
                tracing::error!(%error, order_id = %id, "an order in the ledger cannot be read: it is postponed");
                let again = now + UNREADABLE_FOR;
                session
                    .execute(statements::PUT_OFF, values![id.as_str(), again.min(horizon)])
                    .await?;
            }
        }
    }
    due.sort_by_key(|record| (record.due_at, record.write.id));
    Ok(due)
}

pub(super) async fn postpone<S: Session>(
    session: &mut S,
    id: WriteId,
    attempt: i32,
    check: Check,
) -> sqlx::Result<()> {
    let values = values![
        id,
        attempt,
        check.at,
        check.observed.absent_for,
        check.observed.watched_for,
        check.was_due_at,
        check.next_check_at,
    ];
    session.execute(statements::POSTPONE, values).await?;
    Ok(())
}

pub(super) async fn make_due<S: Session>(session: &mut S, name: &str, now: Timestamp) -> sqlx::Result<u64> {
    let values = values![name, now];
    session.execute(statements::MAKE_DUE, values).await
}

pub(super) async fn claims<S: Session>(
    session: &mut S,
    slot: &Slot,
    other_than: WriteId,
) -> sqlx::Result<Claims> {
    let (msisdn, product_id) = slot.columns();
    let named = session
        .rows(statements::CLAIMED, values![msisdn, other_than])
        .await?;
    let values = values![msisdn, product_id, other_than];
    let rivals = session.row(statements::RIVALS, values).await?;
    let rivals = rivals.ok_or(sqlx::Error::RowNotFound)?;
    Ok(Claims {
        subscription_ids: named
            .iter()
            .map(|found| row::text(found, "subscription_id"))
            .collect::<sqlx::Result<_>>()?,
        rivals: row::number(&rivals, "rivals")?,
    })
}

/// Deletes up to so many.
pub(super) async fn purge<S: Session>(
    session: &mut S,
    unchanged_since: Timestamp,
    rows: u32,
) -> sqlx::Result<u64> {
    let values = values![unchanged_since, i64::from(rows)];
    session.execute(statements::PURGE, values).await
}

pub(super) async fn counts<S: Session>(session: &mut S) -> sqlx::Result<Vec<Count>> {
    let rows = session.rows(S::COUNTS, values![]).await?;
    let mut counts: Vec<Count> = Vec::new();
    for found in &rows {
        let (kind, state) = kind::labels(&row::text(found, "act")?, row::state(found)?);
        let writes = row::number(found, "writes")?;
        // Several values of `act` are of one kind.
        match counts
            .iter_mut()
            .find(|count| (count.kind, count.state) == (kind, state))
        {
            Some(count) => count.writes += writes,
            None => counts.push(Count { kind, state, writes }),
        }
    }
    Ok(counts)
}

pub(super) async fn unknown_since<S: Session>(session: &mut S) -> sqlx::Result<Option<Timestamp>> {
    let rows = session.rows(statements::UNKNOWN_SINCE, values![]).await?;
    match rows.first() {
        Some(found) => row::time(found, "since"),
        None => Ok(None),
    }
}

pub(super) async fn oldest_in_flight<S: Session>(
    session: &mut S,
    state: State,
    limit: i64,
) -> sqlx::Result<Vec<InFlight>> {
    let values = values![state.order_name(), limit];
    let rows = session.rows(statements::OLDEST_IN_FLIGHT, values).await?;
    let read = |found| {
        let (kind, state) = kind::labels(&row::text(found, "act")?, row::state(found)?);
        Ok(InFlight {
            id: row::id(found, "id")?,
            kind,
            state,
            since: row::time(found, "updated_at")?,
        })
    };
    rows.iter().map(read).collect()
}
