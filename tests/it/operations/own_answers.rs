//! What the gateway answers before any of its handlers sees the call: one
//! `ErrorInfo` too, whatever is wrong with the call.

use std::collections::HashMap;

use bytes::Bytes;
use http::{HeaderMap, Method};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use prost_reflect::DescriptorPool;
use tonic::codec::CompressionEncoding;
use tonic::{Code, Status};
use transatel_gateway::grpc::DESCRIPTORS;
use transatel_gateway_client::connectivity::v1::ListProductsRequest;

use crate::support::gateway::{TestEnv, reason};

const GET_PRODUCT: &str = "/connectivity.v1.Catalog/GetProduct";

/// A message with its prefix.
fn framed(compressed: u8, announced: usize, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(announced).unwrap().to_be_bytes();
    [&[compressed], &length[..], message].concat()
}

/// The status of an answer, and its HTTP status.
async fn answer(
    env: &TestEnv,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> (u16, Option<Status>, HeaderMap) {
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new())
        .http2_only(true)
        .build_http();
    let mut request = http::Request::builder()
        .method(method)
        .uri(format!("http://{}{path}", env.gateway.addresses.grpc));
    let mut all: HashMap<&str, &str> =
        HashMap::from([("content-type", "application/grpc"), ("te", "trailers")]);
    all.extend(headers.iter().copied());
    for (name, value) in all {
        request = request.header(name, value);
    }
    let request = request.body(Full::new(Bytes::from(body))).unwrap();
    let answer = client.request(request).await.unwrap();
    let (head, body) = answer.into_parts();
    let status = match Status::from_header_map(&head.headers) {
        Some(status) => Some(status),
        None => {
            let whole = body.collect().await.unwrap();
            whole.trailers().and_then(Status::from_header_map)
        }
    };
    (head.status.as_u16(), status, head.headers)
}

#[tokio::test]
async fn whatever_is_wrong_with_a_call_has_one_reason() {
    let env = TestEnv::open().await;
    let empty = || framed(0, 0, &[]);
    let two_megabytes = vec![0; 2 << 20];
    // Field 1 as a text that is longer than the message.
    let malformed = [0x0A, 0x7F, b'x'];
    let large_header = "x".repeat(20_000);
    use Code::{InvalidArgument, ResourceExhausted, Unimplemented};
    type Case<'a> = (&'a str, &'a str, Vec<(&'a str, &'a str)>, Vec<u8>, Code, &'a str);
    let cases: Vec<Case> = vec![
        (
            "a method that does not exist",
            "/connectivity.v1.Catalog/Nope",
            vec![],
            empty(),
            Unimplemented,
            "METHOD_NOT_FOUND",
        ),
        (
            "a service that does not exist",
            "/nope.v1.Nope/Nope",
            vec![],
            empty(),
            Unimplemented,
            "METHOD_NOT_FOUND",
        ),
        (
            "no service at all",
            "/",
            vec![],
            empty(),
            Unimplemented,
            "METHOD_NOT_FOUND",
        ),
        (
            "a message of 2 MB",
            GET_PRODUCT,
            vec![],
            framed(0, two_megabytes.len(), &two_megabytes),
            ResourceExhausted,
            "REQUEST_TOO_LARGE",
        ),
        (
            "2 MB that are announced",
            GET_PRODUCT,
            vec![],
            framed(0, 2 << 20, b"x"),
            ResourceExhausted,
            "REQUEST_TOO_LARGE",
        ),
        (
            "a header of 20 KB",
            GET_PRODUCT,
            vec![("x-large", &large_header)],
            empty(),
            ResourceExhausted,
            "METADATA_TOO_LARGE",
        ),
        (
            "no valid message",
            GET_PRODUCT,
            vec![],
            framed(0, malformed.len(), &malformed),
            InvalidArgument,
            "REQUEST_MALFORMED",
        ),
        (
            "no message",
            GET_PRODUCT,
            vec![],
            vec![],
            InvalidArgument,
            "REQUEST_MALFORMED",
        ),
        (
            "half a prefix",
            GET_PRODUCT,
            vec![],
            vec![0, 0],
            InvalidArgument,
            "REQUEST_MALFORMED",
        ),
        (
            "half a message",
            GET_PRODUCT,
            vec![],
            framed(0, 10, b"x"),
            InvalidArgument,
            "REQUEST_MALFORMED",
        ),
        (
            "an unknown flag",
            GET_PRODUCT,
            vec![],
            framed(7, 0, &[]),
            InvalidArgument,
            "REQUEST_MALFORMED",
        ),
        (
            "compressed without an encoding",
            GET_PRODUCT,
            vec![],
            framed(1, 0, &[]),
            InvalidArgument,
            "REQUEST_MALFORMED",
        ),
        (
            "gzip that is none",
            GET_PRODUCT,
            vec![("grpc-encoding", "gzip")],
            framed(1, 3, b"abc"),
            InvalidArgument,
            "REQUEST_MALFORMED",
        ),
        (
            "JSON",
            GET_PRODUCT,
            vec![("content-type", "application/grpc+json")],
            framed(0, 2, b"{}"),
            InvalidArgument,
            "REQUEST_MALFORMED",
        ),
        (
            "an unknown encoding",
            GET_PRODUCT,
            vec![("grpc-encoding", "br")],
            empty(),
            Unimplemented,
            "ENCODING_NOT_SUPPORTED",
        ),
    ];
    for (what, path, headers, body, code, expected) in cases {
        let (http, status, answered) = answer(&env, Method::POST, path, &headers, body).await;
        let status = status.unwrap_or_else(|| panic!("{what}: no status, HTTP {http}"));
        let error = reason(&status);
        assert_eq!(
            (http, error.code, error.reason.as_str()),
            (200, code, expected),
            "{what}"
        );
        assert!(!status.message().is_empty(), "{what}");
        assert!(error.details.request_info().is_some(), "{what}");
        if expected == "ENCODING_NOT_SUPPORTED" {
            assert_eq!(answered["grpc-accept-encoding"], "gzip,identity");
        }
    }
}

