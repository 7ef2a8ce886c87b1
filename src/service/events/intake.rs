//! Makes events durable. Those that come at the same time share one commit:
//! while one is written, the next ones gather.

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{Appended, Arrival, Inner, unavailable};
use crate::domain::event::Event;
use crate::domain::{Error, Result};

/// Events of one commit: few enough for a statement each to take no longer
/// than a commit of the disk.
const PER_COMMIT: usize = 256;

/// Something that came in and whoever waits for it to be durable.
pub(super) struct Waiting {
    pub(super) arrival: Arrival,
    pub(super) answer: oneshot::Sender<Result<Appended>>,
}

/// Writes until told to stop, and then what is left in line. New events that
/// an order or an operation waits for are told to `told`.
pub(super) async fn run(
    inner: &Inner,
    mut line: mpsc::Receiver<Waiting>,
    told: mpsc::Sender<Event>,
    stop: CancellationToken,
) {
    let mut batch = Vec::with_capacity(PER_COMMIT);
    loop {
        let taken = tokio::select! {
            taken = line.recv_many(&mut batch, PER_COMMIT) => taken,
            () = stop.cancelled(), if !line.is_closed() => {
                line.close();
                continue;
            }
        };
        if taken == 0 {
            return;
        }
        write(inner, &mut batch, &told).await;
    }
}

async fn write(inner: &Inner, batch: &mut Vec<Waiting>, told: &mpsc::Sender<Event>) {
    let arrivals: Vec<Arrival> = batch.iter().map(|waiting| waiting.arrival.clone()).collect();
    match inner.log.append(arrivals).await {
        Ok(appended) => {
            inner.bell.notify_one();
            for (waiting, appended) in batch.drain(..).zip(appended) {
                inner.metrics.event(match appended {
                    Appended::New { .. } => "new",
                    Appended::Known => "duplicate",
                    Appended::Apart => "unreadable",
                });
                if let Arrival::Unreadable { reason, .. } = &waiting.arrival {
                    tracing::error!(reason, "a signed event could not be read and is kept apart");
                }
                if let (Arrival::Event(incoming), Appended::New { order_id, .. }) =
                    (waiting.arrival, appended)
                    && (order_id.is_some() || incoming.event.transaction_id.is_some())
                {
                    let event = Event {
                        order_id,
                        ..incoming.event
                    };
                    // What does not fit is found out about on schedule.
                    let _ = told.try_send(event);
                }
                // Its sender may have gone.
                let _ = waiting.answer.send(Ok(appended));
            }
        }
        Err(error) => {
            let _ = unavailable(error);
            for waiting in batch.drain(..) {
                inner.metrics.event("store_failed");
                let _ = waiting.answer.send(Err(Error::EventLogUnavailable));
            }
        }
    }
}

/// Has the orders take note of what events say about them. What is lost on
/// this way is in the log, where every look at an order asks for it.
pub(super) async fn pass_on(inner: &Inner, mut news: mpsc::Receiver<Event>) {
    while let Some(event) = news.recv().await {
        inner.orders.note(&event).await;
    }
}
