//! The store as operators see it: every operation is measured here, in one
//! place, and the log says when the store begins to fail, why, and when it
//! works again.
//!
//! `now` is not measured: it is mostly answered from memory. It shows the
//! database's clock.

mod trouble;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::config::StoreUrl;
use crate::domain::Pool;
use crate::domain::catalog_change::Since;
use crate::domain::event::Event;
use crate::domain::spend::{Days, Spent};
use crate::domain::stock::{Delivered, Reservation, SetAside, StockCount, StockSim};
use crate::domain::stock_level::{Reported, StockLevel};
use crate::domain::write::{Activation, RequestId, State, Write, WriteId};
use crate::domain::{Iccid, Language, Msisdn};
use crate::store::catalog::{Newest, Recorded};
use crate::store::events::{Appended, Arrival, Extent, Logged, Selection};
use crate::store::{
    Appending, Attempt, Begun, CatalogHistory, Check, Claims, Count, EventLog, Filter, InFlight, Keep, Key,
    Ledger, LookUp, Note, Opened, OperationFilter, Record, Released, Result, Settled, Settlement,
    SimPurchase, Slot, SlotStatus, StockFilter, StockStore, TakeOver, Taken, Wanted,
};
use crate::telemetry::metrics::ReferenceClock;
use crate::telemetry::{ClockReading, Metrics};
pub(super) use trouble::Failing;
use trouble::Trouble;

/// Measures what is done to a store.
pub(super) struct Measured {
    ledger: Arc<dyn Ledger>,
    events: Arc<dyn EventLog>,
    catalog: Arc<dyn CatalogHistory>,
    stock: Arc<dyn StockStore>,
    system: &'static str,
    /// The database has a clock of its own: SQLite uses this machine's.
    has_a_clock: bool,
    metrics: Arc<Metrics>,
    reading: Trouble,
    writing: Trouble,
}

/// What an operation does to the store.
#[derive(Clone, Copy)]
enum Access {
    Read,
    /// Writes when it finds something to write; otherwise it also works on a full disk.
    MayWrite,
    Write,
}

impl Measured {
    /// The same store, measured, and what measures it.
    pub(super) fn over(opened: Opened, url: &StoreUrl, metrics: &Arc<Metrics>) -> (Opened, Arc<Self>) {
        let connections = Arc::clone(&opened.connections);
        metrics.watch_connections(move || {
            let counts = connections()?;
            Some([counts.used, counts.idle, counts.max, counts.waiting])
        });
        let measured = Arc::new(Self {
            ledger: opened.ledger,
            events: opened.events,
            catalog: opened.catalog,
            stock: opened.stock,
            system: match url {
                StoreUrl::Memory | StoreUrl::File(_) => "sqlite",
                StoreUrl::Postgres(_) => "postgresql",
            },
            has_a_clock: matches!(url, StoreUrl::Postgres(_)),
            metrics: Arc::clone(metrics),
            reading: Trouble::of("read"),
            writing: Trouble::of("write"),
        });
        let opened = Opened {
            ledger: measured.clone(),
            events: measured.clone(),
            catalog: measured.clone(),
            stock: measured.clone(),
            ..opened
        };
        (opened, measured)
    }

    /// What fails at the moment.
    pub(super) fn failing(&self) -> impl Iterator<Item = Failing> {
        let now = Instant::now();
        [&self.reading, &self.writing]
            .into_iter()
            .filter_map(move |trouble| trouble.failing(now))
    }

    async fn run<T>(
        &self,
        operation: &'static str,
        access: Access,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let mut clock = Clock {
            measured: self,
            operation,
            began: Instant::now(),
            ended: false,
        };
        let result = work.await;
        clock.ended = true;
        let failure = result.as_ref().err().map(|error| error.kind().name());
        self.record(operation, failure, clock.began.elapsed());
        let trouble = match access {
            Access::Read => &self.reading,
            Access::MayWrite | Access::Write => &self.writing,
        };
        match &result {
            Ok(_) => {
                if trouble.worked(matches!(access, Access::Write)) {
                    let writes = !matches!(access, Access::Read);
                    self.metrics.ledger_worked(writes, Timestamp::now());
                }
            }
            Err(error) => trouble.failed(operation, error),
        }
        result
    }

