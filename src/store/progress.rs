//! What is being done to open a store, for those who wait for it.

/// What may take long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// A connection is made.
    Connecting,
    /// The tables are brought up to date.
    Migrating,
}

/// Called when what is being done changes.
pub type Report<'a> = &'a (dyn Fn(Progress) + Send + Sync);
