//! Dates as the provider writes them.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// 1971-01-01T00:00:00Z: what is earlier stands for "none".
const FIRST: Timestamp = Timestamp::constant(31_536_000, 0);
/// 9999-01-01T00:00:00Z: what is later stands for "none".
const LAST: Timestamp = Timestamp::constant(253_370_764_800, 0);

/// A moment: RFC 3339 with any offset; without one it is UTC. `None` for
/// anything else, and for a date that stands for "none".
pub fn read(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let with_offset = text.parse::<Timestamp>().ok();
    let at = with_offset.or_else(|| {
        let in_utc = text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok()?;
        Some(in_utc.timestamp())
    })?;
    (FIRST..LAST).contains(&at).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_in_every_shape_seen() {
        let noon = Some("2026-11-28T12:00:00Z".parse().unwrap());
        for (text, expected) in [
            ("2026-11-28T12:00:00Z", noon),
            ("2026-11-28T13:00:00+01:00", noon),
            (" 2026-11-28T12:00:00.000Z ", noon),
            ("2026-11-28T12:00:00", noon),
            ("2026-11-28 12:00:00", noon),
            ("2026-11-28", Some("2026-11-28T00:00:00Z".parse().unwrap())),
            ("0001-01-01T00:00:00Z", None),
            ("0001-01-01", None),
            ("1970-01-01T00:00:00Z", None),
            ("1970-01-01T01:00:00+01:00", None),
            ("9999-12-31T23:59:59Z", None),
            ("9999-12-31", None),
            ("28/11/2026", None),
            ("", None),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }
}
