//! A gRPC gateway to Transatel's travel eSIM offer.
#![forbid(unsafe_code)]

pub mod config;
pub mod domain;
#[cfg(feature = "sandbox")]
pub mod sandbox;

/// The contract as the server sees it: messages that are answered from the
/// catalog cache are `bytes`, because they are encoded once per refresh.
pub mod pb {
    #![allow(missing_docs, clippy::all, clippy::pedantic, rustdoc::all)]
    include!(concat!(env!("OUT_DIR"), "/pb/pb.rs"));
}

/// The contract as a caller sees it, with clients for every service. Used by
/// the tests and the benches, and by Rust callers that share this crate.
pub mod client {
    #![allow(missing_docs, clippy::all, clippy::pedantic, rustdoc::all)]
    include!(concat!(env!("OUT_DIR"), "/client/client.rs"));
}
