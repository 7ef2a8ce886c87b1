//! Large lists are compressed for callers that accept it, and nothing else is.

use bytes::{BufMut as _, Bytes};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tonic::codec::CompressionEncoding::Gzip;
use transatel_gateway_client::connectivity::v1 as api;

use crate::support::gateway::{FRANCE, TestEnv, get};

fn page(page_size: i32) -> api::ListProductsRequest {
    api::ListProductsRequest {
        page_size,
        ..Default::default()
    }
}

/// The first frame of an answer: whether it is compressed, and its length.
async fn frame(env: &TestEnv, method: &str, accepts: &str, request: &impl prost::Message) -> (bool, usize) {
    let mut body = vec![0];
    body.put_u32(request.encoded_len() as u32);
    request.encode(&mut body).unwrap();
    let request = http::Request::post(format!(
        "http://{}/connectivity.v1.{method}",
        env.gateway.addresses.grpc
    ))
    .header("content-type", "application/grpc")
    .header("te", "trailers")
    .header("grpc-accept-encoding", accepts)
    .body(Full::<Bytes>::from(body))
    .unwrap();
    let client = Client::builder(TokioExecutor::new())
        .http2_only(true)
        .build_http();
    let mut answer = client.request(request).await.unwrap().into_body();
    let mut read = Vec::new();
    while read.len() < 5 {
        let frame = answer.frame().await.expect("a message").unwrap();
        read.extend(frame.into_data().unwrap());
    }
    let length = u32::from_be_bytes(read[1..5].try_into().unwrap());
    (read[0] == 1, length as usize)
}

#[tokio::test]
async fn a_large_page_is_compressed_for_a_caller_that_accepts_it() {
    let env = TestEnv::open().await;
    for (size, expected) in [(2, false), (50, false), (1000, true)] {
        let (compressed, as_it_is) = frame(&env, "Catalog/ListProducts", "identity", &page(size)).await;
        assert!(!compressed, "{size}");
        assert_eq!(as_it_is > 64 << 10, expected, "{size}: {as_it_is}");
        let (compressed, length) = frame(&env, "Catalog/ListProducts", "identity, gzip", &page(size)).await;
        assert_eq!(compressed, expected, "{size}");
        assert_eq!(length < as_it_is / 3, expected, "{size}: {length} of {as_it_is}");
    }
    let (plain, _) = frame(&env, "Catalog/GetProduct", "gzip", &get(FRANCE)).await;
    assert!(!plain);

    let want = env.catalog().list_products(page(1000)).await.unwrap();
    let mut accepting = env.catalog().accept_compressed(Gzip);
    let got = accepting.list_products(page(1000)).await.unwrap();
    assert_eq!(got.get_ref().products, want.get_ref().products);
}

#[tokio::test]
async fn messages_of_a_stream_are_not_compressed() {
    let env = TestEnv::with_events(&[]).await;
    let request = api::StreamEventsRequest::default();
    let (compressed, _) = frame(&env, "Events/StreamEvents", "gzip", &request).await;
    assert!(!compressed);
}
