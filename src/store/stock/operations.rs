//! The operations of the stock, shared by both databases. Those that make more
//! than one statement run within a transaction.

use std::collections::HashSet;

use jiff::Timestamp;

use super::{StockFilter, Taken, Wanted, row, statements};
use crate::domain::Pool;
use crate::domain::stock::{Delivered, Reservation, ReservationState, SetAside, StockCount, StockSim};
use crate::domain::write::{Line, RequestId, WriteId};
use crate::domain::{Iccid, Msisdn};
use crate::store::row::{Cells as _, number, parsed, text, unusable, values};
use crate::store::session::Session;

/// Reservations that one transaction ends.
const EXPIRED_AT_ONCE: u32 = 100;

/// SIMs that one statement adds.
pub(in crate::store) const DELIVERED_AT_ONCE: usize = 100;

pub(in crate::store) async fn deliver<S: Session>(
    session: &mut S,
    pool: &Pool,
    sims: &[Delivered],
    first_place: i64,
    now: Timestamp,
) -> sqlx::Result<u64> {
    if sims.is_empty() {
        return Ok(0);
    }
    let mut values = Vec::with_capacity(sims.len() * 6);
    for (place, sim) in (first_place..).zip(sims) {
        values.extend(values![
            sim.iccid.card(),
            sim.iccid.as_str(),
            sim.msisdn.as_ref().map(Msisdn::as_str),
            pool.as_str(),
            place,
            now,
        ]);
    }
    session.execute(statements::deliver(sims.len()), values).await
}

pub(in crate::store) async fn reservation<S: Session>(
    session: &mut S,
    request_id: RequestId,
) -> sqlx::Result<Option<Reservation>> {
    let found = session.row(statements::RESERVATION, values![request_id]).await?;
    found.as_ref().map(row::reservation).transpose()
}

pub(in crate::store) async fn take<S: Session>(
    session: &mut S,
    wanted: &Wanted,
    now: Timestamp,
) -> sqlx::Result<Taken> {
    let id = wanted.request_id;
    let values = values![
        id,
        wanted.pool.as_str(),
        wanted.reference.as_str(),
        wanted.by.caller.as_deref(),
        now,
        wanted.until,
        i64::from(wanted.for_sale),
    ];
    let is_new = session.execute(statements::RESERVE, values).await? > 0;
    if !is_new {
        let locked = session
            .row(statements::LOCK_RESERVATION, values![id])
            .await?
            .ok_or(sqlx::Error::RowNotFound)?;
        let state = parsed(&locked, "state", ReservationState::named)?.ok_or_else(|| unusable("state"))?;
        let is_over = match state {
            ReservationState::Held | ReservationState::Sold => false,
            ReservationState::Released | ReservationState::Expired | ReservationState::Refused => true,
        };
        // Only a sale gets another SIM. What is of another kind or pool the caller
        // compares.
        let again = wanted.for_sale
            && number(&locked, "for_sale")? != 0
            && wanted.by.scope.admits(locked.text("caller")?.as_deref());
        if !(is_over && again && text(&locked, "pool")? == wanted.pool.as_str()) {
            return known(session, id).await;
        }
    }
    let Some(card) = next(session, wanted.pool.as_str(), id, now).await? else {
        if is_new {
            session
                .execute(statements::FORGET_RESERVATION, values![id])
                .await?;
        }
        return none(session, &wanted.pool).await;
    };
    let values = values![id, card.as_str(), wanted.until, now];
    session.execute(statements::HOLD, values).await?;
    known(session, id).await
}

/// The next SIM of a pool, which is the request's now.
async fn next<S: Session>(
    session: &mut S,
    pool: &str,
    id: RequestId,
    now: Timestamp,
) -> sqlx::Result<Option<String>> {
    let sql = statements::take(S::SKIP_LOCKED);
    let taken = session.row(sql, values![pool, id, now]).await?;
    taken.map(|taken| text(&taken, "card")).transpose()
}

