//! Faults that are asked for: scripts, their steps, and gates at which requests wait. Knows no HTTP server.

pub(crate) mod fault;
pub(crate) mod gates;
pub(crate) mod script;
pub(crate) mod step;
