//! Orders and operations, and the ledger that keeps them.

pub mod follow_ups;
pub mod follow_ups_crash;
pub mod follow_ups_property;
pub mod ledger;
mod limits;
pub mod move_ledger;
pub mod orders;
pub mod orders_crash;
pub mod orders_late;
pub mod orders_late_property;
pub mod orders_property;
pub mod orders_replicas;
pub mod sim_operations;
pub mod sim_operations_crash;
pub mod sim_operations_property;
pub mod sim_operations_refusals;
pub mod stock;
pub mod stock_crash;
mod stock_levels;
mod stock_look;
pub mod stock_store;
