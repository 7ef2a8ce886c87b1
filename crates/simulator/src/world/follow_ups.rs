//! OCS Subscriptions: orders about a bundle that is there already.
//!
//! The provider names them and publishes no body. So they are off until a
//! setting switches them on, and where a body names the bundle and what shall
//! become of it is a setting too: a JSON pointer each.

use crate::{
    http::problem::Problem,
    world::stock::{
        news::BundleEvent,
        sim::Sim,
        subscription::{Phase, Subscription},
    },
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// Whether and how orders that follow up on a bundle are taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FollowUpSettings {
    /// Whether `cancelRenewal`, `modify` and `terminate` are carried out; else they answer 501.
    pub enabled: bool,
    /// Where in the body the subscription's id is, as a JSON pointer. Without an id there, the product must be
    /// that of exactly one live bundle.
    pub subscription_member: String,
    /// Where a `modify` says how many KB shall be left.
    pub balance_member: String,
    /// Where a `modify` says when the bundle shall end.
    pub expiration_member: String,
}

impl Default for FollowUpSettings {
    fn default() -> Self {
        Self {
            enabled: false,
            subscription_member: "/subscription/subscriptionId".to_owned(),
            balance_member: "/subscription/balance".to_owned(),
            expiration_member: "/subscription/expirationDate".to_owned(),
        }
    }
}

/// What can be done with a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FollowUp {
    CancelRenewal,
    Modify,
    Terminate,
}

/// Which bundle an order means and what shall become of it, as far as its body says so.
#[derive(Clone, Debug, Default)]
pub(crate) struct Aim {
    subscription: Option<Uuid>,
    balance: Option<i64>,
    expiration: Option<Timestamp>,
}

impl Aim {
    /// Reads the aim from a body and takes its members out.
    pub(crate) fn take(body: &mut Value, settings: &FollowUpSettings) -> Result<Self, Problem> {
        let pointers = [
            &settings.subscription_member,
            &settings.balance_member,
            &settings.expiration_member,
        ];
        let [subscription, balance, expiration] =
            pointers.map(|pointer| body.pointer(pointer).filter(|value| !value.is_null()).cloned());
        for pointer in pointers {
            let top = pointer.trim_start_matches('/').split('/').next();
            if let (Some(members), Some(top)) = (body.as_object_mut(), top) {
                members.remove(top);
            }
        }
        let wrong = |pointer: &str| Problem::bad_request(format!("'{pointer}' is wrong"));
        Ok(Self {
            subscription: subscription
                .map(|value| value.as_str().and_then(|id| Uuid::try_parse(id).ok()))
                .map(|id| id.ok_or_else(|| wrong(&settings.subscription_member)))
                .transpose()?,
            balance: balance
                .map(|value| value.as_i64().filter(|kb| *kb >= 0))
                .map(|kb| kb.ok_or_else(|| wrong(&settings.balance_member)))
                .transpose()?,
            expiration: expiration
                .map(|value| value.as_str().and_then(|at| at.parse().ok()))
                .map(|at| at.ok_or_else(|| wrong(&settings.expiration_member)))
                .transpose()?,
        })
    }

    /// The live bundle that is meant: by its id, or as the only one of its product.
    pub(crate) fn find<'a>(
        &self,
        sim: &'a mut Sim,
        product_id: Option<&str>,
    ) -> Result<&'a mut Subscription, Problem> {
        if self.subscription.is_none() && product_id.is_none() {
            return Err(Problem::bad_request(
                "Neither a subscription nor a product is named",
            ));
        }
        let mut meant = sim.subscriptions.iter_mut().filter(|bundle| {
            bundle.is_live()
                && !bundle.product.infrastructure
                && self.subscription.is_none_or(|id| id == bundle.id)
                && product_id.is_none_or(|id| id == bundle.product.id)
        });
        match (meant.next(), meant.next()) {
            (Some(bundle), None) => Ok(bundle),
            (None, _) => Err(Problem::order(
                "SUBSCRIPTION_NOT_FOUND",
                "Order failed - The subscriber has no such product subscription",
            )),
            (Some(_), Some(_)) => Err(Problem::bad_request(
                "The subscriber has several subscriptions of this product",
            )),
        }
    }
}

impl FollowUp {
    /// Does it with the bundle, or says why it does not apply.
    pub(crate) fn apply(self, bundle: &mut Subscription, aim: &Aim, now: Timestamp) -> Result<(), Problem> {
        match self {
            Self::CancelRenewal if bundle.renews() => bundle.cancel_renewal(now),
            Self::CancelRenewal => {
                return Err(Problem::order(
                    "PRODUCT_NOT_ELIGIBLE",
                    "Order failed - The product subscription will not be renewed",
                ));
            }
            Self::Terminate => bundle.end(now, BundleEvent::Terminated),
            Self::Modify => return modify(bundle, aim, now),
        }
        Ok(())
    }
}

fn modify(bundle: &mut Subscription, aim: &Aim, now: Timestamp) -> Result<(), Problem> {
    if aim.balance.is_none() && aim.expiration.is_none() {
        return Err(Problem::bad_request(
            "Neither a balance nor an expiration is named",
        ));
    }
    if aim.expiration.is_some_and(|at| at <= now) {
        return Err(Problem::bad_request("The expiration is in the past"));
    }
    let Phase::Running(started) = &mut bundle.phase else {
        return Err(Problem::order(
            "PRODUCT_NOT_ELIGIBLE",
            "Order failed - The product subscription is not active",
        ));
    };
    started.left_kb = aim.balance.unwrap_or(started.left_kb);
    started.until = aim.expiration.unwrap_or(started.until);
    Ok(())
}
