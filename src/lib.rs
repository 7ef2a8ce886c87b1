//! A gRPC gateway to Transatel's travel eSIM offer.
#![forbid(unsafe_code)]

#[cfg(feature = "sandbox")]
pub mod sandbox;
