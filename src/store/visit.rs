//! Whether a command may use the tables that it finds. It changes none of them:
//! that is up to a gateway that starts.

use sqlx::SqlStr;

use super::OpenError;
use super::migrations::{self, Newer};
use super::row::{Cells as _, values};
use super::session::Session;

const NEWEST_APPLIED: SqlStr = SqlStr::from_static("SELECT MAX(version) AS version FROM _sqlx_migrations");

/// # Errors
/// [`OpenError::NoLedger`] or [`OpenError::OtherTables`], unless the tables are
/// those that this version makes, or newer ones that it can use.
pub(super) async fn ensure_tables<S: Session>(session: &mut S) -> Result<(), OpenError> {
    let found = match session.row(NEWEST_APPLIED, values![]).await {
        Ok(found) => found,
        // The table's name is in the message of both databases.
        Err(sqlx::Error::Database(refusal)) if refusal.message().contains("_sqlx_migrations") => {
            return Err(OpenError::NoLedger);
        }
        Err(error) => return Err(error.into()),
    };
    let applied = match found {
        Some(row) => row.number("version")?,
        None => None,
    };
    let (applied, known) = (applied.ok_or(OpenError::NoLedger)?, migrations::NEWEST);
    if applied < known {
        return Err(OpenError::OtherTables { applied, known });
    }
    match migrations::newer(session).await? {
        Newer::None | Newer::Usable => Ok(()),
        Newer::Unusable(applied) => Err(OpenError::OtherTables { applied, known }),
    }
}
