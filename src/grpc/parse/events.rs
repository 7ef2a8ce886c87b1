//! Requests of the Events service.

use super::Violations;
use crate::domain::event::Cursor;
use crate::domain::{Error, Requester, Result};
use crate::grpc::convert;
use crate::grpc::page_token::{self, Fingerprint, List};
use crate::pb::connectivity::v1 as pb;
use crate::service::events::{Filter, Start};

const MOST: usize = 100;
const LONGEST_TYPE: usize = 255;
const LONGEST_SUBSCRIPTION_ID: usize = 255;
const DEFAULT_PAGE: u32 = 50;
const LARGEST_PAGE: u32 = 1000;

/// Resume tokens are not bound to a filter.
pub const ANY: Fingerprint = Fingerprint::ANY;

/// Parses a `StreamEventsRequest` of a caller; the token last.
///
/// # Errors
/// `INVALID_REQUEST`, or `EVENT_CURSOR_INVALID` when only the token is wrong.
pub fn stream_events(request: &pb::StreamEventsRequest, by: Requester) -> Result<(Start, Filter)> {
    let mut violations = Violations::default();
    let filter = violations.event_filter(request.filter.as_ref(), by);
    let start = match pb::StreamStart::try_from(request.start) {
        Ok(pb::StreamStart::Unspecified | pb::StreamStart::Latest) => Start::Latest,
        Ok(pb::StreamStart::Earliest) => Start::Earliest,
        Err(_) => {
            violations.add("start", "is not one of the documented values");
            Start::Latest
        }
    };
    let filter = violations.into_result(Some(filter))?;
    let resumed = page_token::decode(List::EventStream, ANY, &request.resume_token)
        .map_err(|_| Error::EventCursorInvalid)?;
    Ok((resumed.map_or(start, Start::After), filter))
}

/// A parsed `ListEventsRequest`.
pub struct ListEvents {
    /// The filter.
    pub filter: Filter,
    /// The start of the page.
    pub after: Option<Cursor>,
    /// Events per page.
    pub page_size: u32,
    /// What a token for the next page is bound to.
    pub fingerprint: Fingerprint,
}

/// Parses; the token last, because it is bound to all the rest.
///
/// # Errors
/// `INVALID_REQUEST`, or `PAGE_TOKEN_INVALID` when only the token is wrong.
pub fn list_events(request: &pb::ListEventsRequest, by: Requester) -> Result<ListEvents> {
    let mut violations = Violations::default();
    let filter = violations.event_filter(request.filter.as_ref(), by);
    let page_size = violations.page_size(request.page_size, DEFAULT_PAGE, LARGEST_PAGE);
    let filter = violations.into_result(Some(filter))?;
    let requested = request.filter.clone().unwrap_or_default();
    let fingerprint = Fingerprint::of(&(
        requested.types,
        requested.raw_types,
        &filter.sims,
        requested.request_ids,
        requested.subscription_ids,
        &filter.requested_by,
        requested.include_infrastructure,
    ));
    let after = page_token::decode(List::Events, fingerprint, &request.page_token)
        .map_err(Error::PageTokenInvalid)?;
    Ok(ListEvents {
        filter,
        after,
        page_size,
        fingerprint,
    })
}

impl Violations {
    fn event_filter(&mut self, given: Option<&pb::EventFilter>, by: Requester) -> Filter {
        let Requester { caller, scope } = by;
        let mut filter = Filter {
            scope,
            ..Filter::default()
        };
        let Some(given) = given else { return filter };
        let types = self.bounded("filter.types", given.types.iter(), MOST);
        for (at, number) in types.enumerate() {
            match convert::event::event_type_of(*number) {
                Some(kind) => {
                    filter.types.insert(kind);
                }
                None => self.add(format!("filter.types[{at}]"), "must be a known type"),
            }
        }
        let raw_types = self.bounded("filter.raw_types", given.raw_types.iter(), MOST);
        for (at, name) in raw_types.enumerate() {
            let field = format!("filter.raw_types[{at}]");
            if name.is_empty() {
                self.add(&field, "must not be empty");
            }
            self.text(&field, name, LONGEST_TYPE);
            filter.raw_types.insert(name.clone());
        }
        let sims = self.bounded("filter.sims", given.sims.iter(), MOST);
        for (at, sim) in sims.enumerate() {
            filter
                .sims
                .extend(self.sim(&format!("filter.sims[{at}]"), Some(sim)));
        }
        let requests = self.bounded("filter.request_ids", given.request_ids.iter(), MOST);
        for (at, id) in requests.enumerate() {
            filter
                .request_ids
                .extend(self.request_id(&format!("filter.request_ids[{at}]"), id));
        }
        let subscriptions = self.bounded("filter.subscription_ids", given.subscription_ids.iter(), MOST);
        for (at, id) in subscriptions.enumerate() {
            let field = format!("filter.subscription_ids[{at}]");
            if id.is_empty() {
                self.add(&field, "must not be empty");
            }
            self.text(&field, id, LONGEST_SUBSCRIPTION_ID);
            filter.subscription_ids.insert(id.clone());
        }
        if given.own_requests_only {
            if caller.is_none() {
                let rule = "needs a caller that the gateway knows, by a certificate or a trusted proxy";
                self.add("filter.own_requests_only", rule);
            }
            filter.requested_by = caller;
        }
        filter.include_infrastructure = given.include_infrastructure;
        filter
    }
}
