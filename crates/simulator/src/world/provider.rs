//! The simulated provider: all its state, behind short locks.
//!
//! Nothing in here waits: handlers are plain functions from a request to a
//! reply, so a request is either carried out as a whole or not at all.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::{
    Options,
    api::orders::References,
    faults::{gates::Gates, script::Faults},
    http::{counters::Counters, journal::Journal, problem::Problem},
    webhooks::{event, outbox::Outbox},
    world::{
        account::Account,
        agenda::{Agenda, Due},
        catalog::Catalog,
        clock::Clock,
        operations::{progress as operations, transactions::Transactions},
        settings::{InForce, Settings},
        stock::{Stock, ids::SimNumber, sim::Sim},
        tokens::Tokens,
    },
};
use jiff::Timestamp;
use uuid::Uuid;

#[derive(Debug)]
pub(crate) struct Provider {
    pub(crate) options: Options,
    pub(crate) clock: Clock,
    pub(crate) settings: InForce,
    pub(crate) tokens: Tokens,
    pub(crate) catalog: Catalog,
    pub(crate) stock: Stock,
    pub(crate) account: Account,
    pub(crate) references: References,
    pub(crate) transactions: Transactions,
    pub(crate) agenda: Agenda,
    pub(crate) outbox: Outbox,
    pub(crate) faults: Faults,
    pub(crate) gates: Gates,
    pub(crate) counters: Counters,
    pub(crate) journal: Journal,
    request_ids: RequestIds,
}

/// Scopes by the method and the path prefix of the API that they open.
const SCOPES: [(&str, &str, &str); 7] = [
    ("CATALOG_PRODUCTS_READ", "GET", "/ocs/catalog"),
    ("CATALOG_OPTIONS_READ", "GET", "/ocs/catalog"),
    ("INVENTORY_SUBSCRIPTIONS_READ", "GET", "/ocs/inventory"),
    ("SIMS_ESIM_READ", "GET", "/sim-management"),
    ("SEARCH_SIM_READ", "GET", "/sim-search"),
    ("CONNECTIVITY_MANAGEMENT_READ", "GET", "/connectivity-management"),
    (
        "CONNECTIVITY_MANAGEMENT_WRITE",
        "POST",
        "/connectivity-management",
    ),
];

impl Provider {
    pub(crate) fn new(options: Options) -> Self {
        let clock = Clock::start();
        Self {
            settings: InForce::new(Settings::new(options.token_lifetime, options.connectivity)),
            tokens: Tokens::default(),
            catalog: Catalog::generate(options.seed, clock.origin()),
            stock: Stock::new(
                options.seed,
                Uuid::new_v4().as_u64_pair().1,
                options.sims,
                clock.origin(),
            ),
            account: Account::default(),
            references: References::default(),
            transactions: Transactions::default(),
            agenda: Agenda::default(),
            outbox: Outbox::new(options.webhook.clone(), options.requests_kept),
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
    pub(crate) fn granted_scopes(&self) -> Vec<&'static str> {
        let settings = self.settings.load();
        SCOPES
            .iter()
            .filter(|(_, method, prefix)| settings.permits(method, prefix, ""))
            .map(|(scope, ..)| *scope)
            .collect()
    }

    /// Looks at or changes a SIM as it is now, under its lock. `None` when there is no such SIM.
    pub(crate) fn with_sim<R>(
        &self,
        number: SimNumber,
        f: impl FnOnce(&mut Sim, Timestamp) -> R,
    ) -> Option<R> {
        let now = self.clock.now();
        self.stock.with(number, &self.catalog, now, |sim| {
            let result = f(sim, now);
            self.tell(sim);
            result
        })
    }

    /// The same with two different SIMs.
    pub(crate) fn with_sims<R>(
        &self,
        one: SimNumber,
        other: SimNumber,
        f: impl FnOnce(&mut Sim, &mut Sim, Timestamp) -> R,
    ) -> Option<R> {
        let now = self.clock.now();
        self.stock
            .with_both((one, other), &self.catalog, now, |one, other| {
                let result = f(one, other, now);
                self.tell(one);
                self.tell(other);
                result
            })
    }

    /// Sends out what has happened to a SIM, and sees to it that what time will bring is sent too.
    fn tell(&self, sim: &mut Sim) {
        let news = sim.take_news();
        if !self.outbox.is_wanted() {
            return;
        }
        if let Some(news) = news {
            let settings = self.settings.load();
            self.outbox.publish(
                event::all(self, &settings.webhooks, sim, &news),
                self.clock.now(),
                &settings.webhooks,
            );
        }
        let next = sim.next_change();
        if sim.wakes_at != next {
            sim.wakes_at = next;
            if let Some(at) = next {
                self.agenda.add(at, Due::Sim(sim.number));
            }
        }
    }

    /// Looks at every SIM that was looked at before, so that [`Provider::tell`] knows what time will bring it.
    pub(crate) fn tell_from_now_on(&self) {
        for number in self.stock.known() {
            self.with_sim(number, |_, _| ());
        }
    }

    /// Does everything that is due by now.
    pub(crate) fn catch_up(&self) {
        while let Some((at, due)) = self.agenda.take(self.clock.now()) {
            match due {
                Due::Transaction(id, well) => {
                    operations::end(self, id, at, well);
                }
                Due::Sim(number) => {
                    self.with_sim(number, |_, _| ());
                }
            }
        }
    }

    /// The same for the SIM of an MSISDN, which reads refuse with `SUBSCRIBER_NOT_FOUND` when it is unknown.
    pub(crate) fn with_subscriber<R>(
        &self,
        msisdn: &str,
        f: impl FnOnce(&mut Sim, Timestamp) -> R,
    ) -> Result<R, Problem> {
        let number = self
            .stock
            .by_msisdn(msisdn)
            .ok_or_else(Problem::subscriber_not_found)?;
        self.with_sim(number, f).ok_or_else(Problem::subscriber_not_found)
    }

    /// A value for `X-TSL-Request-Id`, or the id of an order.
    pub(crate) fn next_request_id(&self) -> Uuid {
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
