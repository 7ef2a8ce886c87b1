//! The simulated provider: all its state, behind short locks.
//!
//! Nothing in here waits: handlers are plain functions from a request to a
//! reply, so a request is either carried out as a whole or not at all.

use std::sync::atomic::{AtomicU64, Ordering};

use uuid::Uuid;

use super::{
    Options,
    catalog::Catalog,
    clock::Clock,
    counters::Counters,
    faults::Faults,
    gates::Gates,
    journal::Journal,
    settings::{InForce, Settings},
    stock::Stock,
    tokens::Tokens,
};

#[derive(Debug)]
pub(super) struct Provider {
    pub(super) options: Options,
    pub(super) clock: Clock,
    pub(super) settings: InForce,
    pub(super) tokens: Tokens,
    pub(super) catalog: Catalog,
    pub(super) stock: Stock,
    pub(super) faults: Faults,
    pub(super) gates: Gates,
    pub(super) counters: Counters,
    pub(super) journal: Journal,
    request_ids: RequestIds,
}

/// Scopes by the path prefix of the API that they open.
const SCOPES: [(&str, &str); 7] = [
    ("CATALOG_PRODUCTS_READ", "/ocs/catalog"),
    ("CATALOG_OPTIONS_READ", "/ocs/catalog"),
    ("INVENTORY_SUBSCRIPTIONS_READ", "/ocs/inventory"),
    ("SIMS_ESIM_READ", "/sim-management"),
    ("SEARCH_SIM_READ", "/sim-search"),
    ("CONNECTIVITY_MANAGEMENT_READ", "/connectivity-management"),
    ("CONNECTIVITY_MANAGEMENT_WRITE", "/connectivity-management"),
];

impl Provider {
    pub(super) fn new(options: Options) -> Self {
        let clock = Clock::start();
        Self {
            settings: InForce::new(Settings::new(options.token_lifetime, options.connectivity)),
            tokens: Tokens::default(),
            catalog: Catalog::generate(options.seed, clock.origin()),
            stock: Stock::new(options.seed, options.sims),
            faults: Faults::default(),
            gates: Gates::default(),
            counters: Counters::default(),
            journal: Journal::new(options.requests_kept),
            request_ids: RequestIds::new(),
            clock,
            options,
        }
    }

    /// The scopes of this account, as the settings leave them.
    pub(super) fn granted_scopes(&self) -> Vec<&'static str> {
        let settings = self.settings.load();
        SCOPES
            .iter()
            .filter(|(_, prefix)| settings.permits("GET", prefix))
            .map(|(scope, _)| *scope)
            .collect()
    }

    /// A value for `X-TSL-Request-Id`.
    pub(super) fn next_request_id(&self) -> Uuid {
        self.request_ids.next()
    }
}

/// Ids that differ between requests and between runs, without asking the system for randomness each time.
#[derive(Debug)]
struct RequestIds {
    run: u64,
    next: AtomicU64,
}

impl RequestIds {
    fn new() -> Self {
        let (run, next) = Uuid::new_v4().as_u64_pair();
        Self {
            run,
            next: AtomicU64::new(next),
        }
    }

    fn next(&self) -> Uuid {
        Uuid::from_u64_pair(self.run, self.next.fetch_add(1, Ordering::Relaxed))
    }
}
