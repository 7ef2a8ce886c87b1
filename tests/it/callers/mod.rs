//! What `crates/client` does for callers, against the gateway; and what each caller
//! sees.

mod follower;
mod retrying;
mod scope;
