//! The provider's APIs, one file each. They turn a request into a call of `world` and its result into a reply;
//! `dispatch` decides which of them a request belongs to and whether it is let in.

pub(crate) mod catalog;
pub(crate) mod connectivity;
pub(crate) mod dispatch;
pub(crate) mod inventory;
pub(crate) mod orders;
pub(crate) mod sim_management;
pub(crate) mod sim_search;
pub(crate) mod token;
