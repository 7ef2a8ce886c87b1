//! What happens to every call before and after its handler.
//!
//! From the outside in: [`telemetry`] sees every answer as the caller does;
//! [`deadline`] ends a call in time.

pub mod deadline;
pub mod telemetry;
