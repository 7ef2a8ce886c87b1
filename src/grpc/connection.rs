//! A connection of a caller: plain text or TLS, with its peer.

use std::future::Future as _;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Sleep;
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;
use webpki::EndEntityCert;

use crate::domain::Caller;

/// The peer of a connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its address.
    pub address: Option<IpAddr>,
    /// Its name, from its certificate.
    pub caller: Option<Caller>,
    has_called: Arc<AtomicBool>,
}

impl Peer {
    /// Notes that a call came: the connection is in use.
    pub fn note_call(&self) {
        // Most often it is known: reading is cheaper than writing.
        if !self.has_called.load(Ordering::Relaxed) {
            self.has_called.store(true, Ordering::Relaxed);
        }
    }
}

/// What bytes go through.
#[derive(Debug)]
pub enum Socket {
    /// Plain text.
    Plain(TcpStream),
    /// TLS.
    Secured(Box<TlsStream<TcpStream>>),
}

/// A connection on which HTTP/2 has begun.
#[derive(Debug)]
pub struct Connection {
    socket: Socket,
    /// Read already, for the server to read again.
    preface: Bytes,
    /// Runs out for a peer that makes no call; `None` once it has made one.
    first_call: Option<Pin<Box<Sleep>>>,
    has_called: Arc<AtomicBool>,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    /// A socket, and what was read of it. It fails when no call comes within
    /// `first_call`, and holds its `place` among the connections until it ends.
    pub fn new(socket: Socket, preface: Bytes, first_call: Duration, place: OwnedSemaphorePermit) -> Self {
        Self {
            socket,
            preface,
            first_call: Some(Box::pin(tokio::time::sleep(first_call))),
            has_called: Arc::default(),
            _place: place,
        }
    }

    /// Whether the time for the first call has run out. Wakes the task when it
    /// does.
    fn is_unused(&mut self, context: &mut Context<'_>) -> bool {
        if self.has_called.load(Ordering::Relaxed) {
            self.first_call = None;
        }
        let timer = self.first_call.as_mut();
        timer.is_some_and(|timer| timer.as_mut().poll(context).is_ready())
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        let (socket, caller) = match &self.socket {
            Socket::Plain(socket) => (socket, None),
            Socket::Secured(stream) => {
                let (socket, session) = stream.get_ref();
                let certificate = session.peer_certificates().and_then(<[_]>::first);
                (socket, certificate.and_then(name))
            }
        };
        Peer {
            address: socket.peer_addr().ok().map(|address| address.ip()),
            caller,
            has_called: Arc::clone(&self.has_called),
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

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.preface.is_empty() {
            let length = this.preface.len().min(buffer.remaining());
            buffer.put_slice(&this.preface.split_to(length));
            return Poll::Ready(Ok(()));
        }
        match Pin::new(&mut this.socket).poll_read(context, buffer) {
            Poll::Pending if this.first_call.is_some() && this.is_unused(context) => {
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
            other => other,
        }
    }
}

impl AsyncRead for Socket {
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

impl AsyncWrite for Socket {
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

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().socket).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().socket).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(context)
    }
}