async fn known<S: Session>(session: &mut S, id: RequestId) -> sqlx::Result<Taken> {
    let found = reservation(session, id).await?;
    let found = found.ok_or(sqlx::Error::RowNotFound)?;
    Ok(Taken::Reservation(Box::new(found)))
}

async fn none<S: Session>(session: &mut S, pool: &Pool) -> sqlx::Result<Taken> {
    let found = session.row(statements::IS_POOL, values![pool.as_str()]).await?;
    let found = found.ok_or(sqlx::Error::RowNotFound)?;
    Ok(match number(&found, "found")? {
        0 => Taken::NoPool,
        _ => Taken::Empty,
    })
}

pub(in crate::store) async fn replace<S: Session>(
    session: &mut S,
    id: RequestId,
    held: &Iccid,
    reason: SetAside,
    now: Timestamp,
) -> sqlx::Result<Taken> {
    let locked = session
        .row(statements::LOCK_RESERVATION, values![id])
        .await?
        .ok_or(sqlx::Error::RowNotFound)?;
    let is_held = text(&locked, "state")? == ReservationState::Held.name();
    if !is_held || text(&locked, "card")? != held.card() {
        return known(session, id).await;
    }
    let values = values![held.card(), id, reason.name(), now];
    session.execute(statements::SET_ASIDE, values).await?;
    let pool = text(&locked, "pool")?;
    let Some(card) = next(session, &pool, id, now).await? else {
        // A repeat begins anew.
        session
            .execute(statements::FORGET_RESERVATION, values![id])
            .await?;
        return Ok(Taken::Empty);
    };
    let values = values![id, card.as_str(), now];
    session.execute(statements::HOLD_NEXT, values).await?;
    known(session, id).await
}

pub(in crate::store) async fn release<S: Session>(
    session: &mut S,
    id: RequestId,
    now: Timestamp,
) -> sqlx::Result<Option<Reservation>> {
    let values = values![id, ReservationState::Released.name(), now];
    let ended = session.execute(statements::END_RESERVATION, values).await?;
    if ended > 0 {
        session.execute(statements::PUT_BACK, values![id, now]).await?;
    }
    reservation(session, id).await
}

pub(in crate::store) async fn expire<S: Session>(session: &mut S, now: Timestamp) -> sqlx::Result<u64> {
    let sql = statements::expire(S::SKIP_LOCKED, EXPIRED_AT_ONCE);
    let expired = session.rows(sql, values![now]).await?;
    for reservation in &expired {
        let id = text(reservation, "request_id")?;
        session
            .execute(statements::PUT_BACK, values![id.as_str(), now])
            .await?;
    }
    Ok(expired.len() as u64)
}

pub(in crate::store) async fn note_look<S: Session>(
    session: &mut S,
    id: RequestId,
    card: &Iccid,
    msisdn: &Msisdn,
    now: Timestamp,
) -> sqlx::Result<bool> {
    let values = values![card.card(), msisdn.as_str()];
    session.execute(statements::NOTE_NUMBER, values).await?;
    if is_ordered_for(session, msisdn, id).await? {
        return Ok(false);
    }
    let values = values![id, card.card(), now];
    session.execute(statements::NOTE_LOOK, values).await?;
    Ok(true)
}

/// Whether the ledger has an order of another request for this number that was
/// carried out, or may have been: the provider may not show it yet.
async fn is_ordered_for<S: Session>(
    session: &mut S,
    msisdn: &Msisdn,
    request: RequestId,
) -> sqlx::Result<bool> {
    let values = values![msisdn.as_str(), request];
    let found = session.row(statements::ORDERS_OF_OTHERS, values).await?;
    let found = found.ok_or(sqlx::Error::RowNotFound)?;
    Ok(number(&found, "orders")? > 0)
}

