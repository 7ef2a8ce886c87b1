//! The eSIM profile of a SIM.

use jiff::Timestamp;

use crate::world::stock::status::ProfileStatus;

/// Host of the simulated SM-DP+. It does not exist: nothing can be downloaded.
pub(crate) const SMDP_ADDRESS: &str = "rsp.sandbox.example";

/// How the activation material is given, which differs between sources.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Material {
    /// `activationCode` without `LPA:`, its parts, and a QR text with it.
    #[default]
    Usual,
    /// Only the QR text, with `LPA:`.
    QrOnly,
    /// `activationCode` with `LPA:`, and nothing else.
    CodeWithLpa,
    /// Only the address and the matching id.
    PartsOnly,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Profile {
    pub(crate) status: ProfileStatus,
    pub(crate) changed_at: Timestamp,
    /// The device that holds the profile, or for which it is reserved.
    pub(crate) eid: Option<String>,
    pub(crate) matching_id: String,
    pub(crate) material: Material,
    /// Each status it has had and since when, oldest first.
    pub(crate) history: Vec<(ProfileStatus, Timestamp)>,
    /// How many entries of the history were reported.
    pub(crate) reported: usize,
    /// Status words with a capital, as one source spells them.
    pub(crate) capitalised: bool,
}

impl Profile {
    /// A profile that has come to this status in the usual way, a day per step, the last at `since`.
    pub(crate) fn new(status: ProfileStatus, since: Timestamp, matching_id: String) -> Self {
        let mut way: Vec<_> = ProfileStatus::WAY
            .into_iter()
            .filter(|step| *step <= status)
            .collect();
        if way.last() != Some(&status) {
            way.push(status);
        }
        let steps = way.len() as u64;
        let history = way
            .into_iter()
            .zip(1..)
            .map(|(step, position)| {
                (
                    step,
                    crate::world::clock::before(since, crate::world::clock::days(steps - position)),
                )
            })
            .collect();
        Self {
            status,
            changed_at: since,
            eid: None,
            matching_id,
            material: Material::Usual,
            history,
            reported: 0,
            capitalised: false,
        }
    }

    /// Goes over to a status, and stays when it has it already.
    pub(crate) fn set(&mut self, status: ProfileStatus, now: Timestamp) {
        if self.status != status {
            self.status = status;
            self.changed_at = now;
            self.history.push((status, now));
        }
    }

    /// Goes all the way to use on the device `eid`, step by step.
    pub(crate) fn enable(&mut self, eid: String, now: Timestamp) {
        self.eid.get_or_insert(eid);
        if self.status < ProfileStatus::Enabled {
            let from = self.status;
            for step in ProfileStatus::WAY.into_iter().filter(|step| *step > from) {
                self.set(step, now);
            }
        }
        self.set(ProfileStatus::Enabled, now);
    }

    /// Whether the material may be shown.
    pub(crate) fn is_released(&self) -> bool {
        self.status >= ProfileStatus::Released
    }

    /// `1$<address>$<matching id>`.
    pub(crate) fn activation_code(&self) -> String {
        format!("1${SMDP_ADDRESS}${}", self.matching_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_comes_into_use_step_by_step() {
        let now: Timestamp = "2026-01-10T00:00:00Z".parse().unwrap();
        let mut profile = Profile::new(ProfileStatus::Released, now, "ABC".to_owned());
        profile.enable("89".to_owned(), now);
        let words: Vec<_> = profile
            .history
            .iter()
            .map(|(status, _)| status.as_str())
            .collect();
        assert_eq!(
            words,
            [
                "available",
                "allocated",
                "released",
                "downloaded",
                "installed",
                "enabled"
            ]
        );
        assert_eq!(profile.eid.as_deref(), Some("89"));
    }

    #[test]
    fn a_deleted_profile_has_been_in_use() {
        let now: Timestamp = "2026-01-10T00:00:00Z".parse().unwrap();
        let profile = Profile::new(ProfileStatus::Deleted, now, "ABC".to_owned());
        assert_eq!(profile.history.len(), 7);
        assert_eq!(profile.history.last(), Some(&(ProfileStatus::Deleted, now)));
    }
}
