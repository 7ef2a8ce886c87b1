//! The history of the catalog, for callers that keep a copy of it: what changed
//! since a version that they have.
//!
//! Every version that is loaded is recorded before it is answered, unless the
//! store does not take it at once: an answer never waits longer for that, and a
//! version that is missing is recorded when changes are asked for, or with the
//! next load. Reads of products never come here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::timeout;

use crate::config;
use crate::domain::catalog_change::{self, Prices, Since, VersionChange};
use crate::domain::{Error, Language, Result};
use crate::store::{self, Appending, CatalogHistory, Keep};

/// Attempts to append a version; each that fails means that another replica
/// appended one.
const ROUNDS: usize = 8;

/// Languages whose history is kept; a caller chooses them.
const MOST_LANGUAGES: u32 = 64;

/// Versions that are read at once: nearly always all that there are.
const VERSIONS_AT_ONCE: u32 = 32;

/// A version of the catalog as it was read.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) language: Language,
    pub(super) version: Arc<str>,
    /// When the provider was asked for it.
    pub(super) at: Timestamp,
    /// What is on sale.
    pub(super) on_sale: Vec<(String, Prices)>,
}

/// The start of a page of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// A version in the history.
    pub sequence: u64,
    /// Changes of it before this page.
    pub offset: u32,
}

/// One page of changes.
#[derive(Debug)]
pub struct Changes {
    /// In the order in which they were seen.
    pub changes: Vec<VersionChange>,
    /// What follows.
    pub next: Next,
}

/// What follows a page of changes.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// More changes.
    Page(Place),
    /// Nothing: the changes lead up to this version.
    End {
        /// The version.
        version: String,
    },
}

/// Records versions and lists their changes. Cheap to clone.
#[derive(Clone)]
pub(super) struct History {
    store: Arc<dyn CatalogHistory>,
    keep_for: Duration,
    keep: u32,
    /// The last version of each language, while the store has not taken it.
    missing: Arc<Mutex<HashMap<Language, Arc<Seen>>>>,
}

impl History {
    /// How long a load waits for the store. A commit takes milliseconds.
    pub(super) const WITHIN: Duration = Duration::from_secs(1);

    pub(super) fn new(store: Arc<dyn CatalogHistory>, config: &config::Catalog) -> Self {
        Self {
            store,
            keep_for: config.keep_versions_for,
            keep: config.keep_versions,
            missing: Arc::default(),
        }
    }

    /// The time of the store; this process's own when the store does not answer.
    pub(super) async fn now(&self) -> Timestamp {
        match timeout(Self::WITHIN, self.store.now()).await {
            Ok(Ok(now)) => now,
            Ok(Err(_)) | Err(_) => Timestamp::now(),
        }
    }

