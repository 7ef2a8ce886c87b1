//! Use cases: what the gateway does, in terms of the domain. Independent of
//! protobuf and HTTP.

pub mod catalog;
mod catalog_history;
mod catalog_index;
mod catalog_loader;
pub mod esim;
pub mod events;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod inventory;
pub mod prices;
pub mod qr_code;
pub mod sims;
pub mod stock;
pub mod writes;

pub use catalog::Catalog;
pub use esim::Esims;
pub use events::Events;
pub use inventory::Inventory;
pub use prices::Prices;
pub use sims::Sims;
pub use stock::{Sales, Stock};
pub use writes::Writes;
