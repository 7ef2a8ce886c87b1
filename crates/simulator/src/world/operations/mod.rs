//! Operations on SIMs: asynchronous, each with a transaction.

pub(crate) mod change;
pub(crate) mod progress;
pub(crate) mod request;
pub(crate) mod transactions;
