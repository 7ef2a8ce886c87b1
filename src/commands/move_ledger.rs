//! `move-ledger`: from SQLite to PostgreSQL, once.
//!
//! Owns the command line and its output; that nothing is lost is up to
//! `store::moves`. Addresses may hold passwords: none is ever printed.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::{CommandError, CommandResult, Sources, load};
use crate::config::{StoreUrl, secret_in};
use crate::store::moves::{self, Inventory, Moved, Step, Task};

/// What to move, and where to.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The present ledger, sqlite://FILE; by default that of store.url.
    #[arg(long, value_name = "URL")]
    from: Option<String>,
    /// The new ledger, postgres://USER@HOST/DATABASE. A password here can be
    /// seen by everyone on the machine: rather use --to-file.
    #[arg(long, value_name = "URL", required_unless_present = "to_file")]
    to: Option<String>,
    /// A file with the address instead; a trailing newline is dropped.
    #[arg(long, value_name = "FILE", conflicts_with = "to")]
    to_file: Option<PathBuf>,
    /// Abandon an interrupted move, so that the old ledger can be used again.
    /// The given target has to be empty, and the one of that move must never be
    /// used.
    #[arg(long)]
    abandon: bool,
}

pub(super) async fn run(sources: Sources, options: Options) -> CommandResult {
    let from = match &options.from {
        Some(url) => address("--from", url)?,
        None => load(&sources)?.config.store.url,
    };
    let to = match (&options.to, &options.to_file) {
        (Some(url), _) => address("--to", url)?,
        (None, Some(file)) => {
            let text = std::fs::read_to_string(file);
            let text = text.map_err(|error| {
                CommandError::other(format!("--to-file: cannot read {}: {error}", file.display()))
            })?;
            address("--to-file", secret_in(&text))?
        }
        (None, None) => return Err(CommandError::other("give --to or --to-file")),
    };
    let task = if options.abandon {
        Task::Abandon
    } else {
        Task::Move
    };
    // Boxed: the future for both databases is large.
    let moved = Box::pin(moves::run(&from, &to, task, report)).await;
    match moved.map_err(CommandError::other)? {
        moves::Outcome::Moved(moved) => {
            print!("{}", table(&moved));
            println!();
            println!(
                "Everything is in {} now. Set store.url to it and start the gateway.",
                to.shown()
            );
            println!(
                "No gateway starts on {} any more; keep it as a backup.",
                from.shown()
            );
        }
        moves::Outcome::Ended => {
            println!(
                "Everything was in {} already; the source is now marked as moved.",
                to.shown()
            );
            println!("Set store.url to it and start the gateway.");
        }
        moves::Outcome::Abandoned => {
            println!(
                "The move is abandoned: a gateway may be started on {} again.",
                from.shown()
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn address(option: &str, text: &str) -> Result<StoreUrl, CommandError> {
    StoreUrl::parse(text).map_err(|problem| CommandError::other(format!("{option}: {problem}")))
}

/// Prints each step for the operator.
async fn report(step: Step) {
    eprintln!("{}: {step}", step.name());
}

/// The counts of what was moved, on both sides.
fn table(moved: &Moved) -> String {
    let mut lines = vec![("".to_owned(), "SQLite".to_owned(), "PostgreSQL".to_owned())];
    for ((name, source), (_, target)) in counts(&moved.source).zip(counts(&moved.target)) {
        lines.push((name, source.to_string(), target.to_string()));
    }
    let short = |side: &Inventory| side.checksum.chars().take(12).collect();
    lines.push(("checksum".into(), short(&moved.source), short(&moved.target)));
    let row =
        |(name, source, target): &(String, String, String)| format!("{name:<24}{source:>14}{target:>14}\n");
    lines.iter().map(row).collect()
}

/// The rows of the table. Every order is in one of the states; the tables of
/// orders and of the log's end are not listed.
fn counts(side: &Inventory) -> impl Iterator<Item = (String, u64)> {
    let orders = side.orders.iter();
    let orders = orders.map(|(state, number)| (format!("orders {}", state.order_name()), *number));
    let operations = std::iter::once(("SIM operations".to_owned(), side.operations));
    let counted = orders
        .chain(operations)
        .map(|(name, number)| (name, number.unsigned_abs()));
    let rows = side
        .rows
        .iter()
        .filter(|(table, _)| !matches!(table.as_str(), "orders" | "event_log"));
    counted.chain(rows.map(|(table, rows)| (table.replace('_', " "), *rows)))
}
