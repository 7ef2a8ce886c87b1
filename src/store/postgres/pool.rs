//! Connections to PostgreSQL, and the only way to use one.
//!
//! Every operation runs in a task of its own that always finishes: a caller
//! that gives up only stops waiting, so that no connection is left in the
//! middle of a statement and has to be closed. As many run at once as there are
//! connections; more callers queue, and one that gives up leaves the queue.
//!
//! Every operation is bounded in time, and a connection on which one timed out
//! is closed, never kept. When a network goes silent, its idle connections are
//! dead too: none that was made before is used again.
//!
//! An idle connection is asked whether it still works before it is used, which
//! is a round trip; not so one that answered a moment ago. Should it have died
//! since, an operation that may run again does so on another one, and any other
//! fails, like those that it died under.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use super::connect::{Session, ends_connection, is_transient, only_reads, too_late};
use super::servers::Servers;
use crate::store::backend::{Reading, Work};
use crate::store::{Connections, Error, Result};

/// A connection is replaced at this age: the server's memory for one grows.
const LIFETIME: Duration = Duration::from_secs(30 * 60);

/// For how long a connection that answered is used without asking.
const TRUSTED_FOR: Duration = Duration::from_millis(100);

/// Pause before a failed connect is repeated; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Time limit for closing a retired connection.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// The connections of one ledger.
pub(super) struct Pool {
    shared: Arc<Shared>,
    tasks: TaskTracker,
}

struct Shared {
    servers: Arc<Servers>,
    /// Limits the time of an operation with everything that it needs.
    operation_timeout: Duration,
    most: usize,
    /// One permit per connection.
    turns: Arc<Semaphore>,
    kept: Mutex<Kept>,
    waiting: AtomicUsize,
    /// Why the last attempt at a connection failed, if it did.
    trouble: Mutex<Option<Error>>,
}

/// What runs on a connection.
pub(super) enum Operation<T> {
    Once(Work<PgConnection, T>),
    /// Reads, or finds what it did before.
    Repeatable(Reading<PgConnection, T>),
}

/// Counts one operation among those that wait, while it is held.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn among(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Idle connections.
struct Kept {
    /// The one that has been idle for longest first.
    idle: VecDeque<Pooled>,
    /// Connections that were made earlier are not used any more.
    trusted_since: Instant,
    /// A connection was lost then: those that answered earlier are asked.
    doubted_at: Option<Instant>,
}

struct Pooled {
    connection: PgConnection,
    made: Instant,
    /// When it answered last.
    answered: Instant,
}

impl Pool {
    /// Connects lazily.
    pub(super) fn new(servers: Arc<Servers>, connections: u32, operation_timeout: Duration) -> Self {
        let most = usize::try_from(connections).unwrap_or(Semaphore::MAX_PERMITS);
        let most = most.min(Semaphore::MAX_PERMITS);
        Self {
            shared: Arc::new(Shared {
                servers,
                operation_timeout,
                most,
                turns: Arc::new(Semaphore::new(most)),
                kept: Mutex::new(Kept {
                    idle: VecDeque::new(),
                    trusted_since: Instant::now(),
                    doubted_at: None,
                }),
                waiting: AtomicUsize::new(0),
                trouble: Mutex::default(),
            }),
            tasks: TaskTracker::new(),
        }
    }

    /// How the connections are used. One that is being made counts as used.
    pub(super) fn connections(&self) -> Connections {
        let shared = &self.shared;
        Connections {
            used: shared.most.saturating_sub(shared.turns.available_permits()),
            idle: shared.kept().idle.len(),
            max: shared.most,
            waiting: shared.waiting.load(Ordering::Relaxed),
        }
    }

    /// Runs an operation on a connection and waits for its result: up to
    /// `operation_timeout` for a permit, and as long for the operation.
    ///
    /// Cancel-safe: a started operation is finished whether its caller waits or
    /// not, and one that has not started never does.
    pub(super) async fn run<T: Send + 'static>(&self, operation: Operation<T>) -> Result<T> {
        let shared = Arc::clone(&self.shared);
        let turn = timeout(
            shared.operation_timeout,
            Arc::clone(&shared.turns).acquire_owned(),
        );
        let waiting = Waiting::among(&shared.waiting);
        let turn = turn
            .await
            .map_err(|_| Error::no_connection_free(shared.trouble().clone()))?;
        drop(waiting);
        let turn = turn.map_err(|_| Error::shutting_down())?;
        let (answer, answered) = oneshot::channel();
        let task = async move {
            let result = shared.carry_out(operation).await;
            // Before the caller can want the next one.
            drop(turn);
            // The caller may have gone.
            let _ = answer.send(result);
        };
        self.tasks.spawn(task.in_current_span());
        let result = answered.await.map_err(|_| Error::shutting_down())?;
        Ok(result?)
    }
}

