//! How an attempt is begun: whether it may be, and the row of the ledger that makes
//! it durable, in one transaction.

use super::operations::{find, sim_purchases, slot_status};
use super::row::{self, values};
use super::session::Session;
use super::stock::operations as stock;
use super::{Attempt, Begun, Key, Record, Slot, limits, statements};
use crate::domain::Iccid;
use crate::domain::write::{Kind, RequestId, Write, WriteId};

/// How often [`begin`] tries again after a conflict. One round is enough unless
/// others begin and release all the time.
const ROUNDS: usize = 4;

/// The caller excludes every other begin on the slot meanwhile, and while it begins an
/// attempt that has to be alone on its SIM, every other attempt of that kind on the SIM.
pub(super) async fn begin<S: Session>(session: &mut S, attempt: &Attempt) -> sqlx::Result<Begun> {
    let slot = Slot::of(&attempt.write.kind);
    for _ in 0..ROUNDS {
        let known = find(session, Key::Request(attempt.write.request_id)).await?;
        let known = match known {
            Some(record) if !is_repeat(&record.write, &attempt.write) => {
                return Ok(Begun::Known(Box::new(record)));
            }
            Some(record) if is_confirmed(session, record.write.id).await? => {
                return Ok(Begun::Known(Box::new(record)));
            }
            known => known,
        };
        let status = slot_status(session, &slot).await?;
        if let Some(other) = status.in_flight {
            return Ok(Begun::Busy(other));
        }
        if status.generation != attempt.generation {
            return Ok(Begun::Moved);
        }
        if !is_alone(session, attempt).await? {
            return Ok(Begun::Moved);
        }
        let is_purchase = matches!(attempt.write.kind, Kind::Purchase(_));
        if status.is_reserved && is_purchase && reservation(&attempt.write).is_none() {
            return Ok(Begun::Reserved);
        }
        if known.is_none() && !may_be_sold(session, attempt).await? {
            return Ok(Begun::Unreserved);
        }
        if let Some(refusal) = limits::refusal(session, attempt).await? {
            return Ok(Begun::Limited(refusal));
        }
        let begun = match known {
            None => insert(session, attempt, &slot).await?,
            Some(record) => repeat(session, attempt, &record).await?,
        };
        if let Some(record) = begun {
            return Ok(Begun::Yes(Box::new(record)));
        }
        // This request id was begun on another slot meanwhile: it is known now.
    }
    Ok(Begun::Moved)
}

/// Begins a first attempt that nothing limits and that need not be alone, for a SIM that
/// is not of the stock, when the request is new and the slot is free and of the attempt's
/// generation; nothing otherwise. Takes its own lock, and finds what it began itself when it
/// is repeated. PostgreSQL only.
pub(super) async fn begin_first<S: Session>(
    session: &mut S,
    attempt: &Attempt,
) -> sqlx::Result<Option<Record>> {
    if attempt.limits.is_some() || attempt.alone.is_some() || reservation(&attempt.write).is_some() {
        return Ok(None);
    }
    let baseline = row::baseline(&attempt.baseline)?;
    let mut values = row::new_row(attempt, &Slot::of(&attempt.write.kind), &baseline)?;
    values.extend(values![attempt.generation]);
    let begun = session.row(statements::BEGIN_FIRST, values).await?;
    begun.as_ref().map(row::record).transpose()
}

/// Whether the purchases for the SIM are as they were before it was read, where that
/// matters.
async fn is_alone<S: Session>(session: &mut S, attempt: &Attempt) -> sqlx::Result<bool> {
    let Some(before) = &attempt.alone else {
        return Ok(true);
    };
    Ok(sim_purchases(session, attempt.write.kind.msisdn()).await? == *before)
}

/// Whether the attempt sends this write again: the one that was found when its request
/// was looked for. One that began later is not sent again, even with the same content:
/// whose it is and what it says has to be checked first.
fn is_repeat(known: &Write, write: &Write) -> bool {
    known.id == write.id && Slot::of(&known.kind) == Slot::of(&write.kind) && known.may_be_sent_again()
}

/// Whether an event proves that an order was carried out. Checked within the
/// decision to send it again.
async fn is_confirmed<S: Session>(session: &mut S, id: WriteId) -> sqlx::Result<bool> {
    let found = session.row(statements::CONFIRMED, values![id]).await?;
    let found = found.ok_or(sqlx::Error::RowNotFound)?;
    Ok(row::number(&found, "confirmed")? > 0)
}

async fn insert<S: Session>(session: &mut S, attempt: &Attempt, slot: &Slot) -> sqlx::Result<Option<Record>> {
    let baseline = row::baseline(&attempt.baseline)?;
    let mut values = row::new_row(attempt, slot, &baseline)?;
    values.extend(row::new_row_of_stock(&attempt.write));
    let inserted = session.row(statements::INSERT, values).await?;
    if let (Some(_), Some(reservation)) = (&inserted, reservation(&attempt.write)) {
        stock::sell(session, reservation, attempt.write.id, attempt.write.updated_at).await?;
    }
    inserted.as_ref().map(row::record).transpose()
}

/// Whether the SIM is still reserved for the write, when it is from the stock.
async fn may_be_sold<S: Session>(session: &mut S, attempt: &Attempt) -> sqlx::Result<bool> {
    let write = &attempt.write;
    match (reservation(write), &write.kind) {
        (Some(reservation), Kind::Purchase(purchase)) => {
            stock::lock_for_order(session, reservation, &purchase.line, write.id).await
        }
        _ => Ok(true),
    }
}

/// The reservation of the SIM that a write is for.
pub(super) fn reservation(write: &Write) -> Option<RequestId> {
    write.kind.purchase_terms()?.reservation(write.request_id)
}

async fn repeat<S: Session>(
    session: &mut S,
    attempt: &Attempt,
    known: &Record,
) -> sqlx::Result<Option<Record>> {
    let iccid = attempt.write.kind.iccid().map(Iccid::as_str);
    let baseline = row::baseline(&attempt.baseline)?;
    let mut values = values![
        known.write.id,
        known.attempt,
        iccid,
        attempt.write.updated_at,
        baseline.as_str(),
        attempt.lease_until,
        attempt.owner,
        row::activation_used(&attempt.write.kind),
    ];
    values.extend(row::list_price_columns(&attempt.write.kind));
    let updated = session.row(statements::REPEAT, values).await?;
    updated.as_ref().map(row::record).transpose()
}
