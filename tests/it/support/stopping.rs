//! A gateway, or a move of its ledger, that stops at one step so that it can
//! be killed there, or whose background work panics.
//!
//! The real binary knows nothing of this. The tests of this file that are
//! ignored are such processes: a kill test starts the test binary again with
//! nothing but one of them, and says in the environment where to stop.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser as _;
use transatel_gateway::app::Seams;
use transatel_gateway::commands::{self, Arguments};
use transatel_gateway::config::StoreUrl;
use transatel_gateway::service::writes::steps::{Step, Steps};
use transatel_gateway::store::moves;

use super::process::Process;

const STOP_AT: &str = "STOP_AT";
const PANIC_IN: &str = "PANIC_IN";
const FROM: &str = "FROM";
const TO: &str = "TO";

/// Starts `serve`; it stops for good at this step.
pub fn serve_until(step: Step, environment: &[(String, String)]) -> Process {
    start("serve", environment, &[(STOP_AT, step.name())])
}

/// Starts `serve`; this background task panics as it starts.
pub fn serve_with_panic_in(task: &str, environment: &[(String, String)]) -> Process {
    start("serve", environment, &[(PANIC_IN, task)])
}

/// Starts a move of a ledger; it stops for good at this step.
pub fn move_until(step: moves::Step, from: &str, to: &str) -> Process {
    let more = [(STOP_AT, step.name()), (FROM, from), (TO, to)];
    start("move_ledger", &[], &more)
}

fn start(name: &str, environment: &[(String, String)], more: &[(&str, &str)]) -> Process {
    let more = more
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let environment: Vec<_> = environment.iter().cloned().chain(more).collect();
    Process::start_test(&format!("support::stopping::{name}"), &environment)
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

#[test]
#[ignore = "a process that other tests start"]
fn serve() {
    let (stop_at, panic_in) = (variable(STOP_AT), variable(PANIC_IN));
    let seams = Seams {
        steps: Steps::new(move |step| {
            if step.name() != stop_at {
                return Box::pin(std::future::ready(()));
            }
            eprintln!("stopped at a step: {stop_at}");
            Box::pin(std::future::pending())
        }),
        task_started: Arc::new(move |task| assert_ne!(task, panic_in, "as the test wants it")),
        ..Seams::default()
    };
    let arguments = Arguments::parse_from(["transatel-gateway", "serve"]);
    assert_eq!(commands::run_with(arguments, seams), ExitCode::SUCCESS);
}

#[tokio::test]
#[ignore = "a process that other tests start"]
async fn move_ledger() {
    let stop_at = variable(STOP_AT);
    let reached = async |step: moves::Step| {
        if step.name() == stop_at {
            eprintln!("stopped at a step: {stop_at}");
            std::future::pending::<()>().await;
        }
    };
    let url = |name| StoreUrl::parse(&variable(name)).unwrap();
    let moved = moves::run(&url(FROM), &url(TO), moves::Task::Move, reached).await;
    moved.unwrap();
}
