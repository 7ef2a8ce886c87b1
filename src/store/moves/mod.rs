//! Moves the ledger and the log from a SQLite file to an empty PostgreSQL
//! database, so that no order is lost and none is ever sent from both.
//!
//! The order of steps guarantees that wherever the process is killed:
//!
//! 1. The file is claimed: no gateway uses it, and none can start on it.
//! 2. The target is locked and found empty. Nothing has been changed yet, so
//!    every refusal comes before this.
//! 3. The file is marked: from here on no gateway starts on it.
//! 4. Everything is copied, read back and compared, in one transaction of the
//!    target, with a note of the move.
//! 5. The target commits.
//! 6. The mark says that the move has ended.
//!
//! Killed before 5, the target is empty and the file is marked; killed after
//! it, the target is complete and the file is marked. In both cases no gateway
//! starts on the file, and the same command again distinguishes them by the
//! note and continues from there.

mod source;
mod tables;
mod target;

use std::fmt;
use std::io;
use std::path::PathBuf;

use jiff::Timestamp;
use sqlx::Connection as _;
use uuid::Uuid;

use super::{Error, OpenError};
use crate::config::StoreUrl;
use crate::domain::write::State;
use source::Source;
pub(super) use source::mark;
use tables::{Digest, Table};
use target::Found;

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Move, or complete an interrupted move.
    Move,
    /// Abandon an interrupted move, so that the old ledger can be used again.
    /// The target has to be empty.
    Abandon,
}

/// A step of a move, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The source is claimed, the target is locked and empty.
    Ready,
    /// No gateway starts on the source any more.
    Marked,
    /// One part of the rows is in the target's transaction.
    Copying,
    /// All rows are.
    Copied,
    /// They were read back and are equal.
    Compared,
    /// The target holds everything.
    Committed,
    /// The source is marked as moved.
    Ended,
}

impl Step {
    /// Every step.
    pub const ALL: [Self; 7] = [
        Self::Ready,
        Self::Marked,
        Self::Copying,
        Self::Copied,
        Self::Compared,
        Self::Committed,
        Self::Ended,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Marked => "marked",
            Self::Copying => "copying",
            Self::Copied => "copied",
            Self::Compared => "compared",
            Self::Committed => "committed",
            Self::Ended => "ended",
        }
    }
}

/// The result of a move.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Everything was moved.
    Moved(Box<Moved>),
    /// Everything had been moved already: only the mark was missing.
    Ended,
    /// The old ledger can be used again.
    Abandoned,
}

/// What was moved, counted on both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// In the file.
    pub source: Inventory,
    /// In the database.
    pub target: Inventory,
}

/// The content of one side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inventory {
    /// Orders by state: every state.
    pub orders: Vec<(State, i64)>,
    /// Changes of SIMs.
    pub operations: i64,
    /// Rows by table.
    pub rows: Vec<(String, u64)>,
    /// SHA-256 of every value of every row, in hexadecimal digits.
    pub checksum: String,
}

