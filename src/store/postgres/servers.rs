//! The servers of a PostgreSQL, and which of them accepts writes.
//!
//! The driver connects to one server. With several, they are tried in their
//! order, beginning with the one that was used last: after a failover every new
//! connection goes to the new primary, wherever it is in the list.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use secrecy::ExposeSecret as _;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::time::timeout;

use super::connect::{Session, is_transient, prepare, too_late};
use crate::config::{PostgresAddress, PostgresServer};

/// The servers of one address.
pub(in crate::store) struct Servers {
    all: Vec<Server>,
    connect_timeout: Option<Duration>,
    /// The one that a connection was last made to.
    last: AtomicUsize,
}

struct Server {
    name: String,
    options: PgConnectOptions,
}

impl Servers {
    /// Reads the addresses; connects to none. `options` changes what an
    /// address says.
    ///
    /// # Errors
    /// When a value of an address cannot be used.
    pub(in crate::store) fn new(
        address: &PostgresAddress,
        options: impl Fn(PgConnectOptions) -> PgConnectOptions,
    ) -> sqlx::Result<Self> {
        let server = |server: &PostgresServer| {
            let read: PgConnectOptions = server.url.expose_secret().parse()?;
            Ok(Server {
                name: server.name.clone(),
                options: options(read.disable_statement_logging()),
            })
        };
        Ok(Self {
            all: address
                .servers()
                .iter()
                .map(server)
                .collect::<sqlx::Result<_>>()?,
            connect_timeout: address.connect_timeout(),
            last: AtomicUsize::new(0),
        })
    }

    /// Connects to a server that accepts writes. With several servers, each
    /// gets an equal part of `within`, so that a silent one does not keep the
    /// others from being tried; one alone is not bounded here.
    pub(in crate::store) async fn connect(
        &self,
        within: Duration,
        session: Session,
    ) -> sqlx::Result<PgConnection> {
        let (_, connection) = self.first(within, session).await?;
        Ok(connection)
    }

    /// How to connect to the server that accepts writes.
    pub(super) async fn options(&self, within: Duration) -> sqlx::Result<PgConnectOptions> {
        if let [only] = self.all.as_slice() {
            return Ok(only.options.clone());
        }
        let (server, connection) = self.first(within, Session::AsItIs).await?;
        // Only to find the server.
        let _ = timeout(within, connection.close()).await;
        Ok(server.options.clone())
    }

    async fn first(&self, within: Duration, session: Session) -> sqlx::Result<(&Server, PgConnection)> {
        let last = self.last.load(Ordering::Relaxed);
        let mut refusals: Vec<(&str, sqlx::Error)> = Vec::new();
        for (at, server) in self
            .all
            .iter()
            .enumerate()
            .cycle()
            .skip(last)
            .take(self.all.len())
        {
            match self.attempt(server, within, session).await {
                Ok(connection) => {
                    self.last.store(at, Ordering::Relaxed);
                    return Ok((server, connection));
                }
                Err(error) => refusals.push((&server.name, error)),
            }
        }
        Err(refused(refusals))
    }

    async fn attempt(
        &self,
        server: &Server,
        within: Duration,
        session: Session,
    ) -> sqlx::Result<PgConnection> {
        let connecting = async {
            let mut connection = server.options.connect().await?;
            prepare(&mut connection, session).await?;
            Ok(connection)
        };
        let servers = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        let part = (servers > 1).then(|| within / servers);
        let limit = [self.connect_timeout, part].into_iter().flatten().min();
        match limit {
            Some(limit) => timeout(limit, connecting)
                .await
                .map_err(|_| too_late("the server did not answer within its time to connect"))?,
            None => connecting.await,
        }
    }
}

/// One error for all servers: transient when another attempt may help.
fn refused(mut refusals: Vec<(&str, sqlx::Error)>) -> sqlx::Error {
    let may_help = refusals.iter().any(|(_, error)| is_transient(error));
    match refusals.pop() {
        Some((_, error)) if refusals.is_empty() || !may_help => error,
        Some(last) => {
            refusals.push(last);
            let each = refusals.iter().map(|(name, error)| match error {
                sqlx::Error::Io(error) => format!("{name}: {error}"),
                error => format!("{name}: {error}"),
            });
            let each: Vec<String> = each.collect();
            io::Error::other(format!("no server accepts writes: {}", each.join("; "))).into()
        }
        None => io::Error::from(io::ErrorKind::NotFound).into(),
    }
}
