//! What is to happen by itself, and when.
//!
//! The first access to the provider does what is due: a read never sees a
//! state that time has overtaken. [`Agenda::sooner`] lets a task sleep until the
//! next entry.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    sync::{
        Mutex,
        atomic::{AtomicI64, Ordering},
    },
};

use jiff::Timestamp;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::{lock::lock, world::stock::ids::SimNumber};

/// Something that becomes due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Due {
    /// The end of a connectivity transaction, and whether it is a good one.
    Transaction(Uuid, bool),
    /// A subscription of this SIM starts, renews or ends.
    Sim(SimNumber),
}

/// Nothing is due before the end of time.
const NEVER: i64 = i64::MAX;

#[derive(Debug)]
pub(crate) struct Agenda {
    /// Milliseconds of the earliest entry, rounded down, so that looking takes no lock.
    next: AtomicI64,
    entries: Mutex<BinaryHeap<Reverse<(Timestamp, Due)>>>,
    sooner: Notify,
}

impl Default for Agenda {
    fn default() -> Self {
        Self {
            next: AtomicI64::new(NEVER),
            entries: Mutex::default(),
            sooner: Notify::new(),
        }
    }
}

impl Agenda {
    pub(crate) fn add(&self, at: Timestamp, due: Due) {
        let mut entries = lock(&self.entries);
        entries.push(Reverse((at, due)));
        if self.publish(&entries) {
            self.sooner.notify_one();
        }
    }

    /// The earliest entry that is due, which is taken off.
    pub(crate) fn take(&self, now: Timestamp) -> Option<(Timestamp, Due)> {
        if now.as_millisecond() < self.next.load(Ordering::Acquire) {
            return None;
        }
        let mut entries = lock(&self.entries);
        entries.peek().filter(|Reverse((at, _))| *at <= now)?;
        let taken = entries.pop();
        self.publish(&entries);
        taken.map(|Reverse(entry)| entry)
    }

    /// When the earliest entry is due.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        lock(&self.entries).peek().map(|Reverse((at, _))| *at)
    }

    /// Returns when an entry has come that is earlier than all before it. Cancel-safe.
    pub(crate) async fn sooner(&self) {
        self.sooner.notified().await;
    }

    /// Tells when the earliest entry is due, and whether that is earlier than it was.
    fn publish(&self, entries: &BinaryHeap<Reverse<(Timestamp, Due)>>) -> bool {
        let next = entries
            .peek()
            .map_or(NEVER, |Reverse((at, _))| at.as_millisecond());
        next < self.next.swap(next, Ordering::AcqRel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_in_the_order_of_time_and_not_before() {
        let agenda = Agenda::default();
        let at = |second| Timestamp::from_second(second).unwrap();
        let due = |number| Due::Transaction(Uuid::from_u128(number), true);
        assert_eq!(agenda.next(), None);
        agenda.add(at(20), due(2));
        agenda.add(at(10), due(1));
        assert_eq!(agenda.next(), Some(at(10)));
        assert_eq!(agenda.take(at(9)), None);
        assert_eq!(agenda.take(at(30)), Some((at(10), due(1))));
        assert_eq!(agenda.take(at(19)), None);
        assert_eq!(agenda.take(at(20)), Some((at(20), due(2))));
        assert_eq!(agenda.take(at(30)), None);
    }
}
