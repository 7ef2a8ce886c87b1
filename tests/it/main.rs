//! Everything through the front door: gRPC against the gateway as `main`
//! builds it, with the simulated Transatel over loopback.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod cache;
mod catalog;
mod commands;
mod dependencies;
mod doctor;
mod errors;
mod esim;
mod framework_facts;
mod grpcurl;
mod health;
mod house;
mod inventory;
mod layering;
mod ledger;
mod orders;
mod orders_crash;
mod orders_property;
mod orders_replicas;
mod postgres;
mod process;
mod provider_faults;
mod readme;
mod resilience;
mod telemetry;
mod token;