/// Gives a refusal the id of its request back.
pub(in crate::store) async fn keep_refusal<S: Session>(session: &mut S, order: WriteId) -> sqlx::Result<()> {
    session.execute(statements::KEEP_REFUSAL, values![order]).await?;
    Ok(())
}

pub(in crate::store) async fn count<S: Session>(session: &mut S) -> sqlx::Result<Vec<StockCount>> {
    let rows = session.rows(S::STOCK_COUNTS, values![]).await?;
    rows.iter().map(row::count).collect()
}

pub(in crate::store) async fn unknown<S: Session>(
    session: &mut S,
    sims: &[Delivered],
) -> sqlx::Result<Vec<Delivered>> {
    if sims.is_empty() {
        return Ok(Vec::new());
    }
    let cards = sims.iter().flat_map(|sim| values![sim.iccid.card()]).collect();
    let found = session.rows_once(statements::known(sims.len()), cards).await?;
    let known = found.iter().map(|row| text(row, "card"));
    let known = known.collect::<sqlx::Result<HashSet<_>>>()?;
    let unknown = sims.iter().filter(|sim| !known.contains(sim.iccid.card()));
    Ok(unknown.cloned().collect())
}

pub(in crate::store) async fn list<S: Session>(
    session: &mut S,
    filter: &StockFilter,
    limit: u32,
) -> sqlx::Result<Vec<StockSim>> {
    let StockFilter {
        pool,
        state,
        after,
        scope,
    } = filter;
    let sql = statements::list(pool.is_some(), state.is_some(), scope.only().is_some(), limit);
    let mut values = values![after.as_ref().map_or("", Iccid::card)];
    values.extend(pool.iter().flat_map(|pool| values![pool.as_str()]));
    values.extend(state.iter().flat_map(|state| values![state.name()]));
    values.extend(scope.only().iter().flat_map(|own| values![*own]));
    let rows = session.rows_once(sql, values).await?;
    rows.iter().map(row::sim).collect()
}

pub(in crate::store) async fn move_to<S: Session>(
    session: &mut S,
    card: &Iccid,
    pool: &Pool,
    now: Timestamp,
) -> sqlx::Result<bool> {
    let values = values![card.card(), pool.as_str(), now];
    Ok(session.execute(statements::MOVE, values).await? > 0)
}

pub(in crate::store) async fn withdraw<S: Session>(
    session: &mut S,
    card: &Iccid,
    now: Timestamp,
) -> sqlx::Result<Option<StockSim>> {
    session
        .execute(statements::WITHDRAW, values![card.card(), now])
        .await?;
    let found = session.row(statements::FIND, values![card.card()]).await?;
    found.as_ref().map(row::sim).transpose()
}

/// Deletes up to so many.
pub(in crate::store) async fn forget<S: Session>(
    session: &mut S,
    before: Timestamp,
    rows: u32,
) -> sqlx::Result<u64> {
    let values = values![before, i64::from(rows)];
    session.execute(statements::FORGET_RESERVATIONS, values).await
}

/// Whether an order may be sent for the SIM of a reservation. Until the end of
/// the transaction it stays so.
pub(in crate::store) async fn lock_for_order<S: Session>(
    session: &mut S,
    reservation: RequestId,
    line: &Line,
    order: WriteId,
) -> sqlx::Result<bool> {
    let Some(card) = &line.iccid else {
        return Ok(false);
    };
    if is_ordered_for(session, &line.msisdn, reservation).await? {
        return Ok(false);
    }
    let values = values![reservation, card.card(), order];
    Ok(session.execute(statements::LOCK_FOR_ORDER, values).await? > 0)
}

/// The SIM of a reservation is the order's.
pub(in crate::store) async fn sell<S: Session>(
    session: &mut S,
    reservation: RequestId,
    order: WriteId,
    now: Timestamp,
) -> sqlx::Result<()> {
    session
        .execute(statements::SELL_RESERVATION, values![reservation, order, now])
        .await?;
    session
        .execute(statements::SELL, values![reservation, now])
        .await?;
    Ok(())
}
