//! The circuit breaker of one API.
//!
//! After a number of failures in a row it opens and nothing is sent for a
//! while; then one call at a time is admitted as a probe, and its answer
//! decides. A connection that is lost takes every call on it along, which is
//! one failure of the API: an exchange that broke counts only if it was
//! admitted after the last one that counted. A decision of the provider (4xx) shows that the API works. A 429
//! neither opens nor closes it: an API that rejects calls has not recovered.
//!
//! Guarantees that a call is either refused before anything is sent or not
//! touched: an outcome that is known stays known. Own code, since the
//! maintained breakers wrap a service and know success and failure only; this
//! one needs five kinds of sample, and tokio's clock, which tests can pause.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::endpoint::Api;
use super::error::CallError;

/// What one attempt says about the health of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sample {
    /// It answers.
    Alive,
    /// It does not, or it is broken.
    Failed,
    /// The connection was lost before the end of the answer.
    Lost,
    /// It rejects calls for their rate.
    Throttled,
    /// Nothing: the attempt ended for a reason of our own.
    Nothing,
}

impl Sample {
    /// What a failed attempt says.
    pub fn of(failure: &CallError) -> Self {
        match failure {
            CallError::Connect(_) | CallError::Timeout { by_deadline: false } => Self::Failed,
            CallError::Broken(_) | CallError::Unreadable { truncated: true, .. } => Self::Lost,
            CallError::Refused(refusal) => match refusal.status {
                429 => Self::Throttled,
                501 => Self::Alive,
                500.. => Self::Failed,
                _ => Self::Alive,
            },
            CallError::Unreadable { truncated: false, .. } => Self::Alive,
            // One caller with a short deadline must not open the breaker for all.
            CallError::Timeout { by_deadline: true }
            | CallError::Token(_)
            | CallError::NoTimeLeft
            | CallError::CircuitOpen { .. }
            | CallError::Crowded => Self::Nothing,
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum State {
    Closed {
        failures: u32,
        /// When the last lost connection was counted.
        lost_at: Option<Instant>,
    },
    Open {
        until: Instant,
    },
    Probing,
}

impl State {
    const CLOSED: Self = Self::Closed {
        failures: 0,
        lost_at: None,
    };
}

/// One API's breaker.
#[derive(Debug)]
pub struct Breaker {
    api: Api,
    failures: u32,
    open_for: Duration,
    state: Mutex<State>,
}

impl Breaker {
    /// Of an API. Opens after so many failures in a row, for so long.
    pub fn new(api: Api, failures: u32, open_for: Duration) -> Self {
        Self {
            api,
            failures,
            open_for,
            state: Mutex::new(State::CLOSED),
        }
    }

    /// Admits a call, or says when to try again. A pass that is dropped
    /// without a sample says nothing about the API.
    ///
    /// # Errors
    /// The time after which a call may be admitted again.
    pub fn admit(self: &Arc<Self>) -> Result<Pass, Duration> {
        let mut state = self.state();
        let probe = match *state {
            State::Closed { .. } => false,
            State::Open { until } => match until.checked_duration_since(Instant::now()) {
                Some(left) if !left.is_zero() => return Err(left),
                _ => {
                    *state = State::Probing;
                    true
                }
            },
            State::Probing => return Err(PROBE_AFTER),
        };
        Ok(Pass {
            breaker: Arc::clone(self),
            probe,
            admitted_at: Instant::now(),
        })
    }

    /// Whether calls are rejected now, and for how long. Admits nothing.
    pub fn rejects_for(&self) -> Option<Duration> {
        match *self.state() {
            State::Open { until } => until
                .checked_duration_since(Instant::now())
                .filter(|left| !left.is_zero()),
            State::Probing => Some(PROBE_AFTER),
            State::Closed { .. } => None,
        }
    }

    /// For the metrics: 0 closed, 1 one call at a time, 2 open.
    pub fn level(&self) -> u64 {
        match *self.state() {
            State::Closed { .. } => 0,
            State::Open { until } if until > Instant::now() => 2,
            State::Open { .. } | State::Probing => 1,
        }
    }

    fn record(&self, probe: bool, admitted_at: Instant, sample: Sample) {
        let now = Instant::now();
        let opened = now + self.open_for;
        let mut state = self.state();
        let before = *state;
        *state = match (before, sample) {
            (State::Probing, Sample::Alive) if probe => State::CLOSED,
            (State::Probing, Sample::Failed | Sample::Lost | Sample::Throttled) if probe => {
                State::Open { until: opened }
            }
            // The next call is the probe.
            (State::Probing, Sample::Nothing) if probe => State::Open { until: now },
            (State::Closed { lost_at, .. }, Sample::Alive) => State::Closed { failures: 0, lost_at },
            // On the connection whose loss is counted already.
            (
                same @ State::Closed {
                    lost_at: Some(lost_at),
                    ..
                },
                Sample::Lost,
            ) if admitted_at < lost_at => same,
            (State::Closed { failures, .. }, Sample::Failed | Sample::Lost)
                if failures + 1 >= self.failures =>
            {
                State::Open { until: opened }
            }
            (State::Closed { failures, lost_at }, Sample::Failed) => State::Closed {
                failures: failures + 1,
                lost_at,
            },
            (State::Closed { failures, .. }, Sample::Lost) => State::Closed {
                failures: failures + 1,
                lost_at: Some(now),
            },
            // Late answers to calls from before it opened decide nothing.
            (same, _) => same,
        };
        let after = *state;
        drop(state);
        self.log(before, after, sample);
    }

    /// Logs what an operator has to know. There is one line each time it opens,
    /// and then one for each probe.
    fn log(&self, before: State, after: State, sample: Sample) {
        let (api, open_for) = (self.api.name(), humantime::format_duration(self.open_for));
        match (before, after) {
            (State::Closed { .. }, State::Open { .. }) => {
                let failures = self.failures;
                tracing::warn!(api, failures, %open_for, "the breaker of an API opened: for a while nothing is sent to it");
            }
            (State::Probing, State::Open { .. }) if sample != Sample::Nothing => {
                tracing::warn!(api, %open_for, "the probe of an API failed: its breaker is open again");
            }
            (State::Probing, State::Closed { .. }) => {
                tracing::info!(api, "the breaker of an API closed: it answers again");
            }
            _ => {}
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Advised wait while a probe is in flight.
const PROBE_AFTER: Duration = Duration::from_secs(1);

/// An admitted call.
#[derive(Debug)]
pub struct Pass {
    breaker: Arc<Breaker>,
    probe: bool,
    admitted_at: Instant,
}

impl Pass {
    /// Records how the attempt ended.
    pub fn record(mut self, sample: Sample) {
        self.breaker.record(self.probe, self.admitted_at, sample);
        self.probe = false;
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if self.probe {
            self.breaker.record(true, self.admitted_at, Sample::Nothing);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN_FOR: Duration = Duration::from_secs(10);

    fn after(samples: &[Sample]) -> Arc<Breaker> {
        let breaker = Arc::new(Breaker::new(Api::Orders, 3, OPEN_FOR));
        for sample in samples {
            breaker.admit().unwrap().record(*sample);
        }
        breaker
    }

    #[tokio::test(start_paused = true)]
    async fn only_failures_in_a_row_open_it() {
        use Sample::{Alive, Failed, Lost, Nothing, Throttled};
        for (samples, level) in [
            (vec![Failed; 2], 0),
            (vec![Failed; 3], 2),
            (vec![Lost; 3], 2),
            (vec![Lost, Failed, Lost], 2),
            (vec![Lost, Lost, Alive, Lost, Lost], 0),
            (vec![Failed, Failed, Alive, Failed, Failed], 0),
            (vec![Failed, Throttled, Failed, Throttled], 0),
            (vec![Failed, Throttled, Failed, Nothing, Failed], 2),
            (vec![Throttled; 9], 0),
            (vec![Nothing; 9], 0),
        ] {
            assert_eq!(after(&samples).level(), level, "{samples:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_connection_counts_once_however_many_calls_were_on_it() {
        let breaker = after(&[]);
        let lose = async |calls: usize| {
            let passes: Vec<_> = (0..calls).map(|_| breaker.admit().unwrap()).collect();
            tokio::time::advance(Duration::from_millis(1)).await;
            passes.into_iter().for_each(|pass| pass.record(Sample::Lost));
        };
        lose(40).await;
        lose(40).await;
        assert_eq!(breaker.level(), 0);
        lose(1).await;
        assert_eq!(breaker.level(), 2, "three connections in a row");
    }

    #[tokio::test(start_paused = true)]
    async fn one_probe_at_a_time_decides() {
        for (sample, level) in [
            (Sample::Alive, 0),
            (Sample::Failed, 2),
            (Sample::Lost, 2),
            (Sample::Throttled, 2),
            (Sample::Nothing, 1),
        ] {
            let breaker = after(&[Sample::Failed; 3]);
            assert_eq!(breaker.admit().unwrap_err(), OPEN_FOR);
            tokio::time::advance(OPEN_FOR).await;
            assert_eq!(breaker.rejects_for(), None);
            let probe = breaker.admit().unwrap();
            assert!(breaker.admit().is_err() && breaker.rejects_for().is_some());
            probe.record(sample);
            assert_eq!(breaker.level(), level, "{sample:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_is_given_up_makes_room_for_the_next() {
        let breaker = after(&[Sample::Failed; 3]);
        tokio::time::advance(OPEN_FOR).await;
        drop(breaker.admit().unwrap());
        breaker.admit().unwrap().record(Sample::Alive);
        assert_eq!(breaker.level(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn answers_to_calls_from_before_it_opened_decide_nothing() {
        let breaker = Arc::new(Breaker::new(Api::Orders, 1, OPEN_FOR));
        let (early, late) = (breaker.admit().unwrap(), breaker.admit().unwrap());
        let latest = breaker.admit().unwrap();
        early.record(Sample::Failed);
        late.record(Sample::Alive);
        assert_eq!(breaker.level(), 2);
        tokio::time::advance(OPEN_FOR).await;
        let probe = breaker.admit().unwrap();
        latest.record(Sample::Alive);
        assert_eq!(breaker.level(), 1);
        probe.record(Sample::Alive);
        assert_eq!(breaker.level(), 0);
    }

    #[test]
    fn what_a_failure_says() {
        let refused = |status| {
            CallError::Refused(crate::transatel::client::error::Refusal {
                status,
                ..Default::default()
            })
        };
        for (status, sample) in [
            (400, Sample::Alive),
            (401, Sample::Alive),
            (404, Sample::Alive),
            (429, Sample::Throttled),
            (500, Sample::Failed),
            (501, Sample::Alive),
            (503, Sample::Failed),
        ] {
            assert_eq!(Sample::of(&refused(status)), sample, "{status}");
        }
        assert_eq!(
            Sample::of(&CallError::Timeout { by_deadline: true }),
            Sample::Nothing
        );
        assert_eq!(
            Sample::of(&CallError::Timeout { by_deadline: false }),
            Sample::Failed
        );
    }
}
