//! Events from the first to the last, over all ends of streams.

use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};
use tonic::body::Body as RequestBody;
use tonic::client::GrpcService;
use tonic::codegen::{Body, Bytes, StdError};
use tonic::{Code, Status, Streaming};

use crate::Reason;
use crate::backoff::Backoff;
use crate::connectivity::v1::events_client::EventsClient;
use crate::connectivity::v1::stream_events_response::Message;
use crate::connectivity::v1::{
    ErrorReason, Event, EventFilter, StreamEventsRequest, StreamEventsResponse, StreamStart,
};

/// A stream without a message for this long is given up: the gateway sends one
/// every 15 seconds (`events.heartbeat`), so the connection is dead.
const SILENCE: Duration = Duration::from_secs(60);

/// Between the end of a stream and the next one. The longest is short: events
/// are worth less the later they come.
const BACKOFF: Backoff = Backoff {
    first: Duration::from_millis(100),
    longest: Duration::from_secs(5),
};

/// Where to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Position {
    /// With the next new event.
    Latest,
    /// With the earliest event that is kept.
    Earliest,
    /// After the message that this token came with.
    After(String),
}

/// What a follower has to report.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Update {
    /// An event. Handle it, and then store the token. It may come again when the
    /// process ends in between: handle events idempotently, by `event_id`.
    Event {
        /// The event.
        event: Box<Event>,
        /// The position after it.
        token: String,
    },
    /// No event passed the filter up to here. Store the token: one that is older
    /// than `events.keep_for` of the gateway can no longer be resumed from.
    Quiet {
        /// The position so far.
        token: String,
    },
    /// Events may have been missed: what came after the last token is not in the
    /// log any more (`EVENT_CURSOR_EXPIRED`), or the token is not of this log
    /// (`EVENT_CURSOR_INVALID`). Compare your state with `Inventory`. The follower
    /// continues with the earliest event that is kept, so that some may come again.
    Lost {
        /// Why.
        reason: ErrorReason,
    },
}

/// Follows events, and resumes by itself when a stream ends or fails.
///
/// Outcomes of orders and operations are events too (`EVENT_TYPE_ORDER_PLACED` and
/// its like): with `own_requests_only` or `request_ids` in the filter, nobody has
/// to poll an order whose outcome is not known.
///
/// ```no_run
/// use transatel_gateway_client::connectivity::v1::EventFilter;
/// use transatel_gateway_client::connectivity::v1::events_client::EventsClient;
/// use transatel_gateway_client::{Follower, Position, Update};
///
/// # async fn follow(stored: Option<String>) -> Result<(), Box<dyn std::error::Error>> {
/// # async fn handle(_: &transatel_gateway_client::connectivity::v1::Event) {}
/// # async fn store(_: &str) {}
/// # async fn compare_with_inventory() {}
/// let events = EventsClient::connect("http://transatel-gateway:50051").await?;
/// let position = stored.map_or(Position::Earliest, Position::After);
/// let mut follower = Follower::new(events, EventFilter::default(), position);
/// loop {
///     match follower.next().await? {
///         Update::Event { event, token } => {
///             handle(&event).await;
///             store(&token).await;
///         }
///         Update::Quiet { token } => store(&token).await,
///         Update::Lost { .. } => compare_with_inventory().await,
///         _ => {}
///     }
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Follower<T> {
    events: EventsClient<T>,
    filter: EventFilter,
    position: Position,
    stream: Option<Streaming<StreamEventsResponse>>,
    /// Ends of streams since the last message.
    failures: u32,
    resume_at: Option<Instant>,
    trouble: Option<Status>,
}

