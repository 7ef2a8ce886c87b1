//! Compares the clock of this machine with the provider's.

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

impl Doctor<'_> {
    /// The gateway does not depend on it: times that it measures itself are
    /// monotonic. A provider that cannot be asked is in other checks.
    pub(super) async fn clock(&self, report: &mut Report, subject: &Subject) {
        let check = Check::options("clock", &endpoint::INVENTORY, Need::Optional);
        let options = CallOptions::until(Deadline::after(CHECK_WITHIN));
        let Ok(clock) = self.provider.provider_time(subject, options).await else {
            return;
        };
        let (verdict, note) = match clock {
            Some(clock) => judged(clock.offset(Timestamp::now())),
            None => (
                Verdict::Ok,
                "not compared: no Date in the answer that can be used".to_owned(),
            ),
        };
        report.add(check.is(verdict, note));
    }
}

/// What to say of how far this machine's clock is ahead.
fn judged(offset: SignedDuration) -> (Verdict, String) {
    if offset.abs() < NOTICED {
        let note = format!("less than {} s from the provider's Date", NOTICED.as_secs() + 1);
        return (Verdict::Ok, note);
    }
    let seconds = offset.abs().as_secs();
    let side = match offset.is_negative() {
        true => "behind",
        false => "ahead of",
    };
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
    fn a_difference_of_three_seconds_is_named_with_its_side() {
        for (milliseconds, expected) in [
            (0, None),
            (2_999, None),
            (-2_999, None),
            (3_000, Some("3 s or more ahead of")),
            (-3_100, Some("3 s or more behind")),
            (3_600_000, Some("3600 s or more ahead of")),
        ] {
            let (verdict, note) = judged(SignedDuration::from_millis(milliseconds));
            assert_eq!(
                verdict,
                expected.map_or(Verdict::Ok, |_| Verdict::Differs),
                "{note}"
            );
            assert!(note.contains(expected.unwrap_or("less than 4 s")), "{note}");
        }
    }
}
