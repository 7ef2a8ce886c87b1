//! The provider's state, and what time, orders and operations do to it. Knows no HTTP and no webhook: what happens to
//! a SIM is reported to a [`listener`].

pub(crate) mod account;
pub(crate) mod agenda;
pub(crate) mod catalog;
pub(crate) mod clock;
pub(crate) mod due;
pub(crate) mod follow_ups;
pub(crate) mod identity;
pub(crate) mod impossible;
pub(crate) mod listener;
pub(crate) mod operations;
pub(crate) mod provider;
pub(crate) mod purchase;
pub(crate) mod references;
pub(crate) mod refusal;
pub(crate) mod settings;
pub(crate) mod stock;
pub(crate) mod tally;
pub(crate) mod tokens;
pub(crate) mod visibility;
