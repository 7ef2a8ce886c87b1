//! What `crates/client` does for callers, against the gateway.

mod follower;
mod retrying;
