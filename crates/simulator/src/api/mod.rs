//! The provider's APIs, one file each: from a request to the state and back to a reply.

pub(crate) mod catalog;
pub(crate) mod connectivity;
pub(crate) mod dispatch;
pub(crate) mod inventory;
pub(crate) mod orders;
pub(crate) mod sim_management;
pub(crate) mod sim_search;
pub(crate) mod token;
