//! What the tests stand on.

pub mod chromium;
pub mod collector;
pub mod front;
pub mod frozen;
pub mod gateway;
pub mod late_provider;
pub mod markdown;
pub mod mutation;
pub mod pgbouncer;
pub mod pki;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod property;
pub mod raw;
pub mod relay;
pub mod scanner;
pub mod stopping;
pub mod stuck;
pub mod trips;
