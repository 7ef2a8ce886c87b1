//! The newest events, read from the log once for all followers, in every
//! replica: so each replica learns which numbers moved to other cards.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::Instant;

use super::Inner;
use crate::domain::event::{Cursor, Event, Mark, Origin};

/// Events that are held; a follower that is further behind reads the log.
const MOST: usize = 4_096;
/// Their encoded bytes.
const MOST_BYTES: usize = 8 << 20;
/// Events within this time are delivered together: every follower is woken once
/// for them.
const TOGETHER: Duration = Duration::from_millis(4);
/// Outcomes within this time are appended together: that costs the database about as
/// much as an order, in each replica.
const OUTCOMES_TOGETHER: Duration = Duration::from_millis(50);

/// An event as followers get it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its position in the log.
    pub sequence: u64,
    /// What distinguishes it from another event at this position.
    pub mark: Mark,
    /// What it says.
    pub event: Event,
    /// Its encoding for callers.
    pub encoded: Bytes,
}

/// The tail of the log.
pub(super) struct Tail {
    held: Mutex<Held>,
    latest: watch::Sender<u64>,
}

#[derive(Default)]
struct Held {
    entries: VecDeque<Arc<Entry>>,
    bytes: usize,
    /// Mark of the event before the first one, where it is known.
    before: Option<Mark>,
}

/// How far the tail has read.
#[derive(Clone, Copy)]
struct Last {
    sequence: u64,
    mark: Option<Mark>,
}

impl Tail {
    pub(super) fn new() -> Self {
        Self {
            held: Mutex::default(),
            latest: watch::Sender::new(0),
        }
    }

    /// Notifies of every change.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.latest.subscribe()
    }

    /// Events after this cursor, at most `most`; `None` when the next one is
    /// not held any more, or when it is a cursor of another log.
    pub(super) fn after(&self, cursor: Cursor, most: usize) -> Option<Vec<Arc<Entry>>> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let first = held.entries.front()?.sequence;
        let skip = usize::try_from((cursor.sequence + 1).checked_sub(first)?).ok()?;
        let own = match skip.checked_sub(1) {
            Some(own) => Some(held.entries.get(own)?.mark),
            None => held.before,
        };
        if own.is_some_and(|own| !cursor.is_after(own)) {
            return None;
        }
        let wanted = held.entries.iter().skip(skip).take(most);
        Some(wanted.cloned().collect())
    }

    /// Drops everything; all followers read the log.
    fn clear(&self) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        *held = Held::default();
        drop(held);
        self.latest.send_modify(|_| {});
    }

    /// Adds the events after an event with this mark.
    fn push(&self, before: Option<Mark>, entries: Vec<Entry>) {
        let Some(latest) = entries.last().map(|entry| entry.sequence) else {
            return;
        };
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.entries.is_empty() {
            held.before = before;
        }
        for entry in entries {
            let follows = held
                .entries
                .back()
                .is_none_or(|last| last.sequence + 1 == entry.sequence);
            if !follows {
                held.entries.clear();
                held.bytes = 0;
                held.before = None;
            }
            held.bytes += entry.encoded.len();
            held.entries.push_back(Arc::new(entry));
        }
        while held.entries.len() > MOST || held.bytes > MOST_BYTES {
            let Some(gone) = held.entries.pop_front() else {
                break;
            };
            held.bytes -= gone.encoded.len();
            held.before = Some(gone.mark);
        }
        drop(held);
        self.latest.send_replace(latest);
    }
}

/// Reads what comes after this number into the tail, woken by an append or an
/// outcome and at least as often as configured. Outcomes are appended first,
/// also those that another replica recorded and did not live to append.
pub(super) async fn follow(inner: &Inner, begun: Option<u64>) {
    let mut last = begun.map(Last::unmarked);
    let mut publish_at = Instant::now();
    loop {
        let publishes = Instant::now() >= publish_at;
        if publishes {
            inner.publish().await;
            publish_at = Instant::now() + OUTCOMES_TOGETHER;
        }
        let began = match last {
            Some(last) => Ok(last),
            None => inner.log.extent().await.map(|extent| {
                // Earlier events were not read here.
                inner.sims.forget_all();
                Last::unmarked(extent.latest)
            }),
        };
        match began {
            Ok(began) => {
                last = read(inner, began).await;
                tokio::time::sleep(TOGETHER).await;
            }
            Err(error) => tracing::warn!(%error, "the log of events cannot be read at the moment"),
        }
        let poll = Instant::now() + inner.config.poll_interval;
        let wake = if publishes { poll } else { publish_at.min(poll) };
        // There is nothing to read of an outcome before it is appended.
        let outcome = async {
            inner.outcomes.notified().await;
            tokio::time::sleep_until(publish_at).await;
        };
        tokio::select! {
            () = inner.appended.notified() => {}
            () = outcome => {}
            () = tokio::time::sleep_until(wake) => {}
        }
    }
}

impl Last {
    fn unmarked(sequence: u64) -> Self {
        Self { sequence, mark: None }
    }
}

/// Reads everything after this event; returns the last one. `None` when the log
/// was replaced, so that reading has to start anew.
async fn read(inner: &Inner, mut last: Last) -> Option<Last> {
    loop {
        // Not `Inner::read`: deleted events do not matter here.
        let mut page = match inner.around(last.sequence, super::PAGE).await {
            Ok(page) => page,
            Err(error) => {
                tracing::warn!(%error, "the log of events cannot be read at the moment");
                return Some(last);
            }
        };
        if let Some(own) = page.first().filter(|own| own.sequence == last.sequence) {
            let mark = own.mark();
            if last.mark.is_some_and(|known| known != mark) {
                return lost(inner);
            }
            last.mark = Some(mark);
            page.remove(0);
        } else if page.is_empty() && last.sequence > 0 {
            match inner.log.extent().await {
                Ok(extent) if extent.latest < last.sequence => return lost(inner),
                Ok(_) | Err(_) => {}
            }
        }
        let Some(newest) = page.last() else {
            return Some(last);
        };
        let is_full = page.len() >= super::PAGE as usize;
        let before = last.mark;
        last = Last {
            sequence: newest.sequence,
            mark: Some(newest.mark()),
        };
        for logged in &page {
            if logged.event.event_type().moves_a_line() {
                inner.sims.forget(&logged.event.sim).await;
            }
        }
        let reported = page.iter().rev().map(|logged| &logged.event);
        if let Some(event) = { reported }.find(|event| event.origin == Origin::Provider) {
            inner.event_came(event.received_at);
        }
        let entries = page.into_iter().map(|logged| inner.entry(logged)).collect();
        inner.tail.push(before, entries);
        if !is_full {
            return Some(last);
        }
    }
}

/// Events that were in the log are gone or replaced.
fn lost(inner: &Inner) -> Option<Last> {
    tracing::error!(
        "events that were read are no longer in the log: the database was replaced by one that had not \
         received them; streams whose cursor is one of them end with EVENT_CURSOR_INVALID"
    );
    inner.tail.clear();
    None
}
