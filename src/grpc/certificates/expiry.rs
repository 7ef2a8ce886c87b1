//! When a certificate expires (RFC 5280, section 4.1.2.5).
//!
//! Own code: rustls checks validity and does not say when it ends, and a parser of
//! everything that X.509 has is much for one time. Reads certificates of the
//! gateway's own files only; what is not understood has no expiry.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use rustls::pki_types::CertificateDer;

/// The first moment at which one of them expires.
pub(super) fn first(chain: &[CertificateDer<'_>]) -> Option<Timestamp> {
    chain.iter().filter_map(|certificate| expiry(certificate)).min()
}

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
/// `[0]`: the version, which certificates of version 1 leave out.
const VERSION: u8 = 0xA0;

fn expiry(certificate: &[u8]) -> Option<Timestamp> {
    let mut certificate = Der(certificate).inside(SEQUENCE)?;
    let mut signed = certificate.inside(SEQUENCE)?;
    if signed.tag() == Some(VERSION) {
        signed.inside(VERSION)?;
    }
    signed.inside(INTEGER)?; // serial number
    signed.inside(SEQUENCE)?; // algorithm
    signed.inside(SEQUENCE)?; // issuer
    let mut validity = signed.inside(SEQUENCE)?;
    validity.next()?; // not before
    let (tag, text) = validity.next()?;
    time(tag, std::str::from_utf8(text).ok()?)
}

/// `YYMMDDhhmmssZ`, with years from 1950 to 2049, or `YYYYMMDDhhmmssZ`.
fn time(tag: u8, text: &str) -> Option<Timestamp> {
    let text = match tag {
        UTC_TIME if text < "5" => format!("20{text}"),
        UTC_TIME => format!("19{text}"),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let time = DateTime::strptime("%Y%m%d%H%M%SZ", text).ok()?;
    time.to_zoned(TimeZone::UTC).ok().map(|time| time.timestamp())
}

/// What is left of an encoded value.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    fn tag(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The tag and the content of the next element.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = if first < 0x80 {
            (usize::from(first), rest)
        } else {
            // The length itself, in so many bytes.
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7F))?;
            if bytes.len() > 4 {
                return None;
            }
            let length = bytes
                .iter()
                .fold(0, |length, byte| length << 8 | usize::from(*byte));
            (length, rest)
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }

    /// The content of the next element, which has to have this tag.
    fn inside(&mut self, wanted: u8) -> Option<Self> {
        let (tag, content) = self.next()?;
        (tag == wanted).then_some(Self(content))
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn certificate(year: i32) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(vec!["localhost".into()]).unwrap();
        params.not_after = date_time_ymd(year, 2, 3);
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().clone()
    }

    #[test]
    fn the_first_expiry_of_a_chain_is_found_in_either_form_of_time() {
        let chain = [2051, 2049, 2090].map(certificate);
        assert_eq!(first(&chain), Some("2049-02-03T00:00:00Z".parse().unwrap()));
        for (certificate, expires) in chain.iter().zip(["2051", "2049", "2090"]) {
            let expires = format!("{expires}-02-03T00:00:00Z").parse().unwrap();
            assert_eq!(expiry(certificate), Some(expires));
        }
        assert_eq!(first(&[]), None);
    }

    #[test]
    fn years_of_two_digits_are_those_from_1950_on() {
        let seconds = |text| time(UTC_TIME, text).map(Timestamp::as_second);
        assert_eq!(seconds("700101000001Z"), Some(1));
        assert_eq!(seconds("500101000000Z"), Some(-631_152_000));
        assert_eq!(seconds("491231235959Z"), Some(2_524_607_999));
        assert_eq!(seconds("4912312359Z"), None);
        assert_eq!(time(GENERALIZED_TIME, "no time"), None);
    }

    #[test]
    fn what_is_cut_off_has_no_expiry() {
        let whole = certificate(2051);
        // Nothing behind the validity is read.
        for length in 0..whole.len() {
            let cut = whole.get(..length).unwrap();
            assert_eq!(expiry(cut), None, "{length}");
        }
    }
}
