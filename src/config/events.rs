//! `[webhook]` and `[events]`: how the provider's events come in, and how they
//! are kept and given out.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use super::reader::Reader;

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

/// Addresses with a common beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange {
    base: IpAddr,
    bits: u32,
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
    /// A caller that takes nothing for so long is sent away.
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
    /// The database tells.
    Listen,
    /// By looking.
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
            allowed_addresses: allowed_addresses(reader),
            max_body_bytes: reader.number("webhook.max_body_bytes", 1_024, 16_777_216) as usize,
            max_connections: reader.number("webhook.max_connections", 1, 65_536) as usize,
            read_timeout: reader.duration("webhook.read_timeout", MILLISECOND),
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
            Ok(secret) if secret.trim_end_matches(['\n', '\r']).is_empty() => {
                reader.problem(FILES, format!("{} holds no secret", file.display()));
            }
            Ok(_) => {}
            Err(error) => reader.problem(FILES, format!("cannot read {}: {error}", file.display())),
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

fn allowed_addresses(reader: &mut Reader) -> Vec<AddressRange> {
    const KEY: &str = "webhook.allowed_addresses";
    let mut ranges = Vec::new();
    for text in reader.list(KEY) {
        match AddressRange::parse(&text) {
            Some(range) => ranges.push(range),
            None => reader.problem(
                KEY,
                format!("{text:?} is no address and no range such as 192.0.2.0/24"),
            ),
        }
    }
    ranges
}

impl AddressRange {
    /// Reads `192.0.2.7`, `192.0.2.0/24` or `2001:db8::/32`.
    pub fn parse(text: &str) -> Option<Self> {
        let (base, bits) = match text.split_once('/') {
            Some((base, bits)) => (base, Some(bits.parse().ok()?)),
            None => (text, None),
        };
        let base: IpAddr = base.trim().parse().ok()?;
        let width = if base.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(width);
        (bits <= width).then_some(Self { base, bits })
    }

    /// Whether the address is one of them. An IPv4 address that came over an
    /// IPv6 socket is the IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                let differs = base.to_bits() ^ address.to_bits();
                differs.leading_zeros() >= self.bits
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                let differs = base.to_bits() ^ address.to_bits();
                differs.leading_zeros() >= self.bits
            }
            _ => false,
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_the_addresses_with_its_beginning() {
        for (range, address, within) in [
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
            ("192.0.2.0/24", "192.0.2.255", true),
            ("192.0.2.0/24", "::ffff:192.0.2.9", true),
            ("192.0.2.0/24", "192.0.3.0", false),
            ("0.0.0.0/0", "203.0.113.1", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
        ] {
            let range = AddressRange::parse(range).unwrap();
            assert_eq!(
                range.contains(address.parse().unwrap()),
                within,
                "{range:?} {address}"
            );
        }
        for text in ["", "here", "192.0.2.0/33", "192.0.2.0/x", "2001:db8::/129"] {
            assert_eq!(AddressRange::parse(text), None, "{text}");
        }
    }
}
