//! The newest events, read from the log once for everybody who follows it, and
//! by every replica: what they say of lines that moved is known in all of them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;

use super::Inner;
use crate::domain::event::Event;

/// Events that are held; a follower that is further behind reads the log.
const MOST: usize = 4_096;
/// Their encoded bytes.
const MOST_BYTES: usize = 8 << 20;
/// What comes within this time is handed on together: every follower is woken
/// for it once.
const TOGETHER: Duration = Duration::from_millis(4);

/// An event as followers get it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its place in the log.
    pub sequence: u64,
    /// What it says.
    pub event: Event,
    /// What callers get.
    pub encoded: Bytes,
}

/// The end of the log.
pub(super) struct Tail {
    held: Mutex<Held>,
    latest: watch::Sender<u64>,
}

#[derive(Default)]
struct Held {
    entries: VecDeque<Arc<Entry>>,
    bytes: usize,
}

impl Tail {
    pub(super) fn new() -> Self {
        Self {
            held: Mutex::default(),
            latest: watch::Sender::new(0),
        }
    }

    /// Tells of every change.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.latest.subscribe()
    }

    /// What comes after this number, at most so many; `None` when the next
    /// one is not held any more.
    pub(super) fn after(&self, sequence: u64, most: usize) -> Option<Vec<Arc<Entry>>> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let first = held.entries.front()?.sequence;
        let skip = usize::try_from((sequence + 1).checked_sub(first)?).ok()?;
        let wanted = held.entries.iter().skip(skip).take(most);
        Some(wanted.cloned().collect())
    }

    fn push(&self, entries: Vec<Entry>) {
        let Some(latest) = entries.last().map(|entry| entry.sequence) else {
            return;
        };
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        for entry in entries {
            let follows = held
                .entries
                .back()
                .is_none_or(|last| last.sequence + 1 == entry.sequence);
            if !follows {
                held.entries.clear();
                held.bytes = 0;
            }
            held.bytes += entry.encoded.len();
            held.entries.push_back(Arc::new(entry));
        }
        while held.entries.len() > MOST || held.bytes > MOST_BYTES {
            let Some(gone) = held.entries.pop_front() else {
                break;
            };
            held.bytes -= gone.encoded.len();
        }
        drop(held);
        self.latest.send_replace(latest);
    }
}

/// Reads what comes after this number into the tail, woken by the bell and at
/// least as often as configured.
pub(super) async fn follow(inner: &Inner, begun: Option<u64>) {
    let mut last = begun;
    loop {
        let began = match last {
            Some(last) => Ok(last),
            None => inner.log.extent().await.map(|extent| {
                // What came before was not seen here.
                inner.sims.forget_all();
                extent.latest
            }),
        };
        match began {
            Ok(sequence) => {
                last = Some(read(inner, sequence).await);
                tokio::time::sleep(TOGETHER).await;
            }
            Err(error) => tracing::warn!(%error, "the log of events cannot be read at the moment"),
        }
        tokio::select! {
            () = inner.bell.notified() => {}
            () = tokio::time::sleep(inner.config.poll_interval) => {}
        }
    }
}

/// Reads everything after this number; gives the last one.
async fn read(inner: &Inner, mut sequence: u64) -> u64 {
    loop {
        // Not `Inner::read`: what was forgotten is of no interest here.
        let page = match inner.log.events_after(sequence, super::PAGE).await {
            Ok(page) => page,
            Err(error) => {
                tracing::warn!(%error, "the log of events cannot be read at the moment");
                return sequence;
            }
        };
        let Some(newest) = page.last() else {
            return sequence;
        };
        sequence = newest.sequence;
        for logged in &page {
            if logged.event.event_type().moves_a_line() {
                inner.sims.forget(&logged.event.sim).await;
            }
        }
        inner.event_came(newest.event.received_at);
        inner
            .tail
            .push(page.into_iter().map(|logged| inner.entry(logged)).collect());
    }
}