impl Shared {
    async fn carry_out<T>(&self, operation: Operation<T>) -> sqlx::Result<T> {
        let deadline = Instant::now() + self.operation_timeout;
        let trusted = self.trusted();
        match operation {
            Operation::Once(work) => {
                let pooled = match trusted {
                    Some(pooled) => pooled,
                    None => self.connection(deadline).await?,
                };
                self.carry_out_on(pooled, deadline, work).await
            }
            Operation::Repeatable(work) => {
                if let Some(pooled) = trusted {
                    // As long as it would be asked whether it works.
                    let first = Instant::now() + self.operation_timeout / 2;
                    match self.carry_out_on(pooled, first, &work).await {
                        Err(error) if ends_connection(&error) => {}
                        answered => return answered,
                    }
                }
                let pooled = self.connection(deadline).await?;
                self.carry_out_on(pooled, deadline, work).await
            }
        }
    }

    async fn carry_out_on<T>(
        &self,
        mut pooled: Pooled,
        deadline: Instant,
        work: impl for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, sqlx::Result<T>>,
    ) -> sqlx::Result<T> {
        let Ok(result) = timeout_at(deadline, work(&mut pooled.connection)).await else {
            self.discard_all();
            return Err(too_late("the server did not answer in time"));
        };
        match &result {
            Ok(_) => self.keep(pooled),
            Err(error) if ends_connection(error) => {
                self.kept().doubted_at = Some(Instant::now());
                if only_reads(error) {
                    self.discard_all();
                }
            }
            // Roll back what it left in a transaction before it is idle.
            Err(_) => {
                if let Ok(Ok(())) = timeout_at(deadline, pooled.connection.ping()).await {
                    self.keep(pooled);
                }
            }
        }
        result
    }

    /// The connection that answered last, if that was a moment ago.
    fn trusted(&self) -> Option<Pooled> {
        let mut kept = self.kept();
        let doubted_at = kept.doubted_at;
        let is_trusted = |pooled: &Pooled| {
            pooled.answered.elapsed() < TRUSTED_FOR
                && pooled.made.elapsed() < LIFETIME
                && doubted_at.is_none_or(|doubted_at| pooled.answered > doubted_at)
        };
        kept.idle
            .back()
            .is_some_and(is_trusted)
            .then(|| kept.idle.pop_back())?
    }

    /// An idle connection that answers, or a new one.
    async fn connection(&self, deadline: Instant) -> sqlx::Result<Pooled> {
        while let Some(mut pooled) = self.idle() {
            if pooled.made.elapsed() > LIFETIME {
                let _ = timeout(CLOSE_TIMEOUT, pooled.connection.close()).await;
                continue;
            }
            match timeout(self.operation_timeout / 2, pooled.connection.ping()).await {
                Ok(Ok(())) => return Ok(pooled),
                // The server closed it.
                Ok(Err(_)) => {}
                Err(_) => self.discard_all(),
            }
        }
        self.connect(deadline).await
    }

    /// A new connection, from a server that may just be starting.
    async fn connect(&self, deadline: Instant) -> sqlx::Result<Pooled> {
        let mut pause = FIRST_PAUSE;
        let mut last = None;
        loop {
            let made = Instant::now();
            let session = Session::Operations(self.operation_timeout);
            let connecting = self.servers.connect(self.operation_timeout, session);
            let Ok(connected) = timeout_at(deadline, connecting).await else {
                let error = last.unwrap_or_else(|| too_late("no connection could be made in time"));
                *self.trouble() = Some(Error::of(&error));
                return Err(error);
            };
            *self.trouble() = connected.as_ref().err().map(Error::of);
            match connected {
                Ok(connection) => {
                    return Ok(Pooled {
                        connection,
                        made,
                        answered: Instant::now(),
                    });
                }
                Err(error) if is_transient(&error) && Instant::now() + pause < deadline => {
                    last = Some(error);
                    tokio::time::sleep(pause).await;
                    pause = LONGEST_PAUSE.min(2 * pause);
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn trouble(&self) -> MutexGuard<'_, Option<Error>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn idle(&self) -> Option<Pooled> {
        self.kept().idle.pop_front()
    }

    fn keep(&self, mut pooled: Pooled) {
        let mut kept = self.kept();
        pooled.answered = Instant::now();
        if pooled.made >= kept.trusted_since {
            kept.idle.push_back(pooled);
        }
    }

    /// Discards all present connections.
    fn discard_all(&self) {
        let mut kept = self.kept();
        kept.trusted_since = Instant::now();
        let discarded = std::mem::take(&mut kept.idle);
        drop(kept);
        // Their sockets are closed without a message to the server.
        drop(discarded);
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
