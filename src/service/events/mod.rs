//! Events: what happens at the provider, and what becomes of orders and operations,
//! reaches every service that subscribes, and is never lost once it was accepted.
//!
//! * [`Events`] accepts events and delivers them.
//! * `intake` makes them durable, many in one commit.
//! * `tail` holds the newest ones for all followers.
//! * `stream` is one follower; it reads the log, so that there is no gap
//!   between past and new events.
//! * `position` says where a reader begins, and whether the log continues there.
//! * `watch` detects missing events.
//!
//! Guarantees that an event is acknowledged only after it was durable, and that
//! a follower sees the log in order without gaps.

mod filter;
mod intake;
mod position;
mod stream;
mod tail;
mod watch;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Sims, Writes};
use crate::config;
use crate::domain::event::Cursor;
use crate::domain::{Deadline, Error, Result};
use crate::store::{self, EventLog};
use crate::telemetry::Metrics;
use crate::transatel;
use position::resolve;
use tail::Tail;

pub use crate::store::events::{Appended, Arrival, Extent, Incoming, Logged};
pub use filter::Filter;
pub use position::Start;
pub use stream::{Message, Stream};
pub use tail::Entry;

/// Encodes an event for callers, once for all of them.
pub type Encode = fn(&Logged) -> Bytes;

/// The event use cases. Cheap to clone.
#[derive(Clone)]
pub struct Events {
    inner: Arc<Inner>,
}

/// The dependencies of the event use cases.
pub struct Parts {
    /// The durable log.
    pub log: Arc<dyn EventLog>,
    /// SIMs, whose identifiers an event may contradict.
    pub sims: Sims,
    /// Orders, which an event may settle.
    pub orders: Writes,
    /// Notified when this process has recorded an outcome.
    pub outcomes: Arc<Notify>,
    /// Settings.
    pub config: config::Events,
    /// How `grpc` encodes an event.
    pub encode: Encode,
    /// Instruments.
    pub metrics: Arc<Metrics>,
}

struct Inner {
    log: Arc<dyn EventLog>,
    sims: Sims,
    orders: Writes,
    config: config::Events,
    metrics: Arc<Metrics>,
    encode: Encode,
    tail: Tail,
    line: mpsc::Sender<intake::Waiting>,
    /// Notified of appends, here or in another process.
    appended: Notify,
    /// Notified of outcomes that were recorded here.
    outcomes: Arc<Notify>,
    /// When the last event of the provider came, or when this process began to wait for one.
    last_event: Mutex<Timestamp>,
    streams: TaskTracker,
    /// Ends all streams.
    end: CancellationToken,
}

/// Queued events for the next commits; more senders wait for room.
const QUEUE: usize = 4_096;
/// Events per read.
const PAGE: u32 = 256;
/// Numbers of the log that one statement of a list looks through.
const LOOKED_THROUGH: u64 = 2_000;
/// For how long one list looks for events that pass its filter; the next one
/// continues from there.
const LOOKING_FOR: Duration = Duration::from_millis(10);

/// One page of the log.
pub struct Page {
    /// Events that passed the filter.
    pub events: Vec<Entry>,
    /// The cursor after them; `None` when there was nothing to read.
    pub next: Option<Cursor>,
}

/// The background work of the events, to be run once.
pub struct Work {
    events: Events,
    line: mpsc::Receiver<intake::Waiting>,
    /// The number that the tail starts after, once it is known.
    begun: Option<u64>,
}

impl Events {
    /// Nothing is accepted before the work runs.
    pub fn new(parts: Parts) -> (Self, Work) {
        let Parts {
            log,
            sims,
            orders,
            outcomes,
            config,
            encode,
            metrics,
        } = parts;
        let (line, waiting) = mpsc::channel(QUEUE);
        let events = Self {
            inner: Arc::new(Inner {
                log,
                sims,
                orders,
                config,
                metrics,
                encode,
                tail: Tail::new(),
                line,
                appended: Notify::new(),
                outcomes,
                last_event: Mutex::new(Timestamp::now()),
                streams: TaskTracker::new(),
                end: CancellationToken::new(),
            }),
        };
        let work = Work {
            events: events.clone(),
            line: waiting,
            begun: None,
        };
        (events, work)
    }

    /// Accepts an arrival. Durable when it returns `Ok`.
    ///
    /// Cancel-safe: a queued arrival is stored whether its sender waits or not.
    ///
    /// # Errors
    /// `LEDGER_UNAVAILABLE`: it may or may not be stored; send it again.
    pub async fn receive(&self, arrival: Arrival) -> Result<Appended> {
        let (answer, answered) = oneshot::channel();
        let waiting = intake::Waiting { arrival, answer };
        let sent = self.inner.line.send(waiting).await;
        sent.map_err(|_| Error::ShuttingDown)?;
        answered.await.map_err(|_| Error::ShuttingDown)?
    }

