//! What can be changed of a subscription and of a SIM, and which of it an
//! account has to have.

use std::collections::BTreeMap;
use std::fmt;

use super::{Iccid, Msisdn};

/// What can be done with a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubscriptionAction {
    /// Let it end with its period.
    CancelRenewal,
    /// End it at once.
    Terminate,
}

/// A change of a SIM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimChange {
    /// The number that the SIM had when it was asked for.
    pub msisdn: Msisdn,
    /// The card.
    pub iccid: Iccid,
    /// What was asked for.
    pub terms: SimTerms,
}

/// What a caller asks for when it changes a SIM. Two requests with the same id
/// must agree in all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimTerms {
    /// What changes.
    pub action: SimAction,
    /// The provider's rate plan; `None` for the configured one.
    pub rate_plan: Option<String>,
}

/// What can be done with a SIM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SimAction {
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

/// Operations that an account may not have, by the names of their RPCs.
/// Everything but buying is off unless it is enabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OptionalOperation {
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

impl OptionalOperation {
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
        !matches!(self, Self::CancelRenewal | Self::TerminateSubscription)
    }

    /// The operation of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.name() == name)
    }

    /// What has to be enabled to change a subscription like this.
    pub fn of_subscription(action: SubscriptionAction) -> Self {
        match action {
            SubscriptionAction::CancelRenewal => Self::CancelRenewal,
            SubscriptionAction::Terminate => Self::TerminateSubscription,
        }
    }

    /// What has to be enabled to change a SIM like this.
    pub fn of_sim(action: &SimAction) -> Self {
        match action {
            SimAction::Activate => Self::ActivateSim,
            SimAction::Suspend => Self::SuspendSim,
            SimAction::Reactivate => Self::ReactivateSim,
            SimAction::Terminate => Self::TerminateSim,
            SimAction::Update(_) => Self::UpdateSim,
            SimAction::Swap { .. } => Self::SwapSim,
        }
    }
}

/// Characters of a rate plan's name, as the provider documents it.
pub const LONGEST_RATE_PLAN: usize = 50;
/// Characters of a group's name. The provider publishes no limit.
pub const LONGEST_GROUP: usize = 100;
/// Entries of metadata in one update.
pub const MOST_METADATA: usize = 10;
/// Characters of a metadata key.
pub const LONGEST_METADATA_KEY: usize = 50;
/// Characters of a metadata value. The provider publishes no limit.
pub const LONGEST_METADATA_VALUE: usize = 255;
