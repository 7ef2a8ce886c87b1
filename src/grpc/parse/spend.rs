//! Requests for sums.

use super::Violations;
use crate::domain::Result;
use crate::domain::spend::Days;
use crate::pb::connectivity::v1 as pb;
use crate::service::writes::{Groups, SpendQuery};

/// A year, with the day that is more in some.
const MOST_DAYS: i64 = 366;
const MOST_GROUPS: usize = 3;

/// Parses a `GetSpendRequest`.
///
/// # Errors
/// `INVALID_REQUEST`.
pub fn get_spend(request: &pb::GetSpendRequest) -> Result<SpendQuery> {
    let mut violations = Violations::default();
    let first = violations.day("from", request.from.as_ref());
    let end = violations.day("to", request.to.as_ref());
    let days = first.zip(end).map(|(first, end)| Days { first, end });
    if let Some(days) = days {
        if days.count() < 1 {
            violations.add("to", "must be later than from");
        } else if days.count() > MOST_DAYS {
            violations.add("to", format!("must be at most {MOST_DAYS} days after from"));
        }
    }
    let mut by = Groups::default();
    let groups = violations.bounded("group_by", request.group_by.iter(), MOST_GROUPS);
    for (at, number) in groups.enumerate() {
        let group = match pb::SpendGroup::try_from(*number) {
            Ok(pb::SpendGroup::Caller) => &mut by.caller,
            Ok(pb::SpendGroup::Product) => &mut by.product,
            Ok(pb::SpendGroup::Countries) => &mut by.countries,
            Ok(pb::SpendGroup::Unspecified) | Err(_) => {
                violations.add(format!("group_by[{at}]"), "must be a known group");
                continue;
            }
        };
        if std::mem::replace(group, true) {
            violations.add(format!("group_by[{at}]"), "must not be repeated");
        }
    }
    violations.into_result(days.map(|days| SpendQuery { days, by }))
}

impl Violations {
    /// The day that begins at a required moment.
    fn day(&mut self, field: &str, moment: Option<&prost_types::Timestamp>) -> Option<i64> {
        if moment.is_none() {
            self.add(field, "is required");
        }
        let moment = self.moment(field, moment)?;
        let day = Days::beginning_at(moment);
        if day.is_none() {
            self.add(field, "must be the beginning of a day in UTC");
        }
        day
    }
}
