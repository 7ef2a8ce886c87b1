//! `[webhook]` and `[events]`: how the provider's events come in, and how they
//! are kept and given out.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use super::address_range::AddressRange;
use super::reader::Reader;
use super::secret::secret_in;

/// Where the provider posts events.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// Path that is posted to.
    pub path: String,
    /// What makes an event credible.
    pub trust: Trust,
    /// Who may connect; empty for everybody.
    pub allowed_addresses: Vec<AddressRange>,
    /// Largest body.
    pub max_body_bytes: usize,
    /// Connections at once.
    pub max_connections: usize,
    /// Bound on reading a request's head, and on reading its body.
    pub read_timeout: Duration,
    /// How long a connection is kept between two requests.
    pub idle_timeout: Duration,
    /// Bound on making an event durable.
    pub commit_timeout: Duration,
}

/// What makes an event credible.
#[derive(Clone, Debug)]
pub enum Trust {
    /// Nothing: no events are taken in, and nothing listens.
    Off,
    /// A signature with one of the secrets in these files, read again when
    /// they change.
    Files(Vec<PathBuf>),
    /// A signature with this secret. Not a setting: for the simulator in the
    /// same process.
    Secret(SecretString),
    /// Anything: for trials.
    Unsigned,
}

/// How events are kept and given out.
#[derive(Clone, Debug)]
pub struct Events {
    /// Whether events come in at all.
    pub expected: bool,
    /// How long they are kept.
    pub keep_for: Duration,
    /// Longest silence of a stream.
    pub heartbeat: Duration,
    /// Messages that wait for the caller of a stream.
    pub stream_buffer: usize,
    /// A stream whose caller takes nothing for so long is ended.
    pub slow_after: Duration,
    /// Longest life of a stream.
    pub max_stream_age: Duration,
    /// The log is looked at at least this often.
    pub poll_interval: Duration,
    /// How other replicas' events are noticed.
    pub wake: Wake,
    /// An order's first event has come by then.
    pub order_event_within: Duration,
    /// No event for so long is worth an alert.
    pub silence_after: Duration,
}

/// How other replicas' events are noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// The database notifies.
    Listen,
    /// The log is polled.
    Poll,
}

const MILLISECOND: Duration = Duration::from_millis(1);

/// Events are recognised when they come again for as long as they are kept.
const LEAST_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

impl Webhook {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let path = reader.text("webhook.path");
        if !path.starts_with('/') || path.contains(['?', '#', ' ']) {
            reader.problem("webhook.path", "has to begin with / and have no query");
        }
        Self {
            listen: reader.socket_address("webhook.listen"),
            path,
            trust: trust(reader),
            allowed_addresses: AddressRange::list(reader, "webhook.allowed_addresses"),
            max_body_bytes: reader.number("webhook.max_body_bytes", 1_024, 16_777_216) as usize,
            max_connections: reader.number("webhook.max_connections", 1, 65_536) as usize,
            read_timeout: reader.duration("webhook.read_timeout", MILLISECOND),
            idle_timeout: reader.duration("webhook.idle_timeout", MILLISECOND),
            commit_timeout: reader.duration("webhook.commit_timeout", MILLISECOND),
        }
    }

    /// Whether events are taken in.
    pub fn is_on(&self) -> bool {
        !matches!(self.trust, Trust::Off)
    }
}

fn trust(reader: &mut Reader) -> Trust {
    const FILES: &str = "webhook.secret_files";
    const SIGNATURES: &str = "webhook.signatures";
    let files: Vec<PathBuf> = reader.list(FILES).into_iter().map(PathBuf::from).collect();
    for file in &files {
        match std::fs::read_to_string(file) {
            Ok(secret) if secret_in(&secret).is_empty() => {
                reader.problem(FILES, format!("{} holds no secret", file.display()));
            }
            Ok(_) => {}
            Err(error) => reader.absence(FILES, format!("cannot read {}: {error}", file.display())),
        }
    }
    let unsigned = reader.choice(SIGNATURES, &[("required", false), ("not_checked", true)], false);
    match (unsigned, files.is_empty()) {
        (true, true) => Trust::Unsigned,
        (true, false) => {
            reader.problem(SIGNATURES, format!("is \"not_checked\" although {FILES} is set"));
            Trust::Off
        }
        (false, true) => Trust::Off,
        (false, false) => Trust::Files(files),
    }
}

impl Events {
    pub(super) fn read(reader: &mut Reader, expected: bool) -> Self {
        Self {
            expected,
            keep_for: reader.duration("events.keep_for", LEAST_KEPT),
            heartbeat: reader.duration("events.heartbeat", MILLISECOND),
            stream_buffer: reader.number("events.stream_buffer", 1, 65_536) as usize,
            slow_after: reader.duration("events.slow_after", MILLISECOND),
            max_stream_age: reader.duration("events.max_stream_age", MILLISECOND),
            poll_interval: reader.duration("events.poll_interval", MILLISECOND),
            wake: reader.choice(
                "events.wake",
                &[("listen", Wake::Listen), ("poll", Wake::Poll)],
                Wake::Listen,
            ),
            order_event_within: reader.duration("events.order_event_within", MILLISECOND),
            silence_after: reader.duration("events.silence_after", MILLISECOND),
        }
    }
}
