//! Use of a database by a command, beside the gateways that it belongs to.

use std::sync::Arc;
use std::time::Duration;

use sqlx::Connection as _;
use tokio::time::timeout;

use super::connect::{Session, too_late};
use super::{Ledger, Servers};
use crate::config::PostgresAddress;
use crate::store::{OpenError, visit};

/// A command makes one statement after the other.
const CONNECTIONS: u32 = 1;

impl Ledger {
    /// Connects; the tables have to be those of this version.
    pub(in crate::store) async fn visit(
        address: &PostgresAddress,
        operation_timeout: Duration,
    ) -> Result<Self, OpenError> {
        let servers = Servers::new(address, |options| match options.get_application_name() {
            Some(_) => options,
            None => options.application_name(concat!(env!("CARGO_PKG_NAME"), " command")),
        })?;
        let connecting = servers.connect(operation_timeout, Session::Operations(operation_timeout));
        let mut connection = timeout(operation_timeout, connecting)
            .await
            .map_err(|_| too_late("no connection could be made in time"))??;
        visit::ensure_tables(&mut connection).await?;
        connection.close().await?;
        Ok(Self::new(Arc::new(servers), CONNECTIONS, operation_timeout))
    }
}
