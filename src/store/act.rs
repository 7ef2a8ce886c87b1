//! What a row asks for: a name, and as JSON what belongs to it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::Iccid;
use crate::domain::act::{Act, Labels, SimAct, SimChange};

#[derive(Serialize, Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Details {
    #[serde(skip_serializing_if = "Option::is_none")]
    subscription_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_plan: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    metadata: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    new_iccid: Option<String>,
}

pub(super) const BUY: &str = "buy";

/// The columns `act` and `details`.
pub(super) fn write(act: &Act) -> sqlx::Result<(&'static str, Option<String>)> {
    let mut details = Details::default();
    let name = match act {
        Act::Buy => return Ok((BUY, None)),
        Act::CancelRenewal { subscription_id } => {
            details.subscription_id = Some(subscription_id.clone());
            "cancel_renewal"
        }
        Act::TerminateSubscription { subscription_id } => {
            details.subscription_id = Some(subscription_id.clone());
            "terminate_subscription"
        }
        Act::Sim(change) => {
            details.rate_plan.clone_from(&change.rate_plan);
            match &change.act {
                SimAct::Update(labels) => {
                    details.group.clone_from(&labels.group);
                    details.reference.clone_from(&labels.reference);
                    details.metadata.clone_from(&labels.metadata);
                }
                SimAct::Swap { new_iccid } => details.new_iccid = Some(new_iccid.as_str().to_owned()),
                SimAct::Activate | SimAct::Suspend | SimAct::Reactivate | SimAct::Terminate => {}
            }
            sim_name(&change.act)
        }
    };
    let json = serde_json::to_string(&details).map_err(|error| sqlx::Error::Encode(error.into()))?;
    Ok((name, Some(json)))
}

fn sim_name(act: &SimAct) -> &'static str {
    match act {
        SimAct::Activate => "sim_activate",
        SimAct::Suspend => "sim_suspend",
        SimAct::Reactivate => "sim_reactivate",
        SimAct::Terminate => "sim_terminate",
        SimAct::Update(_) => "sim_update",
        SimAct::Swap { .. } => "sim_swap",
    }
}

/// `None` when the columns do not hold an act.
pub(super) fn read(name: &str, details: Option<&str>) -> Option<Act> {
    if name == BUY {
        return Some(Act::Buy);
    }
    let details: Details = serde_json::from_str(details?).ok()?;
    let sim = |act| {
        Some(Act::Sim(SimChange {
            act,
            rate_plan: details.rate_plan.clone(),
        }))
    };
    match name {
        "cancel_renewal" => Some(Act::CancelRenewal {
            subscription_id: details.subscription_id?,
        }),
        "terminate_subscription" => Some(Act::TerminateSubscription {
            subscription_id: details.subscription_id?,
        }),
        "sim_activate" => sim(SimAct::Activate),
        "sim_suspend" => sim(SimAct::Suspend),
        "sim_reactivate" => sim(SimAct::Reactivate),
        "sim_terminate" => sim(SimAct::Terminate),
        "sim_update" => sim(SimAct::Update(Labels {
            group: details.group.clone(),
            reference: details.reference.clone(),
            metadata: details.metadata.clone(),
        })),
        "sim_swap" => sim(SimAct::Swap {
            new_iccid: Iccid::parse(details.new_iccid.as_deref()?)?,
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_act_reads_back() {
        let sim = |act| {
            Act::Sim(SimChange {
                act,
                rate_plan: Some("PLAN 7".into()),
            })
        };
        let subscription_id = "S\"1".to_owned();
        for act in [
            Act::Buy,
            Act::CancelRenewal {
                subscription_id: subscription_id.clone(),
            },
            Act::TerminateSubscription { subscription_id },
            sim(SimAct::Activate),
            sim(SimAct::Suspend),
            sim(SimAct::Reactivate),
            sim(SimAct::Terminate),
            sim(SimAct::Update(Labels {
                group: Some("G".into()),
                reference: None,
                metadata: BTreeMap::from([("k".into(), String::new())]),
            })),
            sim(SimAct::Swap {
                new_iccid: Iccid::parse("8988247000000000019").unwrap(),
            }),
        ] {
            let (name, details) = write(&act).unwrap();
            assert_eq!(read(name, details.as_deref()), Some(act));
        }
        for (name, details) in [
            ("buys", None),
            ("sim_swap", Some("{}")),
            ("sim_suspend", Some("5")),
        ] {
            assert_eq!(read(name, details), None, "{name}");
        }
    }
}
