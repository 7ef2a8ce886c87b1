//! What a write asks the provider for.

use std::collections::BTreeMap;
use std::fmt;

use super::Iccid;

/// What is to be done. Everything but buying is off unless it is enabled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Buy the product.
    Buy,
    /// Let a recurring bundle end with its period.
    CancelRenewal {
        /// The bundle.
        subscription_id: String,
    },
    /// End a bundle at once.
    TerminateSubscription {
        /// The bundle.
        subscription_id: String,
    },
    /// Change the SIM itself.
    Sim(SimChange),
}

impl Act {
    /// The bundle that is acted on, when it is there already.
    pub fn on_subscription(&self) -> Option<&str> {
        match self {
            Self::CancelRenewal { subscription_id } | Self::TerminateSubscription { subscription_id } => {
                Some(subscription_id)
            }
            Self::Buy | Self::Sim(_) => None,
        }
    }

    /// The change of the SIM itself.
    pub fn on_sim(&self) -> Option<&SimChange> {
        match self {
            Self::Sim(change) => Some(change),
            Self::Buy | Self::CancelRenewal { .. } | Self::TerminateSubscription { .. } => None,
        }
    }
}

/// A change of a SIM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimChange {
    /// What changes.
    pub act: SimAct,
    /// The provider's rate plan; `None` for the configured one.
    pub rate_plan: Option<String>,
}

/// What can be done with a SIM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SimAct {
    /// Put into service.
    Activate,
    /// Switch off for a while.
    Suspend,
    /// Switch on again.
    Reactivate,
    /// End for good.
    Terminate,
    /// Change its labels.
    Update(Labels),
    /// Move its line to another card.
    Swap {
        /// The other card.
        new_iccid: Iccid,
    },
}

/// Labels of a SIM; what is absent stays. What a company writes there may be
/// about a person: `Debug` prints none of it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Labels {
    /// Group.
    pub group: Option<String>,
    /// The company's own reference.
    pub reference: Option<String>,
    /// Free entries; an empty value deletes its key.
    pub metadata: BTreeMap<String, String>,
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Labels")
            .field("group", &self.group.is_some())
            .field("reference", &self.reference.is_some())
            .field("metadata", &self.metadata.len())
            .finish()
    }
}

/// Characters of a rate plan's name, by the provider's word.
pub const LONGEST_RATE_PLAN: usize = 50;
/// Characters of a group's name. The provider publishes no limit.
pub const LONGEST_GROUP: usize = 100;
/// Entries of metadata in one update.
pub const MOST_METADATA: usize = 10;
/// Characters of a metadata key.
pub const LONGEST_METADATA_KEY: usize = 50;
/// Characters of a metadata value. The provider publishes no limit.
pub const LONGEST_METADATA_VALUE: usize = 255;

/// Operations that an account may not have, by the names of their RPCs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Optional {
    /// `CancelRenewal`
    CancelRenewal,
    /// `TerminateSubscription`
    TerminateSubscription,
    /// `ActivateSim`
    ActivateSim,
    /// `SuspendSim`
    SuspendSim,
    /// `ReactivateSim`
    ReactivateSim,
    /// `TerminateSim`
    TerminateSim,
    /// `UpdateSim`
    UpdateSim,
    /// `SwapSim`
    SwapSim,
}

impl Optional {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::CancelRenewal,
        Self::TerminateSubscription,
        Self::ActivateSim,
        Self::SuspendSim,
        Self::ReactivateSim,
        Self::TerminateSim,
        Self::UpdateSim,
        Self::SwapSim,
    ];

    /// The RPC.
    pub fn name(self) -> &'static str {
        match self {
            Self::CancelRenewal => "CancelRenewal",
            Self::TerminateSubscription => "TerminateSubscription",
            Self::ActivateSim => "ActivateSim",
            Self::SuspendSim => "SuspendSim",
            Self::ReactivateSim => "ReactivateSim",
            Self::TerminateSim => "TerminateSim",
            Self::UpdateSim => "UpdateSim",
            Self::SwapSim => "SwapSim",
        }
    }

    /// Whether it changes a SIM, and not a subscription.
    pub fn is_of_sims(self) -> bool {
        match self {
            Self::CancelRenewal | Self::TerminateSubscription => false,
            Self::ActivateSim
            | Self::SuspendSim
            | Self::ReactivateSim
            | Self::TerminateSim
            | Self::UpdateSim
            | Self::SwapSim => true,
        }
    }

    /// The operation of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.name() == name)
    }

    /// What has to be enabled for an act; `None` for buying.
    pub fn of(act: &Act) -> Option<Self> {
        match act {
            Act::Buy => None,
            Act::CancelRenewal { .. } => Some(Self::CancelRenewal),
            Act::TerminateSubscription { .. } => Some(Self::TerminateSubscription),
            Act::Sim(change) => Some(match change.act {
                SimAct::Activate => Self::ActivateSim,
                SimAct::Suspend => Self::SuspendSim,
                SimAct::Reactivate => Self::ReactivateSim,
                SimAct::Terminate => Self::TerminateSim,
                SimAct::Update(_) => Self::UpdateSim,
                SimAct::Swap { .. } => Self::SwapSim,
            }),
        }
    }
}
