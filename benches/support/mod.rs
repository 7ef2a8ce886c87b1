//! What the benches share: the processes they measure, the load they put on
//! them, and the tables they print.
//!
//! Figures are taken from outside, over real sockets, on separate processes.
//! Times wander on a shared machine, so servers are compared in interleaved
//! rounds and reported as ratios.

#![allow(dead_code, reason = "every bench uses a part")]

pub mod calls;
pub mod compare;
pub mod load;
#[path = "../../tests/it/support/ports.rs"]
pub mod ports;
pub mod process;
pub mod report;
pub mod stores;