#[tokio::test]
async fn a_message_that_is_too_large_once_it_is_decompressed_has_the_same_reason() {
    let env = TestEnv::open().await;
    let request = ListProductsRequest {
        query: "x".repeat(2 << 20),
        ..Default::default()
    };
    let mut catalog = env.catalog().send_compressed(CompressionEncoding::Gzip);
    let error = reason(&catalog.list_products(request).await.unwrap_err());
    assert_eq!(
        (error.code, error.reason.as_str()),
        (Code::ResourceExhausted, "REQUEST_TOO_LARGE")
    );
}

/// The type of the content is the one thing that HTTP itself answers.
#[tokio::test]
async fn another_type_of_content_is_not_grpc() {
    let env = TestEnv::open().await;
    for content_type in ["application/json", "text/plain", "application/grp"] {
        let headers = [("content-type", content_type)];
        let (http, status, _) = answer(&env, Method::POST, GET_PRODUCT, &headers, b"{}".to_vec()).await;
        let error = reason(&status.unwrap());
        assert_eq!((http, error.code), (415, Code::InvalidArgument), "{content_type}");
        assert_eq!(error.reason, "REQUEST_MALFORMED", "{content_type}");
    }
}

#[tokio::test]
async fn every_method_answers_a_malformed_message_alike() {
    let env = TestEnv::with_everything().await;
    let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
    let mut methods = 0;
    for service in pool.services() {
        for method in service.methods() {
            let path = format!("/{}/{}", service.full_name(), method.name());
            let (_, status, _) = answer(&env, Method::POST, &path, &[], framed(0, 1, &[0xFF])).await;
            let error = reason(&status.unwrap_or_else(|| panic!("{path}: no status")));
            assert_eq!(
                (error.code, error.reason.as_str()),
                (Code::InvalidArgument, "REQUEST_MALFORMED"),
                "{path}"
            );
            methods += 1;
        }
    }
    assert!(methods > 30, "{methods}");
}
