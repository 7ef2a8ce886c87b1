//! Attempts in flight, and the calls that wait for them.
//!
//! An attempt of this process reports its own progress. One that another
//! process carries out is polled in the ledger, by one task however many calls
//! wait for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;

use super::{Inner, Key, outcome};
use crate::domain::write::{State, Write, WriteId};
use crate::domain::{Lease, Result};

/// The progress of an attempt.
#[derive(Clone, Debug)]
enum Progress {
    /// Nothing to be sent is durable yet.
    Beginning,
    /// Its caller's deadline passed first: it is not sent.
    Abandoned,
    /// Being sent, as recorded in the ledger.
    Sending(Box<Write>),
    /// Over. `None` when the ledger had moved on and nothing was begun.
    Ended(Box<Option<Result<Write>>>),
}

/// An attempt that can be waited for.
#[derive(Debug)]
pub(super) struct Flight {
    progress: watch::Sender<Progress>,
    /// The lease of an attempt of this process.
    lease: Option<Lease>,
}

/// A call that waits for an attempt.
#[derive(Debug)]
pub(super) struct Waiting(watch::Receiver<Progress>);

/// What a waiting call gets.
#[derive(Debug)]
pub(super) enum Answered {
    /// The outcome.
    Ended(Result<Write>),
    /// It was not sent, and never will be.
    Nothing,
    /// No outcome yet; the write as it is, when it is being sent.
    Late(Option<Write>),
}

impl Flight {
    /// An attempt that has not begun, to be sent under this lease.
    pub(super) fn new(lease: Lease) -> Self {
        Self::at(Progress::Beginning, Some(lease))
    }

    fn at(progress: Progress, lease: Option<Lease>) -> Self {
        Self {
            progress: watch::Sender::new(progress),
            lease,
        }
    }

    /// Adds a waiting call.
    pub(super) fn join(&self) -> Waiting {
        Waiting(self.progress.subscribe())
    }

    /// Its caller's deadline has passed. `false` when it is being sent already:
    /// the first of the two decides.
    pub(super) fn abandon(&self) -> bool {
        self.advance(Progress::Abandoned)
    }

    /// The write is durable and is going to be sent. `false` when its caller
    /// has given up.
    pub(super) fn start_sending(&self, write: Write) -> bool {
        self.advance(Progress::Sending(Box::new(write)))
    }

    fn advance(&self, next: Progress) -> bool {
        self.progress.send_if_modified(|progress| {
            let first = matches!(progress, Progress::Beginning);
            if first {
                *progress = next;
            }
            first
        })
    }

    /// Whether it is over.
    pub(super) fn is_over(&self) -> bool {
        matches!(*self.progress.borrow(), Progress::Ended(_))
    }

    /// Ends it; what is not sent yet never is. `false` when it was over before:
    /// the first answer stands.
    pub(super) fn end(&self, answer: Option<Result<Write>>) -> bool {
        if let Some(lease) = &self.lease {
            lease.end();
        }
        self.progress.send_if_modified(|progress| {
            let first = !matches!(progress, Progress::Ended(_));
            if first {
                *progress = Progress::Ended(Box::new(answer));
            }
            first
        })
    }
}

impl Waiting {
    /// Waits for the end. Cancel-safe.
    pub(super) async fn answer(&mut self, until: Instant) -> Answered {
        let ended = self.0.wait_for(|progress| matches!(progress, Progress::Ended(_)));
        let _ = tokio::time::timeout_at(until, ended).await;
        let now = self.0.borrow().clone();
        match now {
            Progress::Ended(answer) => match *answer {
                Some(answer) => Answered::Ended(answer),
                None => Answered::Nothing,
            },
            Progress::Sending(write) => Answered::Late(Some(*write)),
            Progress::Beginning | Progress::Abandoned => Answered::Late(None),
        }
    }
}

type ById = HashMap<WriteId, Arc<Flight>>;

/// The attempts that calls of this process can wait for.
#[derive(Debug, Default)]
pub(super) struct Flights {
    /// Those of this process.
    own: Mutex<ById>,
    /// Those of other processes that calls wait for.
    followed: Mutex<ById>,
    lost: Mutex<Vec<Lost>>,
}

/// An attempt of this process whose task has ended without a result.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lost {
    pub(super) id: WriteId,
    /// Its number.
    pub(super) attempt: i32,
    /// The lease of an attempt that may not have begun, of which nothing was
    /// sent. `None` for one that may have been sent.
    pub(super) unsent_until: Option<Timestamp>,
    /// Not before: pending operations of the ledger have ended by then.
    pub(super) due: Instant,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Flights {
    /// The attempt of this process at a write.
    pub(super) fn of(&self, id: WriteId) -> Option<Arc<Flight>> {
        lock(&self.own).get(&id).cloned()
    }

    /// Leaves an attempt to reconciliation.
    pub(super) fn lose(&self, lost: Lost) {
        lock(&self.lost).push(lost);
    }

    /// The lost attempts that are due.
    pub(super) fn take_lost(&self) -> Vec<Lost> {
        let now = Instant::now();
        lock(&self.lost).extract_if(.., |lost| lost.due <= now).collect()
    }
}

/// An attempt of this process, listed while its task runs.
pub(super) struct Listed<'a> {
    flights: &'a Flights,
    id: WriteId,
    attempt: i32,
    is_settled: bool,
}

impl<'a> Listed<'a> {
    pub(super) fn new(flights: &'a Flights, id: WriteId, attempt: i32, flight: &Arc<Flight>) -> Self {
        lock(&flights.own).insert(id, Arc::clone(flight));
        Self {
            flights,
            id,
            attempt,
            is_settled: false,
        }
    }

    /// The ledger holds the outcome.
    pub(super) fn settled(mut self) {
        self.is_settled = true;
    }
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        lock(&self.flights.own).remove(&self.id);
        if !self.is_settled {
            // Its task panicked.
            self.flights.lose(Lost {
                id: self.id,
                attempt: self.attempt,
                unsent_until: None,
                due: Instant::now(),
            });
        }
    }
}

/// Interval of polling an attempt that another process carries out.
const POLL: Duration = Duration::from_millis(50);

impl Inner {
    /// Waits for a write that is being sent, here or in another process.
    pub(super) fn wait_for(self: &Arc<Self>, write: &Write) -> Waiting {
        if let Some(flight) = self.flights.of(write.id) {
            return flight.join();
        }
        let mut followed = lock(&self.flights.followed);
        if let Some(flight) = followed.get(&write.id) {
            return flight.join();
        }
        let flight = Arc::new(Flight::at(Progress::Sending(Box::new(write.clone())), None));
        let waiting = flight.join();
        followed.insert(write.id, Arc::clone(&flight));
        self.followers.spawn(Arc::clone(self).follow(write.id, flight));
        waiting
    }

    /// Polls the ledger until the write is settled or no call waits any more.
    async fn follow(self: Arc<Self>, id: WriteId, flight: Arc<Flight>) {
        loop {
            tokio::time::sleep(POLL).await;
            {
                // Joining takes the same lock.
                let mut followed = lock(&self.flights.followed);
                if flight.progress.receiver_count() == 0 {
                    followed.remove(&id);
                    return;
                }
            }
            let answer = match self.ledger.find(Key::Write(id)).await {
                // The write as it was stays the answer.
                Err(_) => continue,
                Ok(Some(record)) if record.write.state == State::Submitting => continue,
                Ok(Some(record)) => Some(outcome(record.write)),
                Ok(None) => None,
            };
            lock(&self.flights.followed).remove(&id);
            flight.end(answer);
            return;
        }
    }
}
