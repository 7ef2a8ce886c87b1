//! The provider's state, and all that time and orders do to it. Knows no HTTP.

pub(crate) mod account;
pub(crate) mod agenda;
pub(crate) mod catalog;
pub(crate) mod clock;
pub(crate) mod follow_ups;
pub(crate) mod operations;
pub(crate) mod provider;
pub(crate) mod settings;
pub(crate) mod stock;
pub(crate) mod tokens;
pub(crate) mod visibility;
