//! What a kind's preparation passes to the executor.

use super::Record;
use crate::domain::SimStatus;
use crate::domain::change::SimChange;
use crate::domain::write::{Activation, Kind, Purchase, SubscriptionChange};
use crate::store::{SimPurchase, Slot, SlotStatus};

/// What the ledger held when a request was looked up.
#[derive(Clone, Copy, Default)]
pub(super) struct Before<'a> {
    /// The write of the request, which is sent again.
    pub(super) record: Option<&'a Record>,
    /// A slot of a request that was not known.
    pub(super) slot: Option<&'a (Slot, SlotStatus)>,
}

/// The result of preparing a write.
pub(super) enum Prepared {
    /// It may be sent.
    Ready(Box<Ready>),
    /// It is settled: an earlier attempt was carried out, or that cannot be
    /// determined.
    Settled(Box<Record>),
    /// What was read has changed: everything has to be read again.
    Stale,
}

/// A write that may be sent.
pub(super) struct Ready {
    pub(super) change: Change,
    /// Subscriptions that were there before and cannot result from it.
    pub(super) baseline: Vec<String>,
    /// The generation of its slot, from before the baseline was read.
    pub(super) generation: i64,
    /// The purchases for its SIM from before it was read, when it has to be unused.
    pub(super) alone: Option<Vec<SimPurchase>>,
}

/// What is sent.
pub(super) enum Change {
    Purchase(Purchase, Choice),
    Subscription(SubscriptionChange),
    /// With the status that the SIM was read with.
    Sim(SimChange, Option<SimStatus>),
}

impl Change {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Purchase(purchase, _) => Kind::Purchase(purchase.clone()),
            Self::Subscription(change) => Kind::Subscription(change.clone()),
            Self::Sim(change, _) => Kind::Sim(change.clone()),
        }
    }
}

/// How a subscription starts, and who chose that.
#[derive(Clone, Copy, Debug)]
pub(super) enum Choice {
    /// The caller's choice: sent whatever the result.
    Caller(Activation),
    /// The gateway's choice, by the status of the SIM. When `OnFirstUse` is
    /// refused for that status, `Immediate` is tried; never the other way
    /// round.
    Gateway(Activation),
}

impl Choice {
    /// How it is sent first.
    pub(super) fn first(self) -> Activation {
        match self {
            Self::Caller(activation) | Self::Gateway(activation) => activation,
        }
    }
}
