//! One ledger, whichever database keeps it: every check runs on a SQLite
//! file, on SQLite in memory and on PostgreSQL.

/// Runs checks on every store.
macro_rules! suite {
    ($($check:ident),* $(,)?) => {
        crate::writes::ledger::suite_of!(crate::writes::ledger::Stage: $($check),*);
    };
}
/// Runs checks on every store, of whatever is kept there.
macro_rules! suite_of {
    ($stage:path: $($check:ident),* $(,)?) => {
        crate::writes::ledger::suite_of!($stage, in file: $($check),*);
        crate::writes::ledger::suite_of!($stage, in memory: $($check),*);
        crate::writes::ledger::suite_of!($stage, in postgresql: $($check),*);
    };
    ($stage:path, in $store:ident: $($check:ident),*) => {
        mod $store {
            use $stage as Stage;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $check() {
                    if let Some(stage) = Stage::$store().await {
                        super::$check(&stage).await;
                    }
                }
            )*
        }
    };
}
pub(crate) use suite_of;

mod attempts;
mod files;
mod former_release;
mod limits;
mod lists;
mod model;
mod new_product;
mod races;
mod round_trips;
mod servers;
mod settlements;
pub mod sims;
mod spend;
mod upkeep;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use transatel_gateway::config::{Store, StoreUrl};
use transatel_gateway::domain::failure::{Failure, Reason};
use transatel_gateway::domain::money::Currency;
use transatel_gateway::domain::product::ListPrice;
use transatel_gateway::domain::write::{
    Kind, Line, Purchase, PurchaseTerms, RequestId, State, Write, WriteId,
};
use transatel_gateway::domain::{Clock, Money, Msisdn, ProviderDetail};
use transatel_gateway::store::{
    self, Attempt, Begun, Check, Count, Filter, Key, Ledger, Observed, Opened, Record, Released, Settled,
    Settlement, Slot, TakeOver,
};
use uuid::Uuid;

use crate::support::postgres;

/// Seconds after the beginning of the tests' time.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

pub fn msisdn(number: u32) -> Msisdn {
    Msisdn::parse(&format!("88247{number:010}")).unwrap()
}

pub fn request(number: u128) -> RequestId {
    RequestId(Uuid::from_u128(0x4000_8000_0000_0000_0000 + number))
}

/// The next id: of the beginning of the tests' time, in the order of the calls.
pub fn next_id() -> WriteId {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let first = WriteId::least_at(at(0)).0.as_u128();
    WriteId(Uuid::from_u128(
        first + u128::from(NEXT.fetch_add(1, Ordering::Relaxed)),
    ))
}

/// Purchases that differ in SIM, product and request only.
pub fn wanted(sim: u32, product: &str, request_id: RequestId) -> Attempt {
    Attempt {
        write: Write {
            id: next_id(),
            request_id,
            caller: None,
            state: State::Submitting,
            kind: Kind::Purchase(Purchase {
                line: Line {
                    msisdn: msisdn(sim),
                    iccid: None,
                },
                terms: PurchaseTerms {
                    product_id: product.into(),
                    activation: None,
                    reference: String::new(),
                    max_price: None,
                    parent: None,
                    from_stock: None,
                },
                activation_used: None,
                list_price: None,
                subscription_id: None,
            }),
            provider_reference: None,
            failure: None,
            created_at: at(0),
            updated_at: at(0),
            next_check_at: None,
            note: None,
        },
        baseline: Vec::new(),
        generation: 0,
        alone: None,
        lease_until: at(60),
        owner: Uuid::nil(),
        limits: None,
    }
}

/// The attempt, after its request was looked for and this was found.
pub fn repeating(known: &Record, mut attempt: Attempt) -> Attempt {
    attempt.write.id = known.write.id;
    attempt
}

/// A list price in euros, of a catalog that was given then.
pub fn list_price(cents: i64, as_of: i64) -> Option<ListPrice> {
    Some(ListPrice {
        price: Money::from_cents(Currency::parse("EUR").unwrap(), cents),
        as_of: at(as_of),
        version: format!("{cents:016x}"),
    })
}

/// The purchase that a write is.
pub fn purchase(write: &Write) -> &Purchase {
    match &write.kind {
        Kind::Purchase(purchase) => purchase,
        other => panic!("no purchase: {other:?}"),
    }
}

/// The purchase that a write is, to be changed.
pub fn purchase_mut(write: &mut Write) -> &mut Purchase {
    match &mut write.kind {
        Kind::Purchase(purchase) => purchase,
        other => panic!("no purchase: {other:?}"),
    }
}

/// What the ledger counts when so many purchases are in one state.
pub fn counted(state: State, writes: i64) -> [Count; 1] {
    [Count {
        kind: "purchase",
        state: state.order_name(),
        writes,
    }]
}

pub fn slot(sim: u32, product: &str) -> Slot {
    Slot::Product {
        msisdn: msisdn(sim),
        product_id: product.into(),
    }
}

pub fn failure() -> Failure {
    Failure {
        reason: Reason::InsufficientFunds,
        provider: ProviderDetail {
            code: Some("LOW_CREDIT".into()),
            request_id: Some("tsl-1".into()),
        },
    }
}

