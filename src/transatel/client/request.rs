//! A request to the provider, and the bounds within which it is made.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use url::Url;

use super::endpoint::{Endpoint, Kind};
use crate::domain::{Deadline, Lease};

/// One request, ready to send.
pub struct Request<'a> {
    /// Where it goes.
    pub endpoint: &'static Endpoint,
    /// HTTP method: the endpoint's, or `OPTIONS`.
    pub method: Method,
    /// Whether it may be sent again.
    pub kind: Kind,
    /// Query parameters; a repeated name is repeated in the URL.
    pub query: &'a [(&'a str, &'a str)],
    /// Language of texts in the answer.
    pub language: Option<&'a str>,
    /// Body and its content type.
    pub body: Option<(&'static str, Bytes)>,
    /// Segments below the base URL, not yet escaped.
    pub(in crate::transatel) path: Vec<&'a str>,
}

impl<'a> Request<'a> {
    /// What the endpoint is for, with these values for the placeholders of
    /// its path.
    pub fn new(endpoint: &'static Endpoint, parameters: &[&'a str]) -> Self {
        Self {
            endpoint,
            method: endpoint.method.clone(),
            kind: endpoint.kind,
            query: &[],
            language: None,
            body: None,
            path: endpoint.path(parameters),
        }
    }

    /// Asks which methods the account may use at the endpoint.
    pub fn options(endpoint: &'static Endpoint, parameters: &[&'a str]) -> Self {
        Self {
            method: Method::OPTIONS,
            kind: Kind::Read,
            ..Self::new(endpoint, parameters)
        }
    }

    /// With this JSON as its body.
    pub fn json(self, body: Vec<u8>) -> Self {
        Self {
            body: Some(("application/json", Bytes::from(body))),
            ..self
        }
    }

    /// Its URL, escaped.
    pub fn url(&self, base: &Url) -> Url {
        let mut url = base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(&self.path);
        }
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(self.query);
        }
        url
    }
}

/// How long a call may take, and which part of the bulkhead it may use.
#[derive(Clone, Debug)]
pub struct CallOptions {
    /// Bound on one attempt; `None` for the configured one.
    pub attempt: Option<Duration>,
    /// The caller's deadline; `None` for detached work.
    pub deadline: Option<Deadline>,
    /// Of a write: nothing is sent after it has ended.
    pub lease: Option<Lease>,
    /// What the call is for.
    pub purpose: Purpose,
}

/// What a call is for: a part of each bulkhead is reserved for orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// An order or a change of a SIM, the reads that belong to it, and finding
    /// out what became of it.
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

    /// For sending an order under its lease.
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
