//! Compares the clock of this machine with the provider's.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::report::{Check, Report, Verdict};
use super::{CHECK_WITHIN, Doctor};
use crate::domain::Deadline;
use crate::transatel::client::endpoint;
use crate::transatel::client::error::Need;
use crate::transatel::client::request::CallOptions;
use crate::transatel::probe::Subject;

/// From this difference on it is reported. Clocks that are kept by NTP are
/// within a fraction of a second of each other, and a `Date` has whole seconds.
const NOTICED: SignedDuration = SignedDuration::from_secs(3);

/// A `Date` is the second in which an answer was made.
const SECOND: Duration = Duration::from_secs(1);

impl Doctor<'_> {
    /// The gateway does not depend on it: times that it measures itself are
    /// monotonic. A provider that cannot be asked is in other checks.
    pub(super) async fn clock(&self, report: &mut Report, subject: &Subject) {
        let check = Check::options("clock", &endpoint::INVENTORY, Need::Optional);
        let options = CallOptions::until(Deadline::after(CHECK_WITHIN));
        let before = Timestamp::now();
        let Ok(theirs) = self.provider.provider_time(subject, options).await else {
            return;
        };
        let (verdict, note) = match theirs {
            Some(theirs) => compared(before, theirs, Timestamp::now()),
            None => (Verdict::Ok, "not compared: no Date in the answer".to_owned()),
        };
        report.add(check.is(verdict, note));
    }
}

/// What follows from the time by the provider's clock at a moment between two
/// times by this machine's.
fn compared(before: Timestamp, theirs: Timestamp, after: Timestamp) -> (Verdict, String) {
    let behind = theirs.duration_since(after);
    let ahead = before.duration_since(theirs + SECOND);
    let (least, side) = match ahead > behind {
        true => (ahead, "ahead of"),
        false => (behind, "behind"),
    };
    if least < NOTICED {
        let note = format!("less than {} s from the provider's Date", NOTICED.as_secs() + 1);
        return (Verdict::Ok, note);
    }
    let seconds = least.as_secs();
    (
        Verdict::Differs,
        format!(
            "this machine's clock is {seconds} s or more {side} the provider's Date: one of them is wrong"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_counts_by_what_is_certain_of_it() {
        let at = |milliseconds: i64| Timestamp::from_millisecond(1_700_000_000_000 + milliseconds).unwrap();
        for (before, theirs, after, differs) in [
            (0, 0, 10, None),
            (900, 0, 990, None),
            // A slow answer may have been made at any moment.
            (0, 9_000, 8_000, None),
            (0, 3_000, 10, None),
            (0, 4_000, 900, Some("3 s or more behind")),
            (3_990, 0, 4_000, None),
            (4_000, 0, 4_010, Some("3 s or more ahead of")),
            (3_601_000, 0, 3_601_010, Some("3600 s or more ahead of")),
        ] {
            let (verdict, note) = compared(at(before), at(theirs), at(after));
            let expected = differs.map_or(Verdict::Ok, |_| Verdict::Differs);
            assert_eq!(verdict, expected, "{before} {theirs} {after}: {note}");
            assert!(note.contains(differs.unwrap_or("less than 4 s")), "{note}");
        }
    }
}
