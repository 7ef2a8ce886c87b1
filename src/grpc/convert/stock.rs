//! Domain to protobuf: the stock.

use super::{sim_ids, timestamp};
use crate::domain::Pool;
use crate::domain::stock::{
    PoolStock, Reservation, ReservationState, SetAside, StockCount, StockSim, StockState,
};
use crate::pb::connectivity::v1 as pb;

/// A reservation.
pub fn reservation(reservation: Reservation) -> pb::SimReservation {
    let is_held = reservation.state == ReservationState::Held;
    pb::SimReservation {
        reservation_id: reservation.request_id.to_string(),
        pool: reservation.pool.to_string(),
        sim: Some(sim_ids(reservation.sim)),
        state: match reservation.state {
            ReservationState::Held => pb::SimReservationState::Held,
            ReservationState::Sold => pb::SimReservationState::Sold,
            ReservationState::Released => pb::SimReservationState::Released,
            ReservationState::Expired => pb::SimReservationState::Expired,
            ReservationState::Refused => pb::SimReservationState::Refused,
        }
        .into(),
        expires_at: is_held.then(|| timestamp(reservation.expires_at)),
        created_at: Some(timestamp(reservation.created_at)),
        reference: reservation.reference,
        caller: reservation.caller.unwrap_or_default(),
        order_id: reservation.order_id.map(|id| id.to_string()).unwrap_or_default(),
    }
}

/// The stock of each pool, or of one.
pub fn pools(counts: &[StockCount], only: Option<&Pool>) -> Vec<pb::PoolStock> {
    let mut pools = PoolStock::each(counts);
    pools.retain(|stock| only.is_none_or(|only| *only == stock.pool));
    pools.into_iter().map(pool).collect()
}

fn pool(stock: PoolStock) -> pb::PoolStock {
    let in_state = |state| number(stock.in_state(state));
    let set_aside = stock.set_aside.iter();
    pb::PoolStock {
        pool: stock.pool.to_string(),
        available: in_state(StockState::Available),
        reserved: in_state(StockState::Reserved),
        sold: in_state(StockState::Sold),
        set_aside: in_state(StockState::SetAside),
        delivered: number(stock.delivered()),
        set_aside_by_reason: set_aside
            .map(|(why, sims)| pb::SetAsideCount {
                reason: reason(Some(*why)).into(),
                sims: number(*sims),
            })
            .collect(),
    }
}

/// A number of SIMs.
pub fn number(sims: u64) -> i64 {
    i64::try_from(sims).unwrap_or(i64::MAX)
}

/// A SIM of the stock.
pub fn stock_sim(sim: StockSim) -> pb::StockSim {
    pb::StockSim {
        sim: Some(sim_ids(sim.ids)),
        pool: sim.pool.to_string(),
        state: match sim.state {
            StockState::Available => pb::StockState::Available,
            StockState::Reserved => pb::StockState::Reserved,
            StockState::Sold => pb::StockState::Sold,
            StockState::SetAside => pb::StockState::SetAside,
        }
        .into(),
        set_aside_reason: reason(sim.set_aside).into(),
        reservation_id: sim.request_id.map(|id| id.to_string()).unwrap_or_default(),
        delivered_at: Some(timestamp(sim.delivered_at)),
        updated_at: Some(timestamp(sim.updated_at)),
    }
}

fn reason(reason: Option<SetAside>) -> pb::SetAsideReason {
    use pb::SetAsideReason as Shown;
    match reason {
        None => Shown::Unspecified,
        Some(SetAside::Withdrawn) => Shown::Withdrawn,
        Some(SetAside::SimNotFound) => Shown::SimNotFound,
        Some(SetAside::NoMsisdn) => Shown::NoMsisdn,
        Some(SetAside::NotPreactivated) => Shown::NotPreactivated,
        Some(SetAside::NoEsim) => Shown::NoEsim,
        Some(SetAside::NotInstallable) => Shown::NotInstallable,
        Some(SetAside::OnDevice) => Shown::OnDevice,
        Some(SetAside::HasSubscription) => Shown::HasSubscription,
        Some(SetAside::OrderRefused) => Shown::OrderRefused,
    }
}
