//! `orders`, `operations` and `stock`: the ledger in the hands of an operator.
//!
//! They open the ledger that the settings name and use it as the calls do, so
//! that neither a port nor a shell is needed: the right to run a command in the
//! gateway's container is the right to resolve. Tables for people name a SIM only where
//! one order is shown; JSON is that of the contract.

pub(super) mod operations;
pub(super) mod orders;
pub(super) mod stock;
mod text;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use jiff::Timestamp;

use super::{CommandError, Sources, load};
use crate::app::writes_of;
use crate::config::Config;
use crate::domain::write::{RequestId, WriteId};
use crate::domain::{Deadline, Error, Iccid, Msisdn, SimRef};
use crate::grpc::operator::Finding;
use crate::service::Writes;
use crate::service::writes::Note;
use crate::telemetry::{self, AUDIT};

/// Elements of a list unless `--limit` says otherwise, and at most.
const DEFAULT_LIMIT: u32 = 50;
const LARGEST_LIMIT: i64 = 1000;

/// Longest name of a person or a system that resolves.
const LONGEST_NAME: usize = 100;

/// Time limit of one use of the ledger.
const WITHIN: Duration = Duration::from_secs(30);

/// What lists of both kinds are filtered by.
#[derive(Debug, Args)]
pub(in crate::commands) struct List {
    /// Only those that need an operator.
    #[arg(long)]
    needs_operator: bool,
    /// Only those of this SIM: up to 15 digits are its MSISDN, more its ICCID.
    /// For orders, Transatel is asked for the MSISDN of an ICCID.
    #[arg(long, value_name = "MSISDN|ICCID", value_parser = sim)]
    sim: Option<SimRef>,
    /// Only those requested since then: 30m, 12h, 7days, or
    /// 2026-11-24T05:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<Timestamp>,
    /// How many, the newest first.
    #[arg(long, default_value_t = DEFAULT_LIMIT, value_parser = clap::value_parser!(u32).range(1..=LARGEST_LIMIT))]
    limit: u32,
    /// As JSON, in the words of the contract; it names the SIMs.
    #[arg(long)]
    json: bool,
}

/// One order or operation.
#[derive(Debug, Args)]
pub(in crate::commands) struct Show {
    /// Its id, or the request_id of its caller.
    id: String,
    /// As JSON, in the words of the contract.
    #[arg(long)]
    json: bool,
}

/// What an operator found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::commands) enum Outcome {
    /// Transatel carried it out.
    Placed,
    /// Transatel did not.
    NotPlaced,
}

/// Why, and who says so.
#[derive(Debug, Args)]
pub(in crate::commands) struct Decision {
    /// What you found and where, for those who read it later. Required.
    #[arg(long, value_name = "TEXT", value_parser = not_blank)]
    note: String,
    /// Who decides: your name, as your company knows it. Required; it is kept
    /// with the note.
    #[arg(long, value_name = "NAME", value_parser = name)]
    by: String,
    /// As JSON, in the words of the contract.
    #[arg(long)]
    json: bool,
}

impl Outcome {
    fn finding(self, subscription: Option<&String>) -> Finding {
        match self {
            Self::Placed => Finding::Placed(subscription.cloned()),
            Self::NotPlaced => Finding::NotPlaced,
        }
    }
}

impl Decision {
    fn note(&self, text: String) -> Note {
        Note {
            by: Some(self.by.clone()),
            text,
        }
    }
}

impl List {
    /// One more than is shown, to know whether there are more.
    fn asked_for(&self) -> u32 {
        self.limit + 1
    }

    /// Prints what was [asked for](Self::asked_for).
    fn print<T>(
        &self,
        mut found: Vec<T>,
        head: [&str; 5],
        row: impl Fn(&T, Timestamp) -> [String; 5],
        json: impl Fn(Vec<T>) -> String,
    ) -> ExitCode {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let more = found.len() > limit;
        found.truncate(limit);
        if self.json {
            println!("{}", json(found));
        } else {
            let now = Timestamp::now();
            let rows: Vec<_> = found.iter().map(|element| row(element, now)).collect();
            print!("{}", text::list(head, &rows));
        }
        if more {
            eprintln!("there are more: raise --limit, or filter");
        }
        ExitCode::SUCCESS
    }
}

impl Show {
    /// The id as either kind of key.
    fn keys(&self) -> Result<(WriteId, RequestId), CommandError> {
        let keys = WriteId::parse(&self.id).zip(RequestId::parse(&self.id));
        keys.ok_or_else(|| {
            let rule = "the id must be a UUID such as 5b0f8a52-3c1d-4e57-9a53-0d7a4f1c9e11";
            CommandError::Usage(rule.to_owned())
        })
    }
}

async fn open(sources: &Sources) -> Result<Writes, CommandError> {
    let config = prepare(sources)?;
    Box::pin(writes_of(config)).await.map_err(CommandError::other)
}

/// The settings, and a log with what an operator has to know: errors, and the
/// line of a decision whatever `telemetry.log_level` says.
fn prepare(sources: &Sources) -> Result<Config, CommandError> {
    let mut config = load(sources)?.config;
    // What the gateway exports is not to be mixed with a command's.
    config.telemetry.otlp_endpoint = None;
    config.telemetry.log_level = format!("error,{AUDIT}=info");
    telemetry::init(&config.telemetry).map_err(CommandError::other)?;
    Ok(config)
}

fn deadline() -> Deadline {
    Deadline::after(WITHIN)
}

/// An error of a use case, each broken rule on a line of its own.
fn failed(error: Error) -> CommandError {
    match error {
        Error::InvalidRequest(_) => CommandError::other(rules(&error)),
        error => CommandError::other(error),
    }
}

/// An error of what was given on the command line.
fn misused(error: Error) -> CommandError {
    CommandError::Usage(rules(&error))
}

fn rules(error: &Error) -> String {
    match error {
        Error::InvalidRequest(violations) => {
            let rules = violations.iter();
            let rules = rules.map(|rule| format!("{}: {}", rule.field, rule.description));
            rules.collect::<Vec<_>>().join("\n")
        }
        error => error.to_string(),
    }
}

fn sim(text: &str) -> Result<SimRef, &'static str> {
    const LONGEST_MSISDN: usize = 15;
    let digits = text.strip_prefix('+').unwrap_or(text).len();
    let sim = match digits <= LONGEST_MSISDN {
        true => Msisdn::parse_international(text).map(SimRef::Msisdn),
        false => Iccid::parse(text).map(SimRef::Iccid),
    };
    sim.ok_or("6 to 15 digits for an MSISDN, 16 to 20 for an ICCID")
}

fn since(text: &str) -> Result<Timestamp, String> {
    if let Ok(moment) = text.parse() {
        return Ok(moment);
    }
    let ago = humantime::parse_duration(text).map_err(|error| format!("{error}: give 12h or a time"))?;
    Timestamp::now()
        .checked_sub(ago)
        .map_err(|_| "too long ago".to_owned())
}

fn not_blank(text: &str) -> Result<String, &'static str> {
    match text.trim().is_empty() {
        true => Err("must not be empty"),
        false => Ok(text.to_owned()),
    }
}

fn name(text: &str) -> Result<String, String> {
    let name = not_blank(text)?;
    if name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control) {
        return Err(format!(
            "must have at most {LONGEST_NAME} characters, and be one line"
        ));
    }
    Ok(name)
}
