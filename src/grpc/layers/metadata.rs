//! Refuses calls with too much metadata.
//!
//! HTTP/2 itself can only answer 431, which callers see as `UNKNOWN`, or close
//! the connection with everything on it. So a connection accepts much more than
//! a call may have, and the limit is kept here.

use http::{HeaderMap, Request};
use tonic::Status;

use super::gate::Decide;
use crate::domain::Error;

/// Refuses calls whose headers are larger than a limit.
#[derive(Clone, Debug)]
pub struct MetadataLimit {
    most: usize,
}

/// A connection accepts at least this much: what honest proxies and clients
/// were seen to send by mistake, at the price of one request's body.
const LEAST_ACCEPTED: u32 = 1 << 20;

/// As HTTP/2 counts a header, beside its name and value.
const OVERHEAD: usize = 32;

impl MetadataLimit {
    /// At most `most` bytes of headers.
    pub fn new(most: u32) -> Self {
        Self {
            most: usize::try_from(most).unwrap_or(usize::MAX),
        }
    }

    /// What a connection has to accept for this limit to be the one that is
    /// reached first.
    pub fn accepted(most: u32) -> u32 {
        most.saturating_mul(4).max(LEAST_ACCEPTED)
    }
}

impl Decide for MetadataLimit {
    type Held = ();

    fn decide<B>(&self, request: &mut Request<B>) -> Result<(), Box<Status>> {
        if size(request.headers()) <= self.most {
            return Ok(());
        }
        Err(Box::new(Error::MetadataTooLarge { most: self.most }.into()))
    }
}

fn size(headers: &HeaderMap) -> usize {
    headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + OVERHEAD)
        .sum()
}
