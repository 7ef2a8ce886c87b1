//! The provider's APIs, one file each: paths, the JSON of requests and
//! answers, and what they mean as domain values. How a call is made is the
//! client's.

pub mod catalog;
pub(in crate::transatel) mod catalog_wire;
pub(in crate::transatel) mod esim_history;
pub mod inventory;
pub mod orders;
mod resources;
pub mod sim_management;
pub mod sim_operations;
pub mod sims;
