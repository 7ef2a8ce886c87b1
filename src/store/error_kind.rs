//! Kinds of failures: few, so that they can be labels of a metric, and enough
//! to know where to look.

use std::io;

/// What kind of failure an operation of the store ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// Nothing listens at the address.
    ConnectionRefused,
    /// The connection was closed or reset.
    ConnectionLost,
    /// The server cannot be found or reached, or no server accepts writes.
    Unreachable,
    /// TLS with the server failed.
    Tls,
    /// No answer in time.
    Timeout,
    /// Every connection was in use for too long.
    NoConnectionFree,
    /// The server is starting, stopping or has no connection left.
    ServerUnavailable,
    /// The server or file only reads.
    ReadOnly,
    /// The user or password is wrong, or lacks a right.
    NotAuthorized,
    /// The disk is full or fails.
    Disk,
    /// Others hold what the operation needs.
    Busy,
    /// The database refused it for another reason.
    Refused,
    /// What is stored cannot be read as it should be.
    Unreadable,
    /// This process is shutting down.
    ShuttingDown,
}

impl ErrorKind {
    /// The label.
    pub fn name(self) -> &'static str {
        match self {
            Self::ConnectionRefused => "connection_refused",
            Self::ConnectionLost => "connection_lost",
            Self::Unreachable => "unreachable",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::NoConnectionFree => "no_connection_free",
            Self::ServerUnavailable => "server_unavailable",
            Self::ReadOnly => "read_only",
            Self::NotAuthorized => "not_authorized",
            Self::Disk => "disk",
            Self::Busy => "busy",
            Self::Refused => "refused",
            Self::Unreadable => "unreadable",
            Self::ShuttingDown => "shutting_down",
        }
    }

    /// Whether it may pass without anybody changing a setting.
    pub(super) fn may_pass(self) -> bool {
        match self {
            Self::ConnectionRefused
            | Self::ConnectionLost
            | Self::Unreachable
            | Self::Timeout
            | Self::NoConnectionFree
            | Self::ServerUnavailable
            | Self::ReadOnly
            | Self::Busy => true,
            Self::Tls
            | Self::NotAuthorized
            | Self::Disk
            | Self::Refused
            | Self::Unreadable
            | Self::ShuttingDown => false,
        }
    }

    pub(super) fn of(error: &sqlx::Error) -> Self {
        match error {
            sqlx::Error::Io(error) => Self::of_io(error.kind()),
            sqlx::Error::Database(refusal) => {
                let code = refusal.code().unwrap_or_default();
                match code.len() {
                    5 => Self::of_postgres(&code),
                    _ => Self::of_sqlite(&code),
                }
            }
            sqlx::Error::Tls(_) => Self::Tls,
            sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => Self::ConnectionLost,
            sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => Self::NoConnectionFree,
            sqlx::Error::RowNotFound
            | sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::Decode(_)
            | sqlx::Error::ColumnNotFound(_)
            | sqlx::Error::ColumnIndexOutOfBounds { .. }
            | sqlx::Error::TypeNotFound { .. } => Self::Unreadable,
            _ => Self::Refused,
        }
    }

    fn of_io(kind: io::ErrorKind) -> Self {
        match kind {
            io::ErrorKind::ConnectionRefused => Self::ConnectionRefused,
            io::ErrorKind::TimedOut => Self::Timeout,
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::NotConnected
            | io::ErrorKind::UnexpectedEof => Self::ConnectionLost,
            io::ErrorKind::StorageFull => Self::Disk,
            _ => Self::Unreachable,
        }
    }

    /// By SQLSTATE.
    fn of_postgres(code: &str) -> Self {
        match code {
            "25006" => Self::ReadOnly,
            "53300" => Self::ServerUnavailable,
            "57014" => Self::Timeout,
            "42501" => Self::NotAuthorized,
            "53100" | "58030" => Self::Disk,
            "55P03" | "40001" | "40P01" => Self::Busy,
            // PgBouncer's code for everything that it refuses.
            "08P01" => Self::Refused,
            _ if code.starts_with("08") || code == "25P03" => Self::ConnectionLost,
            _ if code.starts_with("28") => Self::NotAuthorized,
            _ if code.starts_with("57P") => Self::ServerUnavailable,
            _ => Self::Refused,
        }
    }

    /// By SQLite's extended code, whose last byte is the primary one.
    fn of_sqlite(code: &str) -> Self {
        match code.parse::<u32>().map(|code| code & 0xff) {
            Ok(5 | 6) => Self::Busy,
            Ok(8) => Self::ReadOnly,
            Ok(10 | 13) => Self::Disk,
            Ok(11 | 26) => Self::Unreadable,
            Ok(_) | Err(_) => Self::Refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ErrorKind;

    #[test]
    fn codes_of_both_databases_have_their_kind() {
        for (code, kind) in [
            ("28P01", ErrorKind::NotAuthorized),
            ("3D000", ErrorKind::Refused),
            ("08006", ErrorKind::ConnectionLost),
            ("08P01", ErrorKind::Refused),
            ("57P03", ErrorKind::ServerUnavailable),
            ("53100", ErrorKind::Disk),
            ("23505", ErrorKind::Refused),
        ] {
            assert_eq!(ErrorKind::of_postgres(code), kind, "{code}");
        }
        // SQLITE_BUSY_SNAPSHOT, SQLITE_FULL, SQLITE_IOERR_WRITE.
        for (code, kind) in [
            ("517", ErrorKind::Busy),
            ("13", ErrorKind::Disk),
            ("778", ErrorKind::Disk),
            ("1555", ErrorKind::Refused),
        ] {
            assert_eq!(ErrorKind::of_sqlite(code), kind, "{code}");
        }
    }
}
