//! Domain to protobuf: the stock.

use super::{sim_ids, timestamp};
use crate::domain::Pool;
use crate::domain::stock::{Reservation, ReservationState, SetAside, StockCount, StockSim, StockState};
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

/// The stock of each pool, from counts that are in the order of the pools.
pub fn pools(counts: Vec<StockCount>, only: Option<&Pool>) -> Vec<pb::PoolStock> {
    let mut pools: Vec<pb::PoolStock> = Vec::new();
    let wanted = |count: &StockCount| only.is_none_or(|only| *only == count.pool);
    for count in counts.into_iter().filter(wanted) {
        if pools.last().is_none_or(|pool| pool.pool != count.pool.as_str()) {
            pools.push(pb::PoolStock {
                pool: count.pool.to_string(),
                ..Default::default()
            });
        }
        let Some(pool) = pools.last_mut() else { continue };
        let sims = i64::try_from(count.sims).unwrap_or(i64::MAX);
        pool.delivered += sims;
        match count.state {
            StockState::Available => pool.available += sims,
            StockState::Reserved => pool.reserved += sims,
            StockState::Sold => pool.sold += sims,
            StockState::SetAside => {
                pool.set_aside += sims;
                pool.set_aside_by_reason.push(pb::SetAsideCount {
                    reason: reason(count.set_aside).into(),
                    sims,
                });
            }
        }
    }
    pools
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
