//! The stock as rows: the only place that converts one to the other.

use crate::domain::Pool;
use crate::domain::stock::{Reservation, ReservationState, SetAside, StockCount, StockSim, StockState};
use crate::domain::write::RequestId;
use crate::domain::{Iccid, Msisdn, SimIds};
use crate::store::row::{Cells, number, optional_id, parsed, text, time, unusable};

pub(super) fn sim(row: &impl Cells) -> sqlx::Result<StockSim> {
    let needed = |column: &str| time(row, column)?.ok_or_else(|| unusable(column));
    Ok(StockSim {
        ids: ids(row)?,
        pool: pool(row)?,
        state: state(row)?,
        set_aside: parsed(row, "reason", SetAside::named)?,
        request_id: parsed(row, "request_id", RequestId::parse)?,
        delivered_at: needed("delivered_at")?,
        updated_at: needed("updated_at")?,
    })
}

pub(super) fn reservation(row: &impl Cells) -> sqlx::Result<Reservation> {
    let needed = |column: &str| time(row, column)?.ok_or_else(|| unusable(column));
    Ok(Reservation {
        request_id: parsed(row, "request_id", RequestId::parse)?.ok_or_else(|| unusable("request_id"))?,
        pool: pool(row)?,
        sim: ids(row)?,
        state: parsed(row, "state", ReservationState::named)?.ok_or_else(|| unusable("state"))?,
        for_sale: number(row, "for_sale")? != 0,
        reference: text(row, "reference")?,
        caller: row.text("caller")?,
        created_at: needed("created_at")?,
        looked_at: time(row, "looked_at")?,
        expires_at: needed("expires_at")?,
        order_id: optional_id(row, "order_id")?,
    })
}

pub(super) fn count(row: &impl Cells) -> sqlx::Result<StockCount> {
    Ok(StockCount {
        pool: pool(row)?,
        state: state(row)?,
        set_aside: parsed(row, "reason", SetAside::named)?,
        sims: u64::try_from(number(row, "sims")?).map_err(|_| unusable("sims"))?,
    })
}

fn ids(row: &impl Cells) -> sqlx::Result<SimIds> {
    Ok(SimIds {
        iccid: Some(parsed(row, "iccid", Iccid::parse)?.ok_or_else(|| unusable("iccid"))?),
        msisdn: parsed(row, "msisdn", Msisdn::parse)?,
    })
}

fn pool(row: &impl Cells) -> sqlx::Result<Pool> {
    parsed(row, "pool", Pool::parse)?.ok_or_else(|| unusable("pool"))
}

fn state(row: &impl Cells) -> sqlx::Result<StockState> {
    parsed(row, "state", StockState::named)?.ok_or_else(|| unusable("state"))
}
