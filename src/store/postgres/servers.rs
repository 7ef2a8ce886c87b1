//! The servers of a PostgreSQL, and which of them accepts writes.
//!
//! The driver connects to one server. With several, they are tried in their
//! order, beginning with the one that was used last: after a failover every new
//! connection goes to the new primary, wherever it is in the list.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use secrecy::ExposeSecret as _;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::time::timeout;

use super::connect::{Session, is_transient, prepare, too_late};
use crate::config::{PostgresAddress, PostgresServer};
use crate::store::Error;

/// The servers of one address.
pub(in crate::store) struct Servers {
    known: ArcSwap<Known>,
    change: Change,
    /// The one that a connection was last made to.
    last: AtomicUsize,
}

/// Changes what an address says.
type Change = Box<dyn Fn(PgConnectOptions) -> PgConnectOptions + Send + Sync>;

/// An address with the credentials that were read last.
struct Known {
    address: PostgresAddress,
    servers: Vec<Server>,
}

struct Server {
    name: String,
    options: PgConnectOptions,
}

impl Known {
    fn read(address: PostgresAddress, change: &Change) -> sqlx::Result<Self> {
        let server = |server: &PostgresServer| {
            let mut read: PgConnectOptions = server.url.expose_secret().parse()?;
            if let Some(password) = address.password() {
                read = read.password(password.expose_secret());
            }
            Ok(Server {
                name: server.name.clone(),
                options: change(read.disable_statement_logging()),
            })
        };
        let servers = address.servers().iter().map(server);
        Ok(Self {
            servers: servers.collect::<sqlx::Result<_>>()?,
            address,
        })
    }
}

impl Servers {
    /// Reads the addresses; connects to none. `options` changes what an
    /// address says.
    ///
    /// # Errors
    /// When a value of an address cannot be used.
    pub(in crate::store) fn new(
        address: &PostgresAddress,
        options: impl Fn(PgConnectOptions) -> PgConnectOptions + Send + Sync + 'static,
    ) -> sqlx::Result<Self> {
        let change: Change = Box::new(options);
        Ok(Self {
            known: ArcSwap::from_pointee(Known::read(address.clone(), &change)?),
            change,
            last: AtomicUsize::new(0),
        })
    }

    /// The servers, with the credentials that their files hold now. A file that
    /// cannot be used, as it may be while it is replaced, leaves the last ones.
    async fn current(&self) -> Arc<Known> {
        let known = self.known.load_full();
        if !known.address.has_files() {
            return known;
        }
        let address = known.address.clone();
        let read = tokio::task::spawn_blocking(move || address.reread()).await;
        match read.unwrap_or(Ok(None)) {
            Ok(None) => known,
            Ok(Some(address)) => match Known::read(address, &self.change) {
                Ok(now) => {
                    tracing::info!("the credentials of the ledger have changed");
                    let now = Arc::new(now);
                    self.known.store(Arc::clone(&now));
                    now
                }
                Err(error) => {
                    tracing::warn!(error = %Error::of(&error), "new credentials of the ledger cannot be used");
                    known
                }
            },
            Err(problem) => {
                tracing::warn!(problem, "the last credentials of the ledger are used");
                known
            }
        }
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
        if let [only] = self.current().await.servers.as_slice() {
            return Ok(only.options.clone());
        }
        let (options, connection) = self.first(within, Session::AsItIs).await?;
        // Only to find the server.
        let _ = timeout(within, connection.close()).await;
        Ok(options)
    }

    async fn first(
        &self,
        within: Duration,
        session: Session,
    ) -> sqlx::Result<(PgConnectOptions, PgConnection)> {
        let known = self.current().await;
        let last = self.last.load(Ordering::Relaxed);
        let mut refusals: Vec<(&str, sqlx::Error)> = Vec::new();
        let all = &known.servers;
        for (at, server) in all.iter().enumerate().cycle().skip(last).take(all.len()) {
            match known.attempt(server, within, session).await {
                Ok(connection) => {
                    self.last.store(at, Ordering::Relaxed);
                    return Ok((server.options.clone(), connection));
                }
                Err(error) => refusals.push((&server.name, error)),
            }
        }
        Err(refused(refusals))
    }
}

impl Known {
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
        let servers = u32::try_from(self.servers.len()).unwrap_or(u32::MAX);
        let part = (servers > 1).then(|| within / servers);
        let limit = [self.address.connect_timeout(), part].into_iter().flatten().min();
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
