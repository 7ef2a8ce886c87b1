//! Webhooks, the log of events, and streams.

pub mod event_log;
pub mod events_crash;
pub mod events_damaged;
pub mod events_failover;
pub mod events_replicas;
mod outcomes;
mod own_events;
pub mod streams;
mod typed;
pub mod webhook;
pub mod webhook_signatures;
