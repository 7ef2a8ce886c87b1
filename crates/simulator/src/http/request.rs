//! A request as handlers see it: whole, decoded, and matched to a route.

use bytes::Bytes;
use http::{HeaderMap, Method, request::Parts};

use crate::{
    http::{problem::Problem, routes::Found},
    world::stock::ids::is_msisdn,
};

/// One request with its body read.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The route that the path belongs to, `None` for an unknown path.
    pub(crate) found: Option<Found>,
    query: Vec<(String, String)>,
}

impl Call {
    pub(crate) fn new(parts: Parts, found: Option<Found>, body: Bytes) -> Self {
        let query = parts.uri.query().map_or_else(Vec::new, |query| {
            url::form_urlencoded::parse(query.as_bytes())
                .into_owned()
                .collect()
        });
        Self {
            method: parts.method,
            path: parts.uri.path().to_owned(),
            headers: parts.headers,
            body,
            found,
            query,
        }
    }

    /// The decoded value of the path's `position`th variable segment, empty when it has none.
    pub(crate) fn argument(&self, position: usize) -> &str {
        self.found
            .as_ref()
            .and_then(|found| found.arguments.get(position))
            .map_or("", String::as_str)
    }

    /// Every value of a query parameter that may be repeated.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.query
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The value of a query parameter that may appear once.
    pub(crate) fn one(&self, name: &str) -> Result<Option<&str>, Problem> {
        let mut values = self
            .query
            .iter()
            .filter(|(key, _)| key == name)
            .map(|(_, value)| value.as_str());
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            _ => Err(Problem::bad_request(format!("'{name}' must be given once"))),
        }
    }

    /// A query parameter that is `true` or `false`, `false` when missing.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, Problem> {
        match self.one(name)? {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => Err(Problem::bad_request(format!(
                "'{name}' must be true or false, not '{other}'"
            ))),
        }
    }

    /// The `msisdn` query parameter, which must be 6 to 15 digits: a `+` is refused, encoded or not.
    pub(crate) fn msisdn(&self) -> Result<Option<&str>, Problem> {
        match self.one("msisdn")? {
            Some(value) if !is_msisdn(value) => {
                Err(Problem::bad_request("'msisdn' must match [0-9]{6,15}".to_owned()))
            }
            value => Ok(value),
        }
    }

    /// A header as text, `None` when missing or not text.
    pub(crate) fn header(&self, name: http::HeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}
