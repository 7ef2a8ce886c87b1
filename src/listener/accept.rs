//! Accepts connections. Without a file descriptor for one it pauses and says
//! so: an error that is repeated at once would keep a core busy.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

/// Pause after an `accept` that failed for a lack of file descriptors or
/// memory. Short: whoever waits to connect waits as long.
const PAUSE: Duration = Duration::from_millis(20);

/// Such a lack is logged once in this time.
const LOGGED_EVERY: Duration = Duration::from_secs(60);

/// A port that is listened on.
pub struct Listener {
    sockets: TcpListener,
    port: &'static str,
    failures: Failures,
}

impl Listener {
    /// `port` names it in the log.
    pub fn new(sockets: TcpListener, port: &'static str) -> Self {
        Self {
            sockets,
            port,
            failures: Failures::default(),
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

/// Counts what failed between two log lines.
#[derive(Default)]
struct Failures {
    unlogged: u64,
    last_line: Option<Instant>,
}

impl Failures {
    /// Counts one more; how many there were since the last line when another
    /// one is due.
    fn add(&mut self, now: Instant) -> Option<u64> {
        self.unlogged += 1;
        let due = self
            .last_line
            .is_none_or(|last| now.duration_since(last) >= LOGGED_EVERY);
        due.then(|| {
            self.last_line = Some(now);
            std::mem::take(&mut self.unlogged)
        })
    }
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

    #[test]
    fn a_lack_that_lasts_is_logged_at_once_and_then_once_a_minute() {
        let mut failures = Failures::default();
        let start = Instant::now();
        let lines: Vec<(u32, u64)> = (0..6_100)
            .filter_map(|turn| Some((turn, failures.add(start + turn * PAUSE)?)))
            .collect();
        assert_eq!(lines, [(0, 1), (3_000, 3_000), (6_000, 3_000)]);
    }
}
