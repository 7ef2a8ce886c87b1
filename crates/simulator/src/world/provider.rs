//! The simulated provider: all its state, behind short locks.
//!
//! Nothing in here waits: handlers are plain functions from a request to a
//! reply, so a request is either carried out as a whole or not at all.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use jiff::Timestamp;
use uuid::Uuid;

use crate::world::{
    account::Account,
    agenda::{Agenda, Due},
    catalog::Catalog,
    clock::Clock,
    identity::Identity,
    listener::Listener,
    operations::transactions::Transactions,
    references::References,
    settings::{InForce, Settings},
    stock::{Stock, ids::SimNumber, sim::Sim},
    tally::Tally,
    tokens::Tokens,
};

#[derive(Debug)]
pub(crate) struct Provider {
    pub(crate) identity: Identity,
    pub(crate) clock: Clock,
    pub(crate) settings: InForce,
    pub(crate) tokens: Tokens,
    pub(crate) catalog: Catalog,
    pub(crate) stock: Stock,
    pub(crate) account: Account,
    pub(crate) references: References,
    pub(crate) transactions: Transactions,
    pub(crate) agenda: Agenda,
    pub(crate) tally: Tally,
    listener: Arc<dyn Listener>,
    request_ids: RequestIds,
}

impl Provider {
    pub(crate) fn new(
        identity: Identity,
        settings: Settings,
        seed: u64,
        sims: u32,
        listener: Arc<dyn Listener>,
    ) -> Self {
        let clock = Clock::start();
        Self {
            identity,
            settings: InForce::new(settings),
            tokens: Tokens::default(),
            catalog: Catalog::generate(seed, clock.origin()),
            stock: Stock::new(seed, Uuid::new_v4().as_u64_pair().1, sims, clock.origin()),
            account: Account::default(),
            references: References::default(),
            transactions: Transactions::default(),
            agenda: Agenda::default(),
            tally: Tally::default(),
            listener,
            request_ids: RequestIds::new(),
            clock,
        }
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
        sim.end_add_ons();
        let news = sim.take_news();
        if !self.listener.is_wanted() {
            return;
        }
        if let Some(news) = news {
            let settings = self.settings.load();
            let now = self.clock.now();
            self.listener
                .report(&self.identity, &settings.webhooks, sim, &news, now);
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

    /// The same for the SIM of an MSISDN. `None` when it is unknown.
    pub(crate) fn with_subscriber<R>(
        &self,
        msisdn: &str,
        f: impl FnOnce(&mut Sim, Timestamp) -> R,
    ) -> Option<R> {
        self.with_sim(self.stock.by_msisdn(msisdn)?, f)
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
