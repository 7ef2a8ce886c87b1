//! Opens the ledger, which may not be there yet: in a cluster nothing says that
//! a database starts before what uses it.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::StartError;
use crate::config;
use crate::domain::Clock;
use crate::grpc::Health;
use crate::store::{self, Opened, Progress};

/// Pause before another attempt; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Between two lines with the same reason.
const REMIND_EVERY: Duration = Duration::from_secs(30);

/// Opens the ledger as soon as it is there. Cancel-safe.
///
/// # Errors
/// What does not pass by itself: a wrong password, an unknown database, tables
/// of a newer gateway.
pub(super) async fn open(
    config: &config::Store,
    clock: Clock,
    health: &Health,
) -> Result<Opened, StartError> {
    let report = |progress| match progress {
        Progress::Connecting => {}
        Progress::Migrating => {
            tracing::info!("the tables of the ledger are brought up to date");
            health.explain("the tables of the ledger are brought up to date");
        }
    };
    health.explain("connecting to the ledger");
    let began = Instant::now();
    let mut pause = FIRST_PAUSE;
    let mut logged: Option<(Instant, String)> = None;
    loop {
        let error = match Box::pin(store::open_with(config, clock.clone(), &report)).await {
            Ok(opened) => return Ok(opened),
            Err(error) if error.may_pass() => error.to_string(),
            Err(error) => return Err(error.into()),
        };
        health.explain(format!("waiting for the ledger: {error}"));
        let is_new = logged
            .as_ref()
            .is_none_or(|(at, last)| *last != error || at.elapsed() >= REMIND_EVERY);
        if is_new {
            let seconds = began.elapsed().as_secs();
            tracing::warn!(error, seconds, "waiting for the ledger");
            logged = Some((Instant::now(), error));
        }
        sleep(pause).await;
        pause = LONGEST_PAUSE.min(2 * pause);
    }
}
