//! Accepts connections. Without a file descriptor for one it pauses and says
//! so: an error that is repeated at once would keep a core busy.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use crate::telemetry::LogLimit;

/// Pause after an `accept` that failed for a lack of file descriptors or
/// memory. Short: a peer that wants to connect waits as long.
const PAUSE: Duration = Duration::from_millis(20);

/// A port that is listened on.
pub struct Listener {
    sockets: TcpListener,
    port: &'static str,
    failures: LogLimit,
}

impl Listener {
    /// `port` names it in the log.
    pub fn new(sockets: TcpListener, port: &'static str) -> Self {
        Self {
            sockets,
            port,
            failures: LogLimit::a_minute(1),
        }
    }

    /// The next connection. Cancel-safe: none is lost.
    pub async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            let error = match self.sockets.accept().await {
                Ok(accepted) => return accepted,
                Err(error) => error,
            };
            if is_of_one_connection(&error) {
                continue;
            }
            if let Some(failed) = self.failures.add(Instant::now()) {
                tracing::error!(
                    port = self.port,
                    %error,
                    failed,
                    "connections cannot be accepted: trying again until they can"
                );
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Whether the error ends one connection, which its peer has given up, and says
/// nothing about the next one.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_left_is_no_lack_of_file_descriptors() {
        const ECONNABORTED: i32 = 103;
        const EMFILE: i32 = 24;
        const ENFILE: i32 = 23;
        const ENOMEM: i32 = 12;
        assert!(is_of_one_connection(&io::Error::from_raw_os_error(ECONNABORTED)));
        for lack in [EMFILE, ENFILE, ENOMEM] {
            assert!(!is_of_one_connection(&io::Error::from_raw_os_error(lack)));
        }
    }
}
