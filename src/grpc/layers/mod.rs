//! What happens to every call before and after its handler.
//!
//! From the outside in: [`telemetry`] sees every answer as the caller does;
//! [`admission`] turns calls away when there are too many, and [`deadline`] ends a call in time.

pub mod admission;
pub mod deadline;
pub mod telemetry;
