//! Which orders about a subscription that is there already are taken, and where their bodies say what.

use serde::{Deserialize, Serialize};

/// Whether and how orders that follow up on a subscription are taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FollowUpSettings {
    /// Whether `cancelRenewal`, `modify` and `terminate` are carried out; else they answer 501.
    pub enabled: bool,
    /// Where in the body the subscription's id is, as a JSON pointer. Without an id there, the product must be
    /// that of exactly one live subscription.
    pub subscription_member: String,
    /// Where a `modify` says how many KB shall be left.
    pub balance_member: String,
    /// Where a `modify` says when the subscription shall end.
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
