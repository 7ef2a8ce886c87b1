//! Calls that change nothing.

pub mod cache;
pub mod catalog;
pub mod esim;
pub mod given_up;
pub mod inventory;
pub mod odd_bytes;
pub mod provider_faults;
pub mod swapped_sims;
pub mod token;