    fn record(&self, operation: &'static str, failure: Option<&'static str>, took: Duration) {
        self.metrics
            .ledger_operation(self.system, operation, failure, took);
    }
}

/// Records an operation that nobody waits for any more.
struct Clock<'a> {
    measured: &'a Measured,
    operation: &'static str,
    began: Instant,
    ended: bool,
}

impl Drop for Clock<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.measured
                .record(self.operation, Some("cancelled"), self.began.elapsed());
        }
    }
}

/// Implements a trait of the store: some methods as they are given, the others
/// passed on and measured under a name.
macro_rules! measured {
    ($trait:ident { $($given:tt)* } $($access:ident $part:ident.$method:ident as $name:literal
        ($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {
        #[async_trait]
        impl $trait for Measured {
            $($given)*

            $(async fn $method(&self, $($argument: $type),*) -> Result<$answer> {
                let work = self.$part.$method($($argument),*);
                self.run($name, Access::$access, work).await
            })*
        }
    };
}

measured! {
    Ledger {
        async fn now(&self) -> Result<Timestamp> {
            let began = Instant::now();
            let now = self.ledger.now().await?;
            if self.has_a_clock {
                let reading = ClockReading::of_answer(now, began.elapsed());
                self.metrics.clock_read(ReferenceClock::Database, reading);
            }
            Ok(now)
        }
    }
    Read ledger.find as "find"(key: Key) -> Option<Record>;
    Read ledger.slot_status as "slot_status"(slot: &Slot) -> SlotStatus;
    Read ledger.look_up as "look_up"(request_id: RequestId, slot: &Slot) -> LookUp;
    Read ledger.sim_purchases as "sim_purchases"(msisdn: &Msisdn) -> Vec<SimPurchase>;
    Write ledger.begin as "begin"(attempt: Attempt) -> Begun;
    Write ledger.settle as "settle"(
        id: WriteId, attempt: i32, settlement: Settlement, note: Option<Note>, now: Timestamp
    ) -> Settled;
    Write ledger.set_activation_used as "set_activation_used"(
        id: WriteId, attempt: i32, activation: Activation
    ) -> ();
    MayWrite ledger.release as "release"(id: WriteId, attempt: i32, now: Timestamp) -> Released;
    MayWrite ledger.take_over as "take_over"(whose: TakeOver, now: Timestamp, horizon: Timestamp) -> u64;
    MayWrite ledger.take_due as "take_due"(
        now: Timestamp, lease_until: Timestamp, horizon: Timestamp, limit: i64
    ) -> Vec<Record>;
    Write ledger.postpone as "postpone"(id: WriteId, attempt: i32, check: Check) -> ();
    Read ledger.claims as "claims"(slot: &Slot, other_than: WriteId) -> Claims;
    MayWrite ledger.make_due as "make_due"(name: &str, now: Timestamp) -> u64;
    Read ledger.page as "page"(filter: &Filter, after: Option<WriteId>, limit: i64) -> Vec<Write>;
    Read ledger.page_of_operations as "page_of_operations"(
        filter: &OperationFilter, after: Option<WriteId>, limit: i64
    ) -> Vec<Write>;
    MayWrite ledger.purge as "purge"(unchanged_since: Timestamp) -> u64;
    Read ledger.counts as "counts"() -> Vec<Count>;
    Read ledger.spend as "spend"(days: Days, caller: Option<&str>) -> Vec<Spent>;
    Read ledger.new_orders as "new_orders"(since: Timestamp) -> Vec<(Option<String>, i64)>;
    Read ledger.unknown_since as "unknown_since"() -> Option<Timestamp>;
    Read ledger.oldest_in_flight as "oldest_in_flight"(state: State, limit: i64) -> Vec<InFlight>;
}

measured! {
    EventLog {
        async fn listen(&self, appended: &Notify) {
            self.events.listen(appended).await;
        }
    }
    Write events.append as "append_events"(arrivals: Vec<Arrival>) -> Vec<Appended>;
    Read events.events_of as "events_of"(order: WriteId) -> Vec<Event>;
    Read events.events_after as "events_after"(sequence: u64, limit: u32) -> Vec<Logged>;
    Read events.select as "select_events"(
        selection: &Selection, after: u64, until: u64, limit: u32
    ) -> Vec<Logged>;
    MayWrite events.publish as "publish_outcomes"() -> u64;
    Read events.extent as "extent"() -> Extent;
    Read events.last_received_at as "last_received_at"() -> Option<Timestamp>;
    Write events.aged_until as "aged_until"(now: Timestamp, elapsed: Duration) -> Timestamp;
    MayWrite events.forget_events as "forget_events"(received_before: Timestamp) -> u64;
    Read events.orders_without_event as "orders_without_event"(
        from: Timestamp, until: Timestamp, limit: i64
    ) -> Vec<WriteId>;
}

measured! {
    CatalogHistory {
        async fn now(&self) -> Result<Timestamp> {
            self.catalog.now().await
        }
    }
    Read catalog.newest as "newest_version"(language: &Language, version: &str) -> Option<Newest>;
    Write catalog.append as "append_version"(version: Appending) -> bool;
    Write catalog.confirm as "confirm_version"(language: &Language, now: Timestamp) -> ();
    Read catalog.find as "find_version"(language: &Language, since: &Since) -> Option<u64>;
    Read catalog.versions_from as "versions_from"(
        language: &Language, sequence: u64, limit: u32
    ) -> Vec<Recorded>;
    MayWrite catalog.forget_versions as "forget_versions"(language: &Language, keep: Keep) -> ();
}

measured! {
    StockStore {
        async fn now(&self) -> Result<Timestamp> {
            self.stock.now().await
        }
    }
    MayWrite stock.deliver as "deliver_stock"(pool: &Pool, sims: Vec<Delivered>, now: Timestamp) -> u64;
    Read stock.reservation as "find_reservation"(request_id: RequestId) -> Option<Reservation>;
    Write stock.take as "take_sim"(wanted: Wanted, now: Timestamp) -> Taken;
    Write stock.replace as "replace_sim"(
        request_id: RequestId, held: &Iccid, reason: SetAside, now: Timestamp
    ) -> Taken;
    MayWrite stock.release as "release_sim"(request_id: RequestId, now: Timestamp) -> Option<Reservation>;
    MayWrite stock.expire as "expire_reservations"(now: Timestamp) -> u64;
    MayWrite stock.note_look as "note_look"(
        request_id: RequestId, card: &Iccid, msisdn: &Msisdn, now: Timestamp
    ) -> bool;
    Write stock.keep_refusal as "keep_refusal"(order: WriteId) -> ();
    Read stock.count as "count_stock"() -> Vec<StockCount>;
    Read stock.levels as "stock_levels"() -> BTreeMap<Pool, Reported>;
    MayWrite stock.report_level as "report_level"(
        pool: &Pool, threshold: u32, now: Timestamp
    ) -> Option<StockLevel>;
    MayWrite stock.claim_search as "claim_search"(
        pool: &Pool, now: Timestamp, interval: Duration
    ) -> Option<u32>;
    Write stock.end_search as "end_search"(pool: &Pool, page: u32) -> ();
    Read stock.unknown as "unknown_stock"(sims: Vec<Delivered>) -> Vec<Delivered>;
    Read stock.list as "list_stock"(filter: StockFilter, limit: u32) -> Vec<StockSim>;
    MayWrite stock.move_to as "move_stock"(card: &Iccid, pool: &Pool, now: Timestamp) -> bool;
    MayWrite stock.withdraw as "withdraw_sim"(card: &Iccid, now: Timestamp) -> Option<StockSim>;
    MayWrite stock.forget_reservations as "forget_reservations"(before: Timestamp) -> u64;
}
