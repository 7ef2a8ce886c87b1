//! What happens to every call before and after its handler.
//!
//! From the outside in: [`identity`] identifies the caller; [`telemetry`] sees
//! every answer as the caller does to its end (`call`, `stream_end`), and adds its
//! id (`request_info`);
//! [`metadata`] bounds headers; [`policy`] checks what a caller may call;
//! [`admission`] refuses calls when there are too many, of all callers or of one
//! ([`calls`]), and [`deadline`] ends a
//! call in time. Four of them decide before the call and share one layer,
//! [`gate`].

pub mod admission;
mod call;
pub mod calls;
pub mod deadline;
pub mod gate;
pub mod identity;
pub mod metadata;
pub mod policy;
mod request_info;
mod stream_end;
pub mod telemetry;