/// Why nothing was moved. Unless it says otherwise, both sides are unchanged.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    /// The URLs are not SQLite to PostgreSQL.
    #[error("a ledger moves from SQLite (sqlite://FILE) to PostgreSQL (postgres://…) only")]
    Direction,
    /// Both are the same.
    #[error("source and target are the same")]
    Same,
    /// A wrong path must not create an empty ledger.
    #[error("source: there is no file {}", .0.display())]
    NoFile(PathBuf),
    /// The file holds something else.
    #[error("source: {} is not a ledger of this gateway", .0.display())]
    NoLedger(PathBuf),
    /// Its user may be sending.
    #[error("source: {} is in use: stop the gateway, or the other move, first", .0.display())]
    SourceInUse(PathBuf),
    /// The move is complete.
    #[error("source: everything was moved to {0} already")]
    AlreadyMoved(String),
    /// Otherwise there would be two copies.
    #[error(
        "source: a move to {0} was cut off, and this target is another database; give that one, or, \
         if it will never be used, run this command with --abandon first"
    )]
    BegunElsewhere(String),
    /// There is no move to abandon.
    #[error("source: no move was interrupted, there is nothing to abandon")]
    NothingBegun,
    /// The lock beside the file.
    #[error("source: cannot use {}: {error}", .path.display())]
    SourceFile {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The source cannot be read or marked.
    #[error("source: {0}")]
    Source(Error),
    /// The target cannot be reached or written.
    #[error("target: {0}")]
    Target(Error),
    /// A running gateway would not notice the moved rows.
    #[error("target: it is in use: stop the gateways on it, they are started after the move")]
    TargetInUse,
    /// Two ledgers cannot be merged.
    #[error("target: it is not empty, there is something in {0}")]
    NotEmpty(String),
    /// A defect, or a trigger in the target.
    #[error("target: what was read back from {0} differs from what was written; nothing was moved")]
    Differs(String),
    /// Nothing was moved, but no gateway starts on the source either.
    #[error("{cause}; and the source could not be unmarked: {unmarking}. Run this command again")]
    StillMarked {
        /// Why nothing was moved.
        cause: Box<MoveError>,
        /// Why the mark is still there.
        unmarking: Error,
    },
    /// The reply to the commit was lost.
    #[error(
        "target: it is not known whether it holds everything now: {0}. Run the same command again, which \
         finds out; no gateway starts on the source meanwhile"
    )]
    CommitUnknown(Error),
    /// The move is valid.
    #[error(
        "source: everything is in the target, but the source could not be marked as moved: {0}. Run the same command again"
    )]
    MarkUnfinished(Error),
}

/// Moves everything from one to the other, calling `reached` at each step. Not
/// cancel-safe: it may have to be run again; what holds at each step holds when
/// it is dropped there.
/// at each step holds when it is dropped there.
///
/// # Errors
/// See [`MoveError`].
pub async fn run(
    from: &StoreUrl,
    to: &StoreUrl,
    task: Task,
    reached: impl AsyncFn(Step),
) -> Result<Outcome, MoveError> {
    let (path, url) = match (from, to) {
        _ if from.shown() == to.shown() => return Err(MoveError::Same),
        (StoreUrl::File(path), StoreUrl::Postgres(url)) => (path, url),
        _ => return Err(MoveError::Direction),
    };
    let mut source = Source::claim(path).await?;
    let begun = match source.mark().await? {
        Some(mark) if mark.ended => return Err(MoveError::AlreadyMoved(mark.to)),
        begun => begun,
    };
    let tables = source.tables().await?;
    let mut connection = target::connect(url).await.map_err(MoveError::Target)?;
    if let Some(mark) = &begun {
        // Gateways may be running there by now: nothing is locked for this.
        let earlier = target::earlier(&mut connection).await.map_err(target_failed)?;
        if earlier == Some(mark.id) {
            source.end_mark().await.map_err(MoveError::MarkUnfinished)?;
            return Ok(Outcome::Ended);
        }
    }
    let mut target = target::begin(&mut connection, &tables).await?;
    let log = match (target::found(&mut target, &tables).await?, &begun) {
        // Its commit was still in flight.
        (Found::Moved(id), Some(mark)) if id == mark.id => {
            source.end_mark().await.map_err(MoveError::MarkUnfinished)?;
            return Ok(Outcome::Ended);
        }
        (Found::Moved(_), _) => return Err(MoveError::NotEmpty("moves".into())),
        (Found::Rows(table), _) => return Err(MoveError::NotEmpty(table)),
        (Found::Empty { log }, _) => log,
    };
    match (task, &begun) {
        (Task::Abandon, None) => return Err(MoveError::NothingBegun),
        (Task::Abandon, Some(_)) => {
            source.remove_mark().await.map_err(MoveError::Source)?;
            return Ok(Outcome::Abandoned);
        }
        (Task::Move, Some(mark)) if mark.target_log != log => {
            return Err(MoveError::BegunElsewhere(mark.to.clone()));
        }
        (Task::Move, _) => {}
    }
    reached(Step::Ready).await;
    let id = match begun {
        Some(mark) => mark.id,
        None => source
            .set_mark(&to.shown(), &log)
            .await
            .map_err(MoveError::Source)?,
    };
    reached(Step::Marked).await;
    let note = Note {
        id,
        from: from.shown(),
    };
    let moved = match copy(&mut source, &mut target, &tables, &note, &reached).await {
        Ok(moved) => moved,
        Err(error) => {
            // Nothing was committed, so the old ledger may be used again.
            drop(target);
            return Err(match source.remove_mark().await {
                Ok(()) => error,
                Err(unmarking) => MoveError::StillMarked {
                    cause: Box::new(error),
                    unmarking,
                },
            });
        }
    };
    reached(Step::Compared).await;
    let committed = target.commit().await;
    committed.map_err(|error| MoveError::CommitUnknown(error.into()))?;
    reached(Step::Committed).await;
    source.end_mark().await.map_err(MoveError::MarkUnfinished)?;
    reached(Step::Ended).await;
    // An error from here on changes nothing.
    let _ = connection.close().await;
    Ok(Outcome::Moved(Box::new(moved)))
}

