//! The phases of a shutdown: each has a name for the log, a time limit, and
//! work that begins when its turn comes.

use std::time::Duration;

use futures_util::future::BoxFuture;

use super::RunError;
use crate::telemetry::{self, FLUSH_WITHIN};

/// Time limit of a phase that waits for work without a waiting caller.
pub(super) const TASKS_WITHIN: Duration = Duration::from_millis(500);

/// The longest time of the shutdown without the phases that are settings: four
/// phases of such work, then the last metrics and the last spans.
pub const CLOSING: Duration = TASKS_WITHIN
    .saturating_mul(4)
    .saturating_add(FLUSH_WITHIN)
    .saturating_add(FLUSH_WITHIN);

/// One phase of the shutdown.
pub(super) struct Phase<'a> {
    name: &'static str,
    within: Duration,
    work: BoxFuture<'a, Result<(), RunError>>,
    overdue: Box<dyn FnOnce() + Send + 'a>,
}

impl<'a> Phase<'a> {
    /// A phase that is abandoned after `within`.
    pub(super) fn new(
        name: &'static str,
        within: Duration,
        work: impl Future<Output = Result<(), RunError>> + Send + 'a,
    ) -> Self {
        Self {
            name,
            within,
            work: Box::pin(work),
            overdue: Box::new(|| {}),
        }
    }

    /// What to log when it is abandoned.
    pub(super) fn when_overdue(self, log: impl FnOnce() + Send + 'a) -> Self {
        Self {
            overdue: Box::new(log),
            ..self
        }
    }
}

/// Runs the phases in their order.
///
/// # Errors
/// The first error of a phase; the phases after it are skipped.
pub(super) async fn run(phases: Vec<Phase<'_>>) -> Result<(), RunError> {
    for phase in phases {
        let work = tokio::time::timeout(phase.within, phase.work);
        match stopping(phase.name, work).await {
            Ok(result) => result?,
            Err(_) => (phase.overdue)(),
        }
    }
    Ok(())
}

/// One phase of the shutdown, logged with its duration.
pub(super) async fn stopping<T>(phase: &'static str, work: impl Future<Output = T>) -> T {
    let (result, milliseconds) = telemetry::timed(work).await;
    tracing::info!(phase, milliseconds, "stopping: a phase ended");
    result
}
