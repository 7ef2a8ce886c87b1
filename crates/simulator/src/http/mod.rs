//! How requests come in and answers go out.

pub(crate) mod connection;
pub(crate) mod counters;
pub(crate) mod distortion;
pub(crate) mod exchange;
pub(crate) mod journal;
pub(crate) mod problem;
pub(crate) mod reply;
pub(crate) mod request;
pub(crate) mod routes;
pub(crate) mod server;
