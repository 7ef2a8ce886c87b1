//! The id by which a call is found in logs and traces, for the caller: in a
//! header of every answer, and in the details of every error.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use http_body_util::BodyExt as _;
use hyper::body::Frame;
use opentelemetry::trace::TraceId;
use prost::Message as _;
use prost_types::Any;
use tonic::body::Body;
use tonic::{Code, Status};
use tonic_types::pb::RequestInfo;

/// The header of every answer.
const TRACE_ID: HeaderName = HeaderName::from_static("x-trace-id");
const DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
const TYPE: &str = "type.googleapis.com/google.rpc.RequestInfo";

/// Adds the id to the headers of an answer, and to its error if it is one.
pub(super) fn add(headers: &mut HeaderMap, id: TraceId, code: Code) {
    if let Ok(mut value) = HeaderValue::from_bytes(&digits(id)) {
        // Never the same again: it must not replace others in the table by
        // which HTTP/2 compresses headers.
        value.set_sensitive(true);
        headers.insert(TRACE_ID, value);
    }
    if code != Code::Ok {
        add_to_error(headers, id);
    }
}

/// As `TraceId` prints itself, without the formatter: every call needs it.
fn digits(id: TraceId) -> [u8; 32] {
    let digit = |value: u8| value + if value < 10 { b'0' } else { b'a' - 10 };
    let mut digits = [0; 32];
    for (pair, byte) in digits.as_chunks_mut().0.iter_mut().zip(id.to_bytes()) {
        *pair = [digit(byte >> 4), digit(byte & 0x0F)];
    }
    digits
}

/// Adds the id to the error of a status, in headers or trailers.
fn add_to_error(headers: &mut HeaderMap, id: TraceId) -> Option<Code> {
    let status = Status::from_header_map(headers).filter(|status| status.code() != Code::Ok)?;
    let code = status.code();
    let info = RequestInfo {
        request_id: id.to_string(),
        serving_data: String::new(),
    };
    let mut details = match status.details() {
        // Of tonic itself, such as a message that cannot be decoded.
        [] => tonic_types::Status {
            code: code.into(),
            message: status.message().to_owned(),
            details: Vec::new(),
        },
        details => tonic_types::Status::decode(details).ok()?,
    };
    details.details.push(Any {
        type_url: TYPE.to_owned(),
        value: info.encode_to_vec(),
    });
    let encoded = STANDARD_NO_PAD.encode(details.encode_to_vec());
    headers.insert(DETAILS, HeaderValue::from_str(&encoded).ok()?);
    Some(code)
}

/// Adds the id to the error that a stream ends with. `failed` gets its code.
pub(super) fn add_to_end(
    response: Response<Body>,
    id: TraceId,
    failed: impl Fn(Code) + Send + 'static,
) -> Response<Body> {
    response.map(|body| {
        Body::new(body.map_frame(move |frame| match frame.into_trailers() {
            Ok(mut trailers) => {
                if let Some(code) = add_to_error(&mut trailers, id) {
                    failed(code);
                }
                Frame::trailers(trailers)
            }
            Err(frame) => frame,
        }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_those_of_the_log() {
        for id in [1, 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c, u128::MAX] {
            let id = TraceId::from(id);
            assert_eq!(digits(id), id.to_string().as_bytes());
        }
    }
}
