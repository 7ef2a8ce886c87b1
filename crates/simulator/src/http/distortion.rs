//! What faults do to an answer: replace it, cut it, or make it endless.

use std::io;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use http::{HeaderName, HeaderValue, Response, StatusCode, header};

use crate::http::{oauth::oauth_error, problem::Problem, reply::Reply, routes};

const GARBAGE: &[u8] = b"{\"products\":[{\"productDefinition\":{\"productId\":\"\xff\xfe\x00,,]";
const HTML: &str = "<!doctype html><html><head><title>Maintenance</title></head>\
                    <body><h1>The service is being maintained</h1></body></html>";
const OVERSIZE_CHUNK: u64 = 64 * 1024;

/// The provider's error for a status, with the shape of the API that `path` belongs to.
pub(crate) fn usual_error(path: &str, status: StatusCode, title: Option<&str>) -> Reply {
    if path == routes::TOKEN {
        let usual = match status {
            StatusCode::BAD_REQUEST => "invalid_request",
            StatusCode::UNAUTHORIZED => "invalid_client",
            _ => "server_error",
        };
        return oauth_error(status, title.unwrap_or(usual), "Requested by a fault script");
    }
    let usual = match status {
        StatusCode::BAD_REQUEST => "BAD_REQUEST",
        StatusCode::UNAUTHORIZED => "UNAUTHORIZED",
        StatusCode::FORBIDDEN => "INSUFFICIENT_PERMISSION",
        StatusCode::NOT_FOUND => "NOT_FOUND",
        StatusCode::METHOD_NOT_ALLOWED => "METHOD_NOT_ALLOWED",
        StatusCode::NOT_ACCEPTABLE => "NOT_ACCEPTABLE",
        StatusCode::CONFLICT => "CONFLICT",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "UNSUPPORTED_MEDIA_TYPE",
        StatusCode::TOO_MANY_REQUESTS => "TOO_MANY_REQUESTS",
        StatusCode::NOT_IMPLEMENTED => "NOT_IMPLEMENTED",
        StatusCode::SERVICE_UNAVAILABLE => "SERVICE_UNAVAILABLE",
        StatusCode::GATEWAY_TIMEOUT => "GATEWAY_TIMEOUT",
        _ => "INTERNAL_ERROR",
    };
    let title = title.unwrap_or(usual).to_owned();
    Problem::new(status, title, "Requested by a fault script").into_reply(path)
}

/// The answer of a `status` step.
pub(crate) fn status<'a>(
    path: &str,
    status: u16,
    title: Option<&str>,
    body: Option<&str>,
    headers: impl IntoIterator<Item = (&'a String, &'a String)>,
) -> Reply {
    // A number that is no final status is a mistake in the script; 500 makes it visible.
    let status = StatusCode::from_u16(status)
        .ok()
        .filter(|status| !status.is_informational())
        .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut reply = match body {
        Some(body) => Reply::new(status, Reply::JSON, body.to_owned()),
        None if status.is_success() || status.is_redirection() => Reply::empty(status),
        None => usual_error(path, status, title),
    };
    for (name, value) in headers {
        let parsed = (
            HeaderName::try_from(name.as_str()),
            HeaderValue::try_from(value.as_str()),
        );
        if let (Ok(name), Ok(value)) = parsed {
            reply.headers.retain(|(present, _)| *present != name);
            reply.headers.push((name, value));
        }
    }
    reply
}

pub(crate) fn garbage() -> Reply {
    Reply::new(StatusCode::OK, Reply::JSON, Bytes::from_static(GARBAGE))
}

pub(crate) fn html() -> Reply {
    Reply::new(StatusCode::OK, Reply::HTML, HTML)
}

/// How an answer that is cut off goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    Closed,
    NeverComes,
}

/// The first half of an answer that promises the whole.
pub(crate) fn cut(reply: Reply, rest: Rest) -> Response<Body> {
    let whole = reply.body.clone();
    let half = whole.slice(..whole.len() / 2);
    let promised = whole.len().max(1);
    let begin = stream::iter([Ok::<_, io::Error>(half)]);
    let body = match rest {
        Rest::NeverComes => Body::from_stream(begin.chain(stream::pending())),
        Rest::Closed => Body::from_stream(begin.chain(stream::once(async {
            // One turn of the connection writes out what has come so far; the error then ends it.
            tokio::task::yield_now().await;
            Err(io::Error::other("cut off by a fault script"))
        }))),
    };
    reply
        .with(header::CONTENT_LENGTH, HeaderValue::from(promised))
        .into_response_with(body)
}

/// Valid JSON of this many bytes, sent in chunks and without a `content-length` that would give it away.
pub(crate) fn oversize(bytes: u64) -> Response<Body> {
    const BEGIN: &str = "{\"padding\":\"";
    const END: &str = "\"}";
    let chunk = Bytes::from(vec![b'x'; usize::try_from(OVERSIZE_CHUNK).unwrap_or(usize::MAX)]);
    let padding = bytes.saturating_sub((BEGIN.len() + END.len()) as u64);
    let chunks = stream::unfold(padding, move |left| {
        let length = left.min(OVERSIZE_CHUNK);
        let part = chunk.slice(..usize::try_from(length).unwrap_or(0));
        async move { (length > 0).then_some((Ok(part), left - length)) }
    });
    let begin = stream::iter([Ok::<_, io::Error>(Bytes::from_static(BEGIN.as_bytes()))]);
    let end = stream::iter([Ok(Bytes::from_static(END.as_bytes()))]);
    let body = Body::from_stream(begin.chain(chunks).chain(end));
    Reply::new(StatusCode::OK, Reply::JSON, Bytes::new()).into_response_with(body)
}
