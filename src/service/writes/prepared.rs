//! What a kind's preparation hands to the executor.

use super::Record;
use crate::domain::change::SimChange;
use crate::domain::write::{Activation, Kind, Purchase, SubscriptionChange};

/// Where the preparation of a write leads.
pub(super) enum Prepared {
    /// It may be sent.
    Ready(Ready),
    /// It is settled after all: an earlier attempt was carried out, or that
    /// cannot be told.
    Settled(Box<Record>),
    /// What was read is no longer so: all has to be read again.
    Stale,
}

/// A write that may be sent.
pub(super) struct Ready {
    pub(super) change: Change,
    /// Subscriptions that cannot be what comes of it.
    pub(super) baseline: Vec<String>,
    /// Its slot's, from before the baseline was read.
    pub(super) generation: i64,
}

/// What is sent.
pub(super) enum Change {
    Purchase(Purchase, Choice),
    Subscription(SubscriptionChange),
    Sim(SimChange),
}

impl Change {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Purchase(purchase, _) => Kind::Purchase(purchase.clone()),
            Self::Subscription(change) => Kind::Subscription(change.clone()),
            Self::Sim(change) => Kind::Sim(change.clone()),
        }
    }
}

/// How a subscription begins, and who chose that.
#[derive(Clone, Copy, Debug)]
pub(super) enum Choice {
    /// The caller: passed on whatever comes of it.
    Callers(Activation),
    /// The gateway: the other one is tried when this one is refused.
    Ours(Activation),
}
