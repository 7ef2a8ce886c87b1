//! What the tests of the same process hold of a running simulator.

use std::{collections::BTreeMap, io, sync::Arc, time::Duration};

use jiff::Timestamp;
use serde_json::Value;

use crate::{
    faults::script::Script,
    http::{
        counters::Snapshot,
        exchange::Requests,
        journal::Recorded,
        server::{Availability, Server},
    },
    tasks::Tasks,
    webhooks::outbox::Outbox,
    world::{provider::Provider, settings::Settings},
};

/// Longest wait for requests at a gate: only a defect takes longer.
const HELD_WITHIN: Duration = Duration::from_secs(60);

/// Reads and steers a running simulator. Cheap to clone; outlives the simulator without keeping it running.
#[derive(Clone, Debug)]
pub struct Control {
    pub(crate) provider: Arc<Provider>,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) requests: Arc<Requests>,
    pub(crate) server: Arc<Server>,
    pub(crate) tasks: Tasks,
}

impl Control {
    /// A reading of every counter.
    pub fn counters(&self) -> Snapshot {
        self.requests.counters.snapshot(&self.provider.tally)
    }

    /// Requests received for a method and route template, such as
    /// `("GET", "/ocs/catalog/api/cos/{cosRef}/products")`.
    pub fn received(&self, method: &str, template: &str) -> u64 {
        self.counters().received(method, template)
    }

    /// Sets every counter to 0, except what is open or in flight.
    pub fn reset_counters(&self) {
        self.requests.counters.reset();
        self.provider.tally.reset();
    }

    /// The last requests, oldest first.
    pub fn requests(&self) -> Vec<Recorded> {
        self.requests.journal.list()
    }

    /// Forgets the last requests.
    pub fn clear_requests(&self) {
        self.requests.journal.clear();
    }

    /// Puts a fault script at the end of the queue.
    pub fn queue(&self, script: Script) {
        self.requests.faults.queue(script);
    }

    /// The fault scripts that are not used up.
    pub fn faults(&self) -> Vec<Script> {
        self.requests.faults.list()
    }

    /// Drops all fault scripts. Requests that a fault holds or hangs already stay where they are.
    pub fn clear_faults(&self) {
        self.requests.faults.clear();
    }

    /// Returns when at least `count` requests wait at a gate. Cancel-safe.
    ///
    /// # Panics
    /// When they have not come after a minute, by tokio's clock.
    #[expect(clippy::panic, reason = "a test fails, and does not wait for ever")]
    pub async fn until_held(&self, gate: &str, count: usize) {
        let held = self.requests.gates.until_waiting(gate, count);
        if tokio::time::timeout(HELD_WITHIN, held).await.is_err() {
            panic!("waited for {count} at the gate {gate:?}: {:?}", self.gates());
        }
    }

    /// Lets every request go on that waits at a gate, and says how many did.
    pub fn release(&self, gate: &str) -> usize {
        self.requests.gates.release(gate)
    }

    /// How many requests wait at each gate.
    pub fn gates(&self) -> BTreeMap<String, usize> {
        self.requests.gates.list()
    }

    /// The simulator's time.
    pub fn now(&self) -> Timestamp {
        self.provider.clock.now()
    }

    /// Moves the simulator's time forward. Subscriptions and transactions end by it; tokens do not.
    pub fn advance(&self, by: Duration) {
        self.provider.clock.advance(by);
        self.provider.catch_up();
    }

    /// Makes every token bad and says how many were good.
    pub fn revoke_tokens(&self) -> usize {
        self.provider.tokens.revoke_all()
    }

    /// The settings in force.
    pub fn settings(&self) -> Settings {
        Settings::clone(&self.provider.settings.load())
    }

    /// Changes the settings.
    pub fn configure(&self, change: impl FnOnce(&mut Settings)) {
        self.provider.settings.update(change);
    }

    /// Takes a permission away: a path prefix such as `/sim-search`, a route template, or a method and one
    /// of them.
    pub fn deny(&self, what: &str) {
        self.configure(|settings| {
            settings.denied.insert(what.to_owned());
        });
    }

    /// Gives a permission back, named as it was denied.
    pub fn permit(&self, what: &str) {
        self.configure(|settings| {
            settings.denied.remove(what);
        });
    }

    /// Refuses connections and resets open ones, or is reachable again. Returns when that is so.
    ///
    /// # Errors
    ///
    /// When the port cannot be bound again.
    pub async fn set_dead(&self, dead: bool) -> io::Result<()> {
        self.set_availability(if dead {
            Availability::Refusing
        } else {
            Availability::Up
        })
        .await
    }

    /// Changes how the simulator meets the network. Returns when that is so.
    ///
    /// # Errors
    ///
    /// When the port cannot be bound again.
    pub async fn set_availability(&self, availability: Availability) -> io::Result<()> {
        self.server.set_availability(availability).await
    }

    /// Resets every open connection, idle ones too; new ones are served.
    pub fn reset_connections(&self) {
        self.server.reset_connections();
    }

    /// Changes a product's price, in euro cents. `false` when there is no such product.
    pub fn set_price(&self, product_id: &str, cents: i64) -> bool {
        self.provider
            .catalog
            .change(product_id, |product| product.price_cents = cents)
    }

    /// Takes a product out of sale or puts it back. `false` when there is no such product.
    pub fn set_withdrawn(&self, product_id: &str, withdrawn: bool) -> bool {
        self.provider
            .catalog
            .change(product_id, |product| product.availability.withdrawn = withdrawn)
    }

    /// Adds an element to the unfiltered product list, product or not. It cannot be ordered.
    pub fn add_catalog_element(&self, element: &Value) {
        self.provider.catalog.add_raw(element);
    }
}
