//! Operations on SIMs. Each is accepted with a transaction and carried out when that ends.

pub(crate) mod change;
pub(crate) mod progress;
pub(crate) mod request;
pub(crate) mod transactions;
