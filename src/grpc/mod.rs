//! The contract: protobuf in, protobuf out.
//!
//! One thin handler file per service; `parse` turns a message into domain
//! values and reports all violations together, `convert` turns domain values
//! into messages, `status` is the only place where an error becomes a `Status`.
//! No decisions are made here.

mod bounds;
mod catalog;
mod certificates;
mod compression;
mod connection;
mod convert;
pub mod descriptor_set;
mod dispatch;
mod esim;
mod events;
mod forwarded;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod health;
mod incoming;
mod inventory;
pub mod layers;
pub mod operator;
mod own_answers;
mod page_token;
mod parse;
pub mod probe;
mod provisioning;
mod read_mask;
mod retry;
mod server;
mod status;

pub use certificates::{CertificateError, Certificates};
pub use convert::event::prepare_event;
pub use convert::prepare_product;
pub use events::STREAM_EVENTS;
pub use health::Health;
pub use incoming::Limits;
pub use inventory::BATCH_GET_INVENTORY;
pub use server::{EveryCall, ServeError, Server, Services};

/// The contract's descriptors, with comments, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptor.bin"));
