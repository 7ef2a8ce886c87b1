//! The last requests as they arrived, so that tests see what was really sent.
//!
//! `Authorization` is kept as its scheme and a hash: two requests with the same
//! credentials have the same hash, and the credentials cannot be read.

use std::{
    collections::{BTreeMap, VecDeque, hash_map::DefaultHasher},
    hash::{Hash as _, Hasher as _},
    sync::Mutex,
};

use http::{HeaderMap, HeaderName, header};
use serde::Serialize;

use crate::{http::request::Call, lock::lock};

/// More of a body than this is not kept.
const BODY_KEPT: usize = 64 * 1024;

/// One request that has reached the simulator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Recorded {
    /// Counts up from 1 in the order of arrival.
    pub number: u64,
    /// The simulator's time of arrival.
    pub at: String,
    /// HTTP method.
    pub method: String,
    /// Path as sent.
    pub path: String,
    /// Query string as sent, without the `?`; empty when there is none.
    pub query: String,
    /// Template of the route, missing for an unknown path.
    pub route: Option<&'static str>,
    /// Headers by lower-case name; repeated ones are joined with `, `.
    pub headers: BTreeMap<String, String>,
    /// The body, as text, up to 64 KiB; empty when the connection was reset before it was read.
    pub body: String,
    /// The fault that acted on the request.
    pub fault: Option<String>,
    /// HTTP status of the answer, missing while there is none.
    pub status: Option<u16>,
    /// `X-TSL-Request-Id` of the answer.
    pub request_id: String,
}

#[derive(Debug)]
pub(crate) struct Journal {
    capacity: usize,
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    recorded: u64,
    kept: VecDeque<Recorded>,
}

impl Journal {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            entries: Mutex::default(),
        }
    }

    /// Keeps a request and gives its number, with which the outcome is added later.
    pub(crate) fn record(&self, at: String, call: &Call, query: Option<&str>, request_id: &str) -> u64 {
        let body = call.body.get(..BODY_KEPT).unwrap_or(&call.body);
        let mut recorded = Recorded {
            number: 0,
            at,
            method: call.method.to_string(),
            path: call.path.clone(),
            query: query.unwrap_or_default().to_owned(),
            route: call.found.as_ref().map(|found| found.route.template),
            headers: readable(&call.headers),
            body: String::from_utf8_lossy(body).into_owned(),
            fault: None,
            status: None,
            request_id: request_id.to_owned(),
        };
        let mut entries = lock(&self.entries);
        entries.recorded += 1;
        recorded.number = entries.recorded;
        if self.capacity > 0 {
            if entries.kept.len() >= self.capacity {
                entries.kept.pop_front();
            }
            entries.kept.push_back(recorded);
        }
        entries.recorded
    }

    pub(crate) fn set_fault(&self, number: u64, fault: &str) {
        self.amend(number, |recorded| recorded.fault = Some(fault.to_owned()));
    }

    pub(crate) fn set_status(&self, number: u64, status: u16) {
        self.amend(number, |recorded| recorded.status = Some(status));
    }

    fn amend(&self, number: u64, change: impl FnOnce(&mut Recorded)) {
        let mut entries = lock(&self.entries);
        let Some(first) = entries.kept.front().map(|recorded| recorded.number) else {
            return;
        };
        // Numbers in the queue have no gap; one that was pushed out or cleared is smaller than the first.
        let position = number
            .checked_sub(first)
            .and_then(|position| usize::try_from(position).ok());
        if let Some(recorded) = position.and_then(|position| entries.kept.get_mut(position)) {
            change(recorded);
        }
    }

    /// What is kept, oldest first.
    pub(crate) fn list(&self) -> Vec<Recorded> {
        lock(&self.entries).kept.iter().cloned().collect()
    }

    /// Forgets what is kept; numbers go on counting.
    pub(crate) fn clear(&self) {
        lock(&self.entries).kept.clear();
    }
}

fn readable(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut readable = BTreeMap::<String, String>::new();
    for (name, value) in headers {
        let text = if is_secret(name) {
            redacted(value.as_bytes())
        } else {
            String::from_utf8_lossy(value.as_bytes()).into_owned()
        };
        readable
            .entry(name.to_string())
            .and_modify(|all| {
                all.push_str(", ");
                all.push_str(&text);
            })
            .or_insert(text);
    }
    readable
}

fn is_secret(name: &HeaderName) -> bool {
    *name == header::AUTHORIZATION || *name == header::PROXY_AUTHORIZATION || *name == header::COOKIE
}

/// The scheme, and a hash of the rest.
fn redacted(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    let (scheme, secret) = text.split_once(' ').unwrap_or(("", &text));
    let mut hasher = DefaultHasher::new();
    secret.hash(&mut hasher);
    format!("{scheme} #{:016x}", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::routes;

    fn call(path: &str) -> Call {
        let request = http::Request::builder()
            .uri(path)
            .header("authorization", "Bearer very-secret")
            .header("traceparent", "00-aa-bb-01")
            .body(())
            .unwrap();
        let (parts, ()) = request.into_parts();
        let found = routes::find(parts.uri.path());
        Call::new(parts, found, bytes::Bytes::from_static(b"{}"))
    }

    #[test]
    fn credentials_are_kept_as_a_hash() {
        let journal = Journal::new(10);
        journal.record(String::new(), &call("/x"), None, "id");
        journal.record(String::new(), &call("/x"), None, "id");
        let kept = journal.list();
        assert_eq!(kept[0].headers["traceparent"], "00-aa-bb-01");
        assert!(kept[0].headers["authorization"].starts_with("Bearer #"));
        assert!(!kept[0].headers["authorization"].contains("secret"));
        assert_eq!(kept[0].headers["authorization"], kept[1].headers["authorization"]);
    }

    #[test]
    fn only_the_last_requests_are_kept() {
        let journal = Journal::new(2);
        for path in ["/1", "/2", "/3"] {
            let number = journal.record(String::new(), &call(path), None, "id");
            journal.set_status(number, 404);
        }
        journal.set_status(1, 500);
        let kept = journal.list();
        let seen: Vec<_> = kept
            .iter()
            .map(|entry| (entry.number, entry.path.as_str(), entry.status))
            .collect();
        assert_eq!(seen, [(2, "/2", Some(404)), (3, "/3", Some(404))]);
        journal.clear();
        journal.set_status(3, 500);
        assert!(journal.list().is_empty());
    }
}
