//! Makes events durable. Events that arrive together share one commit: while
//! one batch is written, the next one is collected.

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{Appended, Arrival, Inner, unavailable};
use crate::domain::event::Event;
use crate::domain::{Error, Result};

/// Events of one commit: enough that the disk is the limit.
const PER_COMMIT: usize = 256;

/// Bytes of one commit, unless a single body is larger: it is one message to
/// the database, which limits the size of those.
const BYTES_PER_COMMIT: usize = 4 << 20;

/// An arrival and the caller that waits for it to be durable.
pub(super) struct Waiting {
    pub(super) arrival: Arrival,
    pub(super) answer: oneshot::Sender<Result<Appended>>,
}

/// Writes until it is stopped, and then what is left in the queue. New events
/// that an order or an operation waits for are sent to `orders`.
pub(super) async fn run(
    inner: &Inner,
    mut line: mpsc::Receiver<Waiting>,
    orders: mpsc::Sender<Event>,
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
        while !batch.is_empty() {
            let later = batch.split_off(in_one_commit(&batch));
            write(inner, &mut batch, &orders).await;
            batch = later;
        }
    }
}

/// How many of these are written together: at least one.
fn in_one_commit(batch: &[Waiting]) -> usize {
    let mut bytes = 0;
    let fitting = batch.iter().take_while(|waiting| {
        bytes += match &waiting.arrival {
            Arrival::Event(incoming) => incoming.body.len(),
            Arrival::Unreadable { body, .. } => body.len(),
        };
        bytes <= BYTES_PER_COMMIT
    });
    fitting.count().max(1)
}

async fn write(inner: &Inner, batch: &mut Vec<Waiting>, orders: &mpsc::Sender<Event>) {
    let arrivals: Vec<Arrival> = batch.iter().map(|waiting| waiting.arrival.clone()).collect();
    match inner.log.append(arrivals).await {
        Ok(appended) => {
            inner.appended.notify_one();
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
                    // If the queue is full, the next check of the order finds it, or
                    // the look for events while its send hangs.
                    let _ = orders.try_send(event);
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

/// Passes events on to the orders that they name. What is lost here is in the
/// log, which every check of an order reads.
pub(super) async fn pass_on(inner: &Inner, mut news: mpsc::Receiver<Event>) {
    while let Some(event) = news.recv().await {
        inner.orders.note(&event).await;
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn a_commit_is_bounded_in_bytes_and_never_empty() {
        let waiting = |length: usize| Waiting {
            arrival: Arrival::Unreadable {
                body: Bytes::from(vec![0; length]),
                reason: "no JSON",
                received_at: Timestamp::UNIX_EPOCH,
            },
            answer: oneshot::channel().0,
        };
        let batch = |lengths: &[usize]| lengths.iter().copied().map(waiting).collect::<Vec<_>>();
        let half = BYTES_PER_COMMIT / 2;
        assert_eq!(in_one_commit(&batch(&[1; 256])), 256);
        assert_eq!(in_one_commit(&batch(&[half, half, 1])), 2);
        assert_eq!(in_one_commit(&batch(&[BYTES_PER_COMMIT + 1, 1])), 1);
    }
}
