//! What goes wrong on purpose.

pub(crate) mod fault;
pub(crate) mod gates;
pub(crate) mod script;
pub(crate) mod step;
