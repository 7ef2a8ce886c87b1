//! Running it: settings, commands, telemetry, chart, documents and rules of the code.

pub mod background;
pub mod chart;
pub mod commands;
pub mod connections;
pub mod dependencies;
pub mod doctor;
pub mod documents;
pub mod errors;
pub mod framework_facts;
pub mod grpcurl;
pub mod health;
pub mod identity;
pub mod layering;
pub mod log_level;
pub mod metrics;
pub mod ports;
pub mod provider_tls;
pub mod readme;
pub mod resilience;
pub mod rolling_restart;
pub mod secrecy;
pub mod shutdown_facts;
pub mod store_servers;
pub mod store_trouble;
pub mod telemetry;
mod user_agent;
pub mod whole_run;
