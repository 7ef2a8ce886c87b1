//! Errors of the store, without the values of the operation.

use std::fmt;

pub use super::error_kind::ErrorKind;

/// Why the store failed. When the connection was lost, the operation may or may
/// not have taken effect.
///
/// Holds no value of a row, neither in `Display` nor in `Debug`, and has no
/// source that would: PostgreSQL quotes the row in the details of a broken
/// constraint, and an MSISDN is personal data.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the order ledger: {cause}")]
pub struct Error {
    kind: ErrorKind,
    cause: Cause,
}

/// Result of the store.
pub type Result<T> = std::result::Result<T, Error>;

#[derive(Clone, Debug)]
enum Cause {
    /// The database refused it: its code, and its message where that quotes no
    /// values.
    Refused {
        code: String,
        constraint: Option<String>,
        message: Option<String>,
    },
    /// Any other failure, described by the gateway or the driver.
    Failed(String),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused {
                code,
                constraint,
                message,
            } => {
                write!(f, "the database refused it with code {code}")?;
                if let Some(constraint) = constraint {
                    write!(f, ", constraint {constraint}")?;
                }
                message.iter().try_for_each(|message| write!(f, ": {message}"))
            }
            Self::Failed(text) => f.write_str(text),
        }
    }
}

impl Error {
    /// The task that carries out the operation has ended: the process is
    /// shutting down.
    pub(super) fn shutting_down() -> Self {
        Self::failed(ErrorKind::ShuttingDown, "the process is shutting down")
    }

    /// The writer of the store has ended: the process is shutting down.
    pub(super) fn writer_ended() -> Self {
        Self::failed(ErrorKind::ShuttingDown, "its writer has ended")
    }

    /// No connection became free in time; `trouble` is why there was no new
    /// one.
    pub(super) fn no_connection_free(trouble: Option<Self>) -> Self {
        match trouble {
            None => Self::failed(ErrorKind::NoConnectionFree, "every connection is in use"),
            Some(Self { kind, cause }) => {
                Self::failed(kind, format!("no connection could be made in time: {cause}"))
            }
        }
    }

    /// The connection on which something was done for long has ended.
    pub(super) fn connection_ended() -> Self {
        Self::failed(ErrorKind::ConnectionLost, "the server has ended the connection")
    }

    fn failed(kind: ErrorKind, text: impl Into<String>) -> Self {
        Self {
            kind,
            cause: Cause::Failed(text.into()),
        }
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Describes an error of the driver.
    pub(super) fn of(error: &sqlx::Error) -> Self {
        let cause = match error {
            sqlx::Error::Database(refusal) => {
                let code = refusal.code().unwrap_or_default().into_owned();
                Cause::Refused {
                    message: (!quotes_values(&code)).then(|| refusal.message().to_owned()),
                    constraint: refusal.constraint().map(str::to_owned),
                    code,
                }
            }
            sqlx::Error::Migrate(error) => return Self::from_migration(error),
            // These hold no values of rows: the driver names sockets,
            // certificates, columns and types.
            sqlx::Error::Configuration(_)
            | sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::RowNotFound
            | sqlx::Error::TypeNotFound { .. }
            | sqlx::Error::ColumnIndexOutOfBounds { .. }
            | sqlx::Error::ColumnNotFound(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed
            | sqlx::Error::InvalidSavePointStatement => Cause::Failed(error.to_string()),
            sqlx::Error::ColumnDecode { index, .. } => {
                Cause::Failed(format!("column {index} does not hold what it should"))
            }
            _ => Cause::Failed("a value could not be written or read".into()),
        };
        Self {
            kind: ErrorKind::of(error),
            cause,
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::of(&error)
    }
}

impl Error {
    pub(super) fn from_migration(error: &sqlx::migrate::MigrateError) -> Self {
        use sqlx::migrate::MigrateError;
        let kind = match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => ErrorKind::of(error),
            _ => ErrorKind::Refused,
        };
        let text = match error {
            MigrateError::Execute(sqlx::Error::Database(refusal))
            | MigrateError::ExecuteMigration(sqlx::Error::Database(refusal), _) => {
                format!("its tables cannot be brought up to date: {}", refusal.message())
            }
            MigrateError::VersionMissing(version) => {
                format!("its tables were made by a newer gateway (migration {version} is not known here)")
            }
            error => format!("its tables cannot be brought up to date: {error}"),
        };
        Self::failed(kind, text)
    }
}

/// Whether the message that comes with a code may quote values: PostgreSQL's
/// classes 22 (data) and 23 (constraints).
fn quotes_values(code: &str) -> bool {
    code.len() == 5 && (code.starts_with("22") || code.starts_with("23"))
}
