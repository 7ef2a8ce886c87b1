//! Reads that wait for the outcome of an order or an operation.
//!
//! What this process records wakes the calls that wait for that write. Another
//! process may settle it as well, so one task per write also polls the ledger,
//! however many calls wait: not while this process sends the write itself, and
//! at growing intervals.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::time_left::answer_at;
use super::{Inner, Key, Writes};
use crate::domain::write::WriteId;
use crate::domain::{Deadline, Result};
use crate::store::Record;

/// Pauses between two polls. The longest one bounds how late a call learns of
/// an outcome that another process recorded.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The writes that calls wait for.
#[derive(Debug, Default)]
pub(super) struct Waits {
    by_write: Mutex<HashMap<WriteId, watch::Sender<()>>>,
    /// The process is stopping: no call waits any longer.
    over: CancellationToken,
}

/// A call that waits for a write. Its end is when it is dropped.
struct Waiting<'a> {
    waits: &'a Waits,
    id: WriteId,
    changed: watch::Receiver<()>,
}

impl Waits {
    fn lock(&self) -> MutexGuard<'_, HashMap<WriteId, watch::Sender<()>>> {
        self.by_write.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a call. The sender comes with the first one for this write.
    fn join(&self, id: WriteId) -> (Waiting<'_>, Option<watch::Sender<()>>) {
        let mut by_write = self.lock();
        let (changed, first) = match by_write.get(&id) {
            Some(sender) => (sender.subscribe(), None),
            None => {
                let (sender, changed) = watch::channel(());
                by_write.insert(id, sender.clone());
                (changed, Some(sender))
            }
        };
        let waiting = Waiting {
            waits: self,
            id,
            changed,
        };
        (waiting, first)
    }

    /// Wakes the calls that wait for a write: its row may have changed.
    pub(super) fn notify(&self, id: WriteId) {
        if let Some(sender) = self.lock().get(&id) {
            sender.send_replace(());
        }
    }
}

impl Waiting<'_> {
    /// Waits until the row may have changed. `false` when the wait is over.
    async fn changed(&mut self, until: Instant) -> bool {
        tokio::select! {
            changed = self.changed.changed() => changed.is_ok(),
            () = self.waits.over.cancelled() => false,
            () = tokio::time::sleep_until(until) => false,
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut by_write = self.waits.lock();
        // This call still counts. Joining takes the same lock.
        if by_write
            .get(&self.id)
            .is_some_and(|sender| sender.receiver_count() <= 1)
        {
            by_write.remove(&self.id);
        }
    }
}

impl Writes {
    /// Ends all waits: at shutdown. Those calls are answered with what is known.
    pub fn end_waits(&self) {
        self.inner.waits.over.cancel();
    }

    /// A record once it is settled, or as it is when `wait` is over or the
    /// deadline near. `None` when its write was withdrawn. Cancel-safe.
    pub(super) async fn settled_within(
        &self,
        wait: Duration,
        mut record: Record,
        deadline: Deadline,
    ) -> Result<Option<Record>> {
        if wait.is_zero() || !record.write.state.is_unsettled() {
            return Ok(Some(record));
        }
        let until = (Instant::now() + wait).min(answer_at(deadline));
        let mut waiting = self.inner.wait_for_change(&record);
        loop {
            // After joining, so that no change is missed.
            let read = tokio::time::timeout_at(until, self.reread(record.write.id, deadline));
            record = match read.await {
                Ok(Ok(Some(record))) if record.write.state.is_unsettled() => record,
                Ok(read) => return read,
                Err(_) => return Ok(Some(record)),
            };
            if !waiting.changed(until).await {
                return Ok(Some(record));
            }
        }
    }

    async fn reread(&self, id: WriteId, deadline: Deadline) -> Result<Option<Record>> {
        match self.find(Key::Write(id)).await? {
            Some(record) => self.confirmed(record, deadline).await.map(Some),
            None => Ok(None),
        }
    }
}

impl Inner {
    fn wait_for_change(self: &Arc<Self>, record: &Record) -> Waiting<'_> {
        let (waiting, first) = self.waits.join(record.write.id);
        if let Some(changed) = first {
            self.followers
                .spawn(Arc::clone(self).poll(record.clone(), changed));
        }
        waiting
    }

    /// Notifies of what other processes record, until no call waits any more.
    async fn poll(self: Arc<Self>, record: Record, changed: watch::Sender<()>) {
        let id = record.write.id;
        let version = |record: Record| (record.write.state, record.attempt);
        let mut known = Some(version(record));
        let mut pause = FIRST_PAUSE;
        loop {
            tokio::select! {
                () = changed.closed() => return,
                () = tokio::time::sleep(pause) => {}
            }
            if self.flights.of(id).is_some() {
                continue;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
            // The ledger may be back at the next poll.
            let Ok(found) = self.ledger.find(Key::Write(id)).await else {
                continue;
            };
            let found = found.map(version);
            if found != known {
                known = found;
                pause = FIRST_PAUSE;
                changed.send_replace(());
            }
        }
    }
}
