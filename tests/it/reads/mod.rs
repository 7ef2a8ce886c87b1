//! Calls that change nothing.

pub mod cache;
pub mod catalog;
pub mod catalog_history;
mod ended_sims;
pub mod esim;
pub mod given_up;
pub mod hostile;
pub mod inventory;
pub mod odd_bytes;
pub mod provider_faults;
mod swapped_sims;
pub mod token;
