//! What is asked of the provider: a request, what it does there, and within
//! which bounds it is made.

use std::time::Duration;

use bytes::Bytes;
use http::Method;

use crate::domain::{Deadline, Lease};

/// The provider's APIs: a closed set, for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Api {
    /// `/authentication`
    Authentication,
    /// `/sim-management`
    SimManagement,
    /// `/ocs/subscriptions`
    Orders,
    /// `/ocs/catalog`
    Catalog,
    /// `/ocs/inventory`
    Inventory,
    /// `/sim-search`
    SimSearch,
    /// `/connectivity-management`
    Connectivity,
}

impl Api {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Authentication,
        Self::SimManagement,
        Self::Orders,
        Self::Catalog,
        Self::Inventory,
        Self::SimSearch,
        Self::Connectivity,
    ];

    /// As it appears in metrics and spans.
    pub fn name(self) -> &'static str {
        match self {
            Self::Authentication => "authentication",
            Self::SimManagement => "sim_management",
            Self::Orders => "orders",
            Self::Catalog => "catalog",
            Self::Inventory => "inventory",
            Self::SimSearch => "sim_search",
            Self::Connectivity => "connectivity",
        }
    }
}

/// One request, ready to send.
pub struct Request<'a> {
    /// The API it belongs to.
    pub api: Api,
    /// HTTP method.
    pub method: Method,
    /// The path with placeholders: its name in spans and metrics.
    pub template: &'static str,
    /// The path's parts below the base URL, not yet escaped.
    pub path: &'a [&'a str],
    /// Query parameters; a repeated name is repeated in the URL.
    pub query: &'a [(&'a str, &'a str)],
    /// Language of texts in the answer.
    pub language: Option<&'a str>,
    /// Body and its content type.
    pub body: Option<(&'static str, Bytes)>,
}

/// What a call does at the provider. There is no default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Changes nothing: may be sent again.
    Read,
    /// Changes something, and the provider does not notice a repeat: sent
    /// once, on a connection of its own.
    Write,
}

/// How long a call may take, and which room it may use.
#[derive(Clone, Debug)]
pub struct CallOptions {
    /// Bound on one attempt; `None` for the configured one.
    pub attempt: Option<Duration>,
    /// The caller's deadline; `None` for detached work.
    pub deadline: Option<Deadline>,
    /// Of a write: without it nothing is sent any more.
    pub lease: Option<Lease>,
    /// What the call is for.
    pub purpose: Purpose,
}

/// What a call is for. Everything else can fill an API's room only up to what
/// is kept for orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// An order or a change of a SIM, what is read for one, and finding out
    /// what became of one.
    Order,
    /// Anything else.
    Other,
}

impl CallOptions {
    /// Waits as long as the caller does.
    pub fn until(deadline: Deadline) -> Self {
        Self {
            attempt: None,
            deadline: Some(deadline),
            lease: None,
            purpose: Purpose::Other,
        }
    }

    /// For an order, until then.
    pub fn for_order(deadline: Deadline) -> Self {
        Self {
            purpose: Purpose::Order,
            ..Self::until(deadline)
        }
    }

    /// For sending an order: nothing is sent without its lease.
    pub fn under(lease: Lease) -> Self {
        Self {
            lease: Some(lease.clone()),
            ..Self::for_order(lease.sending_until())
        }
    }

    /// For work that ends by its own bounds.
    pub fn detached() -> Self {
        Self {
            attempt: None,
            deadline: None,
            lease: None,
            purpose: Purpose::Other,
        }
    }
}
