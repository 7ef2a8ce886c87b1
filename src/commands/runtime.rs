//! The runtime that a command runs in, and the end of both.

use std::future::Future;
use std::time::Duration;

use super::{CommandError, CommandResult};

/// A thread for blocking work ends after this time idle. Memory that work like
/// indexing the catalog leaves behind in it is freed with it.
const BLOCKING_IDLE: Duration = Duration::from_secs(1);

/// How long blocking work that has not ended with its command is waited for. What
/// has to be finished is waited for by the command itself; this is left to a name
/// that is looked up at a DNS server which does not answer, and cannot be stopped.
const LEFT_BEHIND: Duration = Duration::from_secs(1);

/// Runs the work of a command to its end.
pub(super) fn run(work: impl Future<Output = CommandResult>) -> CommandResult {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_keep_alive(BLOCKING_IDLE)
        .build()
        .map_err(CommandError::other)?;
    let outcome = runtime.block_on(work);
    runtime.shutdown_timeout(LEFT_BEHIND);
    outcome
}

#[cfg(test)]
mod tests {
    use std::process::ExitCode;
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_lookup_that_does_not_end_does_not_keep_the_process_from_ending() {
        let (answer, lookup) = mpsc::channel::<()>();
        let (end, ended) = mpsc::channel();
        std::thread::spawn(move || {
            let outcome = run(async move {
                let _detached = tokio::task::spawn_blocking(move || lookup.recv());
                Ok(ExitCode::SUCCESS)
            });
            end.send(outcome.is_ok()).unwrap();
        });
        assert_eq!(ended.recv_timeout(Duration::from_secs(20)), Ok(true));
        drop(answer);
    }
}
