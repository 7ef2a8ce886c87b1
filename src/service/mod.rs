//! Use cases: what the gateway does, in the domain's words. Knows neither
//! protobuf nor HTTP.

pub mod catalog;
mod catalog_index;
pub mod inventory;
pub mod sims;

pub use catalog::Catalog;
pub use inventory::Inventory;
pub use sims::Sims;
