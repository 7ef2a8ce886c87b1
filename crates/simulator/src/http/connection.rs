//! One TCP connection and the ways in which it can end.
//!
//! Faults act on connections, not only on answers, so the connection can be
//! made to close from inside a request or to be reset. It is then dropped at
//! once, with whatever has not been written yet.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_util::sync::CancellationToken;

/// How a connection shall end. Shared by the connection and the requests on it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fate {
    reset: Arc<AtomicBool>,
    ended: CancellationToken,
}

impl Fate {
    /// Ends the connection with a TCP reset.
    pub(crate) fn reset(&self) {
        self.reset.store(true, Ordering::Release);
        self.ended.cancel();
    }

    /// Ends the connection in the orderly way.
    pub(crate) fn close(&self) {
        self.ended.cancel();
    }

    /// Returns when the connection shall end.
    pub(crate) async fn ended(&self) {
        self.ended.cancelled().await;
    }
}

/// The socket, which is reset instead of closed when its fate says so.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    fate: Fate,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream, fate: Fate) -> Self {
        Self { stream, fate }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.fate.reset.load(Ordering::Acquire) {
            // With zero linger the kernel answers a close with RST. When the option cannot be set the peer
            // has gone already and sees no difference.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
