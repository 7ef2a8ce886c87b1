//! Notifications of new events from other replicas.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use sqlx::postgres::{PgListener, PgPoolOptions};
use sqlx::{Acquire as _, Connection as _};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::Ledger;
use super::connect::{Session, prepare, too_late};
use crate::store::Error;

/// The channel that appends notify on.
const CHANNEL: &str = "transatel_gateway_events";

/// Pause before listening again after a failure.
const LISTEN_AGAIN: Duration = Duration::from_secs(1);

impl Ledger {
    /// Notifies whenever another process may have appended, until it is
    /// dropped.
    pub(super) async fn notify(&self, notify: &Notify) {
        loop {
            let mut listener = None;
            let Err(error) = self.listen_on(&mut listener, notify).await;
            let silent = matches!(&error, sqlx::Error::Io(error) if error.kind() == io::ErrorKind::TimedOut);
            let error = Error::from(error);
            tracing::warn!(%error, "the database does not notify of new events: polling for them");
            tokio::time::sleep(LISTEN_AGAIN).await;
            if let (Some(listener), true) = (listener, silent) {
                self.close(listener).await;
            }
        }
    }

    /// Passes notifications on, and notifies when some may have been missed.
    async fn listen_on(
        &self,
        listener: &mut Option<PgListener>,
        notify: &Notify,
    ) -> sqlx::Result<Infallible> {
        let server = timeout(
            self.operation_timeout,
            self.servers.options(self.operation_timeout),
        );
        let server = server.await.map_err(|_| unanswered())??;
        // Outside of the pool: the listener keeps its connection.
        let own = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(self.operation_timeout)
            .connect_lazy_with(server);
        let connecting = timeout(self.operation_timeout, PgListener::connect_with(&own));
        let listener = listener.insert(connecting.await.map_err(|_| unanswered())??);
        listener.eager_reconnect(false);
        let listening = async {
            prepare(
                listener.acquire().await?,
                Session::Operations(self.operation_timeout),
            )
            .await?;
            listener.listen(CHANNEL).await
        };
        let listening = timeout(self.operation_timeout, listening);
        listening.await.map_err(|_| unanswered())??;
        // Twice within an operation's time a silent connection is detected.
        let within = self.operation_timeout / 2;
        notify.notify_one();
        loop {
            match timeout(within, listener.try_recv()).await {
                Ok(Ok(Some(_))) => notify.notify_one(),
                Ok(Ok(None)) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                Ok(Err(error)) => return Err(error),
                // No notification, or a dead connection.
                Err(_) => {
                    let answer = async { listener.acquire().await?.ping().await };
                    timeout(within, answer).await.map_err(|_| unanswered())??;
                }
            }
        }
    }

    /// Closes a listener's connection, which may have gone silent.
    ///
    /// A dropped listener unlistens on its connection and waits for the reply
    /// without a limit: it is given a connection that answers to do so.
    async fn close(&self, mut listener: PgListener) {
        let fresh = loop {
            let session = Session::Operations(self.operation_timeout);
            let connecting = self.servers.connect(self.operation_timeout, session);
            match timeout(self.operation_timeout, connecting).await {
                Ok(Ok(fresh)) => break fresh,
                Ok(Err(_)) | Err(_) => tokio::time::sleep(LISTEN_AGAIN).await,
            }
        };
        // Without a connection it does not unlisten.
        if let Ok(Ok(connection)) = timeout(self.operation_timeout, listener.acquire()).await {
            drop(std::mem::replace(connection, fresh));
        }
    }
}

fn unanswered() -> sqlx::Error {
    too_late("the server did not answer in time")
}
