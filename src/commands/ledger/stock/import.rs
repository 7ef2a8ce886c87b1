//! `stock import`: the whole file is read and found to be good before the first
//! SIM is added.

use std::collections::HashSet;
use std::fmt::Display;
use std::io;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::ExitCode;

use indicatif::ProgressBar;
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;

use super::super::{deadline, failed};
use super::{Import, open};
use crate::commands::{CommandError, CommandResult, Sources};
use crate::domain::Pool;
use crate::domain::stock::Delivered;
use crate::domain::{Error, Iccid, SimStatus};
use crate::service::sims::{ListFilter, Position};
use crate::service::stock::{StockFilter, delivery};
use crate::service::{Sims, Stock};

/// A million lines of a delivery take less; what is larger is another file.
const LARGEST_FILE: u64 = 256 * 1024 * 1024;

/// SIMs that are added before the progress is shown again: as many as the store
/// adds by one statement.
const ADDED_AT_ONCE: usize = 100;

/// Fewer SIMs are added before anybody has read how far it is.
const LONG: usize = 10_000;

/// SIMs of one page of SIM Search.
const FOUND_AT_ONCE: u32 = 100;

/// Pages of SIM Search: a provider that never ends one is not followed.
const MOST_PAGES: usize = 20_000;

/// SIMs of the stock that one statement reads.
const LISTED_AT_ONCE: u32 = 1000;

pub(super) async fn run(sources: &Sources, import: Import) -> CommandResult {
    let from_file = match &import.file {
        Some(file) => Some(read(file).await?),
        None => None,
    };
    let in_hand = open(sources).await?;
    let sims = match from_file {
        Some(sims) => sims,
        None => search(&in_hand.sims, import.group.as_deref()).await?,
    };
    if import.dry_run {
        let known = known(&in_hand.stock, &sims).await.map_err(failed)?;
        let new = sims.len().saturating_sub(known);
        println!("{new} would be added, {known} in the stock already");
    } else {
        add(&in_hand.stock, &import.pool, &sims).await?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn read(file: &Path) -> Result<Vec<Delivered>, CommandError> {
    let refused = |why: &dyn Display| {
        let name = if is_stdin(file) {
            "standard input".to_owned()
        } else {
            file.display().to_string()
        };
        CommandError::other(format!("{name}: nothing was imported\n{why}"))
    };
    let opened = open_file(file).await.map_err(|error| refused(&error))?;
    let mut bytes = Vec::new();
    opened
        .take(LARGEST_FILE + 1)
        .read_to_end(&mut bytes)
        .await
        .map_err(|error| refused(&error))?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(refused(&"it is larger than 256 MiB"));
    }
    delivery::read(&bytes).map_err(|bad| refused(&bad))
}

/// Into a container without a shell a file comes through there.
fn is_stdin(file: &Path) -> bool {
    file == Path::new("-")
}

async fn open_file(file: &Path) -> io::Result<File> {
    if is_stdin(file) {
        let stdin = io::stdin().as_fd().try_clone_to_owned()?;
        return Ok(File::from_std(stdin.into()));
    }
    File::open(file).await
}

/// Adds them, and says how many that were.
async fn add(stock: &Stock, pool: &Pool, sims: &[Delivered]) -> Result<(), CommandError> {
    let progress = match sims.len() {
        LONG.. => ProgressBar::new(sims.len() as u64),
        _ => ProgressBar::hidden(),
    };
    let (mut added, mut known) = (0, 0);
    for some in sims.chunks(ADDED_AT_ONCE) {
        match stock.import(pool, some.to_vec()).await {
            Ok(imported) => {
                added += imported.added;
                known += imported.known;
            }
            Err(error) => {
                progress.abandon();
                let so_far = format!("{error}: {added} were added before; repeat the import to add the rest");
                return Err(CommandError::other(so_far));
            }
        }
        progress.inc(some.len() as u64);
    }
    progress.finish_and_clear();
    println!("{added} added, {known} in the stock already");
    Ok(())
}

/// How many of them the stock has.
async fn known(stock: &Stock, sims: &[Delivered]) -> Result<usize, Error> {
    let wanted: HashSet<&Iccid> = sims.iter().map(|sim| &sim.iccid).collect();
    let (mut known, mut after) = (0, None);
    loop {
        let filter = StockFilter {
            after,
            ..StockFilter::default()
        };
        let listed = stock.list(filter, LISTED_AT_ONCE).await?;
        let cards = listed.iter().filter_map(|sim| sim.ids.iccid.as_ref());
        known += cards.filter(|card| wanted.contains(card)).count();
        after = listed.last().and_then(|last| last.ids.iccid.clone());
        if after.is_none() {
            return Ok(known);
        }
    }
}

/// The pre-activated SIMs that SIM Search shows, each once: while it is read
/// page by page, SIMs move from one page to another.
async fn search(sims: &Sims, group: Option<&str>) -> Result<Vec<Delivered>, CommandError> {
    let (mut found, mut cards) = (Vec::new(), HashSet::new());
    let mut without_card = 0;
    let filter = ListFilter {
        statuses: vec![SimStatus::Preactivated],
        group: group.map(str::to_owned),
        ..ListFilter::default()
    };
    let mut next = Some(Position { status: 0, offset: 0 });
    let mut pages = 0;
    while let Some(start) = next {
        pages += 1;
        if pages > MOST_PAGES {
            return Err(CommandError::other(
                "SIM Search does not end: nothing was imported",
            ));
        }
        let page = sims.list(&filter, start, FOUND_AT_ONCE, deadline());
        let page = page.await.map_err(unsearchable)?;
        for record in page.sims {
            let Some(iccid) = record.ids.iccid else {
                without_card += 1;
                continue;
            };
            if cards.insert(iccid.clone()) {
                let msisdn = record.ids.msisdn;
                found.push(Delivered { iccid, msisdn });
            }
        }
        next = page.next;
    }
    if without_card > 0 {
        eprintln!("{without_card} SIMs are shown without an ICCID and are left out");
    }
    Ok(found)
}

fn unsearchable(error: Error) -> CommandError {
    match error {
        Error::OperationNotEnabled { .. } => CommandError::other(
            "SIM Search is not enabled for this account: ask Transatel for it, or import the file of the delivery",
        ),
        error => CommandError::other(format!("{error}: nothing was imported")),
    }
}
