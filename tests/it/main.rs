//! Everything through the front door: gRPC against the gateway as `main`
//! builds it, with the simulated Transatel over loopback.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod background;
mod cache;
mod catalog;
mod chart;
mod collector;
mod commands;
mod dependencies;
mod doctor;
mod documents;
mod errors;
mod esim;
mod event_log;
mod events;
mod events_crash;
mod events_damaged;
mod events_failover;
mod events_replicas;
mod follow_ups;
mod follow_ups_crash;
mod follow_ups_property;
mod framework_facts;
mod grpcurl;
mod health;
mod house;
mod identity;
mod inventory;
mod late_provider;
mod layering;
mod ledger;
mod log_level;
mod markdown;
mod metrics;
mod move_ledger;
mod orders;
mod orders_crash;
mod orders_late;
mod orders_late_property;
mod orders_property;
mod orders_replicas;
mod pki;
mod postgres;
mod process;
mod property;
mod provider_faults;
mod provider_tls;
mod readme;
mod relay;
mod resilience;
mod rolling_restart;
mod scanner;
mod secrecy;
mod shutdown_facts;
mod sim_operations;
mod sim_operations_crash;
mod sim_operations_property;
mod sim_operations_refusals;
mod store_trouble;
mod swapped_sims;
mod telemetry;
mod token;
mod webhook;
mod whole_run;
