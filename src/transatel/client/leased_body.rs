//! The body of a request that may only be sent under a lease.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use crate::domain::Lease;

/// A body in one piece. The lease is checked when the connection takes the
/// body, after resolving, connecting and every other wait: the provider cannot
/// carry out a request whose body does not follow its head.
pub(in crate::transatel) struct LeasedBody {
    body: Option<Bytes>,
    lease: Lease,
}

/// The lease has ended: nothing was sent.
#[derive(Debug, thiserror::Error)]
#[error("the lease has ended")]
pub(in crate::transatel) struct LeaseOver;

impl LeasedBody {
    /// This body, which must not be empty, under this lease.
    pub(in crate::transatel) fn new(body: Bytes, lease: Lease) -> Self {
        Self {
            body: Some(body),
            lease,
        }
    }
}

impl Body for LeasedBody {
    type Data = Bytes;
    type Error = LeaseOver;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, LeaseOver>>> {
        if self.body.is_some() && !self.lease.allows_sending() {
            return Poll::Ready(Some(Err(LeaseOver)));
        }
        Poll::Ready(self.body.take().map(|body| Ok(Frame::data(body))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let left = self.body.as_ref().map_or(0, Bytes::len);
        SizeHint::with_exact(u64::try_from(left).unwrap_or(u64::MAX))
    }
}
