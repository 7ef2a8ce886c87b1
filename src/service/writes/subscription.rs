//! Changes of a subscription that is on a SIM: what is checked before one is
//! sent, how it is sent, and how its outcome is judged. The provider documents
//! little about these orders, so what cannot apply is refused here and not
//! sent.

use super::prepared::{Before, Change, Prepared, Ready};
use super::verdict::{Judgement, Observation, PassedWindows, Verdict};
use super::{Inner, Request, Writes};
use crate::domain::change::SubscriptionAction;
use crate::domain::failure::Reason;
use crate::domain::product::Category;
use crate::domain::sim::Identifier;
use crate::domain::subscription::{Holdings, Status};
use crate::domain::write::{Line, SubscriptionChange, SubscriptionTerms};
use crate::domain::{Deadline, Error, Result, SimRef, Subscription};
use crate::store::{Record, Slot};
use crate::transatel::api::orders::{OrderAct, Outcome};
use crate::transatel::client::request::CallOptions;

impl Writes {
    /// Finds the subscription and checks whether the change can apply to it.
    ///
    /// # Errors
    /// `SUBSCRIPTION_NOT_FOUND`, `PRODUCT_NOT_ELIGIBLE`, and those of reading.
    pub(super) async fn prepare_subscription_change(
        &self,
        request: &Request,
        terms: &SubscriptionTerms,
        before: Before<'_>,
        deadline: Deadline,
    ) -> Result<Prepared> {
        self.ensure_account()?;
        let inner = &self.inner;
        let line = match &request.sim {
            SimRef::Msisdn(msisdn) => Line {
                msisdn: msisdn.clone(),
                iccid: inner.sims.known(&request.sim).await.iccid,
            },
            SimRef::Iccid(_) => {
                let sim = self.line_of_card(&request.sim, deadline).await?.ids;
                let needed = Identifier::Msisdn;
                Line {
                    msisdn: sim.msisdn.ok_or(Error::SimNotResolvable { needed })?,
                    iccid: sim.iccid,
                }
            }
        };
        let options = CallOptions::for_order(deadline);
        let present = inner.provider.all_subscriptions(&line.msisdn, options).await?;
        let id = &terms.subscription_id;
        let subscription = present.find(id).ok_or_else(|| match present.unreadable {
            0 => Error::SubscriptionNotFound {
                subscription_id: id.clone(),
            },
            // It may be one of those that cannot be read.
            _ => Error::ProviderProtocol {
                provider: Default::default(),
            },
        })?;
        if let Some(why) = obstacle(terms.action, subscription) {
            return Err(Error::SubscriptionNotEligible { why });
        }
        let slot = Slot::Product {
            msisdn: line.msisdn.clone(),
            product_id: subscription.product_id.clone(),
        };
        let Some(generation) = self.free_slot(&slot, request, before).await? else {
            return Ok(Prepared::Stale);
        };
        Ok(Prepared::Ready(Box::new(Ready {
            change: Change::Subscription(SubscriptionChange {
                line,
                product_id: subscription.product_id.clone(),
                terms: terms.clone(),
            }),
            baseline: Vec::new(),
            generation,
            alone: None,
        })))
    }
}

impl Inner {
    /// Sends a change of a subscription.
    pub(super) async fn send_subscription_change(
        &self,
        record: &Record,
        change: &SubscriptionChange,
        options: CallOptions,
    ) -> Outcome {
        if let Err(error) = self.ensure_unconfirmed(record).await {
            return Outcome::NotSent(error);
        }
        let id = change.terms.subscription_id.as_str();
        let action = match change.terms.action {
            SubscriptionAction::CancelRenewal => OrderAct::CancelRenewal(id),
            SubscriptionAction::Terminate => OrderAct::Terminate(id),
        };
        let (msisdn, product_id) = (&change.line.msisdn, &change.product_id);
        let outcome = self
            .provider
            .order(record.write.id, msisdn, product_id, action, options)
            .await;
        match outcome {
            // The subscription id is not new.
            Outcome::Placed {
                provider_reference, ..
            } => Outcome::Placed {
                subscription_id: None,
                provider_reference,
            },
            other => other,
        }
    }

    /// Judges a change of a subscription by that subscription as it is now.
    pub(super) async fn judge_subscription_change(
        &self,
        record: &Record,
        change: &SubscriptionChange,
        observation: Observation,
        options: CallOptions,
    ) -> Judgement {
        let holdings = self
            .provider
            .all_subscriptions(&change.line.msisdn, options)
            .await;
        judge(record, &change.terms, holdings.as_ref().ok(), observation)
    }
}

/// Judges a change by the subscriptions that are on the SIM; `None` when they
/// cannot be read.
pub(super) fn judge(
    record: &Record,
    terms: &SubscriptionTerms,
    holdings: Option<&Holdings>,
    observation: Observation,
) -> Judgement {
    let PassedWindows { settled, too_long } = observation.passed(record, observation.absent_for());
    let judged = |verdict, is_absent| Judgement { verdict, is_absent };
    let on_sim = holdings.and_then(|holdings| holdings.find(&terms.subscription_id));
    let over = on_sim.is_some_and(Subscription::is_over);
    let done = match terms.action {
        SubscriptionAction::CancelRenewal => {
            over || on_sim.is_some_and(|subscription| subscription.status == Some(Status::Canceled))
        }
        SubscriptionAction::Terminate => over,
    };
    match on_sim {
        Some(_) if done => judged(Verdict::Done, false),
        Some(_) if settled => judged(Verdict::NotDone, true),
        Some(_) => judged(Verdict::Open, true),
        // It was there when the order was sent.
        None if too_long => judged(Verdict::NeedsOperator(Reason::Unreadable), false),
        None => judged(Verdict::Open, false),
    }
}

/// Why a change cannot apply to a subscription. Where the provider says too
/// little about it, its answer decides.
fn obstacle(action: SubscriptionAction, subscription: &Subscription) -> Option<&'static str> {
    if subscription.infrastructure {
        return Some("this is a service of the SIM itself and was not bought");
    }
    if subscription.product_id.is_empty() {
        return Some("the provider does not say which product the subscription is of");
    }
    if subscription.is_over() {
        return Some("the subscription has ended");
    }
    let renewal = action == SubscriptionAction::CancelRenewal;
    if renewal && subscription.category == Some(Category::OneOff) {
        return Some("a subscription that is bought once has no renewal");
    }
    if renewal && subscription.status == Some(Status::Canceled) {
        return Some("the subscription's renewal is canceled already");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_changes_apply_to_which_subscription() {
        use Category::{AddOn, OneOff, Recurring};
        use Status::*;
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
            // Infrastructure, which no customer has bought.
            (Some(Recurring), Some(Active), "P", true, false, false),
            (Some(Recurring), Some(Active), "", false, false, false),
        ] {
            let subscription = Subscription {
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
                unlimited: false,
            };
            let name = format!("{category:?} {status:?} {product_id:?} {infrastructure}");
            assert_eq!(
                obstacle(SubscriptionAction::CancelRenewal, &subscription).is_none(),
                canceled,
                "{name}"
            );
            assert_eq!(
                obstacle(SubscriptionAction::Terminate, &subscription).is_none(),
                ended,
                "{name}"
            );
        }
    }
}