impl<T> Follower<T>
where
    T: GrpcService<RequestBody>,
    T::Error: Into<StdError>,
    T::ResponseBody: Body<Data = Bytes> + Send + 'static,
    <T::ResponseBody as Body>::Error: Into<StdError> + Send,
{
    /// A follower that has not called yet.
    #[must_use]
    pub fn new(events: EventsClient<T>, filter: EventFilter, position: Position) -> Self {
        Self {
            events,
            filter,
            position,
            stream: None,
            failures: 0,
            resume_at: None,
            trouble: None,
        }
    }

    /// Waits for the next event, for as long as it takes: while the gateway
    /// cannot be reached it tries again and again, at growing intervals of at
    /// most five seconds, or as the gateway asks. [`trouble`](Self::trouble) says why.
    ///
    /// Cancel-safe: nothing is skipped when the future is dropped.
    ///
    /// # Errors
    ///
    /// What does not go away by itself: a filter that is refused, a caller that
    /// is not allowed. The next call tries again from the same position.
    pub async fn next(&mut self) -> Result<Update, Status> {
        loop {
            if let Some(at) = self.resume_at {
                sleep_until(at).await;
                self.resume_at = None;
            }
            match self.message().await {
                Ok(Some(message)) => {
                    self.failures = 0;
                    self.trouble = None;
                    if let Some(update) = self.take(message) {
                        return Ok(update);
                    }
                }
                Ok(None) => self.pause(BACKOFF.jitter(self.failures)),
                Err(status) => {
                    if let Some(update) = self.failed(status)? {
                        return Ok(update);
                    }
                }
            }
        }
    }

    /// Why the last stream failed, until a message comes: for logs and alerts.
    #[must_use]
    pub fn trouble(&self) -> Option<&Status> {
        self.trouble.as_ref()
    }

    /// The next message of the stream, which is opened if there is none.
    async fn message(&mut self) -> Result<Option<StreamEventsResponse>, Status> {
        let silent = |_| Status::unavailable("the stream of events is silent");
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => {
                let (resume_token, start) = match &self.position {
                    Position::Latest => (String::new(), StreamStart::Latest),
                    Position::Earliest => (String::new(), StreamStart::Earliest),
                    Position::After(token) => (token.clone(), StreamStart::Unspecified),
                };
                let request = StreamEventsRequest {
                    resume_token,
                    filter: Some(self.filter.clone()),
                    start: start.into(),
                };
                let opened = timeout(SILENCE, self.events.stream_events(request)).await;
                none.insert(opened.map_err(silent)??.into_inner())
            }
        };
        timeout(SILENCE, stream.message()).await.map_err(silent)?
    }

    /// Moves on to a message. `None` for a heartbeat at the same position.
    fn take(&mut self, message: StreamEventsResponse) -> Option<Update> {
        let token = message.resume_token;
        let before = std::mem::replace(&mut self.position, Position::After(token.clone()));
        match message.message {
            Some(Message::Event(event)) => Some(Update::Event {
                event: Box::new(event),
                token,
            }),
            _ if before == self.position => None,
            // Also what a later version of the contract may send.
            Some(Message::Heartbeat(_)) | None => Some(Update::Quiet { token }),
        }
    }

    /// Decides whether to resume after an error.
    fn failed(&mut self, status: Status) -> Result<Option<Update>, Status> {
        let reason = Reason::of(&status);
        let asked = BACKOFF.after(&status, self.failures);
        self.pause(asked.unwrap_or(BACKOFF.longest));
        if let ErrorReason::EventCursorExpired | ErrorReason::EventCursorInvalid = reason.reason {
            self.position = Position::Earliest;
            return Ok(Some(Update::Lost {
                reason: reason.reason,
            }));
        }
        if asked.is_none() || !resumes(&reason) {
            return Err(status);
        }
        self.trouble = Some(status);
        Ok(None)
    }

    /// Ends the stream; the next one is opened after this time.
    fn pause(&mut self, wait: Duration) {
        self.stream = None;
        self.failures = self.failures.saturating_add(1);
        self.resume_at = Some(Instant::now() + wait.min(SILENCE));
    }
}

/// Whether the next stream may work although nothing was changed.
fn resumes(reason: &Reason) -> bool {
    reason.is_transient()
        || reason.reason == ErrorReason::EventStreamTooSlow
        || reason.code == Code::DeadlineExceeded
        // Proxies and broken connections end streams with these.
        || reason.name.is_empty()
            && matches!(reason.code, Code::Cancelled | Code::Unknown | Code::Internal)
}