    /// Records a version that was loaded. A failure is logged: the catalog is
    /// answered all the same.
    pub(super) async fn note(&self, seen: Seen) {
        let seen = Arc::new(seen);
        let language = seen.language.clone();
        self.missing_versions()
            .insert(language.clone(), Arc::clone(&seen));
        match timeout(Self::WITHIN, self.record(&seen)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "a version of the catalog cannot be recorded for now"),
            Err(_) => tracing::warn!("a version of the catalog was not recorded in time"),
        }
        // What callers choose must not grow without a bound.
        let mut missing = self.missing_versions();
        if missing.len() > MOST_LANGUAGES as usize {
            missing.remove(&language);
        }
    }

    /// Changes after a place, or since a version or time.
    ///
    /// # Errors
    /// `CATALOG_VERSION_UNKNOWN` when that is not known, or no longer kept.
    pub(super) async fn changes(
        &self,
        language: &Language,
        since: &Since,
        start: Option<Place>,
        page_size: u32,
    ) -> Result<Changes> {
        let missing = self.missing_versions().get(language).cloned();
        if let Some(seen) = missing {
            self.record(&seen).await.map_err(unavailable)?;
        }
        let start = match start {
            Some(start) => start,
            None => {
                let found = self.store.find(language, since).await.map_err(unavailable)?;
                // What came with the version itself is not asked for.
                Place {
                    sequence: found.ok_or(Error::CatalogVersionUnknown)?,
                    offset: u32::MAX,
                }
            }
        };
        self.page(language, start, page_size as usize).await
    }

    async fn page(&self, language: &Language, start: Place, size: usize) -> Result<Changes> {
        let mut changes = Vec::new();
        let (mut from, mut before, mut last) = (start.sequence, start.offset as usize, None);
        loop {
            let versions = self.store.versions_from(language, from, VERSIONS_AT_ONCE).await;
            let versions = versions.map_err(unavailable)?;
            let is_end = versions.len() < VERSIONS_AT_ONCE as usize;
            // Where the page starts must still be there, or something is missing.
            let gap = last.is_none() && versions.first().is_none_or(|first| first.sequence != from);
            if gap {
                return Err(Error::CatalogVersionUnknown);
            }
            for version in versions {
                let own = version.changes.into_iter().enumerate().skip(before);
                before = 0;
                for (offset, change) in own {
                    if changes.len() == size {
                        let next = Place {
                            sequence: version.sequence,
                            offset: u32::try_from(offset).unwrap_or(u32::MAX),
                        };
                        return Ok(Changes {
                            changes,
                            next: Next::Page(next),
                        });
                    }
                    changes.push(VersionChange {
                        change,
                        version: version.version.clone(),
                        seen_at: version.seen_at,
                    });
                }
                from = version.sequence + 1;
                last = Some(version.version);
            }
            if let (true, Some(version)) = (is_end, &last) {
                let version = version.clone();
                return Ok(Changes {
                    changes,
                    next: Next::End { version },
                });
            }
        }
    }

    /// Appends a version, unless it is recorded or a later one is.
    async fn record(&self, seen: &Arc<Seen>) -> store::Result<()> {
        for _ in 0..ROUNDS {
            let newest = self.store.newest(&seen.language, &seen.version).await?;
            let now = self.store.now().await?;
            let empty = catalog_change::KnownProducts::new();
            let known = newest.as_ref().map_or(&empty, |newest| &newest.known);
            let (changes, known) = catalog_change::between(known, &seen.on_sale);
            if let Some(newest) = &newest {
                // One that is dated later than now was recorded by a wrong clock.
                let is_later = seen.at < newest.seen_at && newest.seen_at <= now;
                if is_later || (newest.is_recorded && changes.is_empty()) {
                    self.store.confirm(&seen.language, now).await?;
                    return self.recorded(seen);
                }
            }
            let appending = Appending {
                language: seen.language.clone(),
                version: seen.version.to_string(),
                seen_at: seen.at,
                after: newest.as_ref().map(|newest| newest.sequence),
                // To the first version nothing is new.
                changes: if newest.is_some() { changes } else { Vec::new() },
                known,
            };
            let changed = appending.changes.len();
            if self.store.append(appending).await? {
                let keep = Keep {
                    current_since: now.saturating_sub(self.keep_for).unwrap_or(now),
                    versions: self.keep,
                    languages: MOST_LANGUAGES,
                };
                self.store.forget_versions(&seen.language, keep).await?;
                let (language, version) = (seen.language.as_str(), &*seen.version);
                tracing::info!(
                    language,
                    version,
                    changed,
                    "a new version of the catalog is recorded"
                );
                return self.recorded(seen);
            }
        }
        // The others make progress; the next load tries again.
        Ok(())
    }

    fn recorded(&self, seen: &Arc<Seen>) -> store::Result<()> {
        let mut missing = self.missing_versions();
        let is_same = |other: &Arc<Seen>| Arc::ptr_eq(other, seen);
        if missing.get(&seen.language).is_some_and(is_same) {
            missing.remove(&seen.language);
        }
        Ok(())
    }

    fn missing_versions(&self) -> MutexGuard<'_, HashMap<Language, Arc<Seen>>> {
        self.missing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unavailable(error: store::Error) -> Error {
    tracing::warn!(%error, "the history of the catalog cannot be used");
    Error::CatalogHistoryUnavailable
}
