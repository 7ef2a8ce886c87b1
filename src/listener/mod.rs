//! Ports for HTTP/1: the webhook's and the operators'.
//!
//! Owns how connections are accepted (`accept`), how many there are at once and
//! how long each may take (`connections`, `clock`), and how much of a body is
//! read (`body`). Guarantees that a peer that is slow, silent or endless costs
//! the others nothing, and that a lack of file descriptors neither ends a port
//! nor keeps a core busy. What is answered is left to others.

mod accept;
mod body;
mod clock;
mod connections;

pub use accept::Listener;
pub use body::{BodyError, read_body};
pub use connections::{Connection, Endpoint, Limits, serve};
