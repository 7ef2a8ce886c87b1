//! A gRPC gateway to Transatel's travel eSIM offer.
//!
//! ```text
//! caller ──gRPC──▶ grpc/ (layers, parse) ─▶ service/ (use cases) ─▶ transatel/ (HTTP) ──▶ Transatel
//!                      ◀─ convert, status ─┘     │    ▲                           answers ◀──
//!                                                ▼    │
//!                                     cache/ (moka)  store/ (orders, events) ◀── webhook/ ◀── Transatel events
//! ```
//!
//! Data runs one way in and the same way out, and `domain/` is the language
//! that all modules share. Only `transatel/` knows the provider's JSON, only
//! `grpc/` knows protobuf, only `store/` knows SQL. [`app`] is the only place
//! that depends on every part; a test reads the `use` lines and fails on any
//! other edge.
#![forbid(unsafe_code)]

pub mod admin;
pub mod app;
pub mod cache;
pub mod commands;
pub mod config;
pub mod doctor;
pub mod domain;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
pub mod grpc;
pub mod listener;
pub mod service;
pub mod store;
pub mod telemetry;
pub mod transatel;
pub mod webhook;

/// The contract as the server sees it: messages that are answered from the
/// catalog cache are `bytes`, because they are encoded once per refresh.
pub mod pb {
    #![allow(
        missing_docs,
        clippy::all,
        clippy::pedantic,
        clippy::restriction,
        rustdoc::all
    )]
    include!(concat!(env!("OUT_DIR"), "/contract.rs"));
}
