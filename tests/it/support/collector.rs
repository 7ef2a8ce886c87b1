//! A collector of traces and metrics, as an operator runs one beside the
//! gateway.

use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status};

use crate::support::pki::Pair;

/// Everything that came, in the order in which it came.
#[derive(Default)]
struct Exported {
    traces: Vec<ExportTraceServiceRequest>,
    metrics: Vec<ExportMetricsServiceRequest>,
}

#[derive(Clone, Default)]
struct Received(Arc<Mutex<Exported>>);

/// Listens until it is dropped.
pub struct Collector {
    received: Received,
    endpoint: String,
    _running: JoinSet<()>,
}

impl Collector {
    pub async fn start() -> Self {
        Self::listen(Server::builder(), "http://127.0.0.1").await
    }

    /// Behind TLS, under the name `localhost`.
    pub async fn start_with_tls(pair: &Pair) -> Self {
        let identity = Identity::from_pem(&pair.certificate, &pair.key);
        let tls = ServerTlsConfig::new().identity(identity);
        Self::listen(Server::builder().tls_config(tls).unwrap(), "https://localhost").await
    }

    async fn listen(mut server: Server, host: &str) -> Self {
        let received = Received::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("{host}:{}", listener.local_addr().unwrap().port());
        let router = server
            .add_service(TraceServiceServer::new(received.clone()))
            .add_service(MetricsServiceServer::new(received.clone()));
        let mut running = JoinSet::new();
        running.spawn(async move {
            router
                .serve_with_incoming(TcpIncoming::from(listener))
                .await
                .unwrap();
        });
        Self {
            received,
            endpoint,
            _running: running,
        }
    }

    /// For `telemetry.otlp_endpoint`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub fn spans(&self) -> Vec<Span> {
        let exported = self.received.0.lock().unwrap();
        let resources = exported.traces.iter().flat_map(|request| &request.resource_spans);
        let scopes = resources.flat_map(|resource| &resource.scope_spans);
        scopes.flat_map(|scope| scope.spans.clone()).collect()
    }

    /// The bytes of every request: whatever is in them.
    pub fn encoded(&self) -> Vec<Vec<u8>> {
        let exported = self.received.0.lock().unwrap();
        let traces = exported.traces.iter().map(prost::Message::encode_to_vec);
        let metrics = exported.metrics.iter().map(|request| request.encode_to_vec());
        traces.chain(metrics).collect()
    }
}

#[tonic::async_trait]
impl TraceService for Received {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0.lock().unwrap().traces.push(request.into_inner());
        Ok(Response::new(Default::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Received {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        self.0.lock().unwrap().metrics.push(request.into_inner());
        Ok(Response::new(Default::default()))
    }
}
