//! When the store begins to fail, why, and when it works again: a line each,
//! and one a minute in between for each reason, however many operations fail.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::store::{Error, ErrorKind};
use crate::telemetry::LogLimit;

/// Without a failure for this long it works again.
const QUIET: Duration = Duration::from_secs(10);

/// The trouble that one kind of operations has.
pub(super) struct Trouble {
    access: &'static str,
    is_there: AtomicBool,
    state: Mutex<Option<State>>,
}

/// One kind of operations that fails at the moment.
pub(in crate::app) struct Failing {
    /// `read` or `write`.
    pub(in crate::app) access: &'static str,
    /// How long ago it began.
    pub(in crate::app) since: Duration,
    /// Failures so far.
    pub(in crate::app) failures: u64,
    /// `error.type` of the last one.
    pub(in crate::app) reason: &'static str,
}

struct State {
    began: Instant,
    last: Instant,
    failures: u64,
    reason: ErrorKind,
    /// The disk was full, or failed.
    of_the_disk: bool,
    /// Lines of each reason.
    lines: HashMap<ErrorKind, LogLimit>,
}

impl Trouble {
    pub(super) fn of(access: &'static str) -> Self {
        Self {
            access,
            is_there: AtomicBool::new(false),
            state: Mutex::default(),
        }
    }

    pub(super) fn failed(&self, operation: &'static str, error: &Error) {
        if let Some(failures) = self.due(error.kind(), Instant::now()) {
            let (access, kind) = (self.access, error.kind().name());
            tracing::error!(%error, error_type = kind, operation, access, failures, "the ledger fails");
        }
    }

    /// Whether a success shows that it works: on a full disk only one that has really
    /// written does.
    pub(super) fn worked(&self, has_written: bool) -> bool {
        if !self.is_there.load(Ordering::Relaxed) {
            return true;
        }
        if !has_written && self.is_of_the_disk() {
            return false;
        }
        if let Some((seconds, failures)) = self.over(Instant::now()) {
            let access = self.access;
            tracing::warn!(access, seconds, failures, "the ledger works again");
        }
        true
    }

    fn is_of_the_disk(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.as_ref().is_some_and(|state| state.of_the_disk)
    }

    /// Counts a failure; how many there were, when a line is due.
    fn due(&self, kind: ErrorKind, now: Instant) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.is_there.store(true, Ordering::Relaxed);
        let state = state.get_or_insert_with(|| State {
            began: now,
            last: now,
            failures: 0,
            reason: kind,
            of_the_disk: false,
            lines: HashMap::new(),
        });
        state.last = now;
        state.failures += 1;
        state.reason = kind;
        state.of_the_disk |= kind == ErrorKind::Disk;
        let lines = state.lines.entry(kind).or_insert_with(|| LogLimit::a_minute(1));
        lines.add(now).map(|_| state.failures)
    }

    /// What fails. What has been quiet is over, even if nothing has worked since; a full
    /// disk is quiet while nothing is to be written.
    pub(super) fn failing(&self, now: Instant) -> Option<Failing> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = state.as_ref()?;
        let is_quiet = now.duration_since(state.last) >= QUIET;
        (state.of_the_disk || !is_quiet).then(|| Failing {
            access: self.access,
            since: now.duration_since(state.began),
            failures: state.failures,
            reason: state.reason.name(),
        })
    }

    /// How long it lasted and how many failures there were, once it is over.
    fn over(&self, now: Instant) -> Option<(u64, u64)> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if now.duration_since(state.as_ref()?.last) < QUIET {
            return None;
        }
        let over = state.take()?;
        self.is_there.store(false, Ordering::Relaxed);
        Some((over.last.duration_since(over.began).as_secs(), over.failures))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lasts_is_logged_at_once_once_a_minute_and_at_its_end() {
        let trouble = Trouble::of("write");
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let lines: Vec<(u64, u64)> = (0..150)
            .filter_map(|second| {
                // One that changes nothing works in between.
                assert_eq!(trouble.over(at(second)), None);
                Some((second, trouble.due(ErrorKind::Timeout, at(second))?))
            })
            .collect();
        assert_eq!(lines, [(0, 1), (60, 61), (120, 121)]);
        assert_eq!(trouble.due(ErrorKind::Disk, at(149)), Some(151), "another reason");
        assert_eq!(trouble.over(at(158)), None);
        assert_eq!(trouble.over(at(159)), Some((149, 151)));
        assert_eq!(trouble.over(at(160)), None);
        assert_eq!(trouble.due(ErrorKind::Timeout, at(161)), Some(1));
    }

    #[test]
    fn a_full_disk_is_over_when_something_was_written() {
        let trouble = Trouble::of("write");
        assert!(trouble.worked(false), "there is no trouble");
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        trouble.due(ErrorKind::Timeout, at(0));
        assert!(trouble.worked(false), "a server that answers is there");
        trouble.due(ErrorKind::Disk, at(1));
        trouble.due(ErrorKind::Timeout, at(2));
        assert!(!trouble.worked(false));
        assert!(trouble.failing(at(3600)).is_some(), "nothing was to be written");
        assert!(trouble.worked(true));
        assert_eq!(trouble.over(at(3600)), Some((2, 3)));
        assert!(trouble.failing(at(3600)).is_none());
        assert!(trouble.worked(false));
    }
}