/// The note that distinguishes a complete target from an empty one.
struct Note {
    id: Uuid,
    from: String,
}

/// Copies all tables into the target's transaction and compares.
async fn copy(
    source: &mut Source,
    target: &mut sqlx::PgConnection,
    tables: &[Table],
    note: &Note,
    reached: &impl AsyncFn(Step),
) -> Result<Moved, MoveError> {
    let mut read = Vec::with_capacity(tables.len());
    for (number, table) in tables.iter().enumerate() {
        read.push(target::copy(target, table, source).await?);
        if number == 0 {
            reached(Step::Copying).await;
        }
    }
    let log = source.log().await.map_err(MoveError::Source)?;
    target::note(target, note, &log, Timestamp::now())
        .await
        .map_err(target_failed)?;
    reached(Step::Copied).await;
    let mut written = Vec::with_capacity(tables.len());
    for (table, read) in tables.iter().zip(&read) {
        let digest = target::digest(target, table).await.map_err(target_failed)?;
        if digest != *read {
            return Err(MoveError::Differs(table.name.clone()));
        }
        written.push(digest);
    }
    let moved = Moved {
        source: inventory(source.census().await.map_err(MoveError::Source)?, tables, &read),
        target: inventory(
            tables::census(target).await.map_err(target_failed)?,
            tables,
            &written,
        ),
    };
    // Equal rows cannot have different counts.
    if moved.source != moved.target {
        return Err(MoveError::Differs("orders".into()));
    }
    Ok(moved)
}

fn inventory(census: tables::Census, tables: &[Table], digests: &[Digest]) -> Inventory {
    let rows = tables.iter().zip(digests);
    Inventory {
        orders: census.orders,
        operations: census.operations,
        rows: rows
            .map(|(table, digest)| (table.name.clone(), digest.rows))
            .collect(),
        checksum: tables::checksum(tables, digests),
    }
}

fn target_failed(error: sqlx::Error) -> MoveError {
    MoveError::Target(error.into())
}

/// Where a ledger was moved to.
pub(super) struct Mark {
    id: Uuid,
    to: String,
    /// Name of the log of events that the target had when it was empty.
    target_log: String,
    ended: bool,
}

impl Mark {
    /// Why no gateway may use the ledger in this file.
    pub(super) fn refusal(self, path: &std::path::Path) -> OpenError {
        let (path, to) = (path.to_owned(), self.to);
        if self.ended {
            OpenError::Moved { path, to }
        } else {
            OpenError::Moving { path, to }
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ready => "nothing uses the source, and the target is empty",
            Self::Marked => "no gateway starts on the source any more",
            Self::Copying => "the orders are copied",
            Self::Copied => "everything is copied, reading it back",
            Self::Compared => "both sides are the same",
            Self::Committed => "the target holds everything",
            Self::Ended => "the source is marked as moved",
        })
    }
}
