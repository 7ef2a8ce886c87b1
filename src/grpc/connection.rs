//! Connections of callers: plain text or TLS, each with its peer.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::Stream;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tonic::transport::server::{Connected, TcpIncoming};
use webpki::EndEntityCert;

use super::certificates::Certificates;
use crate::domain::Caller;

/// A handshake that takes longer is aborted: their number is bounded.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);

/// Handshakes in parallel; more connections wait in the listener's queue.
const HANDSHAKES: usize = 512;

/// The peer of a connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its address.
    pub address: Option<IpAddr>,
    /// Its name, from its certificate.
    pub caller: Option<Caller>,
}

/// A connection of a caller.
#[derive(Debug)]
pub enum Connection {
    /// Plain text.
    Plain(TcpStream),
    /// TLS.
    Secured(Box<TlsStream<TcpStream>>),
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        let (socket, caller) = match self {
            Self::Plain(socket) => (socket, None),
            Self::Secured(stream) => {
                let (socket, session) = stream.get_ref();
                let certificate = session.peer_certificates().and_then(<[_]>::first);
                (socket, certificate.and_then(name))
            }
        };
        Peer {
            address: socket.peer_addr().ok().map(|address| address.ip()),
            caller,
        }
    }
}

/// The name in a certificate: its SPIFFE ID, of which it may have only one
/// (X.509-SVID, section 2), else its first DNS name. The certificate has been
/// verified.
fn name(certificate: &CertificateDer<'_>) -> Option<Caller> {
    let certificate = EndEntityCert::try_from(certificate).ok()?;
    let mut identities = certificate.valid_uri_names();
    match (identities.next(), identities.next()) {
        (Some(identity), None) => Caller::parse(identity),
        (Some(_), Some(_)) => None,
        (None, _) => certificate.valid_dns_names().find_map(Caller::parse),
    }
}

/// Accepts connections; handshakes do not wait for each other.
pub struct Incoming {
    sockets: TcpIncoming,
    certificates: Option<Arc<Certificates>>,
    handshakes: JoinSet<Option<Connection>>,
}

impl Incoming {
    /// Plain text without certificates.
    pub fn new(listener: TcpListener, certificates: Option<Arc<Certificates>>) -> Self {
        Self {
            sockets: TcpIncoming::from(listener).with_nodelay(Some(true)),
            certificates,
            handshakes: JoinSet::new(),
        }
    }

    /// A connection whose handshake has succeeded; the others are dropped.
    fn poll_secured(&mut self, context: &mut Context<'_>) -> Poll<Option<Connection>> {
        while let Some(ended) = ready!(self.handshakes.poll_join_next(context)) {
            if let Ok(Some(connection)) = ended {
                return Poll::Ready(Some(connection));
            }
        }
        Poll::Ready(None)
    }
}

impl Stream for Incoming {
    type Item = io::Result<Connection>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Poll::Ready(Some(connection)) = self.poll_secured(context) {
                return Poll::Ready(Some(Ok(connection)));
            }
            if self.handshakes.len() >= HANDSHAKES {
                return Poll::Pending;
            }
            let Some(socket) = ready!(Pin::new(&mut self.sockets).poll_next(context)) else {
                return Poll::Ready(None);
            };
            match (socket, self.certificates.clone()) {
                (Err(error), _) => return Poll::Ready(Some(Err(error))),
                (Ok(socket), None) => return Poll::Ready(Some(Ok(Connection::Plain(socket)))),
                (Ok(socket), Some(certificates)) => {
                    self.handshakes.spawn(secure(socket, certificates));
                }
            }
        }
    }
}

async fn secure(socket: TcpStream, certificates: Arc<Certificates>) -> Option<Connection> {
    let acceptor: TlsAcceptor = certificates.acceptor();
    let peer = socket.peer_addr().ok();
    let peer = peer.map(tracing::field::display);
    match tokio::time::timeout(HANDSHAKE_WITHIN, acceptor.accept(socket)).await {
        Ok(Ok(stream)) => {
            certificates.metrics().handshake("ok");
            Some(Connection::Secured(Box::new(stream)))
        }
        // A port probe.
        Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
            certificates.metrics().handshake("left");
            None
        }
        Ok(Err(error)) => {
            tracing::info!(peer, %error, "a connection was refused in its TLS handshake");
            certificates.metrics().handshake("failed");
            None
        }
        Err(_) => {
            tracing::info!(peer, "a connection was closed: its TLS handshake takes too long");
            certificates.metrics().handshake("timed_out");
            None
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Secured(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Secured(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Self::Secured(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Secured(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Secured(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Secured(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