/// Not placed, and not looked for any more.
pub const NOT_PLACED: Settlement = Settlement::NotDone { next_check_at: None };

/// Every settlement, without a subscription.
pub fn settlements() -> [Settlement; 5] {
    [
        placed(None),
        Settlement::Rejected(failure()),
        unknown(100),
        NOT_PLACED,
        Settlement::NeedsOperator(failure()),
    ]
}

pub fn placed(subscription_id: Option<&str>) -> Settlement {
    Settlement::Done {
        subscription_id: subscription_id.map(Into::into),
        provider_reference: None,
        next_check_at: None,
    }
}

pub fn unknown(next_check: i64) -> Settlement {
    Settlement::Unknown {
        provider_reference: None,
        sent_by: at(30),
        next_check_at: at(next_check),
    }
}

pub async fn begun(ledger: &dyn Ledger, attempt: Attempt) -> Record {
    match ledger.begin(attempt).await.unwrap() {
        Begun::Yes(record) => *record,
        other => panic!("not begun: {other:?}"),
    }
}

pub async fn settled(ledger: &dyn Ledger, record: &Record, settlement: Settlement, now: i64) -> Record {
    let id = record.write.id;
    match ledger
        .settle(id, record.attempt, settlement, None, at(now))
        .await
        .unwrap()
    {
        Settled::Yes(record) => *record,
        other => panic!("not settled: {other:?}"),
    }
}

/// Another process takes over what is dead.
pub const BY_ANOTHER: TakeOver = TakeOver::DeadExcept(Uuid::from_u128(7));

/// Later than anything is put off.
pub fn horizon() -> Timestamp {
    at(1_000_000)
}

/// A look at a record that found nothing out.
pub fn look(record: &Record, next_check_at: Option<i64>) -> Check {
    Check {
        at: at(40),
        was_due_at: record.due_at,
        observed: record.observed,
        next_check_at: next_check_at.map(at),
    }
}

pub async fn found(ledger: &dyn Ledger, id: WriteId) -> Option<Record> {
    ledger.find(Key::Write(id)).await.unwrap()
}

/// An order in this state, alone on its SIM.
pub async fn in_state(ledger: &dyn Ledger, sim: u32, state: State) -> Record {
    let record = begun(ledger, wanted(sim, "P", request(sim.into()))).await;
    match state {
        State::Submitting => record,
        State::Done => settled(ledger, &record, placed(None), 1).await,
        State::Rejected => settled(ledger, &record, Settlement::Rejected(failure()), 1).await,
        State::Unknown => settled(ledger, &record, unknown(100), 1).await,
        State::NotDone => {
            let record = settled(ledger, &record, unknown(100), 1).await;
            settled(ledger, &record, NOT_PLACED, 1).await
        }
        State::NeedsOperator => {
            let record = settled(ledger, &record, unknown(100), 1).await;
            settled(ledger, &record, Settlement::NeedsOperator(failure()), 1).await
        }
    }
}

/// Keeps what a store lives in.
pub struct Stage {
    pub ledger: Arc<dyn Ledger>,
    /// Another replica on the same store; in memory the same one again.
    pub other: Arc<dyn Ledger>,
    _folder: Option<Folder>,
}

impl Stage {
    pub async fn file() -> Option<Self> {
        let folder = Folder::new();
        Some(Self {
            ledger: folder.open().await.ledger,
            other: folder.open().await.ledger,
            _folder: Some(folder),
        })
    }

    pub async fn memory() -> Option<Self> {
        let ledger = open(StoreUrl::Memory).await.ledger;
        Some(Self {
            other: ledger.clone(),
            ledger,
            _folder: None,
        })
    }

    pub async fn postgresql() -> Option<Self> {
        let url = postgres::database().await?;
        Some(Self {
            ledger: open_postgres(&url).await,
            other: open_postgres(&url).await,
            _folder: None,
        })
    }
}

/// A folder with a SQLite file.
pub struct Folder(pub tempfile::TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn file(&self) -> PathBuf {
        self.0.path().join("orders.db")
    }

    pub async fn open(&self) -> Opened {
        open(StoreUrl::File(self.file())).await
    }
}

pub async fn open(url: StoreUrl) -> Opened {
    try_open(url).await.unwrap()
}

/// Why a store is not opened.
pub async fn refused(url: StoreUrl) -> String {
    let error = try_open(url).await.err().expect("opened");
    error.to_string()
}

async fn try_open(url: StoreUrl) -> Result<Opened, store::OpenError> {
    open_within(url, crate::support::postgres::OPERATION_TIMEOUT).await
}

/// With another bound on each operation.
pub async fn open_within(url: StoreUrl, operation_timeout: Duration) -> Result<Opened, store::OpenError> {
    let config = Store {
        url,
        connections: 10,
        operation_timeout,
    };
    store::open(&config, Clock::system()).await
}

pub async fn open_postgres(url: &str) -> Arc<dyn Ledger> {
    open(StoreUrl::parse(url).unwrap()).await.ledger
}
