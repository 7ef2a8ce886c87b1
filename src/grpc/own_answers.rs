//! What the framework answers by itself, in the terms of the contract.
//!
//! Before a handler sees a call, tonic reads its message, and generated code looks
//! for its method. They answer with a status that has no details, and with codes
//! that mean other things here: a message that is too large is `OUT_OF_RANGE`, as
//! an expired cursor is. Here each of them becomes one of the contract's errors.

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use tonic::body::Body;
use tonic::{Code, Status};

use crate::domain::Error;

static STATUS: HeaderName = HeaderName::from_static("grpc-status");
static DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
/// Beside the answer to an encoding that is not supported.
static ENCODINGS: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const CONTENT_TYPE: &str = "application/grpc";

/// Makes the error of an answer, if it is the framework's, one of the contract's.
pub(super) fn translate(answer: &mut Response<Body>, largest: usize) {
    let headers = answer.headers();
    if !headers.contains_key(&STATUS) || headers.contains_key(&DETAILS) {
        return;
    }
    let encodings = headers.get(&ENCODINGS).cloned();
    let status = Status::from_header_map(headers);
    if let Some(error) = status.and_then(|status| error(&status, encodings.is_some(), largest)) {
        *answer = with_encodings(Status::from(error).into_http(), encodings);
    }
}

/// `None` for what is no answer of the framework's own, such as that of a health
/// check.
fn error(status: &Status, names_encodings: bool, largest: usize) -> Option<Error> {
    match status.code() {
        Code::OutOfRange | Code::ResourceExhausted => Some(Error::RequestTooLarge { most: largest }),
        Code::Unimplemented if names_encodings => Some(Error::EncodingNotSupported),
        Code::Unimplemented => Some(Error::MethodNotFound),
        Code::Internal => Some(Error::RequestMalformed {
            why: status.message().to_owned(),
        }),
        _ => None,
    }
}

fn with_encodings(mut answer: Response<Body>, encodings: Option<HeaderValue>) -> Response<Body> {
    if let Some(encodings) = encodings {
        answer.headers_mut().insert(ENCODINGS.clone(), encodings);
    }
    answer
}

/// Whether a call is gRPC by its type of content.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    let content_type = headers.get(http::header::CONTENT_TYPE);
    content_type.is_some_and(|value| value.as_bytes().starts_with(CONTENT_TYPE.as_bytes()))
}

/// The answer to a call that is not: gRPC asks for this status of HTTP.
pub(super) fn not_grpc() -> Response<Body> {
    let error = Error::RequestMalformed {
        why: format!("its content-type is not {CONTENT_TYPE}"),
    };
    let mut answer = Status::from(error).into_http();
    *answer.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    answer
}
