//! The id by which a call is found in logs and traces, for the caller: in a
//! header of every answer, and in the details of every error.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::trace::TraceId;
use prost::Message as _;
use prost_types::Any;
use tonic::{Code, Status};
use tonic_types::pb::{ErrorInfo, RequestInfo};

use crate::grpc::status;

/// The header of every answer.
const TRACE_ID: HeaderName = HeaderName::from_static("x-trace-id");
const DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
const TYPE: &str = "type.googleapis.com/google.rpc.RequestInfo";
const ERROR_INFO: &str = "type.googleapis.com/google.rpc.ErrorInfo";

/// Adds the id to the headers of an answer, and to its error if it is one. Gives
/// the error's reason.
pub(super) fn add(headers: &mut HeaderMap, id: TraceId, code: Code) -> Option<&'static str> {
    if let Ok(mut value) = HeaderValue::from_bytes(&digits(id)) {
        // Never the same again: it must not replace others in the table by
        // which HTTP/2 compresses headers.
        value.set_sensitive(true);
        headers.insert(TRACE_ID, value);
    }
    if code == Code::Ok {
        return None;
    }
    add_to_error(headers, id).and_then(|(_, reason)| reason)
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

/// Adds the id to the error of a status, in headers or trailers. Gives the code
/// and, where the error has one of ours, the reason; `None` when there is no
/// error.
pub(super) fn add_to_error(headers: &mut HeaderMap, id: TraceId) -> Option<(Code, Option<&'static str>)> {
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
        details => match tonic_types::Status::decode(details) {
            Ok(details) => details,
            Err(_) => return Some((code, None)),
        },
    };
    let reason = details.details.iter().find_map(reason);
    details.details.push(Any {
        type_url: TYPE.to_owned(),
        value: info.encode_to_vec(),
    });
    let encoded = STANDARD_NO_PAD.encode(details.encode_to_vec());
    if let Ok(encoded) = HeaderValue::from_str(&encoded) {
        headers.insert(DETAILS, encoded);
    }
    Some((code, reason))
}

/// The reason in a detail that is an `ErrorInfo`: one of the contract's.
fn reason(detail: &Any) -> Option<&'static str> {
    if detail.type_url != ERROR_INFO {
        return None;
    }
    let info = ErrorInfo::decode(detail.value.as_slice()).ok()?;
    status::reason_named(&info.reason)
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
