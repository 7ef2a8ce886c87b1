//! The end of a stream: its last status is in the trailers, and a caller may leave
//! before it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::Response;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use opentelemetry::trace::TraceId;
use pin_project_lite::pin_project;
use tonic::Code;
use tonic::body::Body;

use super::call::Call;
use super::request_info;

/// Measures the call when the stream ends, and adds its id to the error that it
/// may end with.
pub(super) fn observe(response: Response<Body>, id: TraceId, call: Option<Call>) -> Response<Body> {
    response.map(|body| Body::new(Followed { body, id, call }))
}

pin_project! {
    /// The body of a stream.
    struct Followed {
        #[pin]
        body: Body,
        id: TraceId,
        // Taken at the end.
        call: Option<Call>,
    }

    impl PinnedDrop for Followed {
        fn drop(this: Pin<&mut Self>) {
            if let Some(call) = this.project().call.take() {
                let _inside = call.trace.enter();
                call.left();
            }
        }
    }
}

impl HttpBody for Followed {
    type Data = <Body as HttpBody>::Data;
    type Error = <Body as HttpBody>::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.project();
        let frame = match ready!(this.body.poll_frame(context)) {
            Some(Ok(frame)) => frame,
            other => return Poll::Ready(other),
        };
        Poll::Ready(Some(Ok(match frame.into_trailers() {
            Ok(mut trailers) => {
                let error = request_info::add_to_error(&mut trailers, *this.id);
                if let Some(call) = this.call.take() {
                    let _inside = call.trace.enter();
                    let (code, reason) = error.unwrap_or((Code::Ok, None));
                    call.ended(code, reason);
                }
                Frame::trailers(trailers)
            }
            Err(frame) => frame,
        })))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
