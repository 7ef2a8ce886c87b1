//! What the page is rendered from: plain facts, gathered in one place. Nothing here
//! names a SIM, a product or a caller.

use std::time::Duration;

use jiff::Timestamp;

/// Everything that the page shows.
#[derive(Clone, Debug)]
pub struct Facts {
    /// When they were gathered.
    pub at: Timestamp,
    /// What runs here.
    pub process: Process,
    /// Why no calls should be sent here; `None` when they should.
    pub not_ready: Option<String>,
    /// The provider as this process sees it.
    pub provider: Provider,
    /// The catalog in memory.
    pub catalog: Catalog,
    /// The ledger as this process sees it.
    pub ledger: Ledger,
    /// What the ledger holds, or why that is not known.
    pub stored: Result<Stored, NotRead>,
    /// Events and their followers.
    pub events: Events,
    /// Calls that failed.
    pub calls: Calls,
}

/// What runs here.
#[derive(Clone, Debug)]
pub struct Process {
    /// Of the package.
    pub version: String,
    /// The commit.
    pub revision: String,
    /// Since its start.
    pub uptime: Duration,
    /// When the certificate that callers are shown expires; `None` without TLS.
    pub certificate_expires: Option<Timestamp>,
    /// The files of the certificate cannot be used, and the last ones that could
    /// stay in use.
    pub certificate_unusable: bool,
}

/// The provider as this process sees it.
#[derive(Clone, Debug)]
pub struct Provider {
    /// A simulator plays it.
    pub simulated: bool,
    /// Access to all APIs.
    pub token: Token,
    /// Each API.
    pub apis: Vec<Api>,
    /// The time that [`Api::recent`] is of.
    pub window: Duration,
}

/// The token.
#[derive(Clone, Debug, Default)]
pub struct Token {
    /// When it was granted; `None` when none ever was.
    pub granted: Option<Timestamp>,
    /// When it expires, or did.
    pub expires: Option<Timestamp>,
    /// The last time that none was granted.
    pub failed: Option<TokenFailure>,
}

/// No token was granted.
#[derive(Clone, Debug)]
pub struct TokenFailure {
    /// When.
    pub at: Timestamp,
    /// A status, or a word.
    pub why: String,
    /// One has been granted since.
    pub over: bool,
}

/// An API of the provider.
#[derive(Clone, Debug)]
pub struct Api {
    /// Its name.
    pub name: String,
    /// `None` for an API without one.
    pub breaker: Option<Breaker>,
    /// Requests in the last minutes.
    pub recent: Requests,
    /// Requests since the start.
    pub total: Requests,
}

/// A breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breaker {
    /// Requests are sent.
    Closed,
    /// Some are sent, to try.
    HalfOpen,
    /// None are sent.
    Open,
}

/// Requests, and how many of them failed. A refusal is an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// All.
    pub sent: u64,
    /// Without a usable answer.
    pub failed: u64,
}

/// The catalog in memory.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// When it was loaded; `None` before the first time.
    pub loaded: Option<Timestamp>,
    /// Products that callers see.
    pub products: u64,
    /// Products that could not be read.
    pub dropped: u64,
    /// Loads that failed since the start.
    pub failed_loads: u64,
}

/// The ledger as this process sees it.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// When it last read something.
    pub read_at: Option<Timestamp>,
    /// When it last wrote something.
    pub written_at: Option<Timestamp>,
    /// What fails at the moment.
    pub failing: Vec<Failing>,
    /// `None` before it is open.
    pub connections: Option<Connections>,
}

/// Operations on the ledger that fail.
#[derive(Clone, Debug)]
pub struct Failing {
    /// `read` or `write`.
    pub access: String,
    /// For how long.
    pub since: Duration,
    /// Failures so far.
    pub failures: u64,
    /// Why the last one failed.
    pub why: String,
}

/// Connections to the ledger's database.
#[derive(Clone, Copy, Debug)]
pub struct Connections {
    /// In use.
    pub used: u64,
    /// Not in use.
    pub idle: u64,
    /// At most.
    pub max: u64,
    /// Operations that wait for one.
    pub waiting: u64,
}

/// Why it is not known what the ledger holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotRead {
    /// It has not been opened yet.
    NotOpen,
    /// It did not answer within this time.
    NoAnswer(Duration),
    /// It failed for this reason.
    Failed(String),
}

/// What the ledger holds.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    /// Orders and operations by kind and state.
    pub counts: Vec<Count>,
    /// Those that are not settled, the oldest first.
    pub unsettled: Vec<Open>,
    /// Those that only an operator can settle, the oldest first.
    pub needs_operator: Vec<Open>,
    /// Number of the last event in the log.
    pub last_event: u64,
    /// When the last event of the provider came.
    pub last_received: Option<Timestamp>,
}

/// A number of writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// What they do.
    pub kind: Kind,
    /// Their state.
    pub state: String,
    /// How many.
    pub number: u64,
}

/// What a write does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Orders a product.
    Purchase,
    /// Changes a subscription: an order too.
    Subscription,
    /// Changes a SIM: an operation.
    Sim,
    /// Not known.
    Other,
}

/// A write that is not settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// The gateway's id; `None` when the page may not show it.
    pub id: Option<String>,
    /// What it does.
    pub kind: Kind,
    /// Its state.
    pub state: String,
    /// Since when.
    pub since: Option<Timestamp>,
}

/// Events and their followers.
#[derive(Clone, Debug, Default)]
pub struct Events {
    /// Posts to the webhook since the start, by what became of them.
    pub received: Vec<(String, u64)>,
    /// Streams that are open.
    pub followers: u64,
    /// Orders whose first event has not come in time; `None` while not known.
    pub orders_without_event: Option<u64>,
}

/// Calls that failed.
#[derive(Clone, Debug, Default)]
pub struct Calls {
    /// The time that the numbers are of.
    pub window: Duration,
    /// In that time.
    pub failed: Vec<Reason>,
    /// Orders and operations that the provider refused because the account is
    /// empty, in that time.
    pub without_funds: u64,
    /// The last ones, the newest first.
    pub last: Vec<FailedCall>,
}

/// Failed calls with the same cause.
#[derive(Clone, Debug)]
pub struct Reason {
    /// The reason of the error.
    pub name: String,
    /// By the gateway's fault.
    pub ours: bool,
    /// How many.
    pub calls: u64,
}

/// A call that failed.
#[derive(Clone, Debug)]
pub struct FailedCall {
    /// When.
    pub at: Timestamp,
    /// The method.
    pub method: String,
    /// The reason of its error.
    pub reason: String,
}
