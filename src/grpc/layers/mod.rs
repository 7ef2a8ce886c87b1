//! What happens to every call before and after its handler.
//!
//! From the outside in: [`identity`] finds out who calls; [`telemetry`] sees
//! every answer as the caller does; [`policy`] lets a caller call what it may;
//! [`admission`] turns calls away when there are too many, and [`deadline`]
//! ends a call in time. Three of them decide before the call and leave the
//! rest to one layer, [`gate`].

pub mod admission;
pub mod deadline;
pub mod gate;
pub mod identity;
pub mod policy;
pub mod telemetry;