    /// Follows the log from a cursor, until shortly before the deadline.
    ///
    /// # Errors
    /// `EVENT_CURSOR_INVALID`, `EVENT_CURSOR_EXPIRED`, `LEDGER_UNAVAILABLE`,
    /// `SHUTTING_DOWN`.
    pub async fn follow(&self, start: Start, filter: Filter, deadline: Deadline) -> Result<Stream> {
        if self.inner.end.is_cancelled() {
            return Err(Error::ShuttingDown);
        }
        let (filter, extent) = tokio::join!(filter.resolved(&self.inner.sims), self.extent());
        let cursor = self.inner.marked(resolve(start, extent?)?).await?;
        Ok(stream::start(Arc::clone(&self.inner), filter, cursor, deadline))
    }

    /// Events after a cursor, or from the earliest that is kept, at most
    /// `limit`.
    ///
    /// # Errors
    /// `EVENT_CURSOR_INVALID`, `EVENT_CURSOR_EXPIRED`, `LEDGER_UNAVAILABLE`.
    pub async fn list(&self, after: Option<Cursor>, filter: Filter, limit: u32) -> Result<Page> {
        let inner = &self.inner;
        let (filter, extent) = tokio::join!(filter.resolved(&inner.sims), self.extent());
        let (extent, start) = (extent?, after.map_or(Start::Earliest, Start::After));
        let begin = resolve(start, extent)?;
        let selection = filter.selection();
        let enough_at = Instant::now() + LOOKING_FOR;
        let (mut looked_to, mut events) = (begin.sequence, Vec::new());
        while looked_to < extent.latest && (looked_to == begin.sequence || Instant::now() < enough_at) {
            let until = extent.latest.min(looked_to.saturating_add(LOOKED_THROUGH));
            let missing = limit.saturating_sub(u32::try_from(events.len()).unwrap_or(u32::MAX));
            let found = inner.log.select(&selection, looked_to, until, missing).await;
            let found = found.map_err(unavailable)?;
            let full = u32::try_from(found.len()).is_ok_and(|found| found >= missing);
            looked_to = match found.last() {
                Some(last) if full => last.sequence,
                _ => until,
            };
            let admitted = found.into_iter().filter(|logged| filter.admits(&logged.event));
            events.extend(admitted.map(|logged| inner.entry(logged)));
            if full {
                break;
            }
        }
        // Afterwards: what is not missing now was not missing before.
        inner.ensure_next(begin).await?;
        let next = match looked_to == begin.sequence {
            true => None,
            false => Some(
                inner
                    .marked(Cursor {
                        sequence: looked_to,
                        mark: None,
                        ..begin
                    })
                    .await?,
            ),
        };
        Ok(Page { events, next })
    }

    /// Ends every stream; new ones are refused.
    pub fn end_streams(&self) {
        self.inner.end.cancel();
        self.inner.streams.close();
    }

    /// What the log holds, with every outcome that was recorded before.
    async fn extent(&self) -> Result<Extent> {
        self.inner.publish().await;
        self.inner.log.extent().await.map_err(unavailable)
    }
}

fn unavailable(error: store::Error) -> Error {
    tracing::error!(%error, "the log of events failed");
    Error::EventLogUnavailable
}

impl Inner {
    /// Appends outcomes that are not in the log yet. What fails is tried again
    /// with the next event, and at least as often as the log is polled.
    async fn publish(&self) {
        if let Err(error) = self.log.publish().await {
            tracing::warn!(%error, "what became of orders cannot be appended to the log of events at the moment");
        }
    }

    fn event_came(&self, at: Timestamp) {
        *self.last_event.lock().unwrap_or_else(PoisonError::into_inner) = at;
        self.metrics.last_event_at(at);
    }

    fn last_event(&self) -> Timestamp {
        *self.last_event.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn entry(&self, mut logged: Logged) -> Entry {
        if !logged.damaged.is_empty() {
            self.metrics.damaged_event();
            let (sequence, columns) = (logged.sequence, &logged.damaged);
            tracing::error!(
                sequence,
                ?columns,
                "an event in the log is damaged and is shown as far as it can be read"
            );
        }
        logged.attributes = transatel::event::without_account(logged.attributes);
        Entry {
            encoded: (self.encode)(&logged),
            mark: logged.mark(),
            sequence: logged.sequence,
            event: logged.event,
        }
    }
}

impl Work {
    /// Reads the end of the log, so that nothing after it is missed. A log that
    /// cannot be read now is checked again later.
    pub async fn begin(&mut self) {
        self.begun = self.events.extent().await.ok().map(|extent| extent.latest);
    }

    /// Accepts events, passes them on and maintains the log until cancelled;
    /// what is in the queue then is still made durable.
    pub async fn run(self, stop: CancellationToken) {
        let Self { events, line, begun } = self;
        let inner = &*events.inner;
        let (orders, news) = mpsc::channel(QUEUE);
        let taking_in = intake::run(inner, line, orders, stop.clone());
        let others = async {
            tokio::join!(
                intake::pass_on(inner, news),
                tail::follow(inner, begun),
                inner.listen(),
                watch::silence(inner),
                watch::upkeep(inner),
            );
        };
        let others = stop.run_until_cancelled(others);
        tokio::join!(taking_in, others);
    }
}

impl Inner {
    async fn listen(&self) {
        match self.config.wake {
            config::Wake::Listen => self.log.listen(&self.appended).await,
            config::Wake::Poll => std::future::pending().await,
        }
    }
}
