//! The provider's clock, as the headers of an answer show it.

use std::time::Duration;

use http::HeaderMap;
use http::header::{AGE, DATE};
use jiff::fmt::rfc2822::DateTimeParser;

use crate::telemetry::ClockReading;

static PARSER: DateTimeParser = DateTimeParser::new();

/// The clock of what made an answer that has just arrived, to a request that took
/// so long until then. `None` without a `Date` that can be read, and for an
/// answer that a cache has kept: its `Date` is old, and its `Age` says so.
pub(super) fn clock(headers: &HeaderMap, took: Duration) -> Option<ClockReading> {
    if headers.contains_key(AGE) {
        return None;
    }
    let date = headers.get(DATE)?.to_str().ok()?;
    let says = PARSER.parse_timestamp(date).ok()?;
    Some(ClockReading::of_answer(says, took))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use jiff::{SignedDuration, Timestamp};

    use super::*;

    #[test]
    fn only_a_date_that_is_new_and_readable_is_taken() {
        let local: Timestamp = "1994-11-06T08:49:40Z".parse().unwrap();
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        let offset = |headers: &[(_, &[u8])]| {
            let headers: HeaderMap = headers
                .iter()
                .map(|(name, value)| (name, HeaderValue::from_bytes(value).unwrap()))
                .map(|(name, value)| (http::HeaderName::clone(name), value))
                .collect();
            clock(&headers, Duration::ZERO).map(|reading| reading.offset(local).as_secs())
        };
        assert_eq!(offset(&[(DATE, date.as_bytes())]), Some(1));
        assert_eq!(offset(&[(DATE, b"Sun, 06 Nov 1994 08:49:45 +0000")]), Some(-5));
        assert_eq!(offset(&[]), None);
        for unreadable in [
            &b""[..],
            b"yesterday",
            b"784111777",
            b"\xff\xfe",
            b"Sun, 06 Nov 99999 08:49:37 GMT",
        ] {
            assert_eq!(offset(&[(DATE, unreadable)]), None, "{unreadable:?}");
        }
        for age in [&b"600"[..], b"0", b"unreadable"] {
            assert_eq!(offset(&[(DATE, date.as_bytes()), (AGE, age)]), None, "{age:?}");
        }
        // The last that can be written, and no overflow.
        let last = SignedDuration::from_hours(24 * 365 * 8000);
        let far = offset(&[(DATE, b"Fri, 31 Dec 9999 00:00:00 GMT")]);
        assert!(far.is_none_or(|seconds| seconds < -last.as_secs()), "{far:?}");
    }
}
