//! Tonic and nothing else: the yardstick.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf as _, BufMut as _, Bytes};
use http::uri::PathAndQuery;
use prost::Message;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Server};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;
use tower::Service;
use transatel_gateway_client::connectivity::v1::{
    GetProductRequest, GetProductResponse, ListProductsRequest, ListProductsResponse,
};

use crate::support::calls::Call;
use crate::support::process::{Running, announced, on_core, write_file};

/// What the gateway answered, kept in files for the processes that repeat it.
pub struct Answers {
    folder: TempDir,
    paths: Vec<&'static str>,
}

impl Answers {
    /// Makes every call once.
    pub fn ask(gateway: SocketAddr, calls: &[Call]) -> Self {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let answers = Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
            paths: calls.iter().map(|call| call.path).collect(),
        };
        runtime.block_on(async {
            let endpoint = Channel::from_shared(format!("http://{gateway}")).expect("an address");
            let channel = endpoint.connect().await.expect("the gateway listens");
            for (call, file) in calls.iter().zip(answers.files()) {
                let mut client = tonic::client::Grpc::new(channel.clone());
                client.ready().await.expect("the channel is ready");
                let path = PathAndQuery::from_static(call.path);
                let answer = client
                    .unary(Request::new(call.request.clone()), path, Verbatim)
                    .await;
                write_file(
                    &PathBuf::from(file),
                    &answer.expect("the gateway answers").into_inner(),
                );
            }
        });
        answers
    }

    /// A bare server that repeats them, `bytes` or `prost`, on core 0.
    pub fn serve(&self, kind: &str) -> (Running, SocketAddr) {
        let mut command = on_core(0, std::env::current_exe().expect("this program"));
        announced(command.args(["bare", kind]).args(self.files()))
    }

    /// One file per call.
    fn files(&self) -> Vec<String> {
        let file = |path: &&str| {
            self.folder
                .path()
                .join(path.replace('/', "_"))
                .display()
                .to_string()
        };
        self.paths.iter().map(file).collect()
    }
}

/// Serves until it is killed. Arguments: `bytes` or `prost`, then the files
/// with the answers to `GetProduct` and `ListProducts`.
pub fn serve(arguments: &[String]) {
    let [kind, product, list] = arguments else {
        panic!("bare KIND PRODUCT LIST")
    };
    let read = |path: &String| Bytes::from(std::fs::read(path).expect("the answer"));
    let (product, list) = (read(product), read(list));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a free port");
        println!("{}", listener.local_addr().expect("its address"));
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let mut server = Server::builder();
        let server = match kind.as_str() {
            "bytes" => server.add_service(Constant::new(product, list)),
            _ => server.add_service(Generated::new(&product, &list)),
        };
        server.serve_with_incoming(incoming).await.expect("it serves");
    });
}

/// Answers constant bytes.
#[derive(Clone)]
struct Constant(HashMap<&'static str, Bytes>);

impl Constant {
    fn new(product: Bytes, list: Bytes) -> Self {
        Self(HashMap::from([(GET_PRODUCT, product), (LIST_PRODUCTS, list)]))
    }
}

const GET_PRODUCT: &str = "/connectivity.v1.Catalog/GetProduct";
const LIST_PRODUCTS: &str = "/connectivity.v1.Catalog/ListProducts";

impl NamedService for Constant {
    const NAME: &'static str = "connectivity.v1.Catalog";
}

type Answer = Pin<Box<dyn Future<Output = Result<http::Response<tonic::body::Body>, Infallible>> + Send>>;

impl Service<http::Request<tonic::body::Body>> for Constant {
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Answer {
        let bytes = self.0.get(request.uri().path()).cloned().unwrap_or_default();
        Box::pin(async move { Ok(Grpc::new(Verbatim).unary(Always(bytes), request).await) })
    }
}

/// One answer to everything.
struct Always<T>(T);

impl UnaryService<Bytes> for Always<Bytes> {
    type Response = Bytes;
    type Future = Ready<Result<Response<Bytes>, Status>>;

    fn call(&mut self, _: Request<Bytes>) -> Self::Future {
        ready(Ok(Response::new(self.0.clone())))
    }
}

/// Copies bytes and knows nothing of their meaning.
struct Verbatim;

impl Codec for Verbatim {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Verbatim {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Verbatim {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

/// Answers as a generated server does.
#[derive(Clone)]
struct Generated {
    product: GetProductResponse,
    list: std::sync::Arc<ListProductsResponse>,
}

impl Generated {
    fn new(product: &Bytes, list: &Bytes) -> Self {
        Self {
            product: GetProductResponse::decode(product.clone()).expect("the gateway's answer"),
            list: ListProductsResponse::decode(list.clone())
                .expect("the gateway's answer")
                .into(),
        }
    }
}

impl NamedService for Generated {
    const NAME: &'static str = "connectivity.v1.Catalog";
}

impl Service<http::Request<tonic::body::Body>> for Generated {
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Answer {
        if request.uri().path() == GET_PRODUCT {
            let answer = self.product.clone();
            return Box::pin(async move {
                let codec = ProstCodec::<GetProductResponse, GetProductRequest>::default();
                Ok(Grpc::new(codec).unary(Always(answer), request).await)
            });
        }
        let answer = self.list.clone();
        Box::pin(async move {
            let codec = ProstCodec::<ListProductsResponse, ListProductsRequest>::default();
            Ok(Grpc::new(codec).unary(Always(answer), request).await)
        })
    }
}

impl UnaryService<GetProductRequest> for Always<GetProductResponse> {
    type Response = GetProductResponse;
    type Future = Ready<Result<Response<GetProductResponse>, Status>>;

    fn call(&mut self, _: Request<GetProductRequest>) -> Self::Future {
        ready(Ok(Response::new(self.0.clone())))
    }
}

impl UnaryService<ListProductsRequest> for Always<std::sync::Arc<ListProductsResponse>> {
    type Response = ListProductsResponse;
    type Future = Ready<Result<Response<ListProductsResponse>, Status>>;

    fn call(&mut self, _: Request<ListProductsRequest>) -> Self::Future {
        ready(Ok(Response::new(ListProductsResponse::clone(&self.0))))
    }
}
