//! `stock import` and `stock show`.

mod import;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{failed, prepare, text};
use crate::app::{StockInHand, stock_of};
use crate::commands::{CommandError, CommandResult, Sources};
use crate::domain::pool::{LONGEST_POOL, Pool};
use crate::domain::stock::{PoolStock, StockCount, StockState};
use crate::grpc::operator;

/// What to do with the stock.
#[derive(Debug, Subcommand)]
pub(in crate::commands) enum Command {
    /// Add delivered SIMs to a pool. What the stock has already stays as it is,
    /// so that an import may be repeated.
    Import(Import),
    /// Count the SIMs of each pool.
    Show(Show),
}

#[derive(Debug, Args)]
pub(in crate::commands) struct Import {
    /// The delivery file: a line that names the columns, and one line for each
    /// SIM. The columns ICCID and MSISDN are read, no other is. `-` is the
    /// standard input.
    #[arg(required_unless_present = "from_search")]
    file: Option<PathBuf>,
    /// The pool, which exists from its first SIM on.
    #[arg(long, value_name = "NAME", value_parser = pool)]
    pool: Pool,
    /// Instead of a file: all pre-activated SIMs that SIM Search shows.
    #[arg(long, conflicts_with = "file")]
    from_search: bool,
    /// Only those of this group.
    #[arg(long, requires = "from_search", conflicts_with = "file")]
    group: Option<String>,
    /// Check everything, and say what would be added.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Args)]
pub(in crate::commands) struct Show {
    /// Only this pool.
    #[arg(long, value_name = "NAME", value_parser = pool)]
    pool: Option<Pool>,
    /// As JSON, in the words of the contract.
    #[arg(long)]
    json: bool,
}

pub(in crate::commands) async fn run(sources: Sources, command: Command) -> CommandResult {
    match command {
        Command::Import(import) => import::run(&sources, import).await,
        Command::Show(show) => self::show(&sources, show).await,
    }
}

async fn open(sources: &Sources) -> Result<StockInHand, CommandError> {
    let config = prepare(sources)?;
    Box::pin(stock_of(config)).await.map_err(CommandError::other)
}

async fn show(sources: &Sources, show: Show) -> CommandResult {
    let stock = open(sources).await?.stock;
    let mut counts = stock.count().await.map_err(failed)?;
    if let Some(pool) = &show.pool {
        counts.retain(|count| count.pool == *pool);
        if counts.is_empty() {
            let unknown = format!("there is no pool {pool}: no SIM was ever added to it");
            return Err(CommandError::other(unknown));
        }
    }
    if show.json {
        println!("{}", operator::stock(&counts));
    } else {
        print!("{}", table(&counts));
    }
    Ok(ExitCode::SUCCESS)
}

fn table(counts: &[StockCount]) -> String {
    let head = [
        "POOL",
        "AVAILABLE",
        "RESERVED",
        "SOLD",
        "SET ASIDE",
        "DELIVERED",
        "WHY SET ASIDE",
    ];
    let rows: Vec<_> = PoolStock::each(counts).into_iter().map(row).collect();
    text::table(head, &rows)
}

fn row(stock: PoolStock) -> [String; 7] {
    let why = stock.set_aside.iter();
    let why: Vec<_> = why
        .map(|(reason, sims)| format!("{sims} {}", reason.name()))
        .collect();
    let in_state = |state| stock.in_state(state).to_string();
    [
        stock.pool.to_string(),
        in_state(StockState::Available),
        in_state(StockState::Reserved),
        in_state(StockState::Sold),
        in_state(StockState::SetAside),
        stock.delivered().to_string(),
        why.join(", "),
    ]
}

fn pool(text: &str) -> Result<Pool, String> {
    let rule = format!(
        "1 to {LONGEST_POOL} letters, digits, points, underscores and hyphens, beginning with a letter or digit"
    );
    Pool::parse(text).ok_or(rule)
}
