//! In which fields two requests with one id differ. Every field is named here: what is
//! left out would be taken for the same request.

use super::change::{Labels, SimAction, SimTerms};
use super::write::{FromStock, PurchaseTerms, SubscriptionTerms};

impl PurchaseTerms {
    /// The fields of the request in which these differ.
    pub fn differences(&self, other: &Self) -> Vec<&'static str> {
        let Self {
            product_id,
            activation,
            reference,
            max_price,
            parent,
            from_stock,
        } = self;
        let same_source = *from_stock == other.from_stock;
        let any = |is: fn(&FromStock) -> bool| {
            [from_stock, &other.from_stock]
                .into_iter()
                .any(|source| source.as_ref().is_some_and(is))
        };
        differing([
            (*product_id == other.product_id, "product_id"),
            (*activation == other.activation, "activation"),
            (*reference == other.reference, "reference"),
            (*max_price == other.max_price, "max_price"),
            (*parent == other.parent, "parent_subscription_id"),
            (
                same_source || !any(|source| matches!(source, FromStock::Pool(_))),
                "pool",
            ),
            (
                same_source || !any(|source| matches!(source, FromStock::Reservation(_))),
                "reservation_id",
            ),
        ])
    }
}

impl SubscriptionTerms {
    /// The fields of the request in which these differ; `None` when it is another
    /// call.
    pub fn differences(&self, other: &Self) -> Option<Vec<&'static str>> {
        let Self {
            subscription_id,
            action,
        } = self;
        let is_same = *subscription_id == other.subscription_id;
        (*action == other.action).then(|| differing([(is_same, "subscription_id")]))
    }
}

impl SimTerms {
    /// The fields of the request in which these differ; `None` when it is another
    /// call.
    pub fn differences(&self, other: &Self) -> Option<Vec<&'static str>> {
        let Self { action, plan } = self;
        let mut fields = differing([(*plan == other.plan, "plan")]);
        fields.extend(match (action, &other.action) {
            (SimAction::Update(own), SimAction::Update(labels)) => own.differences(labels),
            (SimAction::Swap { new_iccid }, SimAction::Swap { new_iccid: card }) => {
                differing([(new_iccid == card, "new_iccid")])
            }
            (own, action) if own == action => Vec::new(),
            _ => return None,
        });
        Some(fields)
    }
}

impl Labels {
    fn differences(&self, other: &Self) -> Vec<&'static str> {
        let Self {
            group,
            reference,
            metadata,
        } = self;
        differing([
            (*group == other.group, "group"),
            (*reference == other.reference, "reference"),
            (*metadata == other.metadata, "metadata"),
        ])
    }
}

/// The names of the fields that are not the same.
fn differing<const N: usize>(fields: [(bool, &'static str); N]) -> Vec<&'static str> {
    let different = fields.into_iter().filter(|(is_same, _)| !is_same);
    different.map(|(_, name)| name).collect()
}
