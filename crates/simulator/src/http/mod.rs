//! The HTTP server: connections, requests, replies, routes, and what faults do to them. Knows no API: what answers a
//! request is given to it at the start.

pub(crate) mod connection;
pub(crate) mod counters;
pub(crate) mod distortion;
pub(crate) mod exchange;
pub(crate) mod journal;
pub(crate) mod oauth;
pub(crate) mod problem;
pub(crate) mod reply;
pub(crate) mod request;
pub(crate) mod routes;
pub(crate) mod server;
