//! `operations list`, `operations show` and `operations resolve`.

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;

use super::{Decision, List, Outcome, Show, deadline, failed, misused, open, text};
use crate::commands::{CommandResult, Sources};
use crate::domain::change::SimAction;
use crate::domain::sim_operation::State;
use crate::domain::write::{RequestId, WriteId};
use crate::domain::{Error, Scope, SimIds, SimOperation};
use crate::grpc::operator;
use crate::service::Writes;
use crate::service::writes::{Key, OperationFilter};

/// What to do with operations on SIMs.
#[derive(Debug, Subcommand)]
pub(in crate::commands) enum Command {
    /// List them, newest first.
    List(Operations),
    /// Show one, with its SIM.
    Show(Show),
    /// Record what became of one that needs an operator.
    Resolve(Resolve),
}

#[derive(Debug, Args)]
pub(in crate::commands) struct Operations {
    #[command(flatten)]
    list: List,
    /// Only those in this state; may be repeated. Those that need an operator
    /// are among the unknown ones.
    #[arg(long, value_enum)]
    state: Vec<InState>,
}

/// The states of an operation.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
enum InState {
    Pending,
    Succeeded,
    Failed,
    Unknown,
}

#[derive(Debug, Args)]
pub(in crate::commands) struct Resolve {
    /// The operation's id.
    id: String,
    /// What became of it: placed when it was carried out.
    #[arg(value_enum)]
    outcome: Outcome,
    #[command(flatten)]
    decision: Decision,
}

pub(in crate::commands) async fn run(sources: Sources, command: Command) -> CommandResult {
    match command {
        Command::List(operations) => list(&sources, operations).await,
        Command::Show(show) => {
            let (by_id, by_request) = show.keys()?;
            let writes = open(&sources).await?;
            let operation = find(&writes, by_id, by_request).await.map_err(failed)?;
            print(operation, show.json);
            Ok(ExitCode::SUCCESS)
        }
        Command::Resolve(resolve) => self::resolve(&sources, resolve).await,
    }
}

async fn list(sources: &Sources, operations: Operations) -> CommandResult {
    let Operations { list, state } = operations;
    let filter = OperationFilter {
        sim: list.sim.clone(),
        states: state.into_iter().map(InState::state).collect(),
        needs_operator: list.needs_operator,
        created_from: list.since,
        ..OperationFilter::default()
    };
    let writes = open(sources).await?;
    let page = writes.list_operations(&filter, &Scope::All, None, list.asked_for());
    let found = page.await.map_err(failed)?;
    let head = ["OPERATION", "AGE", "STATE", "REASON", "WHAT"];
    Ok(list.print(found, head, row, operator::operations))
}

async fn resolve(sources: &Sources, resolve: Resolve) -> CommandResult {
    let Resolve {
        id,
        outcome,
        decision,
    } = resolve;
    let found = outcome.finding(None);
    let (id, resolution, text) =
        operator::operation_decision(&id, &found, &decision.note).map_err(misused)?;
    let writes = open(sources).await?;
    let resolved = writes
        .resolve_operation(id, &resolution, &Scope::All, decision.note(text))
        .await;
    print(resolved.map_err(failed)?, decision.json);
    Ok(ExitCode::SUCCESS)
}

/// The operation of an id, which may also be the caller's.
async fn find(writes: &Writes, id: WriteId, request: RequestId) -> Result<SimOperation, Error> {
    let wait = std::time::Duration::ZERO;
    match writes
        .operation(Key::Write(id), wait, &Scope::All, deadline())
        .await
    {
        Err(Error::SimOperationNotFound) => {
            writes
                .operation(Key::Request(request), wait, &Scope::All, deadline())
                .await
        }
        found => found,
    }
}

fn print(operation: SimOperation, json: bool) {
    match json {
        true => println!("{}", operator::operation(operation)),
        false => print!("{}", shown(&operation, Timestamp::now())),
    }
}

fn row(operation: &SimOperation, now: Timestamp) -> [String; 5] {
    let write = &operation.write;
    [
        write.id.to_string(),
        text::age(write.created_at, now),
        state(operation).to_owned(),
        text::reason(write.failure.as_ref()),
        what(&write.kind.terms.action).to_owned(),
    ]
}

fn state(operation: &SimOperation) -> &'static str {
    match operation.needs_operator() {
        true => "needs_operator",
        false => operation.state.name(),
    }
}

fn what(action: &SimAction) -> &'static str {
    match action {
        SimAction::Activate => "activate",
        SimAction::Suspend => "suspend",
        SimAction::Reactivate => "reactivate",
        SimAction::Terminate => "terminate",
        SimAction::Update(_) => "update",
        SimAction::Swap { .. } => "swap",
    }
}

fn shown(operation: &SimOperation, now: Timestamp) -> String {
    let write = &operation.write;
    let action = &write.kind.terms.action;
    let sim = SimIds {
        msisdn: Some(write.kind.msisdn.clone()),
        iccid: Some(write.kind.iccid.clone()),
    };
    let new_card = SimIds {
        msisdn: None,
        iccid: action.new_iccid().cloned(),
    };
    let optional = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let mut details = text::details(&[
        ("operation", write.id.to_string()),
        ("state", state(operation).to_owned()),
        ("why", text::why(write.failure.as_ref())),
        ("what", what(action).to_owned()),
        ("SIM", text::sim(&sim)),
        ("new card", text::sim(&new_card)),
        ("requested", text::moment(write.created_at, now)),
        ("in this state", text::moment(write.updated_at, now)),
        ("next check", text::moment_if(write.next_check_at, now)),
        ("request_id", write.request_id.to_string()),
        ("caller", optional(write.caller.as_deref())),
        (
            "Transatel's transaction",
            optional(write.provider_reference.as_deref()),
        ),
        ("resolved by", text::decision(write.note.as_ref())),
    ]);
    if operation.needs_operator() {
        details.push_str(&format!(
            "\nLook in Transatel's portal at the SIM, and what was changed at that time. Then record what you found:\n\n  \
             operations resolve {id} placed --note WHERE --by YOU\n  \
             operations resolve {id} not-placed --note WHERE --by YOU\n",
            id = write.id
        ));
    }
    details
}

impl InState {
    fn state(self) -> State {
        match self {
            Self::Pending => State::Pending,
            Self::Succeeded => State::Succeeded,
            Self::Failed => State::Failed,
            Self::Unknown => State::Unknown,
        }
    }
}
