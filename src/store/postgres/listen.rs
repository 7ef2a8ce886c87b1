//! Notifications of new events from other replicas.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use sqlx::postgres::{PgListener, PgPoolOptions};
use sqlx::{Acquire as _, Connection as _};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::Ledger;
use super::connect::{connect, prepare};
use super::pool::too_late;
use crate::store::Error;

/// The channel that appends notify.
const CHANNEL: &str = "transatel_gateway_events";

/// Pause before the server is asked again to notify of events.
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
            tracing::warn!(%error, "the database does not notify of new events: looking for them");
            tokio::time::sleep(LISTEN_AGAIN).await;
            if let (Some(listener), true) = (listener, silent) {
                self.part_with(listener).await;
            }
        }
    }

    /// Notifies at every notification, and when some may have been missed.
    async fn listen_on(
        &self,
        listener: &mut Option<PgListener>,
        notify: &Notify,
    ) -> sqlx::Result<Infallible> {
        // Beside the pool: the listener keeps its connection.
        let own = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(self.operation_timeout)
            .connect_lazy_with(self.options.clone());
        let connecting = timeout(self.operation_timeout, PgListener::connect_with(&own));
        let listener = listener.insert(connecting.await.map_err(|_| unanswered())??);
        listener.eager_reconnect(false);
        let listening = async {
            prepare(listener.acquire().await?, self.operation_timeout).await?;
            listener.listen(CHANNEL).await
        };
        let listening = timeout(self.operation_timeout, listening);
        listening.await.map_err(|_| unanswered())??;
        // Twice within an operation's time a silent connection is found out.
        let within = self.operation_timeout / 2;
        notify.notify_one();
        loop {
            match timeout(within, listener.try_recv()).await {
                Ok(Ok(Some(_))) => notify.notify_one(),
                Ok(Ok(None)) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                Ok(Err(error)) => return Err(error),
                // Nothing to say, or nobody there to say it.
                Err(_) => {
                    let answer = async { listener.acquire().await?.ping().await };
                    timeout(within, answer).await.map_err(|_| unanswered())??;
                }
            }
        }
    }

    /// Closes a listener's connection, which may have gone silent.
    ///
    /// A listener that is dropped takes leave of the server, and waits for the
    /// answer forever: it is given a connection that answers to do so.
    async fn part_with(&self, mut listener: PgListener) {
        let fresh = loop {
            let connecting = connect(&self.options, self.operation_timeout);
            match timeout(self.operation_timeout, connecting).await {
                Ok(Ok(fresh)) => break fresh,
                Ok(Err(_)) | Err(_) => tokio::time::sleep(LISTEN_AGAIN).await,
            }
        };
        // Without one it has nothing to take leave of.
        if let Ok(Ok(connection)) = timeout(self.operation_timeout, listener.acquire()).await {
            drop(std::mem::replace(connection, fresh));
        }
    }
}

fn unanswered() -> sqlx::Error {
    too_late("the server did not answer in time")
}
