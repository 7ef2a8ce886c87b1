//! The provider's APIs, one file each: the JSON of requests and answers, and
//! what it means as domain values. Making the call is the client's.

pub mod catalog;
pub(in crate::transatel) mod catalog_wire;
pub(in crate::transatel) mod countries;
pub(in crate::transatel) mod esim_history;
pub mod inventory;
pub mod orders;
pub(in crate::transatel) mod resources;
pub mod sim_management;
pub mod sim_operations;
pub mod sims;
