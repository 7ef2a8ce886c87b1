//! One follower of the log: a task that reads at its caller's pace, and a
//! bounded queue between them.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::filter::Resolved;
use super::tail::Entry;
use super::{Inner, PAGE};
use crate::domain::event::Cursor;
use crate::domain::{Deadline, Error, Result};

/// A stream ends this long before its deadline, so that the caller sees a
/// regular end and not an expired call; at most a tenth of its time.
const END_AHEAD: Duration = Duration::from_millis(100);

/// What a follower receives, with the cursor after it.
#[derive(Clone, Debug)]
pub enum Message {
    /// An event.
    Event(Arc<Entry>, Cursor),
    /// No event passed the filter.
    Heartbeat(Cursor),
}

/// Messages, followed by an error if there is one. Dropping it ends its task.
pub type Stream = std::pin::Pin<Box<dyn futures_util::Stream<Item = Result<Message>> + Send>>;

/// Why a stream ends.
enum End {
    /// Its deadline.
    InTime,
    /// Its caller has gone.
    Gone,
    /// An error for its caller.
    Error(Error),
}

impl End {
    fn name(&self) -> &'static str {
        match self {
            Self::InTime => "in_time",
            Self::Gone => "gone",
            Self::Error(Error::EventStreamTooSlow) => "too_slow",
            Self::Error(Error::ShuttingDown) => "shutdown",
            Self::Error(Error::EventCursorExpired) => "expired",
            Self::Error(_) => "failed",
        }
    }
}

pub(super) fn start(inner: Arc<Inner>, filter: Resolved, cursor: Cursor, deadline: Deadline) -> Stream {
    let (out, messages) = mpsc::channel(inner.config.stream_buffer);
    let (last_word, end) = oneshot::channel();
    let ahead = END_AHEAD.min(deadline.remaining() / 10);
    let follower = Follower {
        filter,
        cursor,
        end_at: deadline.at() - ahead,
        out,
    };
    let tracker = inner.streams.clone();
    tracker.spawn(async move {
        inner.metrics.streams(1);
        let end = follower.run(&inner).await;
        inner.metrics.streams(-1);
        inner.metrics.stream_ended(end.name());
        if let End::Error(error) = end {
            // The caller may have gone meanwhile.
            let _ = last_word.send(error);
        }
    });
    Box::pin(stream::unfold(
        (messages, Some(end)),
        |(mut messages, end)| async {
            if let Some(message) = messages.recv().await {
                return Some((Ok(message), (messages, end)));
            }
            let error = end?.await.ok()?;
            Some((Err(error), (messages, None)))
        },
    ))
}

struct Follower {
    filter: Resolved,
    cursor: Cursor,
    end_at: Instant,
    out: mpsc::Sender<Message>,
}

impl Follower {
    async fn run(mut self, inner: &Inner) -> End {
        let mut changes = inner.tail.changes();
        let mut heartbeat_at = Instant::now();
        loop {
            changes.borrow_and_update();
            if Instant::now() >= heartbeat_at {
                if let Err(end) = self.send(inner, Message::Heartbeat(self.cursor)).await {
                    return end;
                }
                heartbeat_at = Instant::now() + inner.config.heartbeat;
            }
            let entries = match self.next(inner).await {
                Ok(entries) => entries,
                Err(error) => return End::Error(error),
            };
            let none = entries.is_empty();
            for entry in entries {
                self.cursor.sequence = entry.sequence;
                self.cursor.mark = Some(entry.mark);
                if self.filter.admits(&entry.event)
                    && let Err(end) = self.send(inner, Message::Event(entry, self.cursor)).await
                {
                    return end;
                }
            }
            if none {
                tokio::select! {
                    _ = changes.changed() => {}
                    () = tokio::time::sleep_until(heartbeat_at) => {}
                    end = self.over(inner) => return end,
                }
            } else if Instant::now() >= self.end_at {
                return End::InTime;
            } else if inner.end.is_cancelled() {
                return End::Error(Error::ShuttingDown);
            }
        }
    }

    /// The next events; empty when there are none yet.
    async fn next(&self, inner: &Inner) -> Result<Vec<Arc<Entry>>> {
        if let Some(entries) = inner.tail.after(self.cursor, PAGE as usize) {
            return Ok(entries);
        }
        let page = inner.read(self.cursor).await?;
        Ok(page
            .into_iter()
            .map(|logged| Arc::new(inner.entry(logged)))
            .collect())
    }

    /// Waits for room, for a limited time.
    async fn send(&self, inner: &Inner, message: Message) -> std::result::Result<(), End> {
        let message = match self.out.try_send(message) {
            Ok(()) => return Ok(()),
            Err(mpsc::error::TrySendError::Closed(_)) => return Err(End::Gone),
            Err(mpsc::error::TrySendError::Full(message)) => message,
        };
        tokio::select! {
            room = self.out.reserve() => {
                room.map_err(|_| End::Gone)?.send(message);
                Ok(())
            }
            () = tokio::time::sleep(inner.config.slow_after) => Err(End::Error(Error::EventStreamTooSlow)),
            end = self.over(inner) => Err(end),
        }
    }

    /// Completes when the stream has to end.
    async fn over(&self, inner: &Inner) -> End {
        tokio::select! {
            () = self.out.closed() => End::Gone,
            () = inner.end.cancelled() => End::Error(Error::ShuttingDown),
            () = tokio::time::sleep_until(self.end_at) => End::InTime,
        }
    }
}
