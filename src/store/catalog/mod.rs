//! The history of the catalog: the versions that any replica has read, and what
//! changed with each.
//!
//! One row per version, numbered by its commit. A version is appended only
//! behind the one that it was compared with, so that replicas that read the
//! same catalog write it once. The history of a language has no gaps: it is
//! deleted from its oldest end.

pub(super) mod operations;
mod row;
mod statements;

use async_trait::async_trait;
use jiff::Timestamp;

use super::Result;
use crate::domain::Language;
use crate::domain::catalog_change::{Change, KnownProducts, Since};

/// The newest version of a language.
#[derive(Clone, Debug, PartialEq)]
pub struct Newest {
    /// Its place in the history.
    pub sequence: u64,
    /// When it was read.
    pub seen_at: Timestamp,
    /// Every product that has been on sale until then.
    pub known: KnownProducts,
    /// The version that was asked for has been recorded since the last change:
    /// it differs from the newest in nothing that is kept here.
    pub is_recorded: bool,
}

/// A version to be appended.
#[derive(Clone, Debug)]
pub struct Appending {
    /// The language.
    pub language: Language,
    /// The version.
    pub version: String,
    /// When it was read.
    pub seen_at: Timestamp,
    /// The newest version that it was compared with; `None` for the first.
    pub after: Option<u64>,
    /// What changed since that.
    pub changes: Vec<Change>,
    /// Every product that has been on sale by now.
    pub known: KnownProducts,
}

/// A version in the history.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// Its place in the history.
    pub sequence: u64,
    /// The version.
    pub version: String,
    /// When it was read.
    pub seen_at: Timestamp,
    /// What changed with it.
    pub changes: Vec<Change>,
}

/// How much of the history is kept.
#[derive(Clone, Copy, Debug)]
pub struct Keep {
    /// All that was current at this time or later.
    pub current_since: Timestamp,
    /// At most so many versions of a language.
    pub versions: u32,
    /// At most so many languages: those that were read last.
    pub languages: u32,
}

/// Keeps the history. Every method is durable when it returns; if the future is
/// dropped or fails, the write may or may not have happened, and may be
/// repeated.
#[async_trait]
pub trait CatalogHistory: Send + Sync + 'static {
    /// The time of the history: the database's where several processes share it.
    async fn now(&self) -> Result<Timestamp>;

    /// The newest version of a language, and whether `version` is recorded.
    async fn newest(&self, language: &Language, version: &str) -> Result<Option<Newest>>;

    /// Appends, unless another version was appended since the one that this was
    /// compared with. Returns whether it did.
    async fn append(&self, version: Appending) -> Result<bool>;

    /// Notes that a language was read, so that its history is kept.
    async fn confirm(&self, language: &Language, now: Timestamp) -> Result<()>;

    /// The place after which all changes since then are; `None` when that is
    /// not known or no longer kept.
    async fn find(&self, language: &Language, since: &Since) -> Result<Option<u64>>;

    /// Versions of a language from this place on, at most `limit`. The first is
    /// another one when that is no longer kept.
    async fn versions_from(&self, language: &Language, sequence: u64, limit: u32) -> Result<Vec<Recorded>>;

    /// Deletes what is not to be kept. The newest version of a language that is
    /// kept always stays.
    async fn forget_versions(&self, language: &Language, keep: Keep) -> Result<()>;
}
