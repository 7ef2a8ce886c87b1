//! The bodies of connectivity operations.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::world::{operations::change::Change, stock::ids::is_sim_serial};

/// Most entries that a SIM's metadata can have, and most characters of a key.
const METADATA_ENTRIES: usize = 10;
const METADATA_KEY: usize = 50;
/// Most characters of a rate plan's name.
const RATE_PLAN: usize = 50;

/// A body of any operation. Members that the contract does not know are refused: in a test they are mistakes.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Request {
    rate_plan: Option<String>,
    pub(crate) service_profile: Option<String>,
    options: Option<Vec<LineOption>>,
    pub(crate) external_reference: Option<String>,
    pub(crate) group: Option<String>,
    subscriber_country_of_residence: Option<String>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) new_sim_serial: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LineOption {
    name: String,
    value: Switch,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Switch {
    On,
    Off,
}

impl Request {
    /// Reads the body of `change`, or says what is wrong with it.
    pub(crate) fn read(
        body: &[u8],
        change: Change,
        account_plan: &str,
        plan_required: bool,
    ) -> Result<Self, String> {
        let request: Self = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        match request.fault(change, account_plan, plan_required) {
            Some(fault) => Err(fault),
            None => Ok(request),
        }
    }

    fn fault(&self, change: Change, account_plan: &str, plan_required: bool) -> Option<String> {
        match &self.rate_plan {
            None if plan_required => return Some("'ratePlan' is missing".to_owned()),
            Some(plan) if plan.chars().count() > RATE_PLAN => {
                return Some("'ratePlan' is longer than 50".to_owned());
            }
            Some(plan) if plan != account_plan => return Some(format!("'ratePlan' cannot be '{plan}'")),
            _ => {}
        }
        let describes = matches!(change, Change::Activate | Change::Modify);
        let description = [
            ("serviceProfile", self.service_profile.is_some()),
            ("options", self.options.is_some()),
            ("group", self.group.is_some()),
            (
                "subscriberCountryOfResidence",
                self.subscriber_country_of_residence.is_some(),
            ),
        ];
        let surplus = description.into_iter().find(|(_, given)| *given && !describes);
        if let Some((name, _)) = surplus {
            return Some(format!("'{name}' is not for this operation"));
        }
        if self.service_profile.is_some() && self.options.is_some() {
            return Some("'serviceProfile' and 'options' exclude each other".to_owned());
        }
        if let Some(country) = &self.subscriber_country_of_residence
            && !(country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_uppercase()))
        {
            return Some("'subscriberCountryOfResidence' must be an ISO 3166 alpha-2 code".to_owned());
        }
        match (&self.new_sim_serial, change == Change::SwapSim) {
            (None, true) => return Some("'newSimSerial' is missing".to_owned()),
            (Some(_), false) => return Some("'newSimSerial' is not for this operation".to_owned()),
            (Some(serial), true) if !is_sim_serial(serial) => {
                return Some("'newSimSerial' must match [0-9]{13,20}".to_owned());
            }
            _ => {}
        }
        if self.metadata.len() > METADATA_ENTRIES {
            return Some("'metadata' has more than 10 entries".to_owned());
        }
        let too_long = |key: &String| key.chars().count() > METADATA_KEY;
        self.metadata
            .keys()
            .any(too_long)
            .then(|| "'metadata' has a key longer than 50".to_owned())
    }

    /// The SIM's metadata after this request: what is not named stays, an empty value removes its key.
    pub(crate) fn metadata_over(
        &self,
        current: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, String>, String> {
        let mut merged = current.clone();
        merged.extend(self.metadata.clone());
        merged.retain(|_, value| !value.is_empty());
        if merged.len() > METADATA_ENTRIES {
            return Err("The subscriber would have more than 10 metadata entries".to_owned());
        }
        Ok(merged)
    }

    /// Options by name, as `on` or `off`.
    pub(crate) fn options(&self) -> impl Iterator<Item = (String, &'static str)> {
        self.options.iter().flatten().map(|option| {
            let value = match option.value {
                Switch::On => "on",
                Switch::Off => "off",
            };
            (option.name.clone(), value)
        })
    }
}
