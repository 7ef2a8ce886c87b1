//! What has reached the simulator, in numbers.
//!
//! Counting costs an atomic or a short lock per request and never waits on I/O.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use http::Method;
use serde::Serialize;

use crate::{
    http::routes::{Found, ROUTES},
    lock::lock,
    world::tally::Tally,
};

/// The key of requests whose path is no URL of the provider.
const UNKNOWN_PATH: &str = "(unknown path)";

/// A reading of every counter. Serialised as is by the control API.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Snapshot {
    /// By method and route template, such as `GET /ocs/catalog/api/cos/{cosRef}/products`; everything outside the
    /// provider's URLs is under `(unknown path)`. Only what was asked at least once is listed.
    pub requests: BTreeMap<String, RouteCount>,
    /// Tokens given out.
    pub tokens_issued: u64,
    /// Token requests refused, whatever the reason.
    pub tokens_refused: u64,
    /// API calls refused for a missing, unknown, expired or revoked token.
    pub unauthorized: u64,
    /// Product orders accepted with a 201, also when a fault then lost the answer.
    pub orders_accepted: u64,
    /// Faults that have acted on a request.
    pub faults_applied: u64,
    /// TCP connections accepted since the start.
    pub connections_accepted: u64,
    /// TCP connections open now.
    pub connections_open: u64,
}

/// How one method of one route was used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RouteCount {
    /// Requests whose head has arrived.
    pub received: u64,
    /// Requests being answered now.
    pub in_flight: u64,
    /// The most that were being answered at one time.
    pub peak_in_flight: u64,
    /// Answers by HTTP status. A request that a fault left without an answer is in none.
    pub statuses: BTreeMap<u16, u64>,
}

impl Snapshot {
    /// Requests received for a method and route template; 0 when there were none.
    pub fn received(&self, method: &str, template: &str) -> u64 {
        self.requests
            .get(&format!("{method} {template}"))
            .map_or(0, |count| count.received)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    routes: Mutex<BTreeMap<Key, RouteCount>>,
    pub(crate) faults_applied: AtomicU64,
    pub(crate) connections_accepted: AtomicU64,
    pub(crate) connections_open: AtomicU64,
}

/// Route position (`None`: unknown path) and method.
type Key = (Option<usize>, &'static str);

impl Counters {
    pub(crate) fn bump(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a request that has begun; it ends when the guard is dropped.
    pub(crate) fn begin(&self, method: &Method, found: Option<&Found>) -> InFlight<'_> {
        let key = (found.map(|found| found.index), method_name(method));
        let mut routes = lock(&self.routes);
        let count = routes.entry(key).or_default();
        count.received += 1;
        count.in_flight += 1;
        count.peak_in_flight = count.peak_in_flight.max(count.in_flight);
        InFlight { counters: self, key }
    }

    pub(crate) fn snapshot(&self, tally: &Tally) -> Snapshot {
        let requests = lock(&self.routes)
            .iter()
            .map(|((index, method), count)| {
                let template = index
                    .and_then(|index| ROUTES.get(index))
                    .map(|route| route.template);
                (
                    template.map_or_else(|| UNKNOWN_PATH.to_owned(), |t| format!("{method} {t}")),
                    count,
                )
            })
            .fold(
                BTreeMap::<String, RouteCount>::new(),
                |mut requests, (name, count)| {
                    let sum = requests.entry(name).or_default();
                    sum.received += count.received;
                    sum.in_flight += count.in_flight;
                    sum.peak_in_flight = sum.peak_in_flight.max(count.peak_in_flight);
                    for (status, answers) in &count.statuses {
                        *sum.statuses.entry(*status).or_default() += answers;
                    }
                    requests
                },
            );
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Snapshot {
            requests,
            tokens_issued: value(&tally.tokens_issued),
            tokens_refused: value(&tally.tokens_refused),
            unauthorized: value(&tally.unauthorized),
            orders_accepted: value(&tally.orders_accepted),
            faults_applied: value(&self.faults_applied),
            connections_accepted: value(&self.connections_accepted),
            connections_open: value(&self.connections_open),
        }
    }

    /// Sets every counter to 0, except what is open or in flight.
    pub(crate) fn reset(&self) {
        for count in lock(&self.routes).values_mut() {
            let in_flight = count.in_flight;
            *count = RouteCount {
                in_flight,
                peak_in_flight: in_flight,
                ..RouteCount::default()
            };
        }
        for counter in [&self.faults_applied, &self.connections_accepted] {
            counter.store(0, Ordering::Relaxed);
        }
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub(crate) struct InFlight<'a> {
    counters: &'a Counters,
    key: Key,
}

impl InFlight<'_> {
    pub(crate) fn answered(&self, status: u16) {
        if let Some(count) = lock(&self.counters.routes).get_mut(&self.key) {
            *count.statuses.entry(status).or_default() += 1;
        }
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        if let Some(count) = lock(&self.counters.routes).get_mut(&self.key) {
            count.in_flight = count.in_flight.saturating_sub(1);
        }
    }
}

/// The method's name for a key; methods that no API has are counted together.
fn method_name(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
    KNOWN
        .into_iter()
        .find(|known| *known == method.as_str())
        .unwrap_or("OTHER")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::routes;

    #[test]
    fn requests_are_counted_by_method_and_template() {
        let counters = Counters::default();
        let found = routes::find("/ocs/catalog/api/cos/A/products");
        let first = counters.begin(&Method::GET, found.as_ref());
        let second = counters.begin(&Method::GET, found.as_ref());
        first.answered(200);
        drop(first);
        let _unknown = counters.begin(&Method::PUT, None);
        let snapshot = counters.snapshot(&Tally::default());
        let count = &snapshot.requests["GET /ocs/catalog/api/cos/{cosRef}/products"];
        assert_eq!((count.received, count.in_flight, count.peak_in_flight), (2, 1, 2));
        assert_eq!(count.statuses, BTreeMap::from([(200, 1)]));
        assert_eq!(snapshot.requests[UNKNOWN_PATH].received, 1);
        drop(second);
        counters.reset();
        assert_eq!(
            counters
                .snapshot(&Tally::default())
                .received("GET", "/ocs/catalog/api/cos/{cosRef}/products"),
            0
        );
    }
}
