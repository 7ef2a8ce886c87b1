//! What happened in the last minutes, for a person who looks now: a counter since
//! the start says nothing about that.
//!
//! Bounded, whatever happens: a number per minute for each key of a closed set, and
//! the last few calls that failed.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// Minutes that are kept, the current one included.
const MINUTES: u64 = 15;

/// Failed calls that are kept.
const CALLS: usize = 20;

/// A call of a caller that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedCall {
    /// When.
    pub at: Timestamp,
    /// The full name of the method.
    pub method: &'static str,
    /// Its gRPC status.
    pub status: &'static str,
    /// The reason of its error, or its status.
    pub cause: &'static str,
}

/// A token that was not granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoToken {
    /// When.
    pub at: Timestamp,
    /// `error.type`.
    pub why: String,
    /// A token has been granted since.
    pub over: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Recent {
    began: Instant,
    exchanges: Mutex<Minutes<(&'static str, &'static str)>>,
    failures: Mutex<Minutes<(&'static str, &'static str)>>,
    refusals: Mutex<Minutes<&'static str>>,
    calls: Mutex<VecDeque<FailedCall>>,
    token: Mutex<Option<NoToken>>,
}

impl Default for Recent {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            exchanges: Mutex::default(),
            failures: Mutex::default(),
            refusals: Mutex::default(),
            calls: Mutex::default(),
            token: Mutex::default(),
        }
    }
}

impl Recent {
    /// A request to an API of the provider ended with an outcome.
    pub(super) fn exchange(&self, api: &'static str, outcome: &'static str) {
        locked(&self.exchanges).add(self.minute(), (api, outcome));
    }

    /// An order or an operation was refused.
    pub(super) fn order_refused(&self, reason: &'static str) {
        locked(&self.refusals).add(self.minute(), reason);
    }

    /// A call failed.
    pub(super) fn call_failed(&self, method: &'static str, status: &'static str, cause: &'static str) {
        locked(&self.failures).add(self.minute(), (status, cause));
        let mut calls = locked(&self.calls);
        if calls.len() >= CALLS {
            calls.pop_front();
        }
        let at = Timestamp::now();
        calls.push_back(FailedCall {
            at,
            method,
            status,
            cause,
        });
    }

    /// No token was granted.
    pub(super) fn token_failed(&self, why: &str) {
        *locked(&self.token) = Some(NoToken {
            at: Timestamp::now(),
            why: why.to_owned(),
            over: false,
        });
    }

    /// A token was granted.
    pub(super) fn token_granted(&self) {
        if let Some(failure) = locked(&self.token).as_mut() {
            failure.over = true;
        }
    }

    /// Requests by API and outcome in the last so many minutes, at most 15.
    pub fn exchanges(&self, minutes: u64) -> HashMap<(&'static str, &'static str), u64> {
        locked(&self.exchanges).sum(self.minute(), minutes)
    }

    /// Failed calls by status and cause, likewise.
    pub fn failures(&self, minutes: u64) -> HashMap<(&'static str, &'static str), u64> {
        locked(&self.failures).sum(self.minute(), minutes)
    }

    /// Refused orders and operations by reason, likewise.
    pub fn refusals(&self, minutes: u64) -> HashMap<&'static str, u64> {
        locked(&self.refusals).sum(self.minute(), minutes)
    }

    /// The last calls that failed, the newest first.
    pub fn calls(&self) -> Vec<FailedCall> {
        locked(&self.calls).iter().rev().cloned().collect()
    }

    /// The last time that no token was granted.
    pub fn no_token(&self) -> Option<NoToken> {
        locked(&self.token).clone()
    }

    /// For how long this has been recorded.
    pub fn age(&self) -> Duration {
        self.began.elapsed()
    }

    fn minute(&self) -> u64 {
        self.began.elapsed().as_secs() / 60
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How often something happened, by minute.
#[derive(Debug)]
struct Minutes<K>(VecDeque<(u64, HashMap<K, u64>)>);

impl<K> Default for Minutes<K> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<K: Copy + Eq + Hash> Minutes<K> {
    fn add(&mut self, minute: u64, key: K) {
        if self.0.back().is_none_or(|(last, _)| *last < minute) {
            self.0.push_back((minute, HashMap::new()));
            while self.0.front().is_some_and(|(first, _)| first + MINUTES <= minute) {
                self.0.pop_front();
            }
        }
        if let Some((_, counts)) = self.0.back_mut() {
            *counts.entry(key).or_default() += 1;
        }
    }

    /// Over the current minute and the ones before it.
    fn sum(&self, minute: u64, minutes: u64) -> HashMap<K, u64> {
        let mut sum = HashMap::new();
        for (_, counts) in self.0.iter().filter(|(at, _)| at + minutes > minute) {
            for (key, count) in counts {
                *sum.entry(*key).or_default() += count;
            }
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_older_than_the_minutes_asked_for_does_not_count() {
        let recent = Recent::default();
        for minute in 0..20 {
            recent.exchange("orders", "ok");
            if minute == 17 {
                recent.exchange("orders", "timeout");
            }
            tokio::time::advance(Duration::from_secs(60)).await;
        }
        // The current minute is the 21st, and nothing has happened in it.
        assert_eq!(recent.exchanges(5)[&("orders", "ok")], 4);
        assert_eq!(recent.exchanges(5)[&("orders", "timeout")], 1);
        assert!(!recent.exchanges(3).contains_key(&("orders", "timeout")));
        assert_eq!(recent.exchanges(15)[&("orders", "ok")], 14);
        assert!(locked(&recent.exchanges).0.len() <= MINUTES as usize);
    }

    #[test]
    fn the_last_failed_calls_are_kept_newest_first() {
        let recent = Recent::default();
        for _ in 0..CALLS {
            recent.call_failed("a", "INTERNAL", "INTERNAL");
        }
        recent.call_failed("b", "NOT_FOUND", "SIM_NOT_FOUND");
        let calls = recent.calls();
        assert_eq!(calls.len(), CALLS);
        assert_eq!((calls[0].method, calls[1].method), ("b", "a"));
        assert_eq!(recent.failures(1)[&("INTERNAL", "INTERNAL")], CALLS as u64);
    }

    #[test]
    fn a_token_that_was_granted_later_ends_the_trouble() {
        let recent = Recent::default();
        recent.token_granted();
        assert_eq!(recent.no_token(), None);
        recent.token_failed("401");
        let failure = recent.no_token().unwrap();
        assert_eq!((failure.why.as_str(), failure.over), ("401", false));
        recent.token_granted();
        assert!(recent.no_token().unwrap().over);
    }
}
