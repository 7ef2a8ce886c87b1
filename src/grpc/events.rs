//! Handlers of the Events service.

use std::pin::Pin;

use futures_util::{Stream, StreamExt as _};
use tonic::{Request, Response, Status};

use super::layers::deadline;
use super::layers::identity::requester;
use super::page_token::{self, List};
use super::{compression, parse};
use crate::domain::event::Cursor;
use crate::pb::connectivity::v1 as pb;
use crate::service::Events;
use crate::service::events::Message;

/// Request path of the call whose deadline is the longest age of a stream.
pub const STREAM_EVENTS: &str = "/connectivity.v1.Events/StreamEvents";

/// Answers the Events service.
pub struct Handler(pub Events);

#[tonic::async_trait]
impl pb::events_server::Events for Handler {
    type StreamEventsStream = Pin<Box<dyn Stream<Item = Result<pb::StreamEventsResponse, Status>> + Send>>;

    async fn stream_events(
        &self,
        request: Request<pb::StreamEventsRequest>,
    ) -> Result<Response<Self::StreamEventsStream>, Status> {
        let deadline = deadline::of(&request);
        let (start, filter) = parse::events::stream_events(request.get_ref(), requester(&request))?;
        let messages = self.0.follow(start, filter, deadline).await?;
        Ok(Response::new(Box::pin(
            messages.map(|message| Ok(answer(message?))),
        )))
    }

    async fn list_events(
        &self,
        request: Request<pb::ListEventsRequest>,
    ) -> Result<Response<pb::ListEventsResponse>, Status> {
        let list = parse::events::list_events(request.get_ref(), requester(&request))?;
        let page = self.0.list(list.after, list.filter, list.page_size).await?;
        let token = |next| page_token::encode(List::Events, list.fingerprint, &next);
        Ok(compression::list(
            request.metadata(),
            pb::ListEventsResponse {
                events: page.events.into_iter().map(|entry| entry.encoded).collect(),
                next_page_token: page.next.map(token).unwrap_or_default(),
            },
        ))
    }
}

fn answer(message: Message) -> pb::StreamEventsResponse {
    use pb::stream_events_response::Message as Sent;
    let token = |cursor: &Cursor| page_token::encode(List::EventStream, parse::events::ANY, cursor);
    match message {
        Message::Event(entry, cursor) => pb::StreamEventsResponse {
            message: Some(Sent::Event(entry.encoded.clone())),
            resume_token: token(&cursor),
        },
        Message::Heartbeat(cursor) => pb::StreamEventsResponse {
            message: Some(Sent::Heartbeat(pb::Heartbeat {})),
            resume_token: token(&cursor),
        },
    }
}
