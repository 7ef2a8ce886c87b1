//! `[store]`: where orders are kept.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::ExposeSecret as _;

use super::postgres_address::{PostgresAddress, SHAPE};
use super::reader::Reader;

/// Where orders are kept.
#[derive(Clone, Debug)]
pub struct Store {
    /// Which store.
    pub url: StoreUrl,
    /// PostgreSQL only: connections at most.
    pub connections: u32,
    /// PostgreSQL only: how long one operation may take.
    pub operation_timeout: Duration,
}

/// The address of a store.
#[derive(Clone)]
pub enum StoreUrl {
    /// SQLite without a file.
    Memory,
    /// SQLite in a file.
    File(PathBuf),
    /// PostgreSQL; may hold a password.
    Postgres(PostgresAddress),
}

/// Below this, connections to a server that is only busy would be thrown away.
const SHORTEST_OPERATION: Duration = Duration::from_millis(100);

impl Store {
    /// `None` is a problem already recorded.
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        const URL: &str = "store.url";
        let url = reader.secret(URL);
        let mut parsed = StoreUrl::parse(url.expose_secret());
        match &parsed {
            Ok(url) => reader.show_secret_as(URL, url.redacted()),
            // An empty one has been reported.
            Err(_) if url.expose_secret().is_empty() => {}
            Err(problem) => reader.problem(URL, problem.as_str()),
        }
        match &mut parsed {
            Ok(StoreUrl::Postgres(address)) => address.read_files(reader),
            Ok(_) | Err(_) => {
                if reader.optional_text("store.password_file").is_some() && parsed.is_ok() {
                    reader.problem("store.password_file", "is for PostgreSQL: SQLite has no password");
                }
            }
        }
        let connections = reader.number("store.connections", 1, 1_000);
        let operation_timeout = reader.duration("store.operation_timeout", SHORTEST_OPERATION);
        let url = parsed.ok()?;
        Some(Self {
            url,
            connections,
            operation_timeout,
        })
    }
}

impl StoreUrl {
    /// Reads an address.
    ///
    /// # Errors
    /// What is wrong with it and how to fix it, without its values.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == "sqlite::memory:" || text == "sqlite://:memory:" {
            return Ok(Self::Memory);
        }
        if let Some(path) = text.strip_prefix("sqlite:") {
            return Self::file(path.strip_prefix("//").unwrap_or(path));
        }
        match PostgresAddress::parse(text) {
            Some(address) => Ok(Self::Postgres(address?)),
            None => Err(SHAPE.into()),
        }
    }

    fn file(path: &str) -> Result<Self, String> {
        if path.is_empty() {
            return Err("names no file: sqlite://FILE".into());
        }
        if path.contains('?') {
            return Err("SQLite takes no parameters here; write a question mark in a name as %3F".into());
        }
        let path = percent_encoding::percent_decode_str(path)
            .decode_utf8()
            .map_err(|_| "the name of the file is not UTF-8")?;
        Ok(Self::File(PathBuf::from(path.as_ref())))
    }

    /// Without the password, for people.
    pub fn shown(&self) -> String {
        self.redacted().unwrap_or_else(|| "<redacted>".into())
    }

    /// Without the password; `None` when it is not text.
    fn redacted(&self) -> Option<String> {
        match self {
            Self::Memory => Some("sqlite::memory:".into()),
            Self::File(path) => {
                let path = path.to_str()?;
                Some(format!(
                    "sqlite://{}",
                    path.replace('%', "%25").replace('?', "%3F")
                ))
            }
            Self::Postgres(address) => Some(address.shown().to_owned()),
        }
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}
