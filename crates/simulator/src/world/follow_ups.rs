//! What orders do to a subscription that is there already.
//!
//! The provider names them and publishes no body. So they are off until a
//! setting switches them on, and where a body names the subscription and what shall
//! become of it is a setting too: a JSON pointer each.

use jiff::Timestamp;
use uuid::Uuid;

use crate::world::{
    provider::Provider,
    refusal::{Refusal, STATUS_NOT_ELIGIBLE, SUBSCRIBER_NOT_FOUND},
    stock::{
        ids::SimNumber,
        news::SubscriptionEvent,
        sim::Sim,
        subscription::{Phase, Subscription},
    },
};

/// What can be done with a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FollowUp {
    CancelRenewal,
    Modify,
    Terminate,
}

/// Which subscription an order means and what shall become of it, as far as its body says so.
#[derive(Clone, Debug, Default)]
pub(crate) struct Aim {
    pub(crate) subscription: Option<Uuid>,
    pub(crate) balance: Option<i64>,
    pub(crate) expiration: Option<Timestamp>,
}

impl Aim {
    /// The live subscription that is meant: by its id, or as the only one of its product.
    fn find<'a>(&self, sim: &'a mut Sim, product_id: Option<&str>) -> Result<&'a mut Subscription, Refusal> {
        if self.subscription.is_none() && product_id.is_none() {
            return Err(Refusal::bad_request(
                "Neither a subscription nor a product is named",
            ));
        }
        let mut meant = sim.subscriptions.iter_mut().filter(|subscription| {
            subscription.is_live()
                && !subscription.product.infrastructure
                && self.subscription.is_none_or(|id| id == subscription.id)
                && product_id.is_none_or(|id| id == subscription.product.id)
        });
        match (meant.next(), meant.next()) {
            (Some(subscription), None) => Ok(subscription),
            (None, _) => Err(Refusal {
                title: "SUBSCRIPTION_NOT_FOUND",
                detail: "Order failed - The subscriber has no such product subscription",
            }),
            (Some(_), Some(_)) => Err(Refusal::bad_request(
                "The subscriber has several subscriptions of this product",
            )),
        }
    }
}

/// Does something with a subscription of a SIM, and gives its id.
pub(crate) fn follow(
    provider: &Provider,
    follow_up: FollowUp,
    aim: &Aim,
    number: SimNumber,
    product_id: Option<&str>,
    reference: Option<&String>,
) -> Result<(Uuid, Timestamp), Refusal> {
    let followed = provider.with_sim(number, |sim, now| {
        if !sim.status.takes_orders() {
            return Err(STATUS_NOT_ELIGIBLE);
        }
        let subscription = aim.find(sim, product_id)?;
        follow_up.apply(subscription, aim, now)?;
        if let Some(reference) = reference {
            subscription.attribute_news(reference);
        }
        Ok((subscription.id, now))
    });
    followed.unwrap_or(Err(SUBSCRIBER_NOT_FOUND))
}

impl FollowUp {
    /// Does it with the subscription, or says why it does not apply.
    fn apply(self, subscription: &mut Subscription, aim: &Aim, now: Timestamp) -> Result<(), Refusal> {
        match self {
            Self::CancelRenewal if subscription.renews() => subscription.cancel_renewal(now),
            Self::CancelRenewal => {
                return Err(Refusal {
                    title: "PRODUCT_NOT_ELIGIBLE",
                    detail: "Order failed - The product subscription will not be renewed",
                });
            }
            Self::Terminate => subscription.end(now, SubscriptionEvent::Terminated),
            Self::Modify => return modify(subscription, aim, now),
        }
        Ok(())
    }
}

fn modify(subscription: &mut Subscription, aim: &Aim, now: Timestamp) -> Result<(), Refusal> {
    if aim.balance.is_none() && aim.expiration.is_none() {
        return Err(Refusal::bad_request(
            "Neither a balance nor an expiration is named",
        ));
    }
    if aim.expiration.is_some_and(|at| at <= now) {
        return Err(Refusal::bad_request("The expiration is in the past"));
    }
    let Phase::Running(started) = &mut subscription.phase else {
        return Err(Refusal {
            title: "PRODUCT_NOT_ELIGIBLE",
            detail: "Order failed - The product subscription is not active",
        });
    };
    started.left_kb = aim.balance.unwrap_or(started.left_kb);
    started.until = aim.expiration.unwrap_or(started.until);
    Ok(())
}
