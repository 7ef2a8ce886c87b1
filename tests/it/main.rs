//! Everything over the real API: gRPC against the gateway as `main`
//! builds it, with the simulated Transatel over loopback.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod callers;
mod events;
mod operations;
mod reads;
mod support;
mod writes;
