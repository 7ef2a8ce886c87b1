//! What a row changes: the kind's name in `act`, and in `details` its data
//! without columns of their own, as JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::Iccid;
use crate::domain::change::{Labels, SimAction, SimTerms, SubscriptionAction};
use crate::domain::write::{Kind, OrderAction, State, SubscriptionTerms};

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
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<String>,
}

/// The content of the columns `act` and `details`.
#[derive(Debug, PartialEq)]
pub(super) enum Stored {
    /// A purchase: everything else has columns.
    Purchase {
        /// The subscription that an add-on is added to.
        parent: Option<String>,
    },
    /// A change of a subscription.
    Subscription(SubscriptionTerms),
    /// A change of a SIM.
    Sim(SimTerms),
}

const BUY: &str = "buy";

/// The columns `act` and `details`.
pub(super) fn write(kind: &Kind) -> sqlx::Result<(&'static str, Option<String>)> {
    let (name, details) = match kind {
        Kind::Purchase(purchase) => {
            let Some(parent) = &purchase.terms.parent else {
                return Ok((BUY, None));
            };
            let parent = Some(parent.clone());
            (
                BUY,
                Details {
                    parent,
                    ..Details::default()
                },
            )
        }
        Kind::Subscription(change) => (
            subscription_name(change.terms.action),
            Details {
                subscription_id: Some(change.terms.subscription_id.clone()),
                ..Details::default()
            },
        ),
        Kind::Sim(change) => (sim_name(&change.terms.action), sim_details(&change.terms)),
    };
    let json = serde_json::to_string(&details).map_err(|error| sqlx::Error::Encode(error.into()))?;
    Ok((name, Some(json)))
}

fn sim_details(terms: &SimTerms) -> Details {
    let Labels {
        group,
        reference,
        metadata,
    } = terms.action.labels().cloned().unwrap_or_default();
    let new_iccid = terms.action.new_iccid();
    Details {
        subscription_id: None,
        rate_plan: terms.plan.clone(),
        group,
        reference,
        metadata,
        new_iccid: new_iccid.map(|iccid| iccid.as_str().to_owned()),
        parent: None,
    }
}

fn subscription_name(action: SubscriptionAction) -> &'static str {
    match action {
        SubscriptionAction::CancelRenewal => "cancel_renewal",
        SubscriptionAction::Terminate => "terminate_subscription",
    }
}

/// The name of what an order does.
pub(super) fn order_name(action: OrderAction) -> &'static str {
    match action {
        OrderAction::Buy => BUY,
        OrderAction::Subscription(action) => subscription_name(action),
    }
}

fn sim_name(action: &SimAction) -> &'static str {
    match action {
        SimAction::Activate => "sim_activate",
        SimAction::Suspend => "sim_suspend",
        SimAction::Reactivate => "sim_reactivate",
        SimAction::Terminate => "sim_terminate",
        SimAction::Update(_) => "sim_update",
        SimAction::Swap { .. } => "sim_swap",
    }
}

/// Kind and state of a row as metrics name them, by the name in `act`. A row
/// whose kind cannot be read is counted too.
pub(super) fn labels(act: &str, state: State) -> (&'static str, &'static str) {
    match act {
        BUY => ("purchase", state.order_name()),
        "cancel_renewal" | "terminate_subscription" => ("subscription", state.order_name()),
        sim if sim.starts_with("sim_") => ("sim", state.name()),
        _ => ("unknown", state.order_name()),
    }
}

/// `None` when the columns do not hold a kind.
pub(super) fn read(name: &str, details: Option<&str>) -> Option<Stored> {
    if name == BUY && details.is_none() {
        return Some(Stored::Purchase { parent: None });
    }
    let details: Details = serde_json::from_str(details?).ok()?;
    let action = match name {
        BUY => {
            return Some(Stored::Purchase {
                parent: details.parent,
            });
        }
        "cancel_renewal" => return subscription(details, SubscriptionAction::CancelRenewal),
        "terminate_subscription" => return subscription(details, SubscriptionAction::Terminate),
        "sim_update" => SimAction::Update(Labels {
            group: details.group,
            reference: details.reference,
            metadata: details.metadata,
        }),
        "sim_swap" => SimAction::Swap {
            new_iccid: Iccid::parse(details.new_iccid.as_deref()?)?,
        },
        plain => SimAction::PLAIN
            .into_iter()
            .find(|action| sim_name(action) == plain)?,
    };
    Some(Stored::Sim(SimTerms {
        action,
        plan: details.rate_plan,
    }))
}

fn subscription(details: Details, action: SubscriptionAction) -> Option<Stored> {
    Some(Stored::Subscription(SubscriptionTerms {
        subscription_id: details.subscription_id?,
        action,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Msisdn;
    use crate::domain::change::SimChange;
    use crate::domain::write::{Line, Purchase, PurchaseTerms, SubscriptionChange};

    #[test]
    fn every_kind_reads_back() {
        let msisdn = Msisdn::parse("882470000000001").unwrap();
        let iccid = Iccid::parse("8988247000000000019").unwrap();
        let line = Line {
            msisdn: msisdn.clone(),
            iccid: None,
        };
        let purchase = |parent: Option<String>| {
            let terms = PurchaseTerms {
                product_id: "P".into(),
                activation: None,
                reference: String::new(),
                max_price: None,
                parent: parent.clone(),
                from_stock: None,
            };
            let purchase = Purchase {
                line: line.clone(),
                terms,
                activation_used: None,
                list_price: None,
                subscription_id: None,
            };
            (Kind::Purchase(purchase), Stored::Purchase { parent })
        };
        let mut all = vec![purchase(None), purchase(Some("S\"1".into()))];
        for action in [SubscriptionAction::CancelRenewal, SubscriptionAction::Terminate] {
            let terms = SubscriptionTerms {
                subscription_id: "S\"1".into(),
                action,
            };
            let change = SubscriptionChange {
                line: line.clone(),
                product_id: "P".into(),
                terms: terms.clone(),
            };
            all.push((Kind::Subscription(change), Stored::Subscription(terms)));
        }
        let carrying = [
            SimAction::Update(Labels {
                group: Some("G".into()),
                reference: None,
                metadata: BTreeMap::from([("k".into(), String::new())]),
            }),
            // Cleared, which is not the same as absent.
            SimAction::Update(Labels {
                group: Some(String::new()),
                reference: Some(String::new()),
                metadata: BTreeMap::new(),
            }),
            SimAction::Swap {
                new_iccid: iccid.clone(),
            },
        ];
        for action in SimAction::PLAIN.into_iter().chain(carrying) {
            let terms = SimTerms {
                action,
                plan: Some("PLAN 7".into()),
            };
            let change = SimChange {
                msisdn: msisdn.clone(),
                iccid: iccid.clone(),
                terms: terms.clone(),
            };
            all.push((Kind::Sim(change), Stored::Sim(terms)));
        }
        for (kind, stored) in all {
            let (name, details) = write(&kind).unwrap();
            assert_eq!(read(name, details.as_deref()), Some(stored));
            assert_eq!(labels(name, State::Unknown).0, kind.name());
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
