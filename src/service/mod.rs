//! Use cases: what the gateway does, in the domain's words. Knows neither
//! protobuf nor HTTP.

pub mod catalog;
mod catalog_index;

pub use catalog::Catalog;
