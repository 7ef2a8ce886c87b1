//! What is looked at before something is done with a bundle that is there
//! already. The provider publishes little of these orders, so that what
//! cannot apply is refused here and not sent.

use super::{Command, Orders, Target};
use crate::domain::act::Act;
use crate::domain::product::Category;
use crate::domain::sim::Identifier;
use crate::domain::subscription::Status;
use crate::domain::{Deadline, Error, Result, SimIds, SimRef, Subscription};
use crate::store::Slot;
use crate::transatel::client::request::CallOptions;

impl Orders {
    /// The bundle's place, once it is known that the act can apply to it.
    ///
    /// # Errors
    /// `SUBSCRIPTION_NOT_FOUND`, `PRODUCT_NOT_ELIGIBLE`, and those of reading.
    pub(super) async fn follow_up_target(&self, command: &Command, deadline: Deadline) -> Result<Target> {
        self.ensure_account()?;
        let act = &command.wish.act;
        let Some(id) = act.on_subscription() else {
            return Err(Error::Internal);
        };
        let inner = &self.inner;
        let (msisdn, sim) = match &command.sim {
            SimRef::Msisdn(msisdn) => (msisdn.clone(), inner.sims.known(&command.sim).await),
            SimRef::Iccid(_) => {
                let sim = self.line_of_card(&command.sim, deadline).await?.ids;
                let needed = Identifier::Msisdn;
                let msisdn = sim.msisdn.clone().ok_or(Error::SimNotResolvable { needed })?;
                (msisdn, sim)
            }
        };
        let present = inner
            .provider
            .all_subscriptions(&msisdn, CallOptions::for_order(deadline))
            .await?;
        let bundle = present.find(id).ok_or_else(|| match present.unreadable {
            0 => Error::SubscriptionNotFound {
                subscription_id: id.to_owned(),
            },
            // It may be one of those that cannot be read.
            _ => Error::ProviderProtocol {
                provider: Default::default(),
            },
        })?;
        if let Some(why) = obstacle(act, bundle) {
            return Err(Error::SubscriptionNotEligible { why });
        }
        Ok(Target {
            sim: SimIds {
                msisdn: Some(msisdn.clone()),
                ..sim
            },
            slot: Slot {
                msisdn,
                product_id: bundle.product_id.clone(),
            },
        })
    }
}

/// Why an act cannot apply to a bundle. What the provider does not tell
/// about a bundle is left to its answer.
fn obstacle(act: &Act, bundle: &Subscription) -> Option<&'static str> {
    if bundle.infrastructure {
        return Some("this is a service of the SIM itself and was not bought");
    }
    if bundle.product_id.is_empty() {
        return Some("the provider does not say which product the bundle is of");
    }
    if bundle.is_over() {
        return Some("the bundle has ended");
    }
    let renewal = matches!(act, Act::CancelRenewal { .. });
    if renewal && bundle.category == Some(Category::OneOff) {
        return Some("a bundle that is bought once has no renewal");
    }
    if renewal && bundle.status == Some(Status::Canceled) {
        return Some("the bundle's renewal is canceled already");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_apply_to_which_bundle() {
        use Category::{AddOn, OneOff, Recurring};
        use Status::*;
        let subscription_id = "S".to_owned();
        let cancel = Act::CancelRenewal {
            subscription_id: subscription_id.clone(),
        };
        let end = Act::TerminateSubscription { subscription_id };
        // Whether its renewal can be canceled, and whether it can be ended.
        for (category, status, product_id, infrastructure, canceled, ended) in [
            (Some(Recurring), Some(Active), "P", false, true, true),
            (Some(Recurring), Some(WaitingForFirstUse), "P", false, true, true),
            (Some(Recurring), Some(Pending), "P", false, true, true),
            (Some(Recurring), Some(Scheduled), "P", false, true, true),
            (Some(Recurring), Some(Suspended), "P", false, true, true),
            (Some(Recurring), Some(Canceled), "P", false, false, true),
            (Some(Recurring), Some(Expired), "P", false, false, false),
            (Some(Recurring), Some(Terminated), "P", false, false, false),
            (Some(OneOff), Some(Active), "P", false, false, true),
            (Some(OneOff), Some(Terminated), "P", false, false, false),
            (Some(AddOn), Some(Active), "P", false, true, true),
            // What is not known is the provider's to decide.
            (None, Some(Active), "P", false, true, true),
            (Some(Recurring), None, "P", false, true, true),
            // Nothing that a customer has bought.
            (Some(Recurring), Some(Active), "P", true, false, false),
            (Some(Recurring), Some(Active), "", false, false, false),
        ] {
            let bundle = Subscription {
                id: "S".into(),
                product_id: product_id.into(),
                category,
                status,
                raw_status: String::new(),
                ordered_at: None,
                activated_at: None,
                end: None,
                balances: Vec::new(),
                countries: Vec::new(),
                infrastructure,
            };
            let name = format!("{category:?} {status:?} {product_id:?} {infrastructure}");
            assert_eq!(obstacle(&cancel, &bundle).is_none(), canceled, "{name}");
            assert_eq!(obstacle(&end, &bundle).is_none(), ended, "{name}");
        }
    }
}
