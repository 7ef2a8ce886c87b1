//! Ends TLS in front of the simulator, as the provider's own front does.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::ExtendedKeyUsagePurpose::ServerAuth;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::pki::{Authority, Name, Validity};

/// Serves until it is dropped.
pub struct Front {
    /// Connections accepted so far.
    accepted: Arc<AtomicU64>,
    _connections: JoinSet<()>,
}

impl Front {
    /// HTTP/1, on a port of its own.
    pub async fn start(authority: &Authority, name: &str, behind: SocketAddr) -> (Self, SocketAddr) {
        let acceptor = acceptor(authority, name, &[]);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = stream::unfold(listener, async |listener| {
            let (connection, _) = listener.accept().await.ok()?;
            Some((connection, listener))
        });
        let serve = move |connection| tunnel(acceptor.clone(), connection, behind);
        (Self::serve(connections, serve), address)
    }

    /// HTTP/2, on a Unix socket.
    pub fn start_http2(authority: &Authority, name: &str, behind: SocketAddr, socket: &Path) -> Self {
        let acceptor = acceptor(authority, name, &[b"h2"]);
        let connections = stream::unfold(UnixListener::bind(socket).unwrap(), async |listener| {
            let (connection, _) = listener.accept().await.ok()?;
            Some((connection, listener))
        });
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self::serve(connections, move |connection| {
            serve_http2(acceptor.clone(), connection, behind, client.clone())
        })
    }

    fn serve<C, F>(
        connections: impl Stream<Item = C> + Send + 'static,
        serve: impl Fn(C) -> F + Send + 'static,
    ) -> Self
    where
        C: Send,
        F: Future<Output = ()> + Send + 'static,
    {
        let accepted = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&accepted);
        let mut running = JoinSet::new();
        running.spawn(async move {
            let mut connections = pin!(connections);
            let mut served = JoinSet::new();
            while let Some(connection) = connections.next().await {
                counted.fetch_add(1, Ordering::SeqCst);
                served.spawn(serve(connection));
            }
        });
        Self {
            accepted,
            _connections: running,
        }
    }

    /// Connections accepted so far.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::SeqCst)
    }
}

fn acceptor(authority: &Authority, name: &str, protocols: &[&[u8]]) -> TlsAcceptor {
    let pair = authority.issue_for(&[Name::Dns(name)], Validity::Now, ServerAuth);
    let certificate = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

async fn tunnel(acceptor: TlsAcceptor, connection: TcpStream, behind: SocketAddr) {
    // A client that does not trust us goes away.
    let Ok(mut outside) = acceptor.accept(connection).await else {
        return;
    };
    let mut inside = TcpStream::connect(behind).await.unwrap();
    let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
}

async fn serve_http2(
    acceptor: TlsAcceptor,
    connection: impl AsyncRead + AsyncWrite + Unpin,
    behind: SocketAddr,
    client: Client<HttpConnector, Full<Bytes>>,
) {
    let Ok(outside) = acceptor.accept(connection).await else {
        return;
    };
    let service = service_fn(move |request: http::Request<Incoming>| {
        let client = client.clone();
        async move {
            let (mut head, body) = request.into_parts();
            let path = head.uri.path_and_query().unwrap().clone();
            head.uri = format!("http://{behind}{path}").parse().unwrap();
            head.version = http::Version::HTTP_11;
            let body = Full::new(
                body.collect()
                    .await
                    .map(|body| body.to_bytes())
                    .unwrap_or_default(),
            );
            let answer = client.request(http::Request::from_parts(head, body)).await;
            let mut answer = answer.unwrap();
            *answer.version_mut() = http::Version::HTTP_2;
            answer.headers_mut().remove(http::header::CONNECTION);
            Ok::<_, Infallible>(answer)
        }
    });
    let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    let _ = server.serve_connection(TokioIo::new(outside), service).await;
}
