//! Load from h2load, whose own cost per request is small and the same for
//! every server.

use std::net::SocketAddr;
use std::path::PathBuf;

use tempfile::TempDir;

use super::calls::Call;
use super::process::{on_core, output_of, write_file};

/// How much at once, and from which core.
#[derive(Clone, Copy)]
pub struct Shape {
    /// As tables name it.
    pub name: &'static str,
    /// Connections.
    pub connections: u32,
    /// Calls in flight on each.
    pub streams: u32,
    /// Core of the load generator; servers are on core 0.
    pub core: u8,
}

/// As much as the server can do.
pub const BUSY: Shape = Shape {
    name: "busy (-c8 -m32)",
    connections: 8,
    streams: 32,
    core: 1,
};

/// One call at a time, from the server's own core.
pub const CALM: Shape = Shape {
    name: "calm (-c1 -m1)",
    connections: 1,
    streams: 1,
    core: 0,
};

/// What one run showed.
pub struct Outcome {
    /// Calls answered in a second.
    pub per_second: f64,
    /// Body bytes of each answer.
    pub reply_bytes: u64,
    /// Microseconds from request to end of answer, sorted.
    pub latencies: Vec<u32>,
}

/// Sends calls.
pub struct Generator {
    folder: TempDir,
    header: Option<String>,
}

impl Generator {
    /// Keeps its files in a temporary folder.
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
            header: None,
        }
    }

    /// Sends a header beside what every call has.
    pub fn with_header(self, name: &str, value: &str) -> Self {
        Self {
            header: Some(format!("--header={name}: {value}")),
            ..self
        }
    }

    /// Makes `count` calls and checks that each was answered.
    pub fn run(&self, address: SocketAddr, call: &Call, shape: Shape, count: u32) -> Outcome {
        let (body, log) = (self.file("request"), self.file("log"));
        write_file(&body, &call.frame());
        let _ = std::fs::remove_file(&log);
        let mut command = on_core(shape.core, "h2load");
        command
            .args([
                "--threads=1",
                "--header=content-type: application/grpc",
                "--header=te: trailers",
            ])
            .args(&self.header)
            .arg(format!("--requests={count}"))
            .arg(format!("--clients={}", shape.connections))
            .arg(format!("--max-concurrent-streams={}", shape.streams))
            .arg(format!("--data={}", body.display()))
            .arg(format!("--log-file={}", log.display()))
            .arg(format!("http://{address}{}", call.path));
        let report = output_of(&mut command);
        let succeeded = number_before(&report, " succeeded");
        assert_eq!(
            succeeded,
            f64::from(count),
            "{}: not every call was answered:\n{report}",
            call.name
        );
        let data = report
            .rsplit_once(") data")
            .and_then(|(text, _)| text.rsplit_once('(')?.1.parse::<u64>().ok());
        let reply_bytes = data.expect("h2load says how many bytes it got") / u64::from(count);
        assert!(
            reply_bytes >= call.least_reply,
            "{}: errors, not answers:\n{report}",
            call.name
        );
        Outcome {
            per_second: number_before(&report, " req/s"),
            reply_bytes,
            latencies: latencies(&log),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// The number that stands before a word in h2load's report.
fn number_before(report: &str, word: &str) -> f64 {
    let before = report.split_once(word).map(|(before, _)| before);
    let number = before.and_then(|text| text.rsplit([' ', '\n']).next()?.parse().ok());
    number.unwrap_or_else(|| panic!("no number before {word:?} in:\n{report}"))
}

/// Third column of h2load's log: microseconds.
fn latencies(log: &std::path::Path) -> Vec<u32> {
    let text = std::fs::read_to_string(log).expect("h2load wrote its log");
    let mut all: Vec<u32> = text
        .lines()
        .filter_map(|line| line.split('\t').nth(2)?.parse().ok())
        .collect();
    all.sort_unstable();
    all
}
